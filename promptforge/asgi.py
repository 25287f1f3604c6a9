"""The entry point of the web server: the serving lane first, then Django behind an admission limit."""

import asyncio
import gc
import os
import sys
import warnings
from typing import Any, Self, override

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "promptforge.settings")

import django
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import get_resolver
from django.utils.module_loading import import_string

from promptforge.lib import metrics
from promptforge.lib.answers import Header, refusal_answer
from promptforge.lib.errors import DomainError
from promptforge.lib.request_ids import request_id
from promptforge.lib.turns import Turns

# Django runs each request in a thread of its own, with a database connection of its own: without a bound, two hundred
# requests at once would ask PostgreSQL for two hundred connections, and most would fail. So the rest wait their turn,
# and those who would wait too long are told so at once. Two that compute keep a process busy: more would only share its
# one core, and the lane with them. Whoever takes longer than most waits for something else, and another may begin.
QUICK = 2
AT_ONCE = 8
SLOW = 1.0  # seconds; less is what computing takes on a busy machine, and who computes lets nobody in
RESERVED = 1  # one more for what must get through when everything is taken: a rollback, a sign-in
MOST_WAITING = 64
# Seconds after which a thread that computes lets the others go on. While Django's threads do, each step of the lane
# would wait for eight times Python's own 5 ms; without them, taking turns more often only costs.
_PATIENT, _BUSY = sys.getswitchinterval(), 0.0005
# Whoever watches must see an overload, so they do not wait behind it.
WITHOUT_TURN = ("/livez", "/readyz", "/metrics")
# Everything else is refused before its body is read when the queue is full: reading takes turns of a busy loop.
NOT_SHED_UNREAD = {*WITHOUT_TURN, *settings.SIGN_IN_PATHS, "/api/v1/releases", "/api/v1/observations"}
# No call takes more than 8 MiB; the rest is for the form around it. Seconds: a slow sender holds nobody else up.
LARGEST_BODY = 9 * 1024 * 1024
SLOWEST_BODY = 30.0
# Bytes of bodies that a process holds at once, of those that arrive, wait and are worked on, whoever sent them.
MOST_HELD = 128 * 1024 * 1024
_TOO_LARGE = f"The body is larger than {LARGEST_BODY:,} bytes, more than any call takes. Send less at once."

# Only here: a pool must not be inherited by the processes that a worker forks, and commands need one connection.
settings.DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": AT_ONCE + RESERVED, "timeout": 5}
# Static files are small and read by Django's own threads; the advice to read them asynchronously does not help.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

django.setup(set_prefix=False)


class _Handler(ASGIHandler):
    """Django's, with all middleware in the thread of the request, where the views run.

    Those that could run on the loop would make a request change between loop and thread at each of their hooks, some
    fifteen times, and wait for a busy loop each time.
    """

    @override
    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    @override
    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await sync_to_async(self.get_response)(request)
        return response


