"""How many calls a provider is asked at once: learnt by all workers together, in one row for each connection.

Additive increase, multiplicative decrease (Chiu & Jain 1989): a refusal for too many calls takes a fifth away, a whole
round of answers gives one back. Only 429 takes away; a provider in trouble is not one that is asked too much. A calls's
refusal counts once: those that had begun before the last decrease say nothing new.
"""

from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

SHRINK = 0.8
CALM = 15.0  # seconds after a refusal in which nothing is given back
_LOCK = """
    SELECT least(r.allowed, c.max_concurrency),
        extract(epoch FROM r.resumes_at - public.promptforge_now())
    FROM evaluations_connectionrate r JOIN evaluations_modelconnection c ON c.id = r.connection_id
    WHERE r.connection_id = %s FOR NO KEY UPDATE OF r"""
_BEGIN = """
    INSERT INTO evaluations_connectionrate (connection_id, allowed)
    SELECT id, max_concurrency FROM evaluations_modelconnection WHERE id = %s ON CONFLICT DO NOTHING"""
# At its ceiling it writes nothing, which is what nearly every call meets.
_GROW = """
    UPDATE evaluations_connectionrate r SET allowed = least(r.allowed + 1 / r.allowed, c.max_concurrency)
    FROM evaluations_modelconnection c
    WHERE c.id = r.connection_id AND r.connection_id = %(connection)s AND r.allowed < c.max_concurrency
        AND public.promptforge_now() > coalesce(r.shrunk_at + %(calm)s * interval '1 second', '-infinity')"""
_SHRINK = """
    UPDATE evaluations_connectionrate SET
        allowed = CASE WHEN coalesce(shrunk_at, '-infinity') < %(began_at)s
            THEN greatest(1, allowed * %(shrink)s) ELSE allowed END,
        shrunk_at = CASE WHEN coalesce(shrunk_at, '-infinity') < %(began_at)s
            THEN public.promptforge_now() ELSE shrunk_at END,
        resumes_at = greatest(resumes_at, public.promptforge_now() + %(retry_after)s * interval '1 second')
    WHERE connection_id = %(connection)s"""


class Room(NamedTuple):
    """How many calls may be under way at once; when none, in how many seconds it is worth asking again."""

    calls: int
    wait: float


def room(connection_id: int) -> Room:
    """Lock the connection's row until the caller's transaction ends, and say how many calls it takes at once.

    Whoever then counts what is under way, and marks what it will call before it commits, takes nobody's place.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [connection_id])
        row = cursor.fetchone()
        if row is None:
            cursor.execute(_BEGIN, [connection_id])
            cursor.execute(_LOCK, [connection_id])
            row = cursor.fetchone()
    allowed, pause = float(row[0]), max(0.0, float(row[1] or 0))
    return Room(0, pause) if pause else Room(int(allowed), 0.0)


def note_answer(connection_id: int) -> None:
    """A call was answered."""
    with connection.cursor() as cursor:
        cursor.execute(_GROW, {"connection": connection_id, "calm": CALM})


def note_refusal(connection_id: int, *, began_at: datetime, retry_after: float | None) -> None:
    """A call that began then was refused as one too many; `retry_after` is what the provider asks for, in seconds."""
    values: dict[str, Any] = {
        "connection": connection_id,
        "began_at": began_at,
        "shrink": SHRINK,
        "retry_after": retry_after or 0.0,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SHRINK, values)
