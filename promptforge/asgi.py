"""The entry point of the web server."""

import asyncio
import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "promptforge.settings")

# Django runs each request in a thread of its own, with a database connection of its own: without a bound, two hundred
# requests at once would ask PostgreSQL for two hundred connections, and most would fail. So the rest wait their turn.
AT_ONCE = 8

_django = get_asgi_application()
_turns = asyncio.Semaphore(AT_ONCE)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Let at most `AT_ONCE` requests of this process into Django; the others wait in the order of their arrival."""
    if scope["type"] != "http":
        return
    async with _turns:
        await _django(scope, receive, send)
