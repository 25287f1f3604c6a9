"""The strict check: is what this process remembers of a project still what PostgreSQL has?

Requests that arrive while one check is on its way wait for the next, which then serves them all. So every answer
reflects a read of the primary that began after its request had arrived, and the read's cost is shared under load.
(etcd batches its ReadIndex in the same way.)
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.pq import ExecStatus, Format

from delivery.serving.connections import connect, cut_off
from promptforge.lib import metrics

log = logging.getLogger("promptforge.serving")

_PREPARE = (
    "PREPARE promptforge_fresh (bigint[]) AS SELECT project_id, generation, epoch, clock_timestamp() "
    "FROM public.events_serving WHERE project_id = ANY ($1)"
)
_EPOCH_OF_POSTGRES = datetime(2000, 1, 1, tzinfo=UTC)
_SILENCE = 2.0  # seconds after which a check that is not answered counts as a database that is gone
_PAUSE = 0.1  # seconds between two attempts to reach it again


class Serving(NamedTuple):
    """A project's serving row."""

    project: int
    generation: int
    epoch: UUID


class _Batch:
    """Requests that are answered by one check, by their projects."""

    def __init__(self) -> None:
        self.waiting: defaultdict[int, list[asyncio.Future[bool]]] = defaultdict(list)
        self.was_lost = False  # with the connection that it was asked on

    def join(self, other: "_Batch") -> None:
        for project, futures in other.waiting.items():
            self.waiting[project] += futures

    def give_up(self) -> None:
        for futures in self.waiting.values():
            _settle(futures, fresh=False)


