"""Ways around a guard that refuses when asked plainly: other tables, other snapshots, other moments."""

from contextlib import suppress

import pytest
from django.db import transaction

from accounts.actions.members import remove_member
from accounts.models import Membership
from events.kinds import EventKind
from prompts.actions.releases import break_glass, promote
from prompts.models import Head, Promotion, Ratification, Release
from tests.guards.attacks import (
    Rollback,
    apply,
    begin,
    check,
    enact,
    forge_release,
    forge_version,
    head,
    held,
    in_another_session,
    open_promotion,
    passed_checks,
    propose,
    refused,
    refused_beside,
    review,
    run,
    tell,
)
from tests.guards.moving import LONG_REASON, give
from tests.guards.promoting import dismiss
from tests.personas import Team

ISOLATIONS = ["REPEATABLE READ", "SERIALIZABLE"]
OURS = (
    "prompts_release",
    "prompts_head",
    "prompts_channelpolicy",
    "prompts_promotion",
    "prompts_review",
    "prompts_check",
    "accounts_membership",
    "accounts_user",
    "accounts_project",
    "events_event",
)


def stand_in_front(*tables: str) -> None:
    """Temporary tables of the run-time role's own, named like ours and in front of them."""
    for table in tables:
        run(f"CREATE TEMPORARY TABLE {table} (LIKE public.{table})", using="default")
    run("SET LOCAL search_path = pg_temp, public", using="default")


def test_temporary_tables_lend_no_right(careful_team: Team) -> None:
    """A membership and a group written into tables that only look like ours."""
    team = careful_team
    prompt = team.prompt()
    with refused("release_right"):
        stand_in_front("accounts_membership", "accounts_user_groups", "accounts_projectuserpermission")
        run(
            "INSERT INTO pg_temp.accounts_membership (id, project_id, user_id, roles, created_at) "
            "VALUES (9999, %s, %s, '{release-manager}', now())",
            [team.project.pk, team.outsider.pk],
            using="default",
        )
        run(
            "INSERT INTO pg_temp.accounts_user_groups (id, user_id, group_id) "
            "SELECT 9999, %s, group_id FROM public.accounts_rolegroup WHERE role = 'release-manager'",
            [team.outsider.pk],
            using="default",
        )
        raw_release(team, prompt, team.outsider.pk)


def raw_release(team: Team, prompt: object, actor: int) -> None:
    """A ledger row into the real table, named with its schema."""
    run(
        "INSERT INTO public.prompts_release (prompt_id, channel_id, revision, kind, version_id, actor_id, reason, "
        "previous_digest, digest) SELECT v.prompt_id, %s, 1, 'promote', v.id, %s, '', '', '' "
        "FROM public.prompts_promptversion v WHERE v.prompt_id = %s AND v.number = 1",
        [team.stable.pk, actor, prompt.pk],  # type: ignore[attr-defined]
        using="default",
    )


def test_a_temporary_policy_unprotects_nothing(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt()
    with refused("promotion_required"):
        stand_in_front(*OURS)
        run(
            "INSERT INTO pg_temp.prompts_channelpolicy SELECT * FROM public.prompts_channelpolicy",
            using="default",
        )
        run("UPDATE pg_temp.prompts_channelpolicy SET required_approvals = 0, required_checks = '{}'", using="default")
        raw_release(team, prompt, team.cleo.user.pk)


def test_a_temporary_event_tells_nothing(team: Team) -> None:
    prompt = team.prompt()
    with refused("version_told"):
        version = forge_version(prompt, team.ada.user, told=False)
        stand_in_front("events_event")
        run(
            "INSERT INTO events_event (id, project_id, kind, actor_kind, actor_id, subject_kind, subject_id, data, at) "
            "VALUES (1, %s, 'version.saved', 'person', 1, 'version', %s, '{}', now())",
            [team.project.pk, version.pk],
            using="default",
        )


def test_a_temporary_function_or_operator_is_never_called(careful_team: Team) -> None:
    """Functions in pg_temp are found only by their full name; a changed search_path does not reach into a guard."""
    team = careful_team
    prompt = team.prompt()
    with refused("promotion_required"):
        run(
            "CREATE FUNCTION pg_temp.promptforge_policy_protects(public.prompts_channelpolicy) RETURNS boolean "
            "LANGUAGE sql AS 'SELECT false'",
            using="default",
        )
        run("CREATE FUNCTION pg_temp.cardinality(anyarray) RETURNS int LANGUAGE sql AS 'SELECT 0'", using="default")
        run("SET LOCAL search_path = pg_temp, pg_catalog, public", using="default")
        raw_release(team, prompt, team.cleo.user.pk)


# A snapshot of the past -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_no_release_is_decided_on_a_snapshot(team: Team, isolation: str) -> None:
    """The right was taken away after the snapshot, so the past would still grant it."""
    prompt = team.prompt()
    with refused_beside("read_committed"):
        begin(isolation)
        in_another_session(lambda: lose_membership(team))
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)
    assert head(prompt, team.stable).revision == 0


