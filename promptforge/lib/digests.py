"""Digests over fields, as the database computes them: netstrings, so that no two different rows share a text."""

import hashlib
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def digest_of(*fields: object) -> bytes:
    """SHA-256 over `length:text,` for each field and `~` for None; lengths in bytes of UTF-8."""
    parts = []
    for field in fields:
        if field is None:
            parts.append(b"~")
        else:
            text = str(field).encode()
            parts.append(b"%d:%b," % (len(text), text))
    return hashlib.sha256(b"".join(parts)).digest()


def micros(moment: datetime) -> int:
    """Microseconds since 1970, UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
