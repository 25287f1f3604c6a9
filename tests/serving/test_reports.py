"""Reports by the lane: the same answers as Django's, stored when answered, and nothing old believed."""

import json
from typing import Any
from uuid import uuid4

import pytest

from accounts.actions.api_keys import recognise_key, revoke_key
from delivery import limits
from delivery.models import Observation
from delivery.serving import group_commit, snapshot
from delivery.serving.snapshot import Named
from prompts.actions.channels import add_channel
from prompts.actions.versions import save_version
from tests.api.conftest import release
from tests.personas import Team, make_team
from tests.serving.conftest import Answered, BothLanes
from tests.serving.test_freshness import Outage, outage  # noqa: F401  a fixture
from tests.serving.test_lanes import unlike

PATH = "/api/v1/observations"
JSON = {"Content-Type": "application/json"}
NAMED = {"prompt": "support/greeting", "version": 1}


@pytest.fixture
def key(team: Team) -> str:
    release(team, team.prompt(), 1)
    return team.key("observations:write", "prompts:read")


def body_of(*rows: Any) -> bytes:
    return json.dumps({"observations": list(rows)}).encode()


def reported(lanes: BothLanes, key: str, *rows: Any) -> dict[str, Any]:
    answer = lanes.through_lane(PATH, method="POST", body=body_of(*rows), Authorization=f"Bearer {key}", **JSON)
    assert answer is not None
    assert answer.status == 202, answer
    return dict(json.loads(answer.body))


def receipt(lanes: BothLanes, key: str) -> str:
    answer = lanes.through_lane("/api/v1/prompts/support/greeting", Authorization=f"Bearer {key}")
    assert answer is not None
    return str(json.loads(answer.body)["receipt"])


def test_what_is_answered_is_stored_once(team: Team, lanes: BothLanes, key: str) -> None:
    own = str(uuid4())
    row = {"id": own, "receipt": receipt(lanes, key), "output": "Hello \U0001f44b\r\n", "trace_id": "t-1"}
    told = reported(lanes, key, row, NAMED, {"prompt": "nope", "version": 1}, {**NAMED, "latency_ms": "fast"})
    assert (told["accepted"], told["duplicates"]) == (2, 0)
    assert [(fault["index"], fault["errors"][0]["code"]) for fault in told["rejected"]] == [
        (2, "prompt_not_found"),
        (3, "bad_value"),
    ]
    assert reported(lanes, key, row) == {"accepted": 0, "duplicates": 1, "rejected": []}
    stored = Observation.objects.get(uid=own)
    assert (stored.output, stored.revision, stored.version.number) == ("Hello \U0001f44b\r\n", 1, 1)
    assert stored.key_id == recognise_key(key).pk
    assert Observation.objects.count() == 2
    slow = lanes.through_django(PATH, method="POST", body=body_of(row), Authorization=f"Bearer {key}", **JSON)
    assert json.loads(slow.body)["duplicates"] == 1


CALLS: dict[str, bytes] = {
    "good": body_of(NAMED, {**NAMED, "channel": "stable", "arm": "canary", "cost_usd": 0.1}),
    "bad rows": body_of(
        NAMED, 7, {"prompt": "x"}, {**NAMED, "nope": 1}, {"receipt": "rc1.x"}, {**NAMED, "channel": "no"}
    ),
    "no rows": body_of(),
    "too many rows": body_of(*[NAMED] * 1_001),
    "no list": b'{"observations": 7}',
    "another field": b'{"observations": [], "x": 1}',
    "no object": b"[]",
    "no JSON": b"{",
    "a key twice": b'{"observations": [{"prompt": "a", "prompt": "b", "version": 1}]}',
    "NUL": b'{"observations": [{"prompt": "a\\u0000", "version": 1}]}',
    "no UTF-8": b'{"observations": "\xff"}',
    "long": body_of({**NAMED, "output": "x" * 300_000}),
}


@pytest.mark.parametrize("call", CALLS)
def test_both_lanes_answer_alike(team: Team, lanes: BothLanes, key: str, call: str) -> None:
    heard = both(lanes, CALLS[call], key)
    assert unlike(heard[0]) == unlike(heard[1])


def both(lanes: BothLanes, body: bytes, key: str | None) -> tuple[Answered, Answered]:
    named = JSON | ({} if key is None else {"Authorization": f"Bearer {key}"})
    slow = lanes.through_django(PATH, method="POST", body=body, **named)
    fast = lanes.through_lane(PATH, method="POST", body=body, **named)
    assert fast is not None
    return slow, fast


