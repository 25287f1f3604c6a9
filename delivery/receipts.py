"""Receipts: a short signed token in every served prompt, quoted by whoever reports what came of it."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import NamedTuple

from promptforge.lib import keyring

_VERSION = "rc1"
_MAC_BYTES = 16


class Receipt(NamedTuple):
    """Row ids of what was served; `channel` and `revision` are None for a number and for `latest`."""

    project: int
    prompt: int
    version: int
    channel: int | None
    revision: int | None
    arm: str | None


def write_receipt(receipt: Receipt) -> str:
    """`rc1.<key id>.<payload>.<mac>`: the same for the same state, and no user in it."""
    key = keyring.current("receipt")
    payload = _encode(json.dumps(list(receipt), separators=(",", ":")).encode())
    return f"{_VERSION}.{key.id}.{payload}.{_mac(key, payload)}"


def read_receipt(text: str) -> Receipt | None:
    """What a receipt says; None when it is not one of ours. Receipts of retired keys are still read."""
    parts = text.split(".")
    if len(parts) != 4 or parts[0] != _VERSION or not text.isascii():
        return None
    key = keyring.find("receipt", parts[1])
    if key is None or not hmac.compare_digest(_mac(key, parts[2]), parts[3]):
        return None
    try:
        return Receipt(*json.loads(base64.urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4))))
    except (binascii.Error, ValueError, TypeError):
        return None


def _mac(key: keyring.Key, payload: str) -> str:
    return _encode(
        hmac.new(key.secret, f"{_VERSION}.{key.id}.{payload}".encode(), hashlib.sha256).digest()[:_MAC_BYTES]
    )


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
