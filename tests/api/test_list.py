"""GET /api/v1/prompts: what there is, page by page, or as one document."""

import json
import statistics
import time
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from promptforge.lib.instants import format_instant
from prompts.actions.projects import PRESETS, create_channel
from prompts.actions.releases import promote
from prompts.models import Prompt, Release
from tests.api.conftest import Caller, body_of, problem_of, release
from tests.personas import Team
from tests.transfer.conftest import run_import
from tests.transfer.test_speed import langfuse_export


@pytest.fixture
def prompts(team: Team) -> list[Prompt]:
    """Four prompts in two folders; `support/greeting` has version 1 live of two."""
    greeting = team.prompt(versions=2, tags=["mail", "vip"], description="Says hello")
    release(team, greeting, 1)
    return [
        greeting,
        team.prompt("support/farewell", tags=["mail"]),
        team.prompt("supportive", description="100% of it_all"),
        team.prompt("billing/reminder"),
    ]


def names(caller: Caller, **parameters: str | int) -> list[str]:
    return [prompt["name"] for prompt in body_of(caller.get("prompts", parameters))["data"]]


def test_prompts_are_listed_by_name_in_their_whole_shape(team: Team, prompts: list[Prompt], reader: Caller) -> None:
    body = body_of(reader.get("prompts"))
    assert [prompt["name"] for prompt in body["data"]] == [
        "billing/reminder",
        "support/farewell",
        "support/greeting",
        "supportive",
    ]
    assert body["next"] is None
    assert body["data"][2] == {
        "name": "support/greeting",
        "type": "text",
        "description": "Says hello",
        "tags": ["mail", "vip"],
        "latest": 2,
        "channels": {"stable": {"version": 1, "revision": 1, "at": format_instant(Release.objects.get().at)}},
        "archived": False,
        "created_at": format_instant(prompts[0].created_at),
    }
    assert body["data"][0]["channels"] == {}
    Prompt.objects.filter(name="supportive").update(archived_at=timezone.now())
    assert body_of(reader.get("prompts"))["data"][3]["archived"]


def test_folder_tag_and_text_narrow_the_list(prompts: list[Prompt], reader: Caller) -> None:
    assert names(reader, folder="support") == ["support/farewell", "support/greeting"]
    assert names(reader, folder="support/") == ["support/farewell", "support/greeting"]
    assert names(reader, folder="supp") == []
    assert names(reader, tag="vip") == ["support/greeting"]
    assert names(reader, q="HELLO") == ["support/greeting"]
    assert names(reader, q="bill") == ["billing/reminder"]
    assert names(reader, q="%") == ["supportive"]
    assert names(reader, q="_") == ["supportive"]
    assert names(reader, tag="mail", folder="support", q="fare") == ["support/farewell"]


def test_pages_follow_each_other_without_gap_while_rows_are_added(team: Team, reader: Caller) -> None:
    made = sorted(f"p{number:02}" for number in range(7))
    for name in made:
        team.prompt(name)
    first = body_of(reader.get("prompts", {"limit": 3}))
    team.prompt("p00a")  # before the cursor: never seen, and shifts nothing
    second = body_of(reader.get("prompts", {"limit": 3, "cursor": first["next"]}))
    third = body_of(reader.get("prompts", {"limit": 3, "cursor": second["next"]}))
    assert [p["name"] for body in (first, second, third) for p in body["data"]] == made
    assert third["next"] is None
    exact = body_of(reader.get("prompts", {"limit": 8}))
    assert (len(exact["data"]), exact["next"]) == (8, None)


def test_limits_and_cursors_that_are_none(prompts: list[Prompt], reader: Caller) -> None:
    for limit in ("0", "201", "-1", "1.0", "1e9", "٣", "", "x", "1" * 5000):
        problem_of(reader.get("prompts", {"limit": limit}), 400, "bad_limit")
    following = body_of(reader.get("prompts", {"limit": 1}))["next"]
    for cursor in ("", "x", "ü", following[:-1], following + "x"):
        problem_of(reader.get("prompts", {"cursor": cursor}), 400, "bad_cursor")
    release_cursor_elsewhere = reader.get("versions", {"prompt": "support/greeting", "cursor": following})
    problem_of(release_cursor_elsewhere, 400, "bad_cursor")


def test_parameters_that_are_not_known_or_stand_twice(prompts: list[Prompt], reader: Caller) -> None:
    problem_of(reader.get("prompts", {"page": 2}), 400, "unknown_parameter")
    problem_of(reader.get("prompts", {"_at": "2026-01-01T00:00:00Z"}), 400, "unknown_parameter")
    problem_of(reader.get("prompts?q=a&q=b"), 400, "unknown_parameter")


def test_only_what_is_within_reach_is_listed(team: Team, prompts: list[Prompt], foreign: Team) -> None:
    assert names(Caller(team.key(prompts=["support/*"]))) == ["support/farewell", "support/greeting"]
    assert names(Caller(team.key(prompts=["*g*", "supportive"]))) == [
        "billing/reminder",
        "support/greeting",
        "supportive",
    ]
    assert names(Caller(foreign.key())) == ["secret/plan"]
    problem_of(Caller(team.key("versions:write")).get("prompts"), 403, "key_scope")


