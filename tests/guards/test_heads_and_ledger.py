"""Invariants 4 and 6: a head moves only with a row of its ledger, which takes only rows that keep its rules."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import models
from django.utils import timezone

from accounts.actions.members import grant_break_glass, remove_member
from accounts.models import ApiKey, BreakGlassGrant, Membership, Project
from accounts.policies import Principal
from promptforge.lib.errors import DomainError
from prompts.actions.imports import import_release
from prompts.actions.projects import create_channel
from prompts.actions.releases import break_glass, default_target, promote, rollback
from prompts.models import Channel, FreezeWindow, Head, Prompt, PromptVersion, Ratification, Release
from tests.guards.attacks import (
    forge_release,
    head,
    held,
    in_another_session,
    let_time_pass,
    open_promotion,
    refused,
    refused_beside,
    run,
    value,
)
from tests.personas import Team, make_team

LONG_REASON = "The greeting insults every customer."


def move(team: Team, prompt: Prompt, *numbers: int) -> None:
    """Promote these versions to `stable`, one after the other."""
    for number in numbers:
        promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, number))


def back(team: Team, prompt: Prompt, number: int | None = None) -> Release:
    version = None if number is None else team.version(prompt, number)
    return rollback(by=team.cleo, prompt=prompt, channel=team.stable, version=version, reason="It got worse")


def forge_rollback(team: Team, prompt: Prompt, number: int, **fields: Any) -> Release:
    actor = fields.pop("actor", team.cleo)
    row = {"kind": "rollback", "reason": "It got worse"} | fields
    return forge_release(prompt, team.stable, team.version(prompt, number), actor, **row)


def glass(team: Team, prompt: Prompt, number: int, **fields: Any) -> Release:
    actor = fields.pop("actor", team.noor)
    row = {"kind": "break_glass", "reason": LONG_REASON} | fields
    return forge_release(prompt, team.stable, team.version(prompt, number), actor, **row)


def live(team: Team, prompt: Prompt) -> int | None:
    version = Head.objects.select_related("version").get(prompt=prompt, channel=team.stable).version
    return version.number if version else None


# Heads ----------------------------------------------------------------------------------------------------------------


def test_a_head_is_not_moved_back_along_its_ledger(team: Team) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    first = Release.objects.get(prompt=prompt, revision=1)
    with refused("head_follows_ledger"):
        Head.objects.filter(prompt=prompt).update(revision=1, release=first, version=first.version_id)


def test_a_head_is_not_moved_to_what_was_never_released(team: Team) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1)
    with refused("head_follows_ledger"):
        Head.objects.filter(prompt=prompt).update(version=team.version(prompt, 2))


def test_a_head_is_not_moved_to_garbage(team: Team) -> None:
    prompt = team.prompt()
    with refused("head_follows_ledger"):
        Head.objects.filter(prompt=prompt).update(revision=1, release_id=999_999, version_id=999_999)


def test_a_head_is_not_moved_to_another_prompt_s_release(team: Team) -> None:
    prompt, other = team.prompt(), team.prompt("other")
    move(team, other, 1)
    release = Release.objects.get(prompt=other)
    with refused("head_follows_ledger"):
        Head.objects.filter(prompt=prompt).update(revision=1, release=release, version=release.version_id)


def test_a_head_changes_neither_prompt_nor_channel(team: Team) -> None:
    prompt, other = team.prompt(), team.prompt("other")
    run("ALTER TABLE public.prompts_head DROP CONSTRAINT head_once")
    with refused("head_follows_ledger"):
        Head.objects.filter(prompt=prompt).update(prompt=other)


def test_the_foreign_key_stands_behind_the_trigger(team: Team) -> None:
    """Without the trigger the head still names only rows of its own ledger."""
    prompt, other = team.prompt(), team.prompt("other")
    move(team, other, 1)
    with refused("head_is_logged", using="owner"):
        run("ALTER TABLE public.prompts_head DISABLE TRIGGER head_update")
        run(
            "UPDATE public.prompts_head h SET revision = 1, release_id = r.id, version_id = r.version_id "
            "FROM public.prompts_release r WHERE h.prompt_id = %s",
            [prompt.pk],
        )
        run("SET CONSTRAINTS ALL IMMEDIATE")


def test_a_head_is_not_inserted_full(team: Team) -> None:
    prompt = team.prompt()
    move(team, prompt, 1)
    release = Release.objects.get(prompt=prompt)
    run("ALTER TABLE public.prompts_head DROP CONSTRAINT head_once")
    with refused("head_starts_empty"):
        Head.objects.create(
            prompt=prompt, channel=team.stable, revision=1, release=release, version_id=release.version_id
        )


def test_no_head_stands_between_two_projects(team: Team) -> None:
    other = make_team("other", preset="solo")
    with refused("head_starts_empty"):
        Head.objects.create(prompt=team.prompt(), channel=other.stable, revision=0)


def test_no_head_waits_for_a_channel_that_is_made_later(team: Team) -> None:
    """The foreign key is asked at commit only; until then the channel could become another project's."""
    with refused("head_starts_empty"):
        Head.objects.create(prompt=team.prompt(), channel_id=1_000_000, revision=0)