_django = _Handler()
# Every view, now: the first request for Django would load them on the loop, and the fetches beside it wait a second.
_views = get_resolver().url_patterns
lane = import_string("delivery.serving.lane.Lane")()  # its models can be imported only now
# What was imported stays: the collector need not look through it again and again.
gc.collect()
gc.freeze()
_turns = Turns(quick=QUICK, at_once=AT_ONCE, slow=SLOW, most_waiting=MOST_WAITING)
_reserved = Turns(quick=RESERVED, at_once=RESERVED, slow=SLOW, most_waiting=MOST_WAITING)
_in_django = 0


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer a request: in the lane, or by Django with its body at hand, in turn with the others."""
    if scope["type"] != "http":
        return
    if await lane.serve(scope, send):
        return
    if _turns.is_full and scope["path"] not in NOT_SHED_UNREAD:
        await _shed(scope, send)
        return
    with _Held() as held:
        try:
            body = await _body(scope, receive, held)
        except DomainError as refusal:
            await _refuse(scope, send, refusal, (b"connection", b"close"))  # the rest of the body is not read
            return
        scope = _with_length(scope, len(body))
        if await lane.report(scope, body, send):
            return
        if scope["path"] in WITHOUT_TURN:
            await _django(scope, _replay(body, receive), send)
            return
        await _in_turn(scope, body, receive, send)


async def _in_turn(scope: Any, body: bytes, receive: Any, send: Any) -> None:
    """Let at most `AT_ONCE` requests of this process into Django; `MOST_WAITING` more wait in order."""
    global _in_django  # noqa: PLW0603  one queue a process
    turns = _turns
    if _turns.are_taken and not _reserved.are_taken and _must_get_through(scope, body):
        turns = _reserved
    # Else those without a body would take every place while the others send theirs.
    is_refused = turns.is_full if scope["path"] in NOT_SHED_UNREAD else turns.is_overfull
    if is_refused:
        await _shed(scope, send)
        return
    async with turns.one():
        _in_django += 1
        sys.setswitchinterval(_BUSY)
        metrics.IN_FLIGHT.set(_in_django)
        try:
            await _django(scope, _replay(body, receive), send)
        finally:
            _in_django -= 1
            sys.setswitchinterval(_BUSY if _in_django else _PATIENT)
            metrics.IN_FLIGHT.set(_in_django)


async def _shed(scope: Any, send: Any) -> None:
    metrics.SHED.inc()
    sentence = "Too many requests at once. Nothing was written; wait a second and send it again."
    await _refuse(scope, send, DomainError("unavailable", sentence))


def _must_get_through(scope: Any, body: bytes) -> bool:
    """A rollback, or a sign-in: whoever mends an overload needs these while it lasts."""
    if scope["method"] != "POST":
        return False
    return scope["path"] in settings.SIGN_IN_PATHS or (scope["path"] == "/api/v1/releases" and b'"rollback"' in body)


class _Held:
    """How much of a body is held for one request; what all hold together is bounded."""

    total = 0

    def __enter__(self) -> Self:
        self.size = 0
        return self

    def add(self, size: int) -> None:
        """Count what arrived. Raises DomainError when it is too much for this request, or for all of them."""
        self.size += size
        _Held.total += size
        if self.size > LARGEST_BODY:
            raise DomainError("body_too_large", _TOO_LARGE)
        if _Held.total > MOST_HELD:
            raise DomainError("unavailable", "Too much was sent at once. Nothing was written; wait and send it again.")

    def __exit__(self, *_: object) -> None:
        _Held.total -= self.size


async def _body(scope: Any, receive: Any, held: _Held) -> bytes:
    """The whole body, or a refusal as soon as it is known to be too large, too slow or cut off."""
    headers = dict(scope["headers"])
    announced = headers.get(b"content-length", b"0")
    if announced == b"0" and scope["http_version"] == "1.1" and b"transfer-encoding" not in headers:
        return b""  # without asking the server, which takes a turn of a loop that may be busy
    if announced.isdigit() and int(announced) > LARGEST_BODY:
        raise DomainError("body_too_large", _TOO_LARGE)
    parts, more = [], True
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise DomainError("bad_request", "The body broke off before its end. Send it again, whole.")
                parts.append(message.get("body", b""))
                held.add(len(parts[-1]))
                more = message.get("more_body", False)
    except TimeoutError:
        sentence = f"The body did not arrive within {SLOWEST_BODY:.0f} seconds. Send it again."
        raise DomainError("body_too_slow", sentence) from None
    return b"".join(parts)


def _with_length(scope: Any, size: int) -> dict[str, Any]:
    """The request with the true length of its body, without which one that came in chunks would pass for empty."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(size).encode())]}


def _replay(body: bytes, receive: Any) -> Any:
    """A `receive` that hands over the body once, and then what the connection says."""
    message: dict[str, Any] | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> Any:
        nonlocal message
        if message is None:
            while (said := await receive())["type"] == "http.request":
                pass  # the end of a body that was known to be empty
            return said
        given, message = message, None
        return given

    return replay


async def _refuse(scope: Any, send: Any, error: DomainError, *headers: Header) -> None:
    own_id = request_id(dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1"))
    answer = refusal_answer(error, own_id, scope["path"])
    all_headers = [*answer.headers, (b"x-request-id", own_id.encode()), *headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": all_headers})
    await send({"type": "http.response.body", "body": answer.body})
