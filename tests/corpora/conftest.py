"""The corpora of bad inputs, and the standing prompts that they speak of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from accounts.actions.api_keys import revoke_key
from accounts.models import ApiKey
from accounts.roles import Scope
from promptforge.lib.tokens import new_token
from prompts.actions.channels import add_channel
from prompts.actions.versions import create_prompt
from tests.api.conftest import release
from tests.personas import Team, make_team

HERE = Path(__file__).parent
FIELDS = ["id", "item", "surface", "input", "expect_status", "expect_code", "expect_pointer", "must_not"]
STANDING: dict[str, dict[str, Any]] = {
    "values/text": {"content": "{{a}} and {{b}}"},
    "values/typed": {
        "content": "{{s}} {{c}} {{i}} {{n}} {{t}} {{j}}",
        "variables": [
            {"name": "s", "max_length": 5, "required": False},
            {"name": "c", "type": "enum", "enum": ["red", "blue"], "required": False},
            {"name": "i", "type": "integer", "required": False},
            {"name": "n", "type": "number", "required": False},
            {"name": "t", "type": "boolean", "required": False},
            {"name": "j", "type": "json", "required": False},
        ],
    },
    "values/both": {"content": "{{i}} {{m}}", "variables": [{"name": "i", "type": "integer"}]},
    "values/many": {"content": "{{a}}" * 200},
    "values/chat": {"content": [{"placeholder": "history"}, {"role": "user", "content": "{{who}}"}]},
    "talk": {"content": [{"role": "user", "content": "Hi"}]},
    "long": {"content": "x" * 100_000},
    "brace": {"content": "ends in {"},
}


def corpus(surface: str) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (HERE / f"{surface}.jsonl").read_text().splitlines()]
    for row in rows:
        assert list(row)[: len(FIELDS)] == FIELDS
        assert row["surface"] == surface
    return rows


def unfolded(value: Any) -> Any:
    """An input with what is written short written out: `{"repeat": ["x", 5]}` is xxxxx."""
    if isinstance(value, list):
        return [unfolded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"repeat-numbered"}:
        text, count = value["repeat-numbered"]
        return " ".join(text % number for number in range(count))
    if "repeat" in value and set(value) <= {"before", "repeat", "after"}:
        text, count = value["repeat"]
        return value.get("before", "") + text * count + value.get("after", "")
    return {key: unfolded(inner) for key, inner in value.items()}


@pytest.fixture
def shop(committed_db: str) -> Iterator[Team]:
    """The team, with the prompts that the corpora name, and a rival whose things nobody reaches."""
    team, rival = make_team("shop", preset="solo"), make_team("rival", preset="solo")
    rival.prompt("secret/plan")
    greeting = team.prompt(versions=2)
    release(team, greeting, 1)
    add_channel(by=team.farah, name="guarded", policy={"required_approvals": 1})
    for name, fields in STANDING.items():
        prompt, _ = create_prompt(by=team.ada, name=name, **fields)
        release(team, prompt, 1)
    with override_settings(RATE_WRITE=1_000_000, BURST_WRITE=1_000_000):
        yield team


@pytest.fixture
def keys(shop: Team) -> dict[str, str | None]:
    every = [scope.value for scope in Scope]
    made: dict[str, str | None] = {
        "all": shop.key(*every),
        "reader": shop.key("prompts:read"),
        "expired": shop.expired_key(*every),
        "revoked": shop.key(*every),
        "unknown": new_token("dev").text,
        "none": None,
    }
    revoke_key(key=ApiKey.objects.latest("pk"), by=None)
    assert made["all"] is not None
    made["mistyped"] = made["all"][:-1] + ("A" if made["all"][-1] != "A" else "B")
    return made
