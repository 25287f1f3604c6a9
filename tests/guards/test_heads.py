"""A head follows its ledger, and nothing else moves it."""

from prompts.models import Channel, Head, Release
from tests.guards.attacks import forge_release, head, held, refused, run
from tests.guards.moving import move
from tests.personas import Team, make_team


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
