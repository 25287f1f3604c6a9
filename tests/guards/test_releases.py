"""Rows of a ledger: numbered, dated and chained by the database, made by who may."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import models
from django.utils import timezone

from accounts.models import ApiKey, Project
from prompts.models import FreezeWindow, Head, Prompt, PromptVersion, Release
from tests.guards.attacks import (
    forge_release,
    head,
    held,
    in_another_session,
    let_time_pass,
    refused,
    refused_beside,
    run,
    value,
)
from tests.guards.moving import LONG_AGO, back, brought, live, move, powerless
from tests.personas import Team, make_team


# --- Rows of a ledger -------------------------------------------------------------------------------------------------
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


# --- Imported history -------------------------------------------------------------------------------------------------
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


# --- One project a transaction ----------------------------------------------------------------------------------------
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
