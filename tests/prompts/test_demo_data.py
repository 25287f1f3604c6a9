"""The demo project's files agree with each other and with the rules for prompts; loaded, every status is there."""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from accounts.actions.members import create_user
from prompts.checks import lines, status
from prompts.demo.loader import live_today, load_demo
from prompts.models import Promotion, Schedule
from prompts.standing import standings
from prompts.verification import verify

DEMO = Path(__file__).parents[2] / "prompts" / "demo"
TEXTS = DEMO / "texts"
PROMPT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*"
VARIABLE = re.compile(r"\{\{ *([A-Za-z][A-Za-z0-9_]{0,63}) *\}\}")
INCLUDE = re.compile(rf"\{{\{{> *({PROMPT_NAME}@[1-9][0-9]*) *\}}\}}")
DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri"]
ROLES = {"viewer", "editor", "reviewer", "release-manager", "admin"}
PYTHON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "enum": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}

Entry = dict[str, Any]


def load() -> Entry:
    """Reads demo.json and refuses a key that is written twice."""

    def without_doubles(pairs: list[tuple[str, Any]]) -> Entry:
        assert len(dict(pairs)) == len(pairs), pairs
        return dict(pairs)

    loaded: Entry = json.loads((DEMO / "demo.json").read_text(encoding="utf-8"), object_pairs_hook=without_doubles)
    return loaded


DATA = load()
PEOPLE = {person["key"]: person for person in DATA["people"]}
PROMPTS = {prompt["name"]: prompt for prompt in DATA["prompts"]}
HISTORY: list[Entry] = DATA["history"]
TODAY: list[Entry] = DATA["today"]
RELEASES = [entry for entry in HISTORY if "released" in entry]


def number_of(ref: str) -> int:
    return int(ref.rpartition("@")[2])


def prompt_of(ref: str) -> str:
    return ref.rpartition("@")[0]


def text_of(path: str) -> str:
    return (TEXTS / path).read_bytes().decode("utf-8").removesuffix("\n")


def full_versions() -> dict[str, Entry]:
    """Every version by its reference, with what it leaves out taken from the version before."""
    versions: dict[str, Entry] = {}
    for entry in HISTORY + TODAY:
        if "saved" in entry:
            name, number = prompt_of(entry["saved"]), number_of(entry["saved"])
            versions[entry["saved"]] = {**versions.get(f"{name}@{number - 1}", {}), **entry}
    return versions


VERSIONS = full_versions()


def texts_of(version: Entry) -> list[str]:
    content = version["content"]
    if isinstance(content, str):
        return [text_of(content)]
    return [text_of(message["content"]) for message in content if "content" in message]


def includes_of(version: Entry) -> set[str]:
    return {ref for text in texts_of(version) for ref in INCLUDE.findall(text)}


def moment(at: str, *, today: date, zone: ZoneInfo) -> datetime:
    """The moment that `at` means on the day `today`, as the README beside the data says."""
    week, day, clock = at.split()
    newest_friday = today - timedelta(days=(today.weekday() - 4) % 7 or 7)
    on = newest_friday + timedelta(days=DAYS.index(day) - 4, weeks=int(week) + 1)
    return datetime.combine(on, time.fromisoformat(clock), tzinfo=zone)


def moves(prompt: str, channel: str) -> list[Entry]:
    return [row for row in RELEASES if prompt_of(row["released"]) == prompt and row["channel"] == channel]


def live(prompt: str, channel: str) -> int | None:
    rows = moves(prompt, channel)
    return number_of(rows[-1]["released"]) if rows else None


def latest(prompt: str) -> int:
    """The newest version before today."""
    return max(number_of(e["saved"]) for e in HISTORY if "saved" in e and prompt_of(e["saved"]) == prompt)


def rollbacks() -> Iterator[tuple[list[Entry], int]]:
    """Yields each ledger with the position of a row whose version is older than the row's before it."""
    for prompt in PROMPTS:
        for channel in ("stable", "staging"):
            rows = moves(prompt, channel)
            for position in range(1, len(rows)):
                if number_of(rows[position]["released"]) < number_of(rows[position - 1]["released"]):
                    yield rows, position


def test_project_people_and_prompts_are_well_named() -> None:
    assert set(DATA) == {"project", "channels", "people", "prompts", "history", "today"}
    assert DATA["project"]["name"] == "demo"
    assert [channel["name"] for channel in DATA["channels"]] == ["stable", "staging"]
    assert len(PEOPLE) == len(DATA["people"]) == len({person["email"] for person in DATA["people"]})
    for person in DATA["people"]:
        assert set(person) == {"key", "name", "email", "roles"}
        assert person["email"] == f"{person['key']}@example.com"
        assert person["roles"]
        assert set(person["roles"]) <= ROLES
    assert len({name.lower() for name in PROMPTS}) == len(DATA["prompts"])
    for name, prompt in PROMPTS.items():
        assert set(prompt) == {"name", "type", "description", "tags"}
        assert re.fullmatch(PROMPT_NAME, name)
        assert prompt["type"] in {"text", "chat"}
        assert prompt["description"]
    assert {name.partition("/")[0] for name in PROMPTS} == {"docs", "shop", "support"}


