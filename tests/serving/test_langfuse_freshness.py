"""Langfuse's clients are answered from memory too; what was committed before they asked is in it, labels included."""

import json
from typing import Any

import pytest

from accounts.actions.api_keys import recognise_key, revoke_key
from prompts.actions.channels import add_channel
from prompts.actions.prompts import change_prompt
from prompts.actions.releases import promote, rollback
from prompts.actions.versions import save_version
from tests.api.conftest import basic, release
from tests.personas import Team
from tests.serving.conftest import BothLanes

NAME = "support/greeting"


class Reader:
    """Asks as Langfuse's clients do, through the lane alone."""

    def __init__(self, lanes: BothLanes, key: str) -> None:
        self.lanes, self.key = lanes, key

    def __call__(self, query: str = "") -> Any:
        answer = self.lanes.through_lane(f"/api/public/v2/prompts/{NAME}", query, Authorization=basic(self.key))
        assert answer is not None
        self.status, self.headers = answer.status, answer.headers
        return json.loads(answer.body)

    def labels(self, query: str = "") -> tuple[int, list[str]]:
        body = self(query)
        return body["version"], body["labels"]


@pytest.fixture
def read(team: Team, lanes: BothLanes) -> Reader:
    return Reader(lanes, team.key())


def test_every_change_is_seen_at_once(team: Team, read: Reader) -> None:
    assert read()["code"] == "prompt_not_found"
    prompt = team.prompt(versions=2)
    assert read()["code"] == "channel_empty"
    release(team, prompt, 1)
    assert read.labels() == (1, ["production", "stable"])
    assert read.labels("version=2") == (2, ["latest"])
    release(team, prompt, 2)
    assert read.labels() == (2, ["latest", "production", "stable"])
    assert read.labels("version=1") == (1, [])
    rollback(by=team.cleo, prompt=prompt, channel=team.stable, reason="Back")
    assert read.labels() == (1, ["production", "stable"])
    assert read.labels("label=latest") == (2, ["latest"])
    save_version(by=team.ada, prompt=prompt, content="Newer")
    assert read.labels("label=latest") == (3, ["latest"])
    assert read.labels("version=2") == (2, [])
    change_prompt(by=team.ada, prompt=prompt, tags=["shop"])
    assert read()["tags"] == ["shop"]


def test_a_channel_that_appears_is_a_label_at_once(team: Team, read: Reader) -> None:
    prompt = team.prompt(versions=2)
    release(team, prompt, 1)
    assert read("label=staging")["code"] == "channel_not_found"
    assert read.labels("label=production") == (1, ["production", "stable"])
    staging = add_channel(by=team.farah, name="staging", policy={})
    assert read("label=staging")["code"] == "channel_empty"
    promote(by=team.cleo, prompt=prompt, channel=staging, version=team.version(prompt, 1))
    assert read.labels() == (1, ["production", "stable", "staging"])
    production = add_channel(by=team.farah, name="production", policy={})  # from now on not another name of stable
    assert read("label=production")["code"] == "channel_empty"
    assert read.labels("label=stable") == (1, ["stable", "staging"])
    promote(by=team.cleo, prompt=prompt, channel=production, version=team.version(prompt, 2))
    assert read.labels() == (2, ["latest", "production"])


def test_the_end_of_a_key_is_seen_at_once(team: Team, read: Reader) -> None:
    release(team, team.prompt(), 1)
    assert read()["version"] == 1
    revoke_key(key=recognise_key(read.key), by=team.farah)
    assert read()["code"] == "key_revoked"
    assert read.status == 401


def test_answers_are_remembered_and_their_bytes_bounded(team: Team, read: Reader) -> None:
    prompt = team.prompt(versions=1)
    release(team, prompt, 1)
    engine = read.lanes.lane.engine
    kept, loaded, in_turn = engine.snapshot.labelled, [], engine.loader._in_turn
    read()
    engine.loader._in_turn = lambda job: (loaded.append(job), in_turn(job))[1]  # type: ignore[method-assign]
    assert [read()["version"] for _ in range(3)] == [1] * 3
    assert loaded == []
    before, kept.limit = kept.size, 3 * kept.size
    for number in range(2, 12):
        save_version(by=team.ada, prompt=prompt, content=f"Text {number}")
        assert read()["version"] == 1
        assert 0 < kept.size <= kept.limit + before
    assert len(kept._rows) <= 4
