"""The list of prompts as Langfuse's clients read it: filters apply to versions, then they are gathered by prompt."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from promptforge.lib.instants import format_instant
from prompts.actions.channels import add_channel
from prompts.actions.prompts import change_prompt
from prompts.actions.releases import promote
from prompts.actions.versions import save_version
from tests.api.conftest import basic, release
from tests.langfuse.test_fetch import Reader
from tests.personas import Team, make_team


@pytest.fixture
def reader(team: Team) -> Reader:
    return Reader(basic(team.key()))


@pytest.fixture
def shelf(team: Team) -> Team:
    for name in ("a/one", "b/two", "c/three"):
        release(team, team.prompt(name, versions=3, config={"of": name}), 2)
    change_prompt(by=team.ada, prompt=team.stable.heads.get(prompt__name="b/two").prompt, tags=["shop"])
    rival = make_team("rival", preset="solo")
    release(rival, rival.prompt("secret/plan"), 1)
    return team


def names(body: dict) -> list[str]:
    return [entry["name"] for entry in body["data"]]


def test_every_field(shelf: Team, reader: Reader) -> None:
    body = reader.get(None)
    assert body["meta"] == {"page": 1, "limit": 10, "totalItems": 3, "totalPages": 1}
    assert names(body) == ["a/one", "b/two", "c/three"]
    newest = shelf.stable.heads.get(prompt__name="b/two").release.at
    assert body["data"][1] == {
        "name": "b/two",
        "type": "text",
        "versions": [1, 2, 3],
        "labels": ["latest", "production", "stable"],
        "tags": ["shop"],
        "lastUpdatedAt": format_instant(newest),
        "lastConfig": {"of": "b/two"},
    }


def test_filters_apply_to_versions(shelf: Team, reader: Reader) -> None:
    for label in ("production", "stable"):
        entry = reader.get(None, label=label)["data"][0]
        assert (entry["versions"], entry["labels"]) == ([2], ["production", "stable"])
    entry = reader.get(None, label="latest", name="a/one")["data"][0]
    assert (entry["versions"], entry["labels"]) == ([3], ["latest"])
    assert names(reader.get(None, name="b/two")) == names(reader.get(None, tag="shop")) == ["b/two"]
    for none in ({"name": "a"}, {"tag": "x"}, {"label": "staging"}, {"label": "2"}, {"label": "Prod_EU"}):
        assert reader.get(None, **none)["data"] == []
    staging = add_channel(by=shelf.farah, name="production", policy={})
    assert reader.get(None, label="production")["data"] == []
    prompt = shelf.stable.heads.get(prompt__name="a/one").prompt
    promote(by=shelf.cleo, prompt=prompt, channel=staging, version=shelf.version(prompt, 3))
    assert reader.get(None, label="production")["data"][0]["versions"] == [3]


def test_what_changed_since(shelf: Team, reader: Reader) -> None:
    prompt = shelf.stable.heads.get(prompt__name="a/one").prompt
    save_version(by=shelf.ada, prompt=prompt, content="Newer")
    moment = shelf.version(prompt, 4).created_at
    assert names(reader.get(None, fromUpdatedAt=format_instant(moment))) == ["a/one"]
    assert reader.get(None, fromUpdatedAt=format_instant(moment))["data"][0]["versions"] == [4]
    assert reader.get(None, name="a/one", toUpdatedAt=format_instant(moment))["data"][0]["versions"] == [1, 2, 3]
    release(shelf, prompt, 1)  # a label that moves is a change of the version that gets it
    moved = prompt.releases.latest("revision").at
    assert reader.get(None, fromUpdatedAt=format_instant(moved))["data"][0]["versions"] == [1]
    assert reader.get(None, fromUpdatedAt=format_instant(moved + timedelta(seconds=1)))["data"] == []


def test_pages(shelf: Team, reader: Reader) -> None:
    first, second = reader.get(None, limit=2), reader.get(None, limit=2, page=2)
    assert (names(first), names(second)) == (["a/one", "b/two"], ["c/three"])
    assert second["meta"] == {"page": 2, "limit": 2, "totalItems": 3, "totalPages": 2}
    assert reader.get(None, page=9)["data"] == []
    for name, text in (("limit", "0"), ("limit", "101"), ("limit", "x"), ("page", "0"), ("page", "-1"), ("page", "")):
        assert reader.refused(None, **{name: text}) == (400, "bad_limit")
    assert reader.refused(None, filter="[]") == (400, "unknown_parameter")
    assert reader.refused(None, fromUpdatedAt="yesterday") == (400, "bad_timestamp")


def test_what_a_key_may_not_read_is_not_listed(shelf: Team) -> None:
    assert names(Reader(basic(shelf.key(prompts=["b/*"]))).get(None)) == ["b/two"]
    assert Reader(basic(shelf.key("manage"))).refused(None) == (403, "key_scope")


def test_a_list_costs_as_many_queries_for_many(shelf: Team, reader: Reader) -> None:
    counts = []
    for limit in (1, 3):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            reader.get(None, limit=limit, label="production")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 8
