"""What a webhook says, how it is signed (Standard Webhooks 1.0, standardwebhooks.com) and when it is tried again."""

import base64
import binascii
import hashlib
import hmac
import random
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes of a secret, as the specification has it

# The pauses before the second and each further try, as the specification proposes: 75 hours and 35 minutes in all.
PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
GONE = 410


def pause_after(tries: int) -> timedelta | None:
    """How long to wait after so many failed tries, up to a tenth longer by chance; None when that was the last one."""
    if tries > len(PAUSES):
        return None
    return PAUSES[tries - 1] * random.uniform(1.0, 1.1)  # noqa: S311  nothing secret hangs on it


def new_secret() -> str:
    """A fresh secret, as it is shown: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(text: str) -> None:
    """Refuse a secret that receivers' libraries could not use; the refusal never quotes it."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise DomainError(
            "bad_value", f"A secret is {PREFIX} followed by {SHORTEST} to {LONGEST} bytes in base64. Or leave it out."
        )


def signed_headers(*, message_id: str, timestamp: int, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """The three headers of the standard; of several secrets each signs, so that a receiver may know any of them."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        base64.b64encode(hmac.new(base64.b64decode(key.removeprefix(PREFIX)), signed, hashlib.sha256).digest()).decode()
        for key in keys
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def standard_body(told: Mapping[str, Any]) -> bytes:
    """`{"type", "timestamp", "data"}`: the event as the list of events shows it, with project and address."""
    return canonical_json({"type": told["kind"], "timestamp": told["at"], "data": told}).encode()


def slack_body(sentence: str, url: str) -> bytes:
    """A message for Slack's incoming webhooks, and for whatever else takes them: one sentence and one link."""
    return canonical_json({"text": f"{_plain(sentence)} <{url}|Open>"}).encode()


def _plain(text: str) -> str:
    """Text in which nothing is a mention, a link or a command of Slack's."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