def test_a_ledger_has_one_head(team: Team) -> None:
    prompt = team.prompt()
    with refused("head_once"):
        Head.objects.create(prompt=prompt, channel=team.stable, revision=0)


def test_a_new_channel_gives_every_prompt_an_empty_head(team: Team) -> None:
    prompt = team.prompt()
    channel = Channel.objects.create(project=team.project, name="beta")
    heads = list(Head.objects.filter(channel=channel).values_list("prompt", "revision"))
    held(heads, [(prompt.pk, 0)], "a channel has a head for every prompt")


def test_the_head_follows_its_ledger(team: Team) -> None:
    prompt = team.prompt()
    release = forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)
    at = head(prompt, team.stable)
    held((at.revision, at.release_id, at.version_id), (1, release.pk, release.version_id), "the head moves with it")


# Rows of a ledger -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [1, 3, 0])
def test_a_release_takes_the_next_revision(team: Team, revision: int) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1)
    # These two would refuse it as well, later.
    run("ALTER TABLE public.prompts_release DROP CONSTRAINT release_revision_once")
    run("ALTER TABLE public.prompts_head DISABLE TRIGGER head_update")
    with refused("stale_head"):
        forge_release(prompt, team.stable, team.version(prompt, 2), team.cleo, revision=revision)


def test_of_two_movers_one_wins(team: Team) -> None:
    """Both saw revision 1; the second is refused when it comes to insert."""
    prompt = team.prompt(versions=3)
    move(team, prompt, 1)
    with refused_beside("stale_head"):
        seen = head(prompt, team.stable).revision
        in_another_session(lambda: move(team, prompt, 2))
        forge_release(prompt, team.stable, team.version(prompt, 3), team.cleo, revision=seen + 1)
    assert live(team, prompt) == 2


def test_another_prompt_s_version_is_not_released(team: Team) -> None:
    prompt, other = team.prompt(), team.prompt("other")
    run("ALTER TABLE public.prompts_release DROP CONSTRAINT release_version_of_prompt")
    run("ALTER TABLE public.prompts_head DROP CONSTRAINT head_is_logged")
    with refused("release_of_its_prompt"):
        forge_release(prompt, team.stable, team.version(other, 1), team.cleo)


def test_the_foreign_key_holds_version_and_prompt_together(team: Team) -> None:
    prompt, other = team.prompt(), team.prompt("other")
    with refused("release_version_of_prompt", using="owner"):
        run("DROP TRIGGER release_insert ON public.prompts_release")
        run(
            "INSERT INTO public.prompts_release (prompt_id, channel_id, revision, kind, version_id, actor_id, "
            "reason, at, previous_digest, digest) VALUES (%s, %s, 1, 'promote', %s, %s, '', now(), '', '')",
            [prompt.pk, team.stable.pk, team.version(other, 1).pk, team.cleo.user.pk],
        )


def test_another_project_s_channel_takes_nothing(team: Team) -> None:
    other = make_team("other", preset="solo")
    prompt = team.prompt()
    with refused("release_of_its_prompt"):
        forge_release(prompt, other.stable, team.version(prompt, 1), team.cleo)


