"""An answer as bytes, whoever sends it: Django's views or the serving lane in front of them."""

from typing import Any, NamedTuple

from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json

type Header = tuple[bytes, bytes]


class Answer(NamedTuple):
    """Status, headers (names in lower case, as ASGI has them) and body of one answer."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = b""


_CHALLENGE = (b"www-authenticate", b'Bearer realm="PromptForge"')
_RETRY = (b"retry-after", b"1")
_PROBLEM = ((b"content-type", b"application/problem+json"), (b"cache-control", b"no-store"))


def problem_answer(error: DomainError, request_id: str) -> Answer:
    """A refusal as RFC 9457 has it."""
    body: dict[str, Any] = {
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "errors": [fault.as_dict() for fault in error.faults],
        "request_id": request_id,
        **error.extra,
    }
    headers: tuple[Header, ...] = _PROBLEM
    if error.status == 401:
        headers += (_CHALLENGE,)
    if error.status == 503:
        headers += (_RETRY,)
    return Answer(error.status, headers, canonical_json(body).encode())