# --- As one document -------------------------------------------------------------------------------------------------
def test_with_version_each_carries_its_payload_in_one_document(
    team: Team, prompts: list[Prompt], foreign: Team, reader: Caller
) -> None:
    answer = reader.get("prompts", {"_version": "stable"})
    body = body_of(answer)
    assert body == {"data": [body_of(reader.fetch("support/greeting"))], "next": None}
    assert answer["Cache-Control"] == "private, no-cache"
    again = reader.get("prompts", {"_version": "stable"}, If_None_Match=answer["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", answer["ETag"])

    release(team, prompts[3], 1)
    changed = reader.get("prompts", {"_version": "stable"}, If_None_Match=answer["ETag"])
    assert [p["name"] for p in body_of(changed)["data"]] == ["billing/reminder", "support/greeting"]

    latest = body_of(reader.get("prompts", {"_version": "latest", "folder": "support"}))["data"]
    assert [(p["name"], p["version"], p["channel"]) for p in latest] == [
        ("support/farewell", 1, None),
        ("support/greeting", 2, None),
    ]
    assert latest[1] == body_of(reader.fetch("support/greeting", _version="latest"))


def test_a_document_of_numbers_or_of_an_unknown_channel_is_none(prompts: list[Prompt], reader: Caller) -> None:
    problem_of(reader.get("prompts", {"_version": "1"}), 400, "bad_version")
    problem_of(reader.get("prompts", {"_version": "Stable"}), 400, "bad_version")
    problem_of(reader.get("prompts", {"_version": "beta"}), 404, "channel_not_found")


def test_a_document_keeps_to_the_reach_of_its_key(team: Team, prompts: list[Prompt]) -> None:
    narrow = Caller(team.key(channels=["stable"], prompts=["billing/*"]))
    assert body_of(narrow.get("prompts", {"_version": "stable"}))["data"] == []
    problem_of(narrow.get("prompts", {"_version": "latest"}), 403, "key_scope")


# --- Cost ------------------------------------------------------------------------------------------------------------
def cost(caller: Caller, path: str) -> tuple[int, int]:
    """How many queries a list takes, and how many rows it shows."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        body = body_of(caller.get(path))
    return len(queries), len(body["data"])


def test_every_list_takes_as_many_queries_for_fifty_rows_as_for_five(team: Team) -> None:
    caller = Caller(team.key("prompts:read", "releases:write", "manage"))
    beta = create_channel(project=team.project, name="beta", policy=PRESETS["solo"], creator=None)
    lists = {
        "prompts?limit=200": 0,
        "prompts?_version=stable": 0,
        "prompts?_version=latest": 0,
        "versions?prompt=p0&limit=200": 0,
        "releases?limit=200": 0,
        "releases?prompt=p0&channel=stable&limit=200": 0,
        "api-keys?limit=200": 0,
    }

    def grow(start: int, end: int) -> None:
        for number in range(start, end):
            team.prompt(f"p{number}")
            prompt = Prompt.objects.get(name=f"p{number}")
            promote(by=team.cleo, prompt=prompt, channel=beta, version=team.version(prompt, 1))
            release(team, prompt, 1)
            team.key()
            if number:
                first = Prompt.objects.get(name="p0")
                content = f"Text {number}"
                body_of(writer.post("versions", {"prompt": "p0", "content": content}), 201)
                number_of_it = first.versions.count()
                body = {"kind": "promote", "prompt": "p0", "version": number_of_it}
                body_of(caller.post("releases", body), 201)  # by a key, whose name the ledger shows

    writer = Caller(team.key("versions:write"))
    grow(0, 5)
    few = {path: cost(caller, path) for path in lists}
    grow(5, 50)
    many = {path: cost(caller, path) for path in lists}
    assert {path: queries for path, (queries, _) in many.items()} == {
        path: queries for path, (queries, _) in few.items()
    }
    for path in lists:
        assert few[path][1] in (5, 7, 14), (path, few)
        assert many[path][1] >= 50, (path, many)
        assert many[path][0] <= 12, (path, many)


LONG = pytest.param(10_000, 0.1, marks=[pytest.mark.full, pytest.mark.timeout(1200)])


@pytest.mark.parametrize(("count", "seconds"), [(450, 5.0), LONG])
def test_every_page_of_a_long_list_costs_the_same(
    team: Team, reader: Caller, tmp_path: Path, count: int, seconds: float
) -> None:
    """Each page, first or last, takes the same few queries; of 10,000 prompts, half of them come within 100 ms."""
    (tmp_path / "export.json").write_text(json.dumps(langfuse_export(count, 1)))
    run_import(tmp_path / "export.json")
    for path in ("prompts", "releases", "prompts?q=prompt-1", "prompts?folder=team-7"):
        pages, rows, following = [], 0, ""
        while following is not None:
            asked = f"{path}{'&' if '?' in path else '?'}limit=200{following and f'&cursor={following}'}"
            with CaptureQueriesContext(connection) as queries:
                begun = time.perf_counter()
                # Not by the caller, which would look at every field within the time.
                answer = reader.client.get(f"/api/v1/{asked}", headers={"Authorization": f"Bearer {reader.key}"})
                pages.append((time.perf_counter() - begun, len(queries)))
            body = body_of(answer)
            rows, following = rows + len(body["data"]), body["next"]
        half = statistics.median(taken for taken, _ in pages)
        print(f"{path}: {rows} rows on {len(pages)} pages, {pages[0][1]} queries each, p50 {half * 1000:.1f} ms")
        assert len({queries for _, queries in pages}) == 1
        assert half <= seconds
        if "?" not in path:
            assert rows == count
