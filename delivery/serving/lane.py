"""The lane in front of Django: plain fetches, answered from memory that was checked after the request had arrived.

It takes what it knows how to answer byte for byte as Django's views would, and leaves the rest to them: sessions,
other methods, `_at`, sources, addresses that are no UTF-8, and hosts that are not ours.
"""

import logging
import time
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.csp import build_policy

from accounts.authentication import bearer_token, refuse_key_in_url
from accounts.roles import Permission
from delivery import fetching, langfuse
from delivery.limits import FETCHES, INTAKE
from delivery.serving import reports
from delivery.serving.doors import Door, Fetch, LangfuseDoor, NativeDoor
from delivery.serving.engine import Engine, key_of
from promptforge.lib import logs, metrics
from promptforge.lib.answers import Answer, Header, refusal_answer
from promptforge.lib.errors import DomainError
from promptforge.lib.request_ids import request_id
from promptforge.lib.verdicts import require

log = logging.getLogger("promptforge.serving")

_LONGEST_QUERY = 16_384
_MOST_HOSTS = 1_000
_FAULT = DomainError(
    "server_error",
    "The report failed through a fault of ours, and it is not known whether anything was stored. "
    "Send it again with the same ids: each is stored once. Quote the request id.",
)
# Whoever sends one of these wants what only Django's views do.
_FOR_DJANGO = frozenset({b"promptforge-project", b"transfer-encoding", b"content-encoding"})


