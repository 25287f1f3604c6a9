"""Invariants 2 and 3: numbers run 1, 2, 3 … and text is stored byte for byte."""

import hashlib
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Project
from events.kinds import EventKind
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Head, Prompt, PromptVersion
from tests.guards.attacks import (
    Rollback,
    chat,
    forge_release,
    forge_version,
    held,
    in_another_session,
    refused,
    refused_beside,
    run,
    tell,
    value,
)
from tests.personas import Team, make_team

DIGEST = "SELECT public.promptforge_version_digest(%s, %s, %s, %s)"


def numbers(prompt: Prompt) -> list[int]:
    return list(prompt.versions.order_by("id").values_list("number", flat=True))


def close_import(team: Team, prompt: Prompt) -> None:
    """The first release of its own ends a project's importing."""
    forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)


@pytest.mark.parametrize("number", [1, 3, 0, 2_000_000])
def test_a_version_takes_the_next_number(team: Team, number: int) -> None:
    prompt = team.prompt()
    with refused("version_number_next"):
        forge_version(prompt, team.ada.user, number=number)


def test_a_rolled_back_save_leaves_no_gap(team: Team) -> None:
    prompt = team.prompt()
    with suppress(Rollback), transaction.atomic():
        forge_version(prompt, team.ada.user)
        raise Rollback
    forge_version(prompt, team.ada.user)
    held(numbers(prompt), [1, 2], "numbers have no gap")


def test_savers_at_once_get_one_number_each(team: Team) -> None:
    prompt = team.prompt()
    results: list[Any] = []

    def save(text: str) -> None:
        try:
            results.append(save_version(by=team.ada, prompt=prompt, content=text).version.number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=save, args=[f"Text of saver {n}"]) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held(sorted(results), list(range(2, 10)), "each saver gets a number of its own")
    held(numbers(prompt), list(range(1, 10)), "numbers have no gap")


@pytest.mark.parametrize("number", [1, 3, 99])
def test_the_counter_is_not_moved_by_hand(team: Team, number: int) -> None:
    prompt = team.prompt()
    with refused("next_number_counts"):
        Prompt.objects.filter(pk=prompt.pk).update(next_number=number)


def test_a_prompt_starts_at_number_one(team: Team) -> None:
    with refused("next_number_starts"):
        Prompt.objects.create(project=team.project, name="late", type="text", next_number=7)


def test_the_counter_follows_each_version(team: Team) -> None:
    prompt = team.prompt()
    held(Prompt.objects.get(pk=prompt.pk).next_number, 2, "the next number is one more than the newest version's")


def test_a_version_has_its_prompt_s_type(team: Team) -> None:
    prompt = team.prompt()
    with refused("version_type"):
        forge_version(prompt, team.ada.user, type="chat", content=chat("Hi"), source=chat("Hi"))


@pytest.mark.parametrize(
    ("field", "forged"), [("name", "other"), ("type", "chat"), ("created_at", timezone.now()), ("project", None)]
)
def test_a_prompt_keeps_what_callers_rely_on(team: Team, field: str, forged: Any) -> None:
    prompt = team.prompt()
    if field == "project":
        forged = Project.objects.create(name="other")
    with refused("prompt_kept"):
        Prompt.objects.filter(pk=prompt.pk).update(**{field: forged})


def test_a_version_includes_its_own_project_only(team: Team) -> None:
    foreign = make_team("other", preset="solo").prompt().versions.get()
    prompt = team.prompt()
    with refused("version_includes"):
        forge_version(prompt, team.ada.user, includes=[foreign.pk])


@pytest.mark.parametrize("include", [0, 999_999_999])
def test_a_version_includes_what_exists(team: Team, include: int) -> None:
    prompt = team.prompt()
    with refused("version_includes"):
        forge_version(prompt, team.ada.user, includes=[include])


ESCAPED = r"\u202e"


@pytest.mark.parametrize(
    "fields",
    [
        {"config": f'{{"stop":["{ESCAPED}evil"]}}'},
        {"variables": f'[{{"name":"a","description":"{ESCAPED}"}}]'},
        {"type": "chat", "content": f'[{{"role":"user","content":"{ESCAPED}"}}]'},
        {"config": r'{"a":"\\\uDB40\uDC41"}'},
        {"config": r'{"a":"postgres:\/\/u:p@db"}'},
    ],
    ids=["config", "variables", "chat", "behind a backslash", "slash"],
)
@pytest.mark.parametrize("strings", ["on", "off"])
def test_json_hides_nothing_by_escaping_it(team: Team, fields: dict[str, str], strings: str) -> None:
    """Also when the session reads backslashes otherwise."""
    kind = fields.get("type", "text")
    prompt = Prompt.objects.create(project=team.project, name="escaped", type=kind)
    with refused("version_canonical"):
        run(f"SET LOCAL standard_conforming_strings = {strings}", using="default")
        forge_version(prompt, team.ada.user, **fields)


def test_json_may_speak_of_escapes(team: Team) -> None:
    """A backslash that is text is written twice, and control characters have no other form."""
    said = ESCAPED + "\\ \\\\u0041 / \x01\x1f\n\x7f\u202e"
    prompt, first = create_prompt(by=team.ada, name="spoken", content=[{"role": "user", "content": said}])
    save_version(by=team.ada, prompt=prompt, content=[{"role": "user", "content": "x"}], config={"stop": [said]})
    assert first.served_content[0]["content"] == said
    assert numbers(prompt) == [1, 2]


