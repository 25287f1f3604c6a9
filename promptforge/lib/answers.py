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


LANGFUSE = "/api/public/"

_RETRY: Header = (b"retry-after", b"1")
_NO_STORE: Header = (b"cache-control", b"no-store")
# What Langfuse calls a refusal of each status; its clients decide by the status, people read the name.
_LANGFUSE_NAMES = {
    400: "InvalidRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "LangfuseNotFoundError",
    405: "MethodNotAllowedError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}


def refusal_answer(error: DomainError, request_id: str, path: str) -> Answer:
    """A refusal in the form of the door that was asked: Langfuse's below `/api/public/`, else that of RFC 9457."""
    if path.startswith(LANGFUSE):
        kind, scheme, body = b"application/json", b"Basic", _as_langfuse(error, request_id)
    else:
        kind, scheme, body = b"application/problem+json", b"Bearer", _as_problem(error, request_id)
    headers: tuple[Header, ...] = ((b"content-type", kind), _NO_STORE)
    if error.status == 401:
        headers += ((b"www-authenticate", b'%s realm="PromptForge"' % scheme),)
    if error.status == 503:
        headers += (_RETRY,)
    return Answer(error.status, headers, canonical_json(body).encode())


def _as_langfuse(error: DomainError, request_id: str) -> dict[str, Any]:
    return {
        "message": error.detail,
        "error": _LANGFUSE_NAMES.get(error.status, "ApiError"),
        "code": error.code,
        "request_id": request_id,
    }


def _as_problem(error: DomainError, request_id: str) -> dict[str, Any]:
    return {
        "type": f"/docs/errors#{error.code}",
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "errors": [fault.as_dict() for fault in error.faults],
        "request_id": request_id,
        **error.extra,
    }