class Lane:
    """Answers what it takes; `serve` says whether it did."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.doors: tuple[Door[Any], ...] = (NativeDoor(fetching.Asked()), LangfuseDoor(langfuse.Asked()))
        self.reports = reports.Reports(self.engine)
        self._standing = _standing_headers()
        self._hosts: set[bytes] = set()
        self._https_only = settings.SECURE_SSL_REDIRECT

    async def serve(self, scope: Any, send: Any) -> bool:
        """Answer the request if it is for the lane; False when Django is to answer it, and nothing was sent."""
        if scope["method"] not in ("GET", "HEAD"):
            return False
        begun, path = time.perf_counter(), scope["path"]
        for door in self.doors:
            if path.startswith(door.path):
                break
        else:
            return False
        fetch = self._read(door, path[len(door.path) :], scope)
        if fetch is None:
            return False
        try:
            answer, more = await self._answer(door, fetch)
        except Exception:
            with logs.bound(request_id=fetch.id):
                log.exception("the lane could not answer; Django does")
            return False
        await send(self._start(answer, more, door.allow, fetch.id))
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})
        metrics.count("fast", door.route, answer.status, time.perf_counter() - begun)
        return True

    async def report(self, scope: Any, body: bytes, send: Any) -> bool:
        """Store observations that arrived with their body, as `serve` answers a fetch."""
        if scope["path"] != reports.PATH or scope["method"] != "POST" or scope["query_string"]:
            return False
        begun = time.perf_counter()
        headers = self._headers(scope)
        if headers is None or b"authorization" not in headers or not reports.takes(body, headers):
            return False
        own_id, more, begun_to_store = _id_of(headers), tuple[Header, ...](), False
        try:
            caller, fresh = await self.engine.admit(bearer_token(headers[b"authorization"].decode("latin-1")))
            bucket = INTAKE.of(key_of(caller))
            taken, more = bucket.take()
            if not taken:
                raise INTAKE.refusal(bucket)  # noqa: TRY301  `more` is told with it
            batch = await self.reports.read(caller, body, fresh=fresh)
            begun_to_store = True
            answer = await self.reports.store(batch)
        except DomainError as error:
            answer = refusal_answer(error, own_id, reports.PATH)
        except Exception:
            with logs.bound(request_id=own_id):
                log.exception("the lane could not take a report")
            if not begun_to_store:
                return False
            answer = refusal_answer(_FAULT, own_id, reports.PATH)
        await send(self._start(answer, more, reports.ALLOW, own_id))
        await send({"type": "http.response.body", "body": answer.body})
        metrics.count("fast", "observations", answer.status, time.perf_counter() - begun)
        return True

    def _start(self, answer: Answer, more: tuple[Header, ...], allow: bytes, own_id: str) -> dict[str, Any]:
        headers = [*answer.headers, *more, *self._standing, (b"allow", allow), (b"x-request-id", own_id.encode())]
        if answer.status != 304:
            headers.append((b"content-length", b"%d" % len(answer.body)))
        return {"type": "http.response.start", "status": answer.status, "headers": headers}

    def _headers(self, scope: Any) -> dict[bytes, bytes] | None:
        """The headers, when a lane can do with them."""
        given = scope["headers"]
        headers = dict(given)
        if (
            len(headers) != len(given)  # a header twice
            or not _FOR_DJANGO.isdisjoint(headers)
            or not self._is_ours(headers)
            or not _accepts_json(headers.get(b"accept"))
        ):
            return None
        return headers

    def _read(self, door: Door[Any], name: str, scope: Any) -> Fetch | None:
        query, headers = scope["query_string"], self._headers(scope)
        if (
            headers is None
            or headers.get(b"content-length", b"0") != b"0"
            or not name
            or not name.isprintable()
            or "\ufffd" in name
            or not (door.remembers(query) or _is_plain(query, door))
        ):
            return None
        authorization = headers.get(b"authorization")
        if authorization is None and b"cookie" in headers:
            return None
        return Fetch(
            name,
            query,
            None if authorization is None else authorization.decode("latin-1"),
            headers.get(b"if-none-match"),
            _id_of(headers),
        )

    async def _answer(self, door: Door[Any], fetch: Fetch) -> tuple[Answer, tuple[Header, ...]]:
        """The answer and what else to tell with it."""
        more: tuple[Header, ...] = ()
        try:
            if fetch.query or "pf_" in fetch.name:
                refuse_key_in_url(fetch.name, fetch.query.decode("latin-1"))
            more = door.without_key if fetch.authorization is None else ()
            caller, fresh = await self.engine.admit(door.key(fetch.authorization))
            bucket = FETCHES.of(key_of(caller))
            taken, more = bucket.take()
            if not taken:
                raise FETCHES.refusal(bucket)
            answer = door.at_hand(self.engine, caller, fetch) if fresh else None
            if answer is None:
                require(caller.may_somewhere(Permission.READ))
                answer = await door.answer(self.engine, caller, fetch, fresh=fresh)
            return answer, more
        except DomainError as error:
            return refusal_answer(error, fetch.id, door.path), more

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
            if len(self._hosts) < _MOST_HOSTS:
                self._hosts.add(host)
        return True


def _id_of(headers: dict[bytes, bytes]) -> str:
    return request_id(headers.get(b"x-request-id", b"").decode("latin-1"))


def _is_plain(query: bytes, door: Door[Any]) -> bool:
    """Whether the query can be read here: what is no UTF-8, holds NUL or asks what memory does not hold is Django's."""
    if len(query) > _LONGEST_QUERY or not query.isascii():
        return False
    plain = query
    if b"%" in query:
        plain = unquote_to_bytes(query)
        try:
            plain.decode()
        except UnicodeDecodeError:
            return False
    return b"\0" not in plain and not door.for_django.search(plain)


def _accepts_json(accept: bytes | None) -> bool:
    return accept is None or accept in (b"*/*", b"application/json")


def _standing_headers() -> tuple[Header, ...]:
    """What Django's middleware and views put on every answer of the API."""
    headers = {
        "x-frame-options": settings.X_FRAME_OPTIONS,
        "content-security-policy": build_policy(settings.SECURE_CSP),
        "x-content-type-options": "nosniff",
        "referrer-policy": settings.SECURE_REFERRER_POLICY,
        "cross-origin-opener-policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
    }
    if settings.SECURE_HSTS_SECONDS:
        headers["strict-transport-security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
    return tuple((name.encode(), str(value).encode()) for name, value in headers.items())