@pytest.mark.parametrize("kind", ["canary_start", "canary_step", "canary_complete", "canary_abort"])
def test_releases_in_steps_are_not_available(team: Team, kind: str) -> None:
    prompt = team.prompt()
    with refused("kind_not_available"):
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo, kind=kind)


@pytest.mark.parametrize("field", [{"canary_share": 1}, {"salt": "s"}])
def test_no_release_serves_two_versions(team: Team, field: dict[str, Any]) -> None:
    prompt = team.prompt()
    with refused("kind_not_available"):
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo, **field)


def test_a_release_is_dated_by_the_database(team: Team) -> None:
    """Everything else that the database would set is given too, so nothing but this rule objects."""
    prompt = team.prompt()
    with refused("release_dated_here"):
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo, at=timezone.now() - timedelta(days=3))


def test_dates_rise_and_digests_chain(team: Team) -> None:
    prompt = team.prompt(versions=3)
    old = timezone.now() - timedelta(days=9)
    for number in (1, 2, 3):
        forge_release(
            prompt,
            team.stable,
            team.version(prompt, number),
            team.cleo,
            recorded_at=old,
            previous_digest=b"lie",
            digest=b"lie",
        )
    ledger = list(Release.objects.filter(prompt=prompt).order_by("revision"))
    dates = [row.at for row in ledger]
    held(sorted(set(dates)), dates, "dates rise")
    held(all(row.recorded_at > old for row in ledger), True, "the database says when it recorded")
    chain = [b"", *[bytes(row.digest) for row in ledger]]
    held([bytes(row.previous_digest) for row in ledger], chain[:-1], "each row covers the one before")
    for row in ledger:
        recomputed = value(
            "SELECT public.promptforge_release_digest(r) FROM public.prompts_release r WHERE id = %s", [row.pk]
        )
        held(bytes(row.digest), bytes(recomputed), "the digest is the row's")


def test_a_release_comes_with_its_event(team: Team) -> None:
    prompt = team.prompt()
    with refused("release_told"):
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo, told=False)


def test_what_is_live_is_not_promoted_again(team: Team) -> None:
    prompt = team.prompt()
    move(team, prompt, 1)
    with refused("already_live"):
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)


def test_an_archived_prompt_is_released_no_further(team: Team) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1)
    Prompt.objects.filter(pk=prompt.pk).update(archived_at=timezone.now())
    with refused("archived"):
        forge_release(prompt, team.stable, team.version(prompt, 2), team.cleo)


def test_a_freeze_stops_every_forward_move_and_no_rollback(team: Team) -> None:
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2)
    now = timezone.now()
    FreezeWindow.objects.create(
        channel=team.stable,
        starts_at=now - timedelta(hours=1),
        ends_at=now + timedelta(hours=1),
        reason="Holidays",
        created_by=team.cleo.user,
    )
    with refused("freeze"):
        forge_release(prompt, team.stable, team.version(prompt, 3), team.cleo)
    back(team, prompt)
    assert live(team, prompt) == 1
    let_time_pass(hours=2)
    move(team, prompt, 3)
    assert live(team, prompt) == 3


@pytest.mark.parametrize("who", ["ada", "ben", "farah", "noor", "outsider", "superuser", "inactive", "removed"])
def test_releasing_takes_the_right(team: Team, who: str) -> None:
    prompt = team.prompt()
    with refused("release_right"):
        forge_release(prompt, team.stable, team.version(prompt, 1), powerless(team, who))


def powerless(team: Team, who: str) -> Any:
    """Somebody without the right to release: by role, or because it was taken away."""
    if who == "superuser":
        team.outsider.is_superuser = team.outsider.is_staff = True
        team.outsider.save()
        return team.outsider
    if who == "inactive":
        team.cleo.user.is_active = False
        team.cleo.user.save()
        return team.cleo
    if who == "removed":
        remove_member(membership=Membership.objects.get(project=team.project, user=team.cleo.user), by=None)
        return team.cleo
    return getattr(team, who)


