"""Instants as text: RFC 3339, with a zone, to the microsecond."""

import re
from contextlib import suppress
from datetime import UTC, datetime

from promptforge.lib.errors import DomainError, shorten

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)


def parse_instant(text: str, name: str) -> datetime:
    """Read an RFC 3339 instant; `name` is what it is called in the refusal."""
    if _FORM.fullmatch(text):
        with suppress(ValueError, OverflowError):  # of the right form, and still no day of the calendar
            return datetime.fromisoformat(text.upper().replace(" ", "T")).astimezone(UTC)
    raise DomainError(
        "bad_timestamp", f"{name} is {shorten(text)}; write an instant with its zone, such as 2026-11-17T10:00:00Z."
    )


def format_instant(moment: datetime) -> str:
    """`2026-11-17T10:00:00.000000Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def instant_in_words(moment: datetime) -> str:
    """`17 November 2026, 10:00 UTC`."""
    moment = moment.astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"
