"""What was committed before a request began is in its answer; one read serves all who wait; nobody waits in vain."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone
from psycopg import sql

from accounts.actions.api_keys import recognise_key, revoke_key
from accounts.models import ApiKey, Project, User
from delivery.serving.freshness import Freshness
from events.models import Serving
from prompts.actions.channels import add_channel
from prompts.actions.releases import promote, rollback
from prompts.actions.versions import save_version
from tests.api.conftest import basic, release
from tests.conftest import administer
from tests.personas import Team, make_team
from tests.serving.conftest import Answered, BothLanes

PROMPTS = "/api/v1/prompts/"
NAME = "support/greeting"


class Reader:
    """Fetches with one key through the lane alone."""

    def __init__(self, lanes: BothLanes, key: str) -> None:
        self.lanes, self.key = lanes, key

    def __call__(self, name: str = NAME, query: str = "") -> Answered:
        answer = self.lanes.through_lane(PROMPTS + name, query, Authorization=f"Bearer {self.key}")
        assert answer is not None
        return answer

    def version(self, query: str = "") -> int:
        answer = self(query=query)
        assert answer.status == 200, answer
        return int(json.loads(answer.body)["version"])

    def code(self, name: str = NAME, query: str = "") -> str:
        return str(json.loads(self(name, query).body)["code"])


@pytest.fixture
def read(team: Team, lanes: BothLanes) -> Reader:
    return Reader(lanes, team.key())


def test_every_move_is_seen_at_once(team: Team, read: Reader) -> None:
    prompt = team.prompt(versions=3)
    for number in (1, 2, 3, 2, 1, 3):
        release(team, prompt, number)
        assert read.version() == number
    for _ in range(2):
        live = rollback(by=team.cleo, prompt=prompt, channel=team.stable, reason="Back").version.number
        assert read.version() == live


def test_everything_else_that_is_committed_is_seen_at_once(team: Team, read: Reader) -> None:
    assert read.code() == "prompt_not_found"
    prompt = team.prompt()
    assert read.code() == "channel_empty"
    assert read.code(query="_version=staging") == "channel_not_found"
    staging = add_channel(by=team.farah, name="staging", policy={})
    assert read.code(query="_version=staging") == "channel_empty"
    promote(by=team.cleo, prompt=prompt, channel=staging, version=team.version(prompt, 1))
    assert read.version("_version=staging") == 1
    assert read.version("_version=latest") == 1
    assert read.code(query="_version=2") == "version_not_found"
    save_version(by=team.ada, prompt=prompt, content="Newer")
    assert read.version("_version=latest") == 2
    assert read.version("_version=2") == 2
    assert read.code(query="_version=3") == "version_not_found"


def test_the_end_of_a_key_is_seen_at_once(team: Team, lanes: BothLanes) -> None:
    release(team, team.prompt(), 1)
    revoked, switched_off = Reader(lanes, team.key()), Reader(lanes, team.key())
    expiring = Reader(lanes, team.key(expires_at=timezone.now() + timedelta(hours=1)))
    assert [reader().status for reader in (revoked, switched_off, expiring)] == [200] * 3
    revoke_key(key=recognise_key(revoked.key), by=team.farah)
    User.objects.filter(pk=recognise_key(switched_off.key).service_account_id).update(is_active=False)
    ApiKey.objects.filter(pk=recognise_key(expiring.key).pk).update(expires_at=timezone.now())
    assert [reader.code() for reader in (revoked, switched_off, expiring)] == [
        "key_revoked",
        "key_revoked",
        "key_expired",
    ]
    assert [reader().status for reader in (revoked, switched_off, expiring)] == [401] * 3


def test_a_key_expires_by_the_databases_clock_without_a_commit(team: Team, lanes: BothLanes) -> None:
    release(team, team.prompt(), 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp() + interval '1.5 seconds'")
        ends = cursor.fetchone()[0]
    reader = Reader(lanes, team.key(expires_at=ends))
    assert reader().status == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(greatest(0, extract(epoch FROM %s - clock_timestamp())))", [ends])
    assert reader.code() == "key_expired"


def test_a_rate_that_was_changed_counts_at_once(team: Team, read: Reader) -> None:
    release(team, team.prompt(), 1)
    assert read().headers["ratelimit-policy"] == '"fetch";q=4000;w=2'
    ApiKey.objects.filter(pk=recognise_key(read.key).pk).update(rate_fetch=7)
    assert read().headers["ratelimit-policy"] == '"fetch";q=14;w=2'


def test_another_history_is_loaded_whole(team: Team, read: Reader) -> None:
    """After a restore the generation may be any number: the epoch says that memory is of another history."""
    prompt = team.prompt(versions=2)
    release(team, prompt, 2)
    assert read.version() == 2
    remembered = read.lanes.lane.engine.snapshot
    assert len(remembered.callers) == 1
    with connections["owner"].cursor() as cursor:
        # What a restore leaves behind, seen from here: heads moved without any generation that tells of it.
        cursor.execute("ALTER TABLE events_servedchange DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM events_servedchange")
        cursor.execute("ALTER TABLE events_servedchange ENABLE ALWAYS TRIGGER served_change_frozen")
        cursor.execute("UPDATE events_serving SET epoch = gen_random_uuid(), transaction = 0")
    state = remembered.projects[team.project.pk]
    assert read.version() == 2
    assert remembered.projects[team.project.pk] is not state


def test_one_project_does_not_forget_for_another(team: Team, lanes: BothLanes) -> None:
    rival = make_team("rival", preset="solo")
    release(team, team.prompt(), 1)
    theirs = rival.prompt(versions=2)
    release(rival, theirs, 1)
    here, there = Reader(lanes, team.key()), Reader(lanes, rival.key())
    assert (here.version(), there.version()) == (1, 1)
    kept = lanes.lane.engine.snapshot.projects[team.project.pk].prompts[NAME]
    release(rival, theirs, 2)
    assert (here.version(), there.version()) == (1, 2)
    assert lanes.lane.engine.snapshot.projects[team.project.pk].prompts[NAME] is kept


def at_once(lanes: BothLanes, key: str, count: int) -> list[int]:
    """The statuses of `count` requests that arrive in one turn of the loop."""

    async def one() -> int:
        statuses: list[int] = []

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"host", b"testserver"), (b"authorization", f"Bearer {key}".encode())]
        scope = {"type": "http", "method": "GET", "path": PROMPTS + NAME, "query_string": b"", "headers": headers}
        assert await lanes.lane.serve(scope, send)
        return statuses[0]

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(one() for _ in range(count)))

    return lanes.runner.run(all_of_them())


def test_requests_that_wait_share_one_read(team: Team, read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    release(team, team.prompt(), 1)
    assert read().status == 200
    asked = []
    ask = Freshness._ask
    monkeypatch.setattr(Freshness, "_ask", lambda self: (asked.append(self._next is not None), ask(self))[1])
    assert at_once(read.lanes, read.key, 200) == [200] * 200
    assert sum(asked) == 1


def test_whoever_hangs_up_takes_nobody_along(team: Team, read: Reader) -> None:
    release(team, team.prompt(), 1)
    assert read().status == 200
    freshness = read.lanes.lane.engine.freshness

    async def check() -> list[Any]:
        tasks = [asyncio.ensure_future(freshness.check(team.project.pk)) for _ in range(5)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        tasks[3].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = read.lanes.runner.run(check())
    assert [type(answer) for answer in answers] == [asyncio.CancelledError, bool, bool, asyncio.CancelledError, bool]
    assert read().status == 200


# --- PostgreSQL is gone ----------------------------------------------------------------------------------------------
class Outage:
    """Takes the database away from the lane: no new connection, and the old ones end."""

    def __init__(self, name: str, admin: psycopg.Connection[Any]) -> None:
        self.name, self.admin = name, admin

    def begin(self) -> None:
        self._allow("false")
        self.admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = %s AND application_name = 'promptforge serving'",
            [self.name],
        )

    def end(self) -> None:
        self._allow("true")

    def _allow(self, word: str) -> None:
        statement = f"ALTER DATABASE {{}} ALLOW_CONNECTIONS {word}"
        self.admin.execute(sql.SQL(statement).format(sql.Identifier(self.name)))


@pytest.fixture
def outage(committed_db: str):
    with administer() as admin:
        outage = Outage(committed_db, admin)
        yield outage
        outage.end()


def recovered(read: Reader) -> Answered:
    """The first answer that is no refusal of a database that is gone."""
    for _ in range(100):
        answer = read()
        if answer.status != 503:
            return answer
        read.lanes.runner.run(asyncio.sleep(0.05))
    raise AssertionError("it did not recover")


def test_without_postgresql_channels_are_refused_and_numbers_served(team: Team, read: Reader, outage: Outage) -> None:
    prompt = team.prompt(versions=2)
    release(team, prompt, 1)
    assert (read.version(), read.version("_version=1"), read.version("_version=latest")) == (1, 1, 2)
    outage.begin()
    refused = read()
    assert (refused.status, json.loads(refused.body)["code"]) == (503, "unavailable")
    assert refused.headers["retry-after"] == "1"
    assert read.code(query="_version=latest") == "unavailable"
    pinned = read(query="_version=1")
    assert (pinned.status, pinned.headers.get("promptforge-stale")) == (200, None)
    assert read.code(query="_version=2") == "unavailable"  # it was never asked for, so it is not in memory
    assert read.code("other/prompt") == "unavailable"
    release(team, prompt, 2)  # Django's own connection is still there
    outage.end()
    assert json.loads(recovered(read).body)["version"] == 2


def test_a_project_may_be_served_from_memory(team: Team, read: Reader, outage: Outage) -> None:
    prompt = team.prompt(versions=2)
    release(team, prompt, 1)
    assert read.version() == 1
    Project.objects.filter(pk=team.project.pk).update(serves_stale=True)
    assert "promptforge-stale" not in read().headers
    outage.begin()
    stale = read()
    assert (stale.status, stale.headers["promptforge-stale"]) == (200, "true")
    assert "promptforge-stale" not in read(query="_version=1").headers or read(query="_version=1").status == 503
    release(team, prompt, 2)
    assert read.version() == 1
    outage.end()
    fresh = None
    for _ in range(100):
        fresh = read()
        if fresh.status == 200 and "promptforge-stale" not in fresh.headers:
            break
        read.lanes.runner.run(asyncio.sleep(0.05))
    assert fresh is not None
    assert json.loads(fresh.body)["version"] == 2


def test_langfuses_clients_are_told_that_labels_may_be_old(team: Team, lanes: BothLanes, outage: Outage) -> None:
    release(team, team.prompt(versions=2), 1)
    key = basic(team.key())

    def ask(query: str = "") -> Answered:
        answer = lanes.through_lane(f"/api/public/v2/prompts/{NAME}", query, Authorization=key)
        assert answer is not None
        return answer

    assert (ask().status, ask("version=1").status) == (200, 200)
    outage.begin()
    refused = ask()
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert json.loads(refused.body)["error"] == "ServiceUnavailableError"
    numbered = ask("version=1")
    assert (numbered.status, numbered.headers["promptforge-stale"]) == (200, "true")


def test_refusals_come_at_once_while_it_is_gone(team: Team, read: Reader, outage: Outage) -> None:
    release(team, team.prompt(), 1)
    assert read().status == 200
    outage.begin()
    assert read().status == 503
    begun = timezone.now()
    assert at_once(read.lanes, read.key, 500) == [503] * 500
    assert timezone.now() - begun < timedelta(seconds=2)


def test_the_lane_starts_without_postgresql(team: Team, lanes: BothLanes, outage: Outage) -> None:
    release(team, team.prompt(), 1)
    read = Reader(lanes, team.key())
    outage.begin()
    assert read.code() == "unavailable"
    outage.end()
    assert json.loads(recovered(read).body)["version"] == 1


def test_the_serving_row_is_the_only_thing_asked(team: Team, read: Reader) -> None:
    """A fetch that is in memory costs no statement but the shared check."""
    release(team, team.prompt(), 1)
    read.version()
    loaded = []
    loader = read.lanes.lane.engine.loader
    in_turn = loader._in_turn
    loader._in_turn = lambda job: (loaded.append(job), in_turn(job))[1]  # type: ignore[method-assign]
    assert [read.version() for _ in range(5)] == [1] * 5
    assert loaded == []
    assert Serving.objects.get(project_id=team.project.pk).generation > 0