def test_every_entry_has_its_keys_and_an_actor_who_may() -> None:
    saved_keys, released_keys = {"at", "saved", "by", "message"}, {"at", "released", "channel", "by", "reason"}
    for entry in HISTORY:
        roles = set(PEOPLE[entry["by"]]["roles"])
        if "saved" in entry:
            assert saved_keys <= set(entry) <= saved_keys | {"content", "variables", "config"}
            assert entry["message"].strip()
            assert roles & {"editor", "release-manager"}
        else:
            assert set(entry) == released_keys
            assert entry["channel"] in {"stable", "staging"}
            assert entry["reason"].strip()
            assert "release-manager" in roles


def test_history_can_be_replayed_in_its_order() -> None:
    numbers = dict.fromkeys(PROMPTS, 0)
    known: set[str] = set()
    for entry in HISTORY:
        if "released" in entry:
            assert entry["released"] in known, entry
            continue
        name = prompt_of(entry["saved"])
        numbers[name] += 1
        assert number_of(entry["saved"]) == numbers[name]
        assert includes_of(VERSIONS[entry["saved"]]) <= known, entry
        known.add(entry["saved"])
    assert all(3 <= number <= 9 for number in numbers.values()), numbers


def test_includes_reach_two_prompts_or_more_and_never_nest() -> None:
    includers = {prompt_of(ref): includes_of(version) for ref, version in VERSIONS.items() if includes_of(version)}
    assert len(includers) >= 2
    for includes in includers.values():
        assert all(not includes_of(VERSIONS[ref]) and not VERSIONS[ref]["variables"] for ref in includes)


@pytest.mark.parametrize("today", [date(2026, 3, 30) + timedelta(days=day) for day in range(8)])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Vienna", "America/New_York", "Pacific/Auckland"])
def test_moments_are_past_recent_on_working_days_and_strictly_increasing(today: date, zone: str) -> None:
    local = ZoneInfo(zone)
    moments = [moment(entry["at"], today=today, zone=local) for entry in HISTORY]
    instants = [instant.timestamp() for instant in moments]
    assert all(earlier < later for earlier, later in pairwise(instants))
    assert all(instant.weekday() < 5 and 8 <= instant.hour < 18 for instant in moments)
    assert moments[-1].date() < today
    assert today - moments[-1].date() <= timedelta(days=7)
    assert timedelta(weeks=6) < today - moments[0].date() <= timedelta(weeks=8)


def test_moments_are_written_as_the_readme_says() -> None:
    assert all(re.fullmatch(r"-[1-7] (Mon|Tue|Wed|Thu|Fri) [01][0-9]:[0-5][0-9]", entry["at"]) for entry in HISTORY)


def test_contents_have_the_shape_of_their_type() -> None:
    for ref, version in VERSIONS.items():
        content = version["content"]
        if PROMPTS[prompt_of(ref)]["type"] == "text":
            assert isinstance(content, str)
            continue
        for message in content:
            assert set(message) in ({"role", "content"}, {"placeholder"})
            assert message.get("role", "user") in {"system", "developer", "user", "assistant", "tool"}
    assert {"placeholder": "history"} in VERSIONS["support/order-status@1"]["content"]


def test_texts_hold_valid_tags_only() -> None:
    for version in VERSIONS.values():
        for text in texts_of(version):
            rest = INCLUDE.sub("", VARIABLE.sub("", text.replace("\\{{", "")))
            assert "{{" not in rest, version["saved"]
            assert text.strip()


def test_some_text_holds_a_literal_pair_of_braces() -> None:
    assert "\\{{agent_signature}}" in texts_of(VERSIONS["support/refund-answer@8"])[0]


def test_declared_variables_are_exactly_those_that_the_text_uses() -> None:
    for ref, version in VERSIONS.items():
        used = {name for text in texts_of(version) for name in VARIABLE.findall(text.replace("\\{{", ""))}
        declared = [variable["name"] for variable in version["variables"]]
        assert sorted(declared) == sorted(used), ref


