"""What a provider's refusal means: one table, so that a failed call is never taken for an answer."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from evaluations.providers.interface import CallFailed, Failure, inside, word
from promptforge.lib.errors import shorten
from promptforge.lib.http import Unreachable

LONGEST_RETRY_AFTER = 120.0  # seconds; whoever asks for more is asked again after that

# Of what a provider answers, this is tried again and nothing else: the same call may well be answered the next time.
_RETRIED = frozenset({Failure.RATE_LIMITED, Failure.TIMEOUT, Failure.SERVER_ERROR})

_NO_CREDIT = {"insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached"}
_NO_KEY = {"invalid_api_key", "authentication_error", "api_key_invalid", "unauthenticated"}
# What an error is called where it has no status of its own: inside of a 200.
_STATUS_OF = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "resource_exhausted": 429,
    "overloaded_error": 529,
    "server_error": 500,
    "api_error": 500,
    "internal": 500,
    "internal_error": 500,
    "unavailable": 503,
    "timeout": 408,
    "permission_error": 403,
    "permission_denied": 403,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "not_found_error": 404,
    "model_not_found": 404,
}
_OF_UNREACHABLE = {"timeout": Failure.TIMEOUT, "too_large": Failure.TOO_LARGE}
_FOR_GOOD = {"tls", "too_large"}


def of_no_answer(unreachable: Unreachable) -> CallFailed:
    """The failure of a call that brought nothing back."""
    kind = _OF_UNREACHABLE.get(unreachable.reason, Failure.UNREACHABLE)
    return CallFailed(kind, f"The provider: {unreachable}", retryable=unreachable.reason not in _FOR_GOOD)


def of_error(content: Mapping[str, Any], headers: Mapping[str, str], key: str) -> CallFailed:
    """The failure of an answer with status 200 that holds an error."""
    code = inside(content, "error", "code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    status = status or next((_STATUS_OF[w] for w in _names(content) if w in _STATUS_OF), None)
    if status or _names(content) & (_NO_CREDIT | _NO_KEY):
        return of_status(status or 401, content, headers, key)
    return CallFailed(Failure.BAD_ANSWER, f"The provider answered with an error.{_said(content, key)}")


def of_status(status: int, content: Any, headers: Mapping[str, str], key: str) -> CallFailed:
    """The failure that an answer's status and its parsed body, or None, tell of."""
    names = _names(content)
    table = (
        (names & _NO_CREDIT or status == 402, Failure.BAD_KEY, "The account of this key has no credit left."),
        (names & _NO_KEY or status in (401, 403), Failure.BAD_KEY, f"The provider refuses the key ({status})."),
        (status == 429, Failure.RATE_LIMITED, "The provider allows no more calls now (429)."),
        (status == 408, Failure.TIMEOUT, "The provider gave up waiting (408)."),
        (status >= 500 or status in (409, 425), Failure.SERVER_ERROR, f"The provider is in trouble ({status})."),
        (status >= 400, Failure.BAD_REQUEST, f"The provider does not take this call ({status})."),
        (True, Failure.BAD_ANSWER, f"The provider answered with status {status}: check the connection's address."),
    )
    kind, sentence = next((kind, sentence) for applies, kind, sentence in table if applies)
    retryable = kind in _RETRIED
    # What a provider says of a key may quote it.
    said = "" if kind is Failure.BAD_KEY else _said(content, key)
    return CallFailed(
        kind, f"{sentence}{said}", retryable=retryable, retry_after=retry_after(headers) if retryable else None
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to be left alone, at most `LONGEST_RETRY_AFTER`; None when it names none."""
    named = {name.lower(): value.strip() for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _seconds(named.get(name, ""), unit)
        if seconds is not None:
            return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
    return None


def _seconds(text: str, unit: float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        try:
            return (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return None if math.isnan(number) else number * unit


def _names(content: Any) -> set[str]:
    """The words by which an error calls itself; each of the three puts them elsewhere."""
    places = [("error", "code"), ("error", "type"), ("error", "status"), ("error", "details", 0, "reason")]
    return {word(inside(content, *place)).lower() for place in places} - {""}


def _said(content: Any, key: str) -> str:
    """What the provider says about it, shortened and without the key."""
    message = inside(content, "error", "message")
    text = message if isinstance(message, str) else inside(content, "error")
    if not isinstance(text, str) or not text.strip():
        return ""
    if len(key) >= 4:
        text = text.replace(key, "[key]")
    text = re.sub(r"\b(?:sk|AIza|key|pk|rk)[-_]?[\w*-]{12,}", "[key]", text)
    return f" It says: {shorten(' '.join(text.split()), 200)}"