def test_only_imports_bring_dates(team: Team) -> None:
    """Its date and digest are what the database would set: nothing but this rule objects."""
    prompt = Prompt.objects.create(project=team.project, name="dated", type="text")
    Project.objects.filter(pk=team.project.pk).update(importing=False)
    now = timezone.now()
    digest = value(DIGEST, ["text", "Forged", "[]", "{}"])
    with refused("version_dated_by_import"):
        forge_version(prompt, team.ada.user, created_at=now, recorded_at=now, digest=digest)


def test_an_import_is_not_dated_ahead(team: Team) -> None:
    prompt = team.prompt()
    with refused("version_dated_by_import"):
        forge_version(prompt, team.ada.user, created_at=timezone.now() + timedelta(days=1))


def test_imports_come_in_order(team: Team) -> None:
    prompt = team.prompt()
    with refused("version_dated_by_import"):
        forge_version(prompt, team.ada.user, created_at=timezone.now() - timedelta(days=1))


def test_what_the_database_sets_cannot_be_forged(team: Team) -> None:
    prompt = team.prompt()
    old = timezone.now() - timedelta(days=400)
    version = forge_version(
        prompt, team.ada.user, contributor=team.ben.user, recorded_at=old, digest=hashlib.sha256(b"lie").digest()
    )
    version.refresh_from_db()
    held(version.contributor_id, team.ada.user.pk, "the contributor is the person behind the author")
    held(version.recorded_at > old, True, "the database dates what it records")
    held(bytes(version.digest), bytes(value(DIGEST, ["text", "Forged", "[]", "{}"])), "the digest is of what is served")


def test_the_person_behind_a_key_contributed(team: Team) -> None:
    team.key("versions:write")
    account = team.emil.user.user_set.get()
    version = forge_version(team.prompt(), account)
    version.refresh_from_db()
    held((version.author_id, version.contributor_id), (account.pk, team.emil.user.pk), "a key acts for its person")


def test_whoever_imports_contributed(team: Team) -> None:
    """History names its authors itself; a key that brought it along did so for its person."""
    team.key("versions:write")
    account = team.emil.user.user_set.get()
    prompt = Prompt.objects.create(project=team.project, name="brought", type="text")
    version = forge_version(prompt, team.ada.user, contributor=account, created_at=timezone.now() - timedelta(days=9))
    version.refresh_from_db()
    held(
        (version.author_id, version.contributor_id),
        (team.ada.user.pk, team.emil.user.pk),
        "whoever imports contributed",
    )


COPY = (
    "INSERT INTO public.prompts_promptversion (prompt_id, number, {same}, digest) "
    "SELECT prompt_id, {number}, {same}, {digest} FROM public.prompts_promptversion"
)
SAME = "type, content, source, variables, config, includes, message, author_id, contributor_id, created_at, recorded_at"


@pytest.mark.parametrize(
    ("constraint", "number", "digest"),
    [("version_digest_true", 2, "sha256('a lie')"), ("version_number_once", 1, "digest")],
)
def test_constraints_stand_behind_the_trigger(team: Team, constraint: str, number: int, digest: str) -> None:
    team.prompt()
    with refused(constraint, using="owner"):
        run("DROP TRIGGER version_insert ON public.prompts_promptversion")
        run(COPY.format(same=SAME, number=number, digest=digest))


def test_a_version_comes_with_its_event(team: Team) -> None:
    prompt = team.prompt()
    with refused("version_told"):
        forge_version(prompt, team.ada.user, told=False)


def test_a_version_s_event_is_not_taken_back(team: Team) -> None:
    """The commit asks again, although the event stood when the constraint was first made immediate."""
    prompt = team.prompt()
    with refused("version_told"):
        version = forge_version(prompt, team.ada.user, told=False)
        with suppress(Rollback), transaction.atomic():
            tell(EventKind.VERSION_SAVED, prompt, "version", version.pk, team.ada.user)
            run("SET CONSTRAINTS ALL IMMEDIATE", using="default")
            raise Rollback


def test_an_import_of_a_version_loses_against_the_closing(team: Team) -> None:
    """The import is written before the project's first release of its own, and commits after it."""
    prompt, other = team.prompt(), team.prompt("other")
    with refused_beside("version_still_importing"):
        forge_version(prompt, team.ada.user, created_at=PromptVersion.objects.get(prompt=prompt).created_at)
        in_another_session(lambda: close_import(team, other))
    held(numbers(prompt), [1], "a refused import leaves nothing")


def test_a_new_prompt_has_an_empty_head_on_every_channel(team: Team) -> None:
    prompt = Prompt.objects.create(project=team.project, name="fresh", type="text")
    heads = list(Head.objects.filter(prompt=prompt).values_list("channel__name", "revision", "version"))
    held(heads, [("stable", 0, None)], "a prompt has a head on every channel")


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXT)
def test_text_of_all_planes_is_stored_byte_for_byte(team: Team, text: str) -> None:
    with transaction.atomic():
        prompt = Prompt.objects.filter(name="bytes").first() or Prompt.objects.create(
            project=team.project, name="bytes", type="text"
        )
        version = forge_version(prompt, team.ada.user, content=text, source=text)
    stored = value("SELECT convert_to(content, 'UTF8') FROM public.prompts_promptversion WHERE id = %s", [version.pk])
    assert bytes(stored) == text.encode()
    assert PromptVersion.objects.get(pk=version.pk).content == text


@pytest.mark.parametrize("text", ["  x \n", "é\r\n", "e\u0301", "\u202eevil", "\U000e0041", "\ufeffbom"])
def test_nothing_trims_or_normalises(team: Team, text: str) -> None:
    _, version = create_prompt(by=team.ada, name="exact", content=text)
    version.refresh_from_db()
    assert (version.content, version.source) == (text, text)
