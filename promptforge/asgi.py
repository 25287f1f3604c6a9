"""The entry point of the web server."""

import asyncio
import os
import warnings
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "promptforge.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

from promptforge.lib.errors import CODES
from promptforge.lib.json import canonical_json

# Django runs each request in a thread of its own, with a database connection of its own: without a bound, two hundred
# requests at once would ask PostgreSQL for two hundred connections, and most would fail. So the rest wait their turn.
AT_ONCE = 8
# No call takes more than 8 MiB; the rest is for the form around it. Seconds: a slow sender holds nobody else up.
LARGEST_BODY = 9 * 1024 * 1024
SLOWEST_BODY = 30.0

# Only here: a pool must not be inherited by the processes that a worker forks, and commands need one connection.
settings.DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": AT_ONCE, "timeout": 5}
# Static files are small and read by Django's own threads; the advice to read them asynchronously does not help.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

_django = get_asgi_application()
_turns = asyncio.Semaphore(AT_ONCE)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Let at most `AT_ONCE` requests of this process into Django, each with its body at hand; the others wait in order.

    `/livez` asks nothing but whether the process answers, so it takes no turn.
    """
    if scope["type"] != "http":
        return
    if scope["path"] == "/livez":
        await _django(scope, receive, send)
        return
    try:
        async with asyncio.timeout(SLOWEST_BODY):
            body = await _body(scope, receive)
    except TimeoutError:
        await _refuse(
            send, "body_too_slow", f"The body did not arrive within {SLOWEST_BODY:.0f} seconds. Send it again."
        )
        return
    if body is None:
        await _refuse(
            send, "body_too_large", f"The body is larger than {LARGEST_BODY:,} bytes, more than any call takes."
        )
        return
    async with _turns:
        await _django(scope, _replay(body, receive), send)


async def _body(scope: Any, receive: Any) -> bytes | None:
    """The whole body; None when it is too large, as soon as that is known. Cut off, it is what came so far."""
    announced = dict(scope["headers"]).get(b"content-length", b"0")
    if announced.isdigit() and int(announced) > LARGEST_BODY:
        return None
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            return None
        parts.append(part)
        more = message["type"] == "http.request" and message.get("more_body", False)
    return b"".join(parts)


def _replay(body: bytes, receive: Any) -> Any:
    """A `receive` that hands over the body once, and then what the connection says."""
    message: dict[str, Any] | None = {"type": "http.request", "body": body, "more_body": False}

    async def replay() -> Any:
        nonlocal message
        if message is None:
            return await receive()
        given, message = message, None
        return given

    return replay


async def _refuse(send: Any, code: str, detail: str) -> None:
    status, title = CODES[code]
    problem = {
        "type": f"/docs/errors#{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": [],
        "request_id": "",
    }
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": canonical_json(problem).encode()})
