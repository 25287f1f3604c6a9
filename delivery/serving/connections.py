"""The lane's own connections to PostgreSQL: opened in bounded time, and cut off when they fall silent."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from promptforge.lib.conninfo import conninfo

# For each host of the address; and for all of them, whose names must be resolved too.
_CONNECTING_ONE, _CONNECTING = 2, 10.0  # seconds
# A peer that is gone without a word, as after a failover, is noticed in this time, unless the address says otherwise.
_PATIENCE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2, "tcp_user_timeout": 20_000}


async def connect(**options: Any) -> psycopg.AsyncConnection[Any]:
    """A new connection, on which each statement commits by itself. Raises OperationalError when there is none."""
    address = conninfo(_PATIENCE, application_name="promptforge serving", connect_timeout=_CONNECTING_ONE)
    try:
        async with asyncio.timeout(_CONNECTING):
            return await psycopg.AsyncConnection.connect(address, autocommit=True, **options)
    except OSError as error:  # TimeoutError is one
        raise psycopg.OperationalError(f"no connection: {error!r}") from error


@contextmanager
def cut_off(connection: psycopg.AsyncConnection[Any], seconds: float) -> Iterator[None]:
    """Let the connection be lost if the block takes longer: what waits for an answer gets OperationalError at once.

    Cancelling what waits would not do: the driver then asks the server to cancel, and waits ten seconds for it.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _shut_down, connection)
    try:
        yield
    finally:
        timer.cancel()


def _shut_down(connection: psycopg.AsyncConnection[Any]) -> None:
    """Not closed, for the loop still watches this descriptor, whose number the next file would get."""
    if not connection.closed:
        with socket.socket(fileno=os.dup(connection.pgconn.socket)) as theirs, suppress(OSError):
            theirs.shutdown(socket.SHUT_RDWR)