@pytest.mark.parametrize("ending", ["scope", "revoked", "expired", "foreign", "person"])
def test_a_key_that_does_not_open_releases_nothing(team: Team, ending: str) -> None:
    prompt = team.prompt()
    owner = make_team("other", preset="solo") if ending == "foreign" else team
    owner.key("prompts:read" if ending == "scope" else "releases:write")
    key = ApiKey.objects.get(project=owner.project)
    if ending == "revoked":
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    if ending == "expired":
        ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now())
    actor = key.service_account
    if ending == "person":
        ApiKey.objects.create(
            project=team.project,
            service_account=team.noor.user,
            name="hers",
            public_id="x",
            hash_key_id="x",
            secret_hash=b"x",
            scopes=["releases:write"],
            created_by=team.noor.user,
        )
        actor = team.noor.user
    with refused("release_right"):
        forge_release(prompt, team.stable, team.version(prompt, 1), actor)


def test_a_key_that_opens_releases(team: Team) -> None:
    prompt = team.prompt()
    team.key("releases:write")
    forge_release(prompt, team.stable, team.version(prompt, 1), ApiKey.objects.get().service_account)
    assert live(team, prompt) == 1


# Imported history -----------------------------------------------------------------------------------------------------


def brought(team: Team, prompt: Prompt, number: int, at: datetime) -> Release:
    return import_release(
        prompt=prompt,
        channel=team.stable,
        version=team.version(prompt, number),
        decided_by=team.cleo.user,
        reason="",
        at=at,
    )


LONG_AGO = timezone.now() - timedelta(days=100)


def test_importing_ends_with_the_first_release_of_its_own(team: Team) -> None:
    prompt = team.prompt(versions=2)
    brought(team, prompt, 1, LONG_AGO)
    move(team, prompt, 2)
    held(Project.objects.get(pk=team.project.pk).importing, False, "the first other release closes the import")
    with refused("import_open"):
        # The deferred twin of this rule would refuse it at the end: it is shown to stand alone elsewhere.
        run("ALTER TABLE public.prompts_release DISABLE TRIGGER release_publish")
        forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo, kind="import", at=timezone.now())


@pytest.mark.parametrize("who", ["ada", "ben", "noor", "outsider", "superuser", "inactive", "removed"])
def test_history_is_brought_along_by_who_may(careful_team: Team, who: str) -> None:
    """A protected channel takes imported history too, until its project's own begins."""
    team = careful_team
    prompt = team.prompt()
    actor, at = powerless(team, who), timezone.now()
    with refused("import_right"):
        forge_release(prompt, team.stable, team.version(prompt, 1), actor, kind="import", at=at)


def test_importing_is_not_opened_again(team: Team) -> None:
    prompt = team.prompt()
    move(team, prompt, 1)
    with refused("importing_closed"):
        Project.objects.filter(pk=team.project.pk).update(importing=True)


@pytest.mark.parametrize("at", [None, timezone.now() + timedelta(days=1), LONG_AGO, LONG_AGO - timedelta(days=1)])
def test_imports_bring_rising_dates(team: Team, at: datetime | None) -> None:
    prompt = team.prompt(versions=2)
    brought(team, prompt, 1, LONG_AGO)
    with refused("import_in_order"):
        forge_release(prompt, team.stable, team.version(prompt, 2), team.cleo, kind="import", at=at)


def test_an_import_loses_against_the_closing(team: Team) -> None:
    """The import of one prompt is written before another prompt's first release, and commits after it."""
    prompt, other = team.prompt(), team.prompt("other")
    with refused_beside("import_still_open"):
        brought(team, prompt, 1, LONG_AGO)
        in_another_session(lambda: move(team, other, 1))
    assert (live(team, prompt), live(team, other)) == (None, 1)


# Rollbacks ------------------------------------------------------------------------------------------------------------


def test_the_target_was_live_here(team: Team) -> None:
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2)
    with refused("rollback_target_never_live"):
        forge_rollback(team, prompt, 3)


def test_the_target_is_another_version(team: Team) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    with refused("rollback_target_never_live"):
        forge_rollback(team, prompt, 2)


def test_live_on_another_channel_is_not_live_here(team: Team) -> None:
    prompt = team.prompt(versions=2)
    beta = create_channel(project=team.project, name="beta", policy={"required_approvals": 0}, creator=None)
    promote(by=team.cleo, prompt=prompt, channel=beta, version=team.version(prompt, 2))
    move(team, prompt, 1)
    with refused("rollback_target_never_live"):
        forge_rollback(team, prompt, 2)