def test_both_lanes_refuse_alike(team: Team, lanes: BothLanes, key: str, settings: Any) -> None:
    rival = make_team("rival", preset="solo")
    revoked = team.key("observations:write")
    revoke_key(key=recognise_key(revoked), by=team.farah)
    narrowed = team.key("observations:write", prompts=["billing/*"])
    for used in (team.key("prompts:read"), revoked, narrowed, rival.key("observations:write"), "pf_dev_x"):
        slow, fast = both(lanes, CALLS["good"], used)
        assert unlike(fast) == unlike(slow)
    settings.RATE_INTAKE = 1
    heard: list[list[Answered]] = [[], []]
    for number, send in enumerate((lanes.through_django, lanes.through_lane)):
        limits.INTAKE.forget()
        for _ in range(4):
            answer = send(PATH, method="POST", body=CALLS["no rows"], Authorization=f"Bearer {key}", **JSON)
            assert answer is not None
            heard[number].append(answer)
    assert [unlike(answer) for answer in heard[0]] == [unlike(answer) for answer in heard[1]]
    assert [answer.status for answer in heard[1]][-1] == 429


def test_what_the_lane_leaves_to_django(team: Team, lanes: BothLanes, key: str) -> None:
    for query, headers, body in (
        ("a=1", JSON, CALLS["good"]),
        ("", {"Content-Type": "text/plain"}, CALLS["good"]),
        ("", JSON, b""),
        ("", JSON, b" " * (8 * 1024 * 1024 + 1)),
        ("", JSON | {"PromptForge-Project": "shop"}, CALLS["good"]),
    ):
        named = headers | {"Authorization": f"Bearer {key}"}
        assert lanes.through_lane(PATH, query, "POST", body, **named) is None
    assert lanes.through_lane(PATH, "", "POST", CALLS["good"], **JSON) is None  # perhaps a session


def test_names_are_fresh(team: Team, lanes: BothLanes, key: str) -> None:
    prompt = team.version(team.project.prompt_set.get(), 1).prompt
    second, staged = {**NAMED, "version": 2}, {**NAMED, "channel": "staging"}
    told = reported(lanes, key, second, staged)
    assert [fault["errors"][0]["code"] for fault in told["rejected"]] == ["version_not_found", "channel_not_found"]
    save_version(by=team.ada, prompt=prompt, content="Newer")
    add_channel(by=team.farah, name="staging", policy={})
    assert reported(lanes, key, second, staged)["accepted"] == 2
    revoke_key(key=recognise_key(key), by=team.farah)
    answer = lanes.through_lane(PATH, method="POST", body=body_of(NAMED), Authorization=f"Bearer {key}", **JSON)
    assert answer is not None
    assert answer.status == 401
    assert Observation.objects.count() == 2


def test_what_was_known_is_not_missed_when_memory_makes_room(
    team: Team, lanes: BothLanes, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_version(by=team.ada, prompt=team.project.prompt_set.get(), content="Newer")
    assert reported(lanes, key, NAMED)["accepted"] == 1
    monkeypatch.setattr(snapshot, "_MOST_NAMED", 0)
    assert reported(lanes, key, NAMED, {**NAMED, "version": 2}) == {"accepted": 2, "duplicates": 0, "rejected": []}


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("a fault")


def test_after_a_fault_django_stores_what_cannot_have_been_stored(
    team: Team, lanes: BothLanes, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = JSON | {"Authorization": f"Bearer {key}"}
    monkeypatch.setattr(Named, "holds", fail)
    assert lanes.through_lane(PATH, "", "POST", body_of(NAMED), **named) is None
    monkeypatch.undo()
    monkeypatch.setattr(group_commit, "settle", fail)  # when it is stored already
    answer = lanes.through_lane(PATH, "", "POST", body_of(NAMED), **named)
    assert answer is not None
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    told = json.loads(answer.body)
    assert (told["code"], told["request_id"]) == ("server_error", "same")
    assert "it is not known whether anything was stored" in told["detail"]


def test_without_postgresql_nothing_is_taken(team: Team, lanes: BothLanes, key: str, outage: Outage) -> None:  # noqa: F811
    assert reported(lanes, key, NAMED)["accepted"] == 1
    outage.begin()
    answer = lanes.through_lane(PATH, method="POST", body=body_of(NAMED), Authorization=f"Bearer {key}", **JSON)
    assert answer is not None
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    outage.end()
    assert Observation.objects.count() == 1
