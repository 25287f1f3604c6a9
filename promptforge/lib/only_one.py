"""The right of one worker among many, kept by PostgreSQL: it ends with the session of whoever has it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def only_one(number: int) -> Iterator[bool]:
    """Whether the right with this number is ours until the block ends, or `let_go`; false when another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        mine = bool(cursor.fetchone()[0])
    try:
        yield mine
    finally:
        if mine:
            let_go(number)


def let_go(number: int) -> None:
    """Give the right up before the block ends. What is not held any more is given up without a word."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_unlock(%s) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() "
            "AND classid = 0 AND objid = %s AND objsubid = 1",
            [number, number],
        )