def test_what_was_rolled_back_does_not_return_by_a_rollback(team: Team) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    back(team, prompt)
    with refused("rollback_target_withdrawn"):
        forge_rollback(team, prompt, 2)


def test_a_forward_release_brings_it_back(team: Team) -> None:
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2)
    back(team, prompt)
    move(team, prompt, 2, 3)
    back(team, prompt, 2)
    assert live(team, prompt) == 2


def test_the_default_target_passes_over_what_was_rolled_back(team: Team) -> None:
    """Live were 1, 2, 3; rolled back to 2: the next default is 1, and after it there is none."""
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2, 3)
    back(team, prompt)
    held(live(team, prompt), 2, "the first rollback returns to the version before")
    held(default_target(head(prompt, team.stable)).number, 1, "the next returns to the one before that")
    back(team, prompt)
    held(live(team, prompt), 1, "the second rollback goes further back")
    with pytest.raises(DomainError, match="No earlier version") as told:
        back(team, prompt)
    assert told.value.code == "nothing_to_roll_back"


def test_the_default_target_after_a_detour(team: Team) -> None:
    """1, 2, rolled back to 1, then 3 forward: the default is 1, for 2 was withdrawn."""
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2)
    back(team, prompt)
    move(team, prompt, 3)
    held(default_target(head(prompt, team.stable)).number, 1, "the version before the forward release")


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_rollback_takes_a_reason(team: Team, reason: str) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    with refused("rollback_reason"):
        forge_rollback(team, prompt, 1, reason=reason)


@pytest.mark.parametrize("who", ["ada", "ben", "farah", "noor", "outsider", "superuser", "inactive", "removed"])
def test_a_rollback_takes_the_right(team: Team, who: str) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    actor = powerless(team, who)
    with refused("rollback_right"):
        forge_rollback(team, prompt, 1, actor=actor)


