"""PromptForge with the fault that the history checker must find: what was checked is believed for a second."""

import asyncio
import time

from promptforge.asgi import application  # first: it sets Django up

from delivery.serving.freshness import Freshness  # isort: skip

__all__ = ["application"]

_checked: dict[int, float] = {}
_ask = Freshness.ask


def ask(self: Freshness, project: int) -> asyncio.Future[bool] | None:
    if time.monotonic() - _checked.get(project, -1.0) > 1.0:
        _checked[project] = time.monotonic()
        return _ask(self, project)
    believed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    believed.set_result(True)
    return believed


Freshness.ask = ask  # type: ignore[method-assign]
