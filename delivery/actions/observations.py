"""Storing what services report, on Django's own connection."""

from django.db import connection

from delivery import naming, storing
from delivery.intake import Batch, Reach, open_call
from delivery.storing import Row, Stored
from promptforge.lib.refusals import refusals


def read_observations(*, body: bytes, reach: Reach) -> Batch:
    """A call's rows that can be stored, and what is wrong with the others; what they name takes one query."""
    call = open_call(body, reach)
    with connection.cursor() as cursor:
        cursor.execute(naming.STATEMENT, naming.parameters(reach.project, call.wanted))
        return call.close(naming.known_of(cursor.fetchall()))


def store_observations(*, rows: list[Row]) -> Stored:
    """Insert what is not there yet; durable when this returns."""
    if not rows:
        return Stored(0, 0)
    with refusals(), connection.cursor() as cursor:
        cursor.execute(storing.STATEMENT, storing.parameters(rows))
        return storing.settle(rows, set(cursor.fetchall()))