def test_a_rollback_on_a_protected_channel_needs_nothing_else(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    brought(team, prompt, 1, LONG_AGO)
    brought(team, prompt, 2, LONG_AGO + timedelta(days=1))
    back(team, prompt)
    assert live(team, prompt) == 1


@pytest.mark.parametrize("kind", ["rollback", "import", "break_glass"])
def test_only_a_promote_carries_out_a_promotion(team: Team, kind: str) -> None:
    prompt = team.prompt(versions=2)
    brought(team, prompt, 2, LONG_AGO)
    brought(team, prompt, 1, LONG_AGO + timedelta(days=1))
    promotion = open_promotion(team, prompt, 2)
    give(team)
    actor = team.noor if kind == "break_glass" else team.cleo
    at = timezone.now() - timedelta(days=1) if kind == "import" else None
    with refused("release_without_promotion"):
        forge_release(
            prompt,
            team.stable,
            team.version(prompt, 2),
            actor,
            kind=kind,
            promotion=promotion,
            reason=LONG_REASON,
            at=at,
        )


# Breaking glass -------------------------------------------------------------------------------------------------------


def give(team: Team, minutes: int = 60) -> BreakGlassGrant:
    return grant_break_glass(project=team.project, user=team.noor.user, minutes=minutes, by=team.farah)


@pytest.mark.parametrize("reason", ["", "too short", "x" + " " * 40, "exactly nineteen ch"])
def test_breaking_glass_takes_a_long_reason(careful_team: Team, reason: str) -> None:
    team = careful_team
    prompt = team.prompt()
    give(team)
    with refused("break_glass_reason"):
        glass(team, prompt, 1, reason=reason)


@pytest.mark.parametrize("lacking", ["grant", "time", "membership", "activity", "project", "person", "superuser"])
def test_breaking_glass_takes_a_grant_that_holds(careful_team: Team, lacking: str) -> None:
    team = careful_team
    prompt = team.prompt()
    actor: Any = team.noor
    if lacking != "grant":
        give(team)
    if lacking == "time":
        let_time_pass(hours=2)
    if lacking == "membership":
        remove_member(membership=Membership.objects.get(project=team.project, user=team.noor.user), by=None)
    if lacking == "activity":
        team.noor.user.is_active = False
        team.noor.user.save()
    if lacking == "project":
        other = make_team("other", preset="team")
        grant_break_glass(project=other.project, user=team.ada.user, minutes=60, by=other.farah)
        actor = team.ada
    if lacking == "person":
        team.key("releases:write")
        actor = ApiKey.objects.get().service_account
        BreakGlassGrant.objects.create(
            project=team.project,
            user=actor,
            granted_by=team.farah.user,
            expires_at=timezone.now() + timedelta(hours=1),
        )
    if lacking == "superuser":
        actor = powerless(team, "superuser")
    with refused("break_glass_right"):
        glass(team, prompt, 1, actor=actor)


def test_breaking_glass_moves_something(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt()
    give(team)
    glass(team, prompt, 1)
    with refused("already_live"):
        glass(team, prompt, 1)


def broken(team: Team) -> tuple[Prompt, Release]:
    """A prompt whose version 2 went live by breaking glass, and was followed by 3."""
    prompt = team.prompt(versions=3)
    brought(team, prompt, 1, LONG_AGO)
    give(team)
    release = break_glass(
        by=team.noor, prompt=prompt, channel=team.stable, version=team.version(prompt, 2), reason=LONG_REASON
    )
    glass(team, prompt, 3)
    return prompt, release


def test_an_unratified_break_glass_is_no_target(careful_team: Team) -> None:
    prompt, _ = broken(careful_team)
    held(default_target(head(prompt, careful_team.stable)).number, 1, "unratified versions are passed over")
    with refused("rollback_target_withdrawn"):
        forge_rollback(careful_team, prompt, 2)


def test_a_ratified_break_glass_is_a_target(careful_team: Team) -> None:
    prompt, release = broken(careful_team)
    Ratification.objects.create(release=release, ratified_by=careful_team.cleo.user)
    held(default_target(head(prompt, careful_team.stable)).number, 2, "a ratified version may come back")
    back(careful_team, prompt)
    assert live(careful_team, prompt) == 2


@pytest.mark.parametrize(
    "who", ["breaker", "ada", "ben", "farah", "outsider", "superuser", "inactive", "removed", "key"]
)
def test_another_person_who_may_release_ratifies(careful_team: Team, who: str) -> None:
    team = careful_team
    prompt = team.prompt()
    grant_break_glass(project=team.project, user=team.cleo.user, minutes=60, by=team.farah)
    release = break_glass(
        by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1), reason=LONG_REASON
    )
    if who in ("inactive", "removed"):
        team.cleo = team.emil  # the powerless one is another release manager than the breaker
    ratifier = ratifier_of(team, who)
    with refused("ratified_by_another"):
        Ratification.objects.create(release=release, ratified_by=ratifier)


def ratifier_of(team: Team, who: str) -> Any:
    if who == "breaker":
        return team.cleo.user
    if who == "key":
        team.key("releases:write")
        return ApiKey.objects.get().service_account
    found = powerless(team, who)
    return found.user if isinstance(found, Principal) else found


@pytest.mark.parametrize("kind", ["promote", "rollback"])
def test_only_a_break_glass_is_ratified(team: Team, kind: str) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    release = back(team, prompt) if kind == "rollback" else Release.objects.get(revision=2)
    with refused("ratified_by_another"):
        Ratification.objects.create(release=release, ratified_by=team.emil.user)


# One project a transaction --------------------------------------------------------------------------------------------


def test_one_transaction_changes_one_project(team: Team) -> None:
    other = make_team("other", preset="solo")
    with refused("one_project"):
        team.prompt("mine")
        other.prompt("theirs")


def test_the_ledger_alone_tells_every_head(team: Team) -> None:
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2, 3)
    back(team, prompt)
    newest = Release.objects.filter(prompt=models.OuterRef("prompt"), channel=models.OuterRef("channel"))
    wrong = Head.objects.filter(revision__gt=0).exclude(
        release=models.Subquery(newest.order_by("-revision").values("pk")[:1])
    )
    assert list(wrong) == []
    assert PromptVersion.objects.filter(prompt=prompt).count() == 3
