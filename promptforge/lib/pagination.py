"""Keyset pages: `{"data": […], "next": cursor | null}`, stable while rows are added."""

from collections.abc import Callable
from typing import Any

from django.core import signing
from django.db.models import Q, QuerySet
from rest_framework.request import Request

from promptforge.lib.errors import DomainError, shorten

NEWEST_FIRST = "-at"
DEFAULT_LIMIT, LARGEST_LIMIT = 50, 200
PARAMETERS = ("limit", "cursor")


def page(request: Request, rows: QuerySet[Any], *, key: str, shape: Callable[[Any], Any]) -> dict[str, Any]:
    """One page of `rows`, ordered by the unique field `key` (descending when it begins with `-`).

    `-at` orders rows that have an `at`, which several may share: the newest first, and of those the last inserted.
    """
    limit = _limit(request.query_params.get("limit"))
    field, descending = key.removeprefix("-"), key.startswith("-")
    rows = rows.order_by(key, "-id") if key == NEWEST_FIRST else rows.order_by(key)
    if (cursor := request.query_params.get("cursor")) is not None:
        position = _position(cursor, key)
        if key == NEWEST_FIRST:
            at, pk = position
            rows = rows.filter(Q(at__lt=at) | Q(at=at, id__lt=pk), at__lte=at)
        else:
            rows = rows.filter(**{f"{field}__{'lt' if descending else 'gt'}": position})
    found = list(rows[: limit + 1])
    more = len(found) > limit
    shown = found[:limit]
    following = signing.dumps([key, _place(shown[-1], field)], salt="cursor") if more else None
    return {"data": [shape(row) for row in shown], "next": following}


def _place(row: Any, field: str) -> Any:
    return [row.at.isoformat(), row.pk] if field == "at" else getattr(row, field)


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= LARGEST_LIMIT):
        raise DomainError("bad_limit", f"limit is a whole number from 1 to {LARGEST_LIMIT}, not {shorten(text)}.")
    return int(text)


def _position(cursor: str, key: str) -> Any:
    try:
        ordered_by, position = signing.loads(cursor, salt="cursor")
    except (signing.BadSignature, ValueError, TypeError):
        ordered_by = position = None
    if ordered_by != key:
        raise DomainError("bad_cursor", "Use the `next` of an answer of this list as the cursor, unchanged.")
    return position