def test_variables_are_declared_with_fitting_types_defaults_and_choices() -> None:
    known = {"name", "type", "required", "description", "default", "max_length", "enum"}
    for ref, version in VERSIONS.items():
        for variable in version["variables"]:
            assert {"name", "type", "required", "description"} <= set(variable) <= known, ref
            assert variable["type"] in {*PYTHON_TYPES, "json"}
            assert variable["description"]
            assert ("default" in variable) is not variable["required"]
            assert ("enum" in variable) is (variable["type"] == "enum")
            if "default" in variable:
                assert isinstance(variable["default"], PYTHON_TYPES[variable["type"]])
                assert variable["default"] in variable.get("enum", [variable["default"]])
                assert len(str(variable["default"])) <= variable.get("max_length", 10_000)


def test_each_version_differs_from_the_one_before() -> None:
    for ref, version in VERSIONS.items():
        before = VERSIONS.get(f"{prompt_of(ref)}@{number_of(ref) - 1}")
        if before is not None:
            assert texts_of(before) != texts_of(version) or before["config"] != version["config"], ref
        else:
            assert {"content", "variables", "config"} <= set(version), ref


def test_text_files_are_all_used_and_end_with_one_line_end() -> None:
    used: set[str] = set()
    for version in VERSIONS.values():
        content = version["content"]
        used |= {content} if isinstance(content, str) else {part["content"] for part in content if "content" in part}
    assert used == {path.relative_to(TEXTS).as_posix() for path in TEXTS.rglob("*.txt")}
    for path in used:
        body = (TEXTS / path).read_bytes()
        assert body == body.rstrip() + b"\n", path
        assert b"\r" not in body, path


def test_no_release_repeats_what_is_live() -> None:
    for prompt in PROMPTS:
        for channel in ("stable", "staging"):
            refs = [row["released"] for row in moves(prompt, channel)]
            assert all(one != other for one, other in pairwise(refs)), (prompt, channel)


def test_exactly_one_rollback_40_minutes_after_and_mended_two_days_later() -> None:
    [(rows, position)] = rollbacks()
    wrong, back, mended = rows[position - 1 : position + 2]
    assert [number_of(row["released"]) for row in (rows[position - 2], wrong, back, mended)] == [6, 7, 6, 8]
    assert back["channel"] == "stable"
    assert back["reason"].startswith("Rolled back:")
    assert [row["reason"].startswith("Rolled back:") for row in RELEASES].count(True) == 1
    monday, zone = date(2026, 11, 23), ZoneInfo("UTC")
    times = [moment(row["at"], today=monday, zone=zone) for row in (wrong, back, mended)]
    assert times[0].strftime("%A %H:%M") == "Tuesday 09:41"
    assert times[1] - times[0] == timedelta(minutes=40)
    assert times[2].date() - times[0].date() == timedelta(days=2)


def test_greeting_says_hello_and_needs_nothing_but_the_name() -> None:
    assert (live("support/greeting", "stable"), latest("support/greeting")) == (8, 9)
    version = VERSIONS["support/greeting@8"]
    assert texts_of(version)[0].startswith("Hello {{customer_name}}")
    assert [variable["name"] for variable in version["variables"] if variable["required"]] == ["customer_name"]


def test_channels_stand_where_a_visitor_can_see_every_state() -> None:
    stable = {prompt: live(prompt, "stable") for prompt in PROMPTS}
    assert [prompt for prompt, number in stable.items() if number is None] == ["shop/gift-finder"]
    ahead = {prompt for prompt, number in stable.items() if number is not None and latest(prompt) > number}
    assert ahead == {"docs/return-details", "docs/summariser", "shop/size-advice", "support/greeting"}
    for prompt in PROMPTS:
        if prompt != "support/house-style":
            assert live(prompt, "staging") == latest(prompt)


# Today ---------------------------------------------------------------------------------------------------------------
STATUSES = {
    "support/greeting@9": "in_review",
    "docs/summariser@5": "changes_requested",
    "support/order-status@7": "blocked",
    "docs/return-details@4": "ready",
    "support/triage@7": "stale",
    "shop/size-advice@4": "scheduled",
    "support/triage@6": "applied",
    "shop/gift-finder@1": "rejected",
    "shop/gift-finder@2": "withdrawn",
}


def test_a_promotion_of_every_status_is_there_to_see(committed_db: str) -> None:
    project = load_demo(create_user(email="admin@example.com"))
    live_today(project)
    rows = Promotion.objects.filter(prompt__project=project).select_related("version__prompt").order_by("pk")
    found = {str(row.version): status(each, lines(each)) for row, each in zip(rows, standings(rows), strict=True)}
    assert found == STATUSES
    [secret] = [
        line for line in lines(standings(rows.filter(prompt__name="support/order-status"))[0]) if line.refusals
    ][1:]
    assert (secret.name, secret.required, "message 1" in secret.summary) == ("secrets", True, True)
    assert Schedule.objects.get().apply_at > timezone.now()
    assert {finding.line for finding in verify(project) if finding.broken} == set()