def lose_membership(team: Team) -> None:
    remove_member(membership=Membership.objects.get(project=team.project, user=team.cleo.user), by=None)


@pytest.mark.parametrize(
    "decision", ["version", "policy", "promotion", "review", "dismissal", "check", "release", "ratification"]
)
def test_nothing_is_decided_on_a_snapshot(careful_team: Team, decision: str) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    give(team)
    broken = break_glass(
        by=team.noor, prompt=prompt, channel=team.stable, version=team.version(prompt, 1), reason=LONG_REASON
    )
    promotion = open_promotion(team, prompt, 2)
    passed_checks(promotion)
    given = review(promotion, team.ben)
    change = propose(team, team.cleo.user, required_approvals=2)
    for isolation in ISOLATIONS:
        with refused("read_committed"):
            begin(isolation)
            decide(team, decision, promotion=promotion, given=given, change=change, broken=broken)


def decide(team: Team, decision: str, *, promotion: Promotion, given: object, change: object, broken: Release) -> None:
    prompt = promotion.prompt
    {
        "version": lambda: forge_version(prompt, team.ada.user),
        "policy": lambda: enact(change, team.emil.user),  # type: ignore[arg-type]
        "promotion": lambda: open_promotion(team, prompt, 1),
        "review": lambda: review(promotion, team.emil),
        "dismissal": lambda: dismiss(given, team.cleo.user),  # type: ignore[arg-type]
        "check": lambda: check(promotion, "secrets"),
        "release": lambda: apply(team, promotion),
        "ratification": lambda: Ratification.objects.create(release=broken, ratified_by=team.cleo.user),
    }[decision]()


# Another moment -------------------------------------------------------------------------------------------------------


def test_deferring_everything_defers_no_rule(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt()
    with refused("promotion_required"):
        run("SET CONSTRAINTS ALL DEFERRED", using="default")
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)


def test_asking_early_excuses_nothing(team: Team) -> None:
    """Made immediate, the commit's questions come before the event could be written."""
    prompt = team.prompt()
    with refused("release_told"):
        run("SET CONSTRAINTS ALL IMMEDIATE", using="default")
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)


def test_a_release_s_event_is_not_taken_back(team: Team) -> None:
    prompt = team.prompt()
    with refused("release_told"):
        release = forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo, told=False)
        with suppress(Rollback), transaction.atomic():
            tell(EventKind.RELEASE_MADE, prompt, "release", release.pk, team.cleo.user)
            run("SET CONSTRAINTS ALL IMMEDIATE", using="default")
            raise Rollback


def test_a_release_that_was_taken_back_moved_nothing(team: Team) -> None:
    """A savepoint rolled back around a promote, and then another promote: one row, one head, one chain."""
    prompt = team.prompt(versions=2)
    with transaction.atomic():
        with suppress(Rollback), transaction.atomic():
            promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 2))
            run("SET CONSTRAINTS ALL IMMEDIATE", using="default")
            raise Rollback
        promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1))
    ledger = [(row.revision, row.version_id) for row in Release.objects.all()]
    version = team.version(prompt, 1).pk
    assert ledger == [(1, version)]
    assert Head.objects.values_list("revision", "version").get() == (1, version)


def test_an_approval_that_was_taken_back_counts_nothing(careful_team: Team) -> None:
    """An approval inside a savepoint that is rolled back counts for nothing afterwards."""
    team = careful_team
    promotion = open_promotion(team, team.prompt(), 1)
    passed_checks(promotion)
    with refused("promotion_approvals"):
        with suppress(Rollback), transaction.atomic():
            review(promotion, team.ben)
            raise Rollback
        apply(team, promotion)


@pytest.mark.parametrize("prepared", ["", "999999", "x"])
def test_a_prepared_setting_opens_no_second_project(team: Team, prepared: str) -> None:
    """The setting that remembers the project can be written by anybody: it may only make a refusal sooner."""
    prompt = team.prompt()
    run("SELECT set_config('promptforge.project', %s, false)", [prepared], using="default")
    if prepared:
        with refused("one_project"):
            forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)
    else:
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)
        held(head(prompt, team.stable).revision, 1, "an empty setting is no project")