class Freshness:
    """Asks on a connection of its own; `catch_up` learns of each project that has moved, before its requests go on."""

    def __init__(
        self,
        is_current: Callable[[Serving], bool],
        catch_up: Callable[[int], Awaitable[None]],
    ) -> None:
        self._is_current = is_current
        self._catch_up = catch_up
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._tried = asyncio.Event()
        self._next: _Batch | None = None
        self._asked: _Batch | None = None
        self._asked_at = 0.0
        self._rows: list[Serving] = []
        self._micros = 0
        self._said = False
        self._tasks: set[asyncio.Task[None]] = set()

    def now(self) -> datetime:
        """The database's clock as of the newest check."""
        return _EPOCH_OF_POSTGRES + timedelta(microseconds=self._micros)

    async def check(self, project: int) -> bool:
        """Whether memory is true again for this project, as of now; False when PostgreSQL cannot be asked.

        Raises what `catch_up` raises: memory is known to be old then, so nobody is answered from it.
        """
        if self._connection is None:
            await self._attempt()
        asked = self.ask(project)
        return False if asked is None else await asked

    def ask(self, project: int) -> asyncio.Future[bool] | None:
        """The same without waiting: what is to be awaited; None when there is no connection (yet)."""
        if self._connection is None:
            return None
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._next is None:
            self._next = _Batch()
            if self._asked is None:
                # Not at once: whoever arrives in the same turn of the loop shares it.
                asyncio.get_running_loop().call_soon(self._ask)
        self._next.waiting[project].append(future)
        return future

    def close(self) -> None:
        """Let go of the connection; nobody may be waiting."""
        if self._keeper is not None:
            self._keeper.cancel()
        self._disconnect()

    # -- one check

    def _ask(self) -> None:
        if self._asked is not None or self._next is None or self._connection is None:
            return
        self._asked, self._next = self._next, None
        projects = b"{%s}" % b",".join(b"%d" % project for project in self._asked.waiting)
        try:
            self._pg.send_query_prepared(b"promptforge_fresh", [projects], result_format=Format.BINARY)
            self._pg.flush()
        except psycopg.Error as error:
            self._lost(error)
            return
        self._asked_at = asyncio.get_running_loop().time()

    def _readable(self) -> None:
        try:
            self._pg.consume_input()
            while not self._pg.is_busy():
                result = self._pg.get_result()
                if result is None:
                    self._answered()
                    return
                self._read(result)
        except psycopg.Error as error:
            self._lost(error)

    def _read(self, result: Any) -> None:
        if result.status != ExecStatus.TUPLES_OK:
            raise psycopg.OperationalError(result.error_message.decode(errors="replace"))
        for index in range(result.ntuples):
            project, generation, epoch, clock = (result.get_value(index, column) for column in range(4))
            self._rows.append(Serving(_integer(project), _integer(generation), UUID(bytes=bytes(epoch))))
            self._micros = _integer(clock)

    def _answered(self) -> None:
        batch, rows = self._asked, self._rows
        self._asked, self._rows = None, []
        if batch is None:
            return
        took = asyncio.get_running_loop().time() - self._asked_at
        metrics.checked(requests=sum(map(len, batch.waiting.values())), seconds=took)
        if self._next is not None:
            self._ask()
        current = {row.project for row in rows if self._is_current(row)}
        for project, futures in batch.waiting.items():
            if project in current:
                _settle(futures, fresh=True)
            else:
                task = asyncio.ensure_future(self._settle_after_catching_up(project, futures))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _settle_after_catching_up(self, project: int, futures: list[asyncio.Future[bool]]) -> None:
        try:
            await self._catch_up(project)
        except Exception as error:  # noqa: BLE001  each of them gets it
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        else:
            _settle(futures, fresh=True)

    # -- the connection

    @property
    def _pg(self) -> Any:
        assert self._connection is not None
        return self._connection.pgconn

    async def _attempt(self) -> None:
        """Wait for one attempt since the start or a loss; once PostgreSQL is known to be gone, nobody waits for it."""
        if self._keeper is None:
            self._keeper = asyncio.ensure_future(self._keep())
        if not self._tried.is_set():
            await self._tried.wait()

    async def _keep(self) -> None:
        """Connect, watch for silence, and connect again, as long as the process lives."""
        loop = asyncio.get_running_loop()
        while True:
            if self._connection is None:
                try:
                    await self._connect(loop)
                except Exception as error:  # noqa: BLE001  whatever it is, nobody may wait for ever
                    self._say_once(error)
                    self._give_up()
                self._tried.set()
            elif self._asked is not None and loop.time() - self._asked_at > _SILENCE:
                self._lost(psycopg.OperationalError(f"no answer for {_SILENCE:.0f} seconds"))
            await asyncio.sleep(_PAUSE)

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        connection = await connect()
        with cut_off(connection, _SILENCE):
            await connection.execute(_PREPARE)
        self._connection, self._rows = connection, []
        if self._said:
            log.warning("PostgreSQL answers the serving lane again")
            self._said = False
        loop.add_reader(connection.pgconn.socket, self._readable)
        self._ask()  # what was lost with the connection before

    def _say_once(self, error: Exception) -> None:
        """One line at the beginning of an outage, not one for each attempt to end it."""
        if not self._said:
            log.warning("PostgreSQL does not answer the serving lane: %s", str(error).strip().split("\n")[0])
            self._said = True

    def _lost(self, error: Exception) -> None:
        """Only this connection may be gone: whoever waits is asked for once more on the next, and then given up."""
        self._say_once(error)
        self._disconnect()
        batch, self._asked = self._asked, None
        if batch is not None and not batch.was_lost:
            batch.was_lost = True
            if self._next is not None:
                batch.join(self._next)
            self._next = batch
        elif batch is not None:
            batch.give_up()
        # So whoever comes now waits for the next attempt too.
        self._tried.clear()

    def _give_up(self) -> None:
        batch, self._next = self._next, None
        if batch is not None:
            batch.give_up()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error, ValueError):
                asyncio.get_running_loop().remove_reader(self._pg.socket)
            self._pg.finish()
            self._connection = None


def _settle(futures: list[asyncio.Future[bool]], *, fresh: bool) -> None:
    for future in futures:
        if not future.done():
            future.set_result(fresh)


def _integer(field: bytes) -> int:
    return int.from_bytes(field, "big", signed=True)
