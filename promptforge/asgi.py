"""The entry point of the web server."""

import asyncio
import os
import warnings
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "promptforge.settings")

from django.conf import settings
from django.core.asgi import get_asgi_application

# Django runs each request in a thread of its own, with a database connection of its own: without a bound, two hundred
# requests at once would ask PostgreSQL for two hundred connections, and most would fail. So the rest wait their turn.
AT_ONCE = 8

# Only here: a pool must not be inherited by the processes that a worker forks, and commands need one connection.
settings.DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": AT_ONCE, "timeout": 5}
# Static files are small and read by Django's own threads; the advice to read them asynchronously does not help.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

_django = get_asgi_application()
_turns = asyncio.Semaphore(AT_ONCE)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Let at most `AT_ONCE` requests of this process into Django; the others wait in the order of their arrival."""
    if scope["type"] != "http":
        return
    async with _turns:
        await _django(scope, receive, send)
