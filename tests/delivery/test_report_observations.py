"""POST /api/v1/observations: what is stored, byte for byte and once, and what is told of the rest."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import ApiKey
from delivery.actions.observations import read_observations, store_observations
from delivery.intake import FIELDS
from delivery.limits import INTAKE
from delivery.models import Observation
from delivery.receipts import Receipt, write_receipt
from delivery.shapes import observation_shape
from promptforge.lib import keyring
from promptforge.lib.instants import format_instant
from promptforge.lib.json import canonical_json
from tests.api.conftest import Caller, body_of, problem_of, release
from tests.api.people import person
from tests.delivery.conftest import NAME, Served, stored
from tests.personas import Team, make_team

ID = "0198C0DE-7A5E-7000-8000-0123456789AB"
NOW = datetime.now(UTC)


def test_a_whole_observation_is_kept_as_it_was_sent(served: Served) -> None:
    at = datetime.now(UTC) - timedelta(days=3)
    sent = {
        "id": ID,
        "receipt": served.receipt,
        "user": "u-17",
        "trace_id": "t-1",
        "session_id": "s-1",
        "variables": {"z": 1.0, "a": [None, True, '\\ " {}'], "": 2**64 - 1},
        "input": [{"role": "user", "content": "Hallo,\r\n\tWelt 😀"}],
        "output": ' "Dear\\ Ada",\n{NULL}\u2028\x7f ',
        "model": "gpt-5",
        "provider": "openai",
        "latency_ms": 812.25,
        "input_tokens": 412,
        "output_tokens": 0,
        "cost_usd": 0.000412,
        "finish_reason": "stop",
        "error": "late",
        "at": at.isoformat(),
        "metadata": {"region": "eu", "b": {}},
    }
    assert served.report(sent) == {"accepted": 1, "duplicates": 0, "rejected": []}
    [row] = stored()
    assert set(sent) == set(FIELDS) - {"prompt", "version", "channel", "arm"}
    assert (row.project, row.prompt, row.version.number) == (served.team.project, served.prompt, 2)
    assert (row.channel, row.revision, row.arm) == (served.team.stable, 2, None)
    assert row.variables == canonical_json(sent["variables"])
    assert row.cost_usd == Decimal("0.000412")
    assert abs(row.received_at - datetime.now(UTC)) < timedelta(minutes=1)
    shown = observation_shape(row, content=True)
    del sent["receipt"]
    assert {name: shown[name] for name in sent} == sent | {"id": ID.lower(), "at": format_instant(at)}
    assert shown["reported_by"] == {"key": row.key.public_id, "name": "test"}


def test_the_least_that_an_observation_says(served: Served) -> None:
    served.report({"receipt": served.receipt})
    served.report({"prompt": NAME, "version": 3})
    served.report({"prompt": NAME, "version": 1, "channel": "stable", "arm": "canary", "output": "", "user": ""})
    first, second, third = stored()
    assert (first.version.number, second.version.number, second.channel, second.revision) == (2, 3, None, None)
    assert (third.channel, third.revision, third.arm) == (served.team.stable, None, "canary")
    assert (first.output, third.output, third.end_user) == (None, "", None)
    assert first.uid.version == 4
    assert abs(first.at - first.received_at) < timedelta(seconds=30)


def test_null_is_as_not_given(served: Served) -> None:
    assert served.report(dict.fromkeys(FIELDS) | {"receipt": served.receipt})["accepted"] == 1
    assert served.report(dict.fromkeys(FIELDS) | {"prompt": NAME, "version": 1})["accepted"] == 1


def test_the_same_id_twice_is_stored_once(served: Served) -> None:
    one, other = served.observation(output="first"), served.observation()
    assert served.report(one, other, one | {"output": "again"}) == {"accepted": 2, "duplicates": 1, "rejected": []}
    assert served.report(one, served.observation(id=one["id"].upper())) == {
        "accepted": 0,
        "duplicates": 2,
        "rejected": [],
    }
    assert {row.output for row in stored()} == {"first", "Dear Ada"}
    foreign = make_team("rival", preset="solo")
    foreign.prompt("secret/plan")
    theirs = Caller(foreign.key("observations:write"))
    sent = {"observations": [{"id": one["id"], "prompt": "secret/plan", "version": 1}]}
    assert body_of(theirs.post("observations", sent), 202)["accepted"] == 1


# --- Receipts --------------------------------------------------------------------------------------------------------
def reason(served: Served, receipt: str, caller: Caller | None = None) -> tuple[str, str]:
    """With which code and sentence a receipt is refused."""
    sent = {"observations": [{"receipt": receipt}]}
    answer = body_of((caller or served.service).post("observations", sent), 202)
    assert answer["accepted"] == 0
    [fault] = answer["rejected"][0]["errors"]
    assert fault["pointer"] == "/observations/0/receipt"
    return fault["code"], fault["detail"]


def test_a_foreign_receipt_is_as_a_forged_one(served: Served) -> None:
    rival = make_team("rival", preset="solo")
    release(rival, rival.prompt("secret/plan"), 1)
    foreign = body_of(Caller(rival.key()).fetch("secret/plan"))["receipt"]
    forged = served.receipt[:-1] + ("A" if served.receipt[-1] != "A" else "B")
    known = Receipt(served.team.project.pk, served.prompt.pk, 10**9, None, None, None)
    absent_version, absent_channel = (
        write_receipt(known),
        write_receipt(known._replace(version=served.team.version(served.prompt, 1).pk, channel=10**9, revision=1)),
    )  # what a restored backup does not know yet
    narrow = Caller(served.team.key("observations:write", prompts=["billing/*"]))
    told = {reason(served, receipt) for receipt in (foreign, forged, absent_version, absent_channel, "rc1.x", "🧾")}
    told.add(reason(served, served.receipt, narrow))
    assert {code for code, _ in told} == {"bad_receipt"}
    assert len(told) == 1
    assert stored() == []


def test_a_receipt_of_a_retired_key_is_read(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = keyring.keyring()
    fresh = keyring.Key("k9", b"another secret of more than 32 letters")
    turned = dict(ring) | {"receipt": (fresh, *ring["receipt"])}
    monkeypatch.setattr(keyring, "keyring", lambda: turned)
    assert body_of(Caller(served.team.key()).fetch(NAME))["receipt"] != served.receipt
    assert served.report(served.observation())["accepted"] == 1
    monkeypatch.setattr(keyring, "keyring", lambda: turned | {"receipt": (fresh,)})
    assert reason(served, served.receipt)[0] == "bad_receipt"


# --- Who may ---------------------------------------------------------------------------------------------------------
def test_a_prompt_outside_the_key_s_patterns_is_as_absent(served: Served) -> None:
    narrow = Caller(served.team.key("observations:write", prompts=["billing/*"]))
    sent = {"observations": [{"prompt": name, "version": 1} for name in (NAME, "support/nothing1")]}
    answer = body_of(narrow.post("observations", sent), 202)
    shown = [
        json.dumps(one["errors"]).replace(name, "…")
        for one, name in zip(answer["rejected"], (NAME, "support/nothing1"), strict=True)
    ]
    assert shown[0].replace("/0/", "/n/") == shown[1].replace("/1/", "/n/")
    assert json.loads(shown[0])[0]["code"] == "prompt_not_found"
    rival = make_team("rival", preset="solo")
    rival.prompt("secret/plan")
    answer = served.report({"prompt": "secret/plan", "version": 1})
    assert answer["rejected"][0]["errors"][0]["code"] == "prompt_not_found"
    assert stored() == []


@pytest.mark.parametrize("name", ["ada", "ben", "cleo", "emil", "farah", "noor"])
def test_people_do_not_report(served: Served, name: str) -> None:
    someone = person(served.team, name)
    problem_of(someone.post("observations", {"observations": [served.observation()]}), 403, "forbidden")
    problem_of(someone.post("feedback", {"trace_id": "t", "name": "thumb", "value": True}), 403, "forbidden")
    assert stored() == []


def test_the_scope_is_asked_before_the_body_is_read(served: Served) -> None:
    other = Caller(served.team.key("prompts:read", "observations:read", "feedback:write", "manage"))
    problem_of(other.post("observations", b"{"), 403, "key_scope")
    reporter = Caller(served.team.key("observations:write"))
    problem_of(reporter.post("feedback", b"{"), 403, "key_scope")


def test_reports_are_counted_in_a_class_of_their_own(served: Served) -> None:
    INTAKE.forget()
    with override_settings(RATE_INTAKE=1, WEB_PROCESSES=1):
        first, second, third = (
            served.service.post("observations", {"observations": [served.observation()]}) for _ in range(3)
        )
        assert (first["RateLimit"].split(";")[:2], second["RateLimit"].split(";")[:2]) == (
            ['"intake"', "r=1"],
            ['"intake"', "r=0"],
        )
        problem_of(third, 429, "rate_limited")
        assert third["Retry-After"] == "1"
        problem_of(served.service.post("feedback", {}), 429, "rate_limited")
        body_of(served.service.get("observations"))
    INTAKE.forget()
    assert len(stored()) == 2


def test_a_call_takes_a_fixed_number_of_queries(served: Served) -> None:
    def queries(count: int) -> int:
        rows = [served.observation() for _ in range(count)] + [{"prompt": NAME, "version": 1}] * count
        with CaptureQueriesContext(connection) as captured:
            served.report(*rows)
        return len(captured)

    assert queries(1) == queries(100) == 3  # the key, what the rows name, the rows


# --- Byte for byte ---------------------------------------------------------------------------------------------------
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def test_every_text_comes_back_as_it_was_sent(served: Served) -> None:
    rows = st.fixed_dictionaries(
        {"output": TEXT, "input": JSON, "variables": st.dictionaries(TEXT, JSON, max_size=3)},
        optional={"user": TEXT.filter(bool), "model": TEXT.filter(bool), "error": TEXT.filter(bool)},
    )

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(rows, min_size=1, max_size=4), st.booleans())
    def run(sent: list[dict[str, Any]], ascii_only: bool) -> None:
        given = [served.observation(**row) for row in sent]
        body = json.dumps({"observations": given}, ensure_ascii=ascii_only).encode()
        batch = read_observations(body=body, reach=reach)
        assert store_observations(rows=batch.rows) == (len(sent), 0)
        for one in given:
            row = Observation.objects.select_related("prompt", "version", "channel", "key").get(uid=one["id"])
            shown = observation_shape(row, content=True)
            for name in set(one) - {"id", "receipt"}:
                assert canonical_json(shown[name]) == canonical_json(one[name])

    reach = served.reach
    run()


def test_the_key_that_reported_is_known(served: Served) -> None:
    served.report(served.observation())
    assert stored()[0].key == ApiKey.objects.get(scopes__contains=["observations:write"])


def test_an_id_of_ours_is_new_each_time(team: Team) -> None:
    team.prompt()
    caller = Caller(team.key("observations:write"))
    body_of(caller.post("observations", {"observations": [{"prompt": NAME, "version": 1}] * 3}), 202)
    assert len({row.uid for row in stored()} - {uuid.UUID(int=0)}) == 3
