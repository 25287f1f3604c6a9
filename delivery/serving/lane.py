"""The lane in front of Django: plain fetches, answered from memory that was checked after the request had arrived.

It takes what it knows how to answer byte for byte as Django's views would, and leaves the rest to them: sessions,
other methods, `_at`, addresses that are no UTF-8, and hosts that are not ours.
"""

import logging
import time
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.csp import build_policy

from accounts.authentication import bearer_token, not_signed_in, refuse_key_in_url
from accounts.roles import Permission
from delivery.fetching import Asked, read_query
from delivery.limits import FETCHES
from delivery.serving.engine import Engine, key_of
from promptforge.lib import logs, metrics
from promptforge.lib.answers import Answer, Header, problem_answer
from promptforge.lib.errors import DomainError
from promptforge.lib.request_ids import request_id
from promptforge.lib.verdicts import require

log = logging.getLogger("promptforge.serving")

PROMPTS = "/api/v1/prompts/"
_LONGEST_QUERY = 16_384
_MOST_REMEMBERED = 1_000
# Whoever sends one of these wants what only Django's views do.
_FOR_DJANGO = frozenset({b"promptforge-project", b"transfer-encoding", b"content-encoding"})
_STALE: Header = (b"promptforge-stale", b"true")
_BY_COOKIE: Header = (b"vary", b"Cookie")


class Request(NamedTuple):
    """A fetch as it arrived, for the lane to answer."""

    name: str
    query: bytes
    authorization: str | None
    known: bytes | None
    id: str


class Lane:
    """Answers what it takes; `serve` says whether it did."""

    def __init__(self) -> None:
        self.engine = Engine()
        self._standing = _standing_headers()
        self._hosts: set[bytes] = set()
        self._https_only = settings.SECURE_SSL_REDIRECT
        self._asked: dict[bytes, Asked] = {b"": Asked()}

    async def serve(self, scope: Any, send: Any) -> bool:
        """Answer the request if it is for the lane; False when Django is to answer it, and nothing was sent."""
        begun = time.perf_counter()
        request = self._read(scope)
        if request is None:
            return False
        try:
            answered = await self._answer(request)
        except Exception:
            with logs.bound(request_id=request.id):
                log.exception("the lane could not answer; Django does")
            return False
        if answered is None:
            return False
        answer, more = answered
        headers = [*answer.headers, *more, *self._standing, (b"x-request-id", request.id.encode())]
        if answer.status != 304:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
        metrics.count("fast", "fetch", answer.status, time.perf_counter() - begun)
        return True

    def _read(self, scope: Any) -> Request | None:
        path: str = scope["path"]
        if not path.startswith(PROMPTS) or scope["method"] not in ("GET", "HEAD"):
            return None
        given = scope["headers"]
        headers = dict(given)
        name, query = path[len(PROMPTS) :], scope["query_string"]
        if (
            len(headers) != len(given)  # a header twice
            or not _FOR_DJANGO.isdisjoint(headers)
            or headers.get(b"content-length", b"0") != b"0"
            or not name
            or not name.isprintable()
            or "\ufffd" in name
            or not self._is_ours(headers)
            or not _accepts_json(headers.get(b"accept"))
            or not (query in self._asked or _is_plain(query))
        ):
            return None
        authorization = headers.get(b"authorization")
        if authorization is None and b"cookie" in headers:
            return None
        return Request(
            name,
            query,
            None if authorization is None else authorization.decode("latin-1"),
            headers.get(b"if-none-match"),
            request_id(headers.get(b"x-request-id", b"").decode("latin-1")),
        )

    async def _answer(self, request: Request) -> tuple[Answer, tuple[Header, ...]] | None:
        """The answer and what else to tell with it; None when Django is to answer."""
        more: tuple[Header, ...] = ()
        try:
            refuse_key_in_url(request.name, request.query.decode("latin-1"))
            if request.authorization is None:
                return problem_answer(not_signed_in(), request.id), (_BY_COOKIE,)
            caller, fresh = await self.engine.admit(bearer_token(request.authorization))
            bucket = FETCHES.of(key_of(caller))
            taken, more = bucket.take()
            if not taken:
                raise FETCHES.refusal(bucket)
            require(caller.may_somewhere(Permission.READ))
            asked = self._query(request.query)
            if asked.at is not None:
                return None
            payload = await self.engine.payload(caller, request.name, asked.selector, fresh=fresh)
            if not fresh and asked.selector.number is None:
                metrics.STALE.inc()
                more += (_STALE,)
            return payload.answer(asked, request.known), more
        except DomainError as error:
            return problem_answer(error, request.id), more

    def _query(self, query: bytes) -> Asked:
        asked = self._asked.get(query)
        if asked is None:
            asked = read_query(parse_qsl(query.decode("ascii"), keep_blank_values=True))
            if not asked.values and len(self._asked) < _MOST_REMEMBERED:
                self._asked[query] = asked
        return asked

    def _is_ours(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the host is one of ours and, in production, the proxy says that it was asked by HTTPS."""
        if self._https_only and headers.get(b"x-forwarded-proto") != b"https":
            return False
        host = headers.get(b"host")
        if host is None:
            return False
        if host not in self._hosts:
            domain, _ = split_domain_port(host.decode("latin-1"))
            if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
                return False
            if len(self._hosts) < _MOST_REMEMBERED:
                self._hosts.add(host)
        return True


def _is_plain(query: bytes) -> bool:
    """Whether the query can be read here: what is no UTF-8, holds NUL or asks about the past is Django's."""
    if len(query) > _LONGEST_QUERY or b"_at=" in query or not query.isascii():
        return False
    plain = unquote_to_bytes(query)
    try:
        plain.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in plain


def _accepts_json(accept: bytes | None) -> bool:
    return accept is None or accept in (b"*/*", b"application/json")


def _standing_headers() -> tuple[Header, ...]:
    """What Django's middleware and views put on every answer of the API."""
    headers = {
        "allow": "GET, POST, PATCH, HEAD, OPTIONS",
        "x-frame-options": settings.X_FRAME_OPTIONS,
        "content-security-policy": build_policy(settings.SECURE_CSP),
        "x-content-type-options": "nosniff",
        "referrer-policy": settings.SECURE_REFERRER_POLICY,
        "cross-origin-opener-policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
    }
    if settings.SECURE_HSTS_SECONDS:
        headers["strict-transport-security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
    return tuple((name.encode(), str(value).encode()) for name, value in headers.items())
