"""Model connections: who may keep one, what it refuses, and that its key goes in and never comes out."""

import json
import logging
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from accounts.policies import Principal
from evaluations.actions.connections import (
    change_connection,
    check_connection,
    create_connection,
    remove_connection,
    set_budget,
)
from evaluations.connecting import key_of, opened
from evaluations.models import Budget, DaySpending, ModelConnection
from evaluations.providers import CallFailed, Failure
from evaluations.spending import reserve
from events.models import Event
from promptforge.lib import keyring
from promptforge.lib.backup import environment, program
from promptforge.lib.errors import DomainError
from tests.api.conftest import Caller, body_of
from tests.conftest import owner_url_of
from tests.evaluations.stub_provider import Provider
from tests.personas import Team

KEY = "sk-proj-DoNotShowMe-0123456789"
PRICE = {"input": 2.0, "output": 8.0}


@pytest.fixture
def made(team: Team, provider: Provider) -> ModelConnection:
    return create_connection(
        by=team.farah, name="stub", kind="openai", base_url=provider.url("openai"), model="stub-1", api_key=KEY,
        parameters={"temperature": 0.2}, price=PRICE,
    )  # fmt: skip


def kinds(team: Team) -> list[str]:
    return [
        k
        for k in Event.objects.filter(project_id=team.project.pk).order_by("id").values_list("kind", flat=True)
        if k.startswith(("connection", "budget"))
    ]


def refused(act: Callable[[], Any], field: str, says: str) -> None:
    before = list(ModelConnection.objects.order_by("pk").values())
    with pytest.raises(DomainError, match=says) as refusal:
        act()
    assert [fault.pointer for fault in refusal.value.faults] == [f"/{field}"]
    assert KEY not in refusal.value.detail
    assert list(ModelConnection.objects.order_by("pk").values()) == before


# --- What it says ----------------------------------------------------------------------------------------------------
def test_a_connection_is_made_called_and_removed(team: Team, made: ModelConnection, provider: Provider) -> None:
    line = opened(made, parameters={"max_tokens": 9}, timeout=5)
    assert (line.model, line.api_key.reveal(), dict(line.parameters)) == (
        "stub-1",
        KEY,
        {"temperature": 0.2, "max_tokens": 9},
    )
    tested = check_connection(by=team.farah, connection=made)
    assert tested.answer is not None
    assert provider.calls()[0]["key"] == KEY
    remove_connection(by=team.farah, connection=made)
    made.refresh_from_db()
    assert (made.key, made.removed_at is None) == (None, False)
    with pytest.raises(DomainError, match="is removed"):
        change_connection(by=team.farah, connection=made, fields={"model": "x"})
    assert kinds(team) == ["connection.created", "connection.tested", "connection.removed"]


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("name", {"name": " "}, "Write the name"),
    ("name", {"name": "x" * 101}, "at most 100"),
    ("model", {"model": ""}, "Write the model"),
    ("base_url", {"base_url": "http://127.0.0.1:1/v1"}, "may not be called"),
    ("base_url", {"base_url": "http://169.254.169.254/"}, "may not be called"),
    ("base_url", {"base_url": "ftp://models.example/"}, "web address"),
    ("api_key", {"api_key": "two words"}, "without blanks"),
    ("api_key", {"api_key": "a\r\nX-Evil: 1"}, "without blanks"),
    ("api_key", {"api_key": "clé"}, "without blanks"),
    ("api_key", {"api_key": ""}, "without blanks"),
    ("parameters", {"parameters": {"model": "other"}}, "set by each call"),
    ("parameters", {"parameters": {"stream": True}}, "set by each call"),
    ("parameters", {"parameters": {"candidateCount": 8}}, "set by each call"),
    ("parameters", {"parameters": {"candidate_count": 8}}, "set by each call"),
    ("parameters", {"parameters": {"max_tokens": 9, "max_completion_tokens": 9}}, "mean the same"),
    ("parameters", {"parameters": {"maxOutputTokens": 9}}, "Write max_tokens for maxOutputTokens"),
    ("parameters", {"parameters": {"max_tokens": 0}}, "whole number"),
    ("parameters", {"parameters": {"max_tokens": "9"}}, "whole number"),
    ("parameters", {"parameters": {"note": "x" * 5000}}, "at most 4,096"),
    ("max_concurrency", {"max_concurrency": 0}, "from 1 to 200"),
    ("max_concurrency", {"max_concurrency": 201}, "from 1 to 200"),
    ("price", {"price": {"input": 1}}, "input and output"),
    ("price", {"price": {"input": -1, "output": 1}}, "input and output"),
    ("price", {"price": {"input": True, "output": 1}}, "input and output"),
    ("price", {"price": {"input": float("nan"), "output": 1}}, "input and output"),
]


