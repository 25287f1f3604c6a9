"""Group commit: callers at the same time share a transaction, and nobody is answered before it is durable."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connections

from delivery.models import Observation
from delivery.serving import group_commit
from delivery.serving.group_commit import Connection, GroupCommit
from delivery.storing import COLUMNS, Row, Stored
from promptforge.lib.errors import DomainError
from tests.delivery.conftest import Served
from tests.guards.attacks import run as run_sql

type Make = Callable[..., Row]
type Work = Callable[[GroupCommit], Coroutine[Any, Any, Any]]


async def connect() -> Connection:
    """As Django connects, but for itself."""
    given = connections["default"].get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        given.pop(name, None)
    return await psycopg.AsyncConnection.connect(**given, autocommit=True)


def with_writer(work: Work, opening: Any = connect) -> Any:
    async def run() -> Any:
        writer = GroupCommit(opening)
        try:
            return await work(writer)
        finally:
            await writer.close()

    return asyncio.run(run())


@pytest.fixture
def row(served: Served) -> Make:
    """Makes rows about version 1, without asking the database."""
    version, reach = served.team.version(served.prompt, 1), served.reach
    known = {"project_id": reach.project, "prompt_id": served.prompt.pk, "version_id": version.pk, "key_id": reach.key}

    def make(**fields: Any) -> Row:
        given = known | {"uid": str(uuid.uuid4()), "at": datetime.now(UTC)} | fields
        return tuple(given.get(name) for name in COLUMNS)

    return make


def kept() -> set[str]:
    return {str(uid) for uid in Observation.objects.values_list("uid", flat=True)}


class Counted:
    """Counts the transactions of the writer's connection."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []

    async def __call__(self) -> Connection:
        self.opened.append(await connect())
        return self.opened[-1]


def test_callers_at_the_same_time_share_a_transaction(row: Make) -> None:
    calls = [[row() for _ in range(n % 3 + 1)] for n in range(64)]

    async def work(writer: GroupCommit) -> list[Stored]:
        return await asyncio.gather(*map(writer.store, calls))

    answers = with_writer(work)
    assert answers == [Stored(len(rows), 0) for rows in calls]
    assert kept() == {one[1] for rows in calls for one in rows}
    transactions = run_sql("SELECT count(DISTINCT xmin::text) FROM public.delivery_observation", fetch=True)
    assert transactions[0][0] <= 2


def test_each_caller_is_told_of_its_own_duplicates(row: Make) -> None:
    rows = [row() for _ in range(4)]

    async def work(writer: GroupCommit) -> list[Stored]:
        assert await writer.store([]) == Stored(0, 0)
        first = await writer.store(rows[:1])
        return [first, *await asyncio.gather(*(writer.store(some) for some in (rows[:2], rows[1:3], rows[2:])))]

    assert with_writer(work) == [Stored(1, 0), Stored(1, 1), Stored(1, 1), Stored(1, 1)]
    assert len(kept()) == 4


def test_nobody_is_answered_before_it_can_be_read(row: Make) -> None:
    async def one(writer: GroupCommit, reader: Connection) -> bool:
        mine = row()
        await writer.store([mine])
        cursor = await reader.execute("SELECT 1 FROM public.delivery_observation WHERE uid = %s::uuid", [mine[1]])
        return await cursor.fetchone() is not None

    async def work(writer: GroupCommit) -> list[bool]:
        reader = await connect()
        try:
            return [await one(writer, reader) for _ in range(5)]
        finally:
            await reader.close()

    assert with_writer(work) == [True] * 5


def test_one_poisonous_call_costs_no_other(row: Make) -> None:
    calls = [[row(), row()] for _ in range(5)]
    calls[2][1] = row(version_id=10**9)

    async def work(writer: GroupCommit) -> list[Any]:
        return await asyncio.gather(*map(writer.store, calls), return_exceptions=True)

    answers = with_writer(work)
    assert [answer for answer in answers if isinstance(answer, Stored)] == [Stored(2, 0)] * 4
    assert isinstance(answers[2], DomainError)
    assert answers[2].code == "guard"
    assert kept() == {one[1] for number, rows in enumerate(calls) if number != 2 for one in rows}


