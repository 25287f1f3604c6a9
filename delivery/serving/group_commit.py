"""Storing observations from many requests at once: whoever waits at the same time shares one transaction.

Nobody is answered before the commit. One statement is one transaction here, so a batch takes one round trip and one
flush to disk, however many calls are in it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import psycopg

from delivery.serving.connections import cut_off
from delivery.storing import COLUMNS, STATEMENT, Row, Stored, parameters, settle
from promptforge.lib.errors import DomainError
from promptforge.lib.refusals import explain_driver

MOST_WAITING = 64 * 1024 * 1024  # characters, over all calls that wait
LARGEST_BATCH = 8 * 1024 * 1024
SILENCE = 10.0  # seconds after which a batch that is not answered counts as lost: more than any takes, or a lock
ROW_COST = 500  # characters that a row counts besides its texts
_TEXTS = [list(COLUMNS).index(name) for name in ("variables", "input", "output", "error", "metadata")]

NOT_KNOWN = (
    "The database was lost before it answered, so it is not known whether anything was stored. "
    "Send it again with the same ids: each is stored once."
)

type Connection = psycopg.AsyncConnection[Any]


class _Waiting(NamedTuple):
    rows: Sequence[Row]
    size: int
    answer: asyncio.Future[Stored]


class GroupCommit:
    """One writer for one event loop, on a connection of its own that commits by itself (`autocommit`).

    `connect` opens it: at the first call, and again when it was lost.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._waiting: deque[_Waiting] = deque()
        self._size = 0
        self._writer: asyncio.Task[None] | None = None

    async def store(self, rows: Sequence[Row]) -> Stored:
        """Store a call's rows; durable when it returns.

        Raises DomainError: unavailable when too much waits already or the database does not answer, whereupon it may
        not be known whether the rows were stored; what the database refuses of this call alone.
        """
        if not rows:
            return Stored(0, 0)
        size = sum(map(_size, rows))
        if self._waiting and self._size + size > MOST_WAITING:
            raise DomainError(
                "unavailable",
                "More observations wait to be stored than fit in memory. None of these was; send them again.",
            )
        answer: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(rows, size, answer))
        self._size += size
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await answer

    async def close(self) -> None:
        """Store what waits, and leave the database."""
        if self._writer is not None:
            await self._writer
        if self._connection is not None:
            await self._connection.close()

    async def _write(self) -> None:
        """Batch after batch, until nobody waits; what comes meanwhile is in the next one."""
        while self._waiting:
            batch = self._next_batch()
            try:
                await self._store_together(batch)
            except Exception as error:  # noqa: BLE001  each caller gets it
                for call in batch:
                    _answer(call, _told(error))

    def _next_batch(self) -> list[_Waiting]:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and size + self._waiting[0].size <= LARGEST_BATCH:
            batch.append(self._waiting.popleft())
            size += batch[-1].size
        self._size -= size
        return batch

    async def _store_together(self, batch: list[_Waiting]) -> None:
        """All calls in one transaction; when the database refuses that, each in one of its own."""
        try:
            inserted = await self._insert([row for call in batch for row in call.rows])
        except psycopg.Error as error:
            if len(batch) == 1 or _lost(error):
                raise
            for call in batch:
                try:
                    inserted = await self._insert(call.rows)
                except psycopg.Error as refusal:
                    _answer(call, _told(refusal))
                else:
                    _answer(call, settle(call.rows, inserted))
        else:
            for call in batch:
                _answer(call, settle(call.rows, inserted))

    async def _insert(self, rows: Sequence[Row]) -> set[tuple[int, str]]:
        """What was inserted. When the connection is lost, once more on another one: ids make that safe."""
        given, sent_and_lost = parameters(rows), False
        for last in (False, True):
            sent = False
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await self._connect()
                sent = True
                with cut_off(self._connection, SILENCE):
                    cursor = await self._connection.execute(STATEMENT, given)
                    return set(await cursor.fetchall())
            except psycopg.OperationalError as error:
                sent_and_lost |= sent and _lost(error)
                if last or not _lost(error):
                    if sent_and_lost:
                        raise DomainError("unavailable", NOT_KNOWN) from error
                    raise
                if self._connection is not None:
                    await self._connection.close()
        raise AssertionError("the second attempt returns or raises")


def _size(row: Row) -> int:
    return ROW_COST + sum([len(row[index]) for index in _TEXTS if row[index] is not None])


def _lost(error: psycopg.Error) -> bool:
    """Whether there is no connection (any more), which says nothing about the rows."""
    state = error.sqlstate or ""
    return isinstance(error, psycopg.OperationalError) and (not state or state.startswith(("08", "57P")))


def _answer(call: _Waiting, outcome: Stored | Exception) -> None:
    """Tell a caller, unless it has gone away."""
    if call.answer.done():
        return
    if isinstance(outcome, Exception):
        call.answer.set_exception(outcome)
    else:
        call.answer.set_result(outcome)


def _told(error: Exception) -> Exception:
    """The refusal that a caller gets; a fault of ours stays what it is."""
    return (explain_driver(error) if isinstance(error, psycopg.Error) else None) or error
