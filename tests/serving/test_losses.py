"""Connections are lost, loading is refused or fails: still nobody is answered from memory that is known to be old."""

import asyncio
import json
import time
from typing import Any

import pytest
from django.db import connections
from psycopg.conninfo import conninfo_to_dict

from accounts.actions.api_keys import recognise_key, revoke_key
from accounts.models import Project
from delivery.serving import loader
from delivery.serving.snapshot import ProjectState
from promptforge.lib.conninfo import conninfo
from prompts.actions.releases import rollback
from tests.api.conftest import release
from tests.conftest import administer
from tests.personas import Team, make_team
from tests.serving.conftest import BothLanes
from tests.serving.test_freshness import NAME, PROMPTS, Reader


@pytest.fixture
def served(team: Team, lanes: BothLanes) -> Reader:
    """Reads version 2 of a project that may be served from memory while the database is gone."""
    prompt = team.prompt(versions=2)
    release(team, prompt, 1)
    release(team, prompt, 2)
    Project.objects.filter(pk=team.project.pk).update(serves_stale=True)
    read = Reader(lanes, team.key())
    assert (read.version(), read.version("_version=1")) == (2, 1)
    return read


def roll_back(team: Team) -> None:
    rollback(by=team.cleo, prompt=team.project.prompt_set.get(), channel=team.stable, reason="Back")


def end_the_lanes_sessions(name: str) -> None:
    """What a PostgreSQL that is started anew does to connections: those that were open are dead."""
    with administer() as admin:
        ended = admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = %s AND application_name = 'promptforge serving'",
            [name],
        ).fetchall()
    assert len(ended) == 2


@pytest.mark.parametrize("noticed", [False, True])
def test_nothing_old_is_served_when_postgresql_was_started_anew(
    team: Team, committed_db: str, served: Reader, *, noticed: bool
) -> None:
    other = Reader(served.lanes, team.key())
    assert other.version("_version=1") == 1
    end_the_lanes_sessions(committed_db)
    if noticed:
        served.lanes.runner.run(asyncio.sleep(0.01))
        assert served.lanes.lane.engine.freshness._connection is None
    roll_back(team)
    revoke_key(key=recognise_key(other.key), by=team.farah)
    answer = served()
    assert (answer.status, json.loads(answer.body)["version"]) == (200, 1)
    assert "promptforge-stale" not in answer.headers
    assert other.code(query="_version=1") == "key_revoked"


def test_whoever_only_has_memory_that_is_known_to_be_old_answers_nothing(team: Team, served: Reader) -> None:
    roll_back(team)
    loading = served.lanes.lane.engine.loader
    loading._failed_at = time.monotonic() + 60  # as just after an attempt to connect that failed
    assert [served.code(), served.code(query="_version=1")] == ["unavailable"] * 2
    loading._failed_at = 0.0
    assert served.version() == 1


def test_no_project_is_refused_for_another(team: Team, served: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    rival = make_team("rival", preset="solo")
    release(rival, rival.prompt(), 1)
    theirs = Reader(served.lanes, rival.key())
    assert theirs.version() == 1
    roll_back(team)
    monkeypatch.setattr(loader, "_MOST_WAITING", 0)  # as when names that nobody knows are asked for in a flood
    assert theirs.code("nobody/knows") == "unavailable"
    engine = served.lanes.lane.engine
    assert served.lanes.runner.run(engine.freshness.check(team.project.pk))
    monkeypatch.undo()
    assert served.version() == 1
    engine.loader._failed_at = time.monotonic() + 60
    release(team, team.project.prompt_set.get(), 2)
    assert statuses_at_once(served, theirs) == [503, 200]


def statuses_at_once(*readers: Reader) -> list[int]:
    """The statuses of requests that arrive in one turn of the loop, and so share a check."""

    async def one(reader: Reader) -> int:
        statuses: list[int] = []

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"host", b"testserver"), (b"authorization", f"Bearer {reader.key}".encode())]
        scope = {"type": "http", "method": "GET", "path": PROMPTS + NAME, "query_string": b"", "headers": headers}
        assert await reader.lanes.lane.serve(scope, send)
        return statuses[0]

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*map(one, readers))

    return readers[0].lanes.runner.run(all_of_them())


def test_after_a_fault_of_ours_django_answers(team: Team, served: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    roll_back(team)
    monkeypatch.setattr(ProjectState, "forget_prompt", fail)
    assert served.lanes.through_lane(PROMPTS + NAME, Authorization=f"Bearer {served.key}") is None
    monkeypatch.undo()
    assert served.version() == 1


def test_loading_that_is_not_answered_ends_at_once(team: Team, served: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "_SILENCE", 0.2)
    monkeypatch.setattr(loader, "_PROMPT", "SELECT pg_sleep(60), %s::bigint, %s::text")
    begun = time.monotonic()
    assert served.code("another/prompt") == "unavailable"
    assert time.monotonic() - begun < 2


def test_a_new_column_of_keys_breaks_no_process_that_runs(team: Team, served: Reader) -> None:
    for _ in range(3):  # prepared by now
        assert Reader(served.lanes, team.key()).version() == 2
    with connections["owner"].cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_apikey ADD COLUMN note text")
    assert Reader(served.lanes, team.key()).version() == 2


def test_the_lane_connects_with_all_that_the_address_says(committed_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = connections["default"].settings_dict["OPTIONS"]
    said = {"target_session_attrs": "read-write", "passfile": "/run/pass", "tcp_user_timeout": "5000"}
    for name, value in said.items():
        monkeypatch.setitem(options, name, value)
    monkeypatch.setitem(options, "pool", {"min_size": 1})
    found = conninfo_to_dict(conninfo({"tcp_user_timeout": 20_000}, connect_timeout=2))
    assert found.items() >= (said | {"dbname": committed_db, "connect_timeout": "2"}).items()