def test_a_lost_connection_is_replaced(row: Make) -> None:
    opening = Counted()

    async def work(writer: GroupCommit) -> list[Stored]:
        answers = [await writer.store([row()])]
        pid = opening.opened[0].info.backend_pid
        killer = await connect()
        await killer.execute("SELECT pg_terminate_backend(%s)", [pid])
        await killer.close()
        return answers + await asyncio.gather(*(writer.store([row()]) for _ in range(3)))

    assert with_writer(work, opening) == [Stored(1, 0)] * 4
    assert len(opening.opened) == 2
    assert len(kept()) == 4


def test_without_a_database_callers_are_told_at_once_and_later_ones_are_served(row: Make) -> None:
    answers_now = False

    async def sometimes() -> Connection:
        if not answers_now:
            raise psycopg.OperationalError("connection refused")
        return await connect()

    async def work(writer: GroupCommit) -> list[Any]:
        nonlocal answers_now
        calls = [writer.store([row()]) for _ in range(3)]
        refused = await asyncio.gather(*calls, return_exceptions=True)
        answers_now = True
        return [*refused, await writer.store([row()])]

    *refused, stored = with_writer(work, sometimes)
    assert [error.code for error in refused] == ["unavailable"] * 3
    assert stored == Stored(1, 0)
    assert len(kept()) == 1


class Wire:
    """Connects by wires of its own, of which the first falls silent when it is told to, as when a machine is gone."""

    def __init__(self) -> None:
        self.opened: list[Connection] = []
        self.is_silent = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self) -> Connection:
        parts = connections["default"].get_connection_params()
        host, port = str(parts["host"]), int(parts.get("port") or 5432)
        path = f"{host}/.s.PGSQL.{port}"

        async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            opening = asyncio.open_unix_connection(path) if host[0] == "/" else asyncio.open_connection(host, port)
            from_there, to_there = await opening
            for source, target in ((reader, to_there), (from_there, writer)):
                self._tasks.append(asyncio.create_task(self._carry(source, target)))

        server = await asyncio.start_server(begin, "127.0.0.1", 0)
        given = {name: parts[name] for name in ("dbname", "user", "password", "options") if parts.get(name)}
        given |= {"host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]}
        self.opened.append(await psycopg.AsyncConnection.connect(**given, autocommit=True))
        server.close()
        return self.opened[-1]

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        is_first = not self.opened
        while data := await source.read(65_536):
            if not (is_first and self.is_silent):
                target.write(data)
        target.close()


def test_a_connection_that_falls_silent_holds_nobody_up(row: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "SILENCE", 0.3)
    wire = Wire()

    async def work(writer: GroupCommit) -> list[Stored]:
        first = await writer.store([row()])
        wire.is_silent = True
        async with asyncio.timeout(5):
            return [first, *await asyncio.gather(*(writer.store([row()]) for _ in range(3)))]

    assert with_writer(work, wire) == [Stored(1, 0)] * 4
    assert len(wire.opened) == 2
    assert len(kept()) == 4


def test_whoever_cannot_know_whether_it_was_stored_is_told_so(row: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "SILENCE", 0.3)
    wire = Wire()

    async def once() -> Connection:
        if wire.opened:
            raise psycopg.OperationalError("connection refused")
        return await wire()

    async def work(writer: GroupCommit) -> list[Any]:
        await writer.store([row()])
        wire.is_silent = True
        lost = await asyncio.gather(writer.store([row()]), return_exceptions=True)
        refused = await asyncio.gather(writer.store([row()]), return_exceptions=True)
        return [*lost, *refused]

    lost, refused = with_writer(work, once)
    assert (lost.code, lost.detail) == ("unavailable", group_commit.NOT_KNOWN)
    assert refused.detail == "The database does not answer. Nothing was written; try again in a moment."


def test_what_waits_is_bounded(row: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 5 * group_commit.ROW_COST)

    async def work(writer: GroupCommit) -> list[Any]:
        calls = [writer.store([row(), row()]) for _ in range(6)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return [*answers, await writer.store([row() for _ in range(20)])]

    *answers, large = with_writer(work)
    assert [answer for answer in answers if isinstance(answer, Stored)] == [Stored(2, 0)] * 2
    assert {answer.code for answer in answers if isinstance(answer, DomainError)} == {"unavailable"}
    assert large == Stored(20, 0)  # alone, even the largest call is taken
    assert len(kept()) == 24


def test_a_caller_that_goes_away_disturbs_nobody(row: Make) -> None:
    async def work(writer: GroupCommit) -> Stored:
        gone = asyncio.create_task(writer.store([row()]))
        stays = asyncio.create_task(writer.store([row()]))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert with_writer(work) == Stored(1, 0)
    assert len(kept()) == 2