@pytest.mark.parametrize(("field", "fields", "says"), BAD)
def test_what_does_not_fit_is_refused_by_its_field(
    team: Team, made: ModelConnection, field: str, fields: dict[str, Any], says: str
) -> None:
    new = {"name": "other", "kind": "openai", "model": "m", **fields}
    refused(lambda: create_connection(by=team.farah, **new), field, says)
    refused(lambda: change_connection(by=team.farah, connection=made, fields=fields), field, says)


def test_the_local_model_takes_neither_address_nor_key(team: Team) -> None:
    for field in ("base_url", "api_key"):
        fields: dict[str, Any] = {field: "https://models.example/v1"}
        refused(
            lambda given=fields: create_connection(by=team.farah, name="l", kind="local", **given), field, "local model"
        )  # type: ignore[misc]
    assert create_connection(by=team.farah, name="l", kind="local").model == "smollm2-135m-instruct"


def test_two_of_one_name_are_refused(team: Team, made: ModelConnection) -> None:
    with pytest.raises(DomainError) as taken:
        create_connection(by=team.farah, name="STUB", kind="openai", model="m")
    assert taken.value.code == "name_taken"
    remove_connection(by=team.farah, connection=made)
    create_connection(by=team.farah, name="STUB", kind="openai", model="m")


@pytest.mark.parametrize("who", ["noor", "ada", "ben"])
def test_only_who_may_configure(team: Team, made: ModelConnection, who: str, provider: Provider) -> None:
    by: Principal = getattr(team, who)
    acts: list[Callable[[], Any]] = [
        lambda: create_connection(by=by, name="x", kind="openai", model="m"),
        lambda: change_connection(by=by, connection=made, fields={"api_key": "sk-theirs"}),
        lambda: remove_connection(by=by, connection=made),
        lambda: check_connection(by=by, connection=made),
        lambda: set_budget(by=by, fields={"calls_per_day": None, "usd_per_day": None}),
    ]
    for act in acts:
        with pytest.raises(DomainError) as forbidden:
            act()
        assert forbidden.value.code == "forbidden"
    assert (kinds(team), provider.calls()) == (["connection.created"], [])


# --- The key ---------------------------------------------------------------------------------------------------------
def test_a_key_does_not_follow_to_another_address(
    team: Team, made: ModelConnection, provider: Provider, settings: LazySettings
) -> None:
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    elsewhere = {"base_url": "http://127.0.0.1:9/v1"}
    refused(lambda: change_connection(by=team.farah, connection=made, fields=elsewhere), "api_key", "address before")
    moved = change_connection(by=team.farah, connection=made, fields=elsewhere | {"api_key": "sk-another"})
    assert key_of(moved).reveal() == "sk-another"
    assert kinds(team)[1:] == ["connection.changed", "connection.rotated"]


def test_a_sealed_key_is_of_use_in_its_own_row_alone(team: Team, made: ModelConnection) -> None:
    thief = create_connection(
        by=team.farah, name="thief", kind="openai", base_url="https://93.184.215.14/v1", model="m"
    )
    ModelConnection.objects.filter(pk=thief.pk).update(key=bytes(made.key or b""))
    thief.refresh_from_db()
    with pytest.raises(CallFailed, match="Give the connection thief its key again") as unreadable:
        key_of(thief)
    assert unreadable.value.kind is Failure.BAD_KEY


