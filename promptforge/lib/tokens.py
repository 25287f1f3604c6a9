"""API keys as text: `pf_<env>_<id>_<secret><crc>`, recognisable, and checkable for typing errors without a look-up."""

import secrets
import string
import zlib
from typing import NamedTuple

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 10, 32, 6  # 32 base62 characters hold 190.5 bits


class Token(NamedTuple):
    public_id: str
    text: str


def new_token(environment: str) -> Token:
    """A fresh key for an environment (`live` or `dev`)."""
    public_id = _random(ID_LENGTH)
    body = f"pf_{environment}_{public_id}_{_random(SECRET_LENGTH)}"
    return Token(public_id, body + _checksum(body))


def public_id_of(text: str) -> str | None:
    """The public id of a well-formed key; None when the form or the checksum is wrong."""
    parts = text.split("_")
    if len(parts) != 4 or parts[0] != "pf" or parts[1] not in ("live", "dev") or not text.isascii():
        return None
    public_id, rest = parts[2], parts[3]
    if len(public_id) != ID_LENGTH or len(rest) != SECRET_LENGTH + CHECK_LENGTH:
        return None
    return public_id if _checksum(text[:-CHECK_LENGTH]) == text[-CHECK_LENGTH:] else None


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