def test_keys_are_read_after_the_ring_has_turned(
    team: Team, made: ModelConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = dict(keyring.keyring())
    newer = keyring.Key("k9", b"x" * 40)
    monkeypatch.setattr(keyring, "keyring", lambda: ring | {"secrets": (newer, *ring["secrets"])})
    assert key_of(made).reveal() == KEY
    change_connection(by=team.farah, connection=made, fields={"api_key": KEY})
    made.refresh_from_db()
    assert bytes(made.key or b"").startswith(b"k9.")
    monkeypatch.setattr(keyring, "keyring", lambda: ring)
    with pytest.raises(CallFailed):
        key_of(made)


def test_the_key_stands_nowhere(
    team: Team, made: ModelConnection, provider: Provider, caplog: Any, committed_db: str
) -> None:
    caplog.set_level(logging.DEBUG)
    change_connection(by=team.farah, connection=made, fields={"api_key": KEY})
    for fault in ("bad_key", "bad_request", "server_error", "rate_limited"):
        provider.behave(fault=fault)
        tested = check_connection(by=team.farah, connection=made)
        assert tested.failed is not None
        assert KEY not in tested.failed.sentence
    assert KEY not in caplog.text
    assert KEY not in repr(made.__dict__)
    dump = subprocess.run(
        [program("pg_dump", connection.pg_version // 10000), "--no-password"],
        env=environment(owner_url_of(committed_db)), capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert b"evaluations_modelconnection" in dump
    for shown in (KEY.encode(), KEY.encode().hex().encode()):
        assert shown not in dump


# --- What it costs ---------------------------------------------------------------------------------------------------
def test_a_test_counts_like_any_call(team: Team, made: ModelConnection, provider: Provider) -> None:
    set_budget(by=team.farah, fields={"calls_per_day": 2, "usd_per_day": Decimal(1)})
    check_connection(by=team.farah, connection=made)
    spent = DaySpending.objects.get(project=team.project)
    assert spent.calls == 1
    assert 0 < spent.usd < Decimal("0.0002")
    provider.behave(fault="bad_key")
    check_connection(by=team.farah, connection=made)
    with pytest.raises(DomainError, match="2 calls of today") as used_up:
        check_connection(by=team.farah, connection=made)
    assert used_up.value.code == "budget_used_up"
    assert len(provider.calls()) == 2


@pytest.mark.parametrize("own", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_a_test_asks_for_little_by_one_name(
    team: Team, made: ModelConnection, provider: Provider, kind: str, own: str
) -> None:
    ModelConnection.objects.filter(pk=made.pk).update(kind=kind, base_url=provider.url(kind))
    made.refresh_from_db()
    for named, asked in ((50_000, 64), (5, 5)):
        change_connection(by=team.farah, connection=made, fields={"parameters": {own: named}})
        made.refresh_from_db()
        check_connection(by=team.farah, connection=made)
        body = provider.calls()[-1]["body"]
        config = body.get("generationConfig", body)
        name = {"openai": own, "anthropic": "max_tokens", "gemini": "maxOutputTokens"}[kind]
        assert {name: asked} == {each: value for each, value in config.items() if each.lower().startswith("max")}


@pytest.mark.parametrize(("fault", "is_paid"), [("wrong_model", True), ("html", True), ("server_error", False)])
def test_a_test_that_failed_is_free_only_where_nobody_is_charged(
    team: Team, made: ModelConnection, provider: Provider, fault: str, is_paid: bool
) -> None:
    provider.behave(fault=fault)
    tested = check_connection(by=team.farah, connection=made)
    assert tested.failed is not None
    assert (DaySpending.objects.get(project=team.project).usd > 0) is is_paid


def test_a_budget_is_set_and_lifted(team: Team) -> None:
    set_budget(by=team.farah, fields={"calls_per_day": 5, "usd_per_day": Decimal("1.5")})
    set_budget(by=team.farah, fields={"calls_per_day": 5, "usd_per_day": Decimal("1.5")})
    assert kinds(team) == ["budget.changed"]
    for bad in ({"calls_per_day": -1, "usd_per_day": None}, {"calls_per_day": None, "usd_per_day": Decimal(10**6)}):
        with pytest.raises(DomainError, match="Name a"):
            set_budget(by=team.farah, fields=bad)
    set_budget(by=team.farah, fields={"calls_per_day": None, "usd_per_day": None})
    assert Budget.objects.get().calls_per_day is None


def test_a_budget_by_rest_changes_what_it_names(team: Team) -> None:
    caller = Caller(team.key("manage"))
    spent = {"day": datetime.now(UTC).date().isoformat(), "calls": 0, "usd": 0.0}
    assert body_of(caller.get("evaluation-budget")) == {"calls_per_day": None, "usd_per_day": None, "today": spent}
    reserve(project_id=team.project.pk, usd=Decimal("0.25"))
    caller.send("PATCH", "evaluation-budget", {"usd_per_day": 2.5})
    now = body_of(caller.send("PATCH", "evaluation-budget", {"calls_per_day": 7}))
    assert now == {"calls_per_day": 7, "usd_per_day": 2.5, "today": spent | {"calls": 1, "usd": 0.25}}
    assert body_of(caller.send("PATCH", "evaluation-budget", {"usd_per_day": None}))["calls_per_day"] == 7
    assert kinds(team) == ["budget.changed"] * 3
    for bad in ({"calls_per_day": -1}, {"calls_per_day": "7"}, {"usd_per_day": 10**6}, {"today": 1}, {"calls": 1}):
        answer = caller.send("PATCH", "evaluation-budget", bad)
        assert answer.status_code == 400, bad
        assert [each["pointer"] for each in json.loads(answer.content)["errors"]] == [f"/{next(iter(bad))}"]
    assert kinds(team) == ["budget.changed"] * 3
