"""The serving lane in this process, beside Django's test client, on the test's own database."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import pytest
from django.test import Client

from delivery import limits
from delivery.serving.lane import Lane

type Headers = dict[str, str]


@dataclass(frozen=True)
class Answered:
    """What came back; `by` says which lane answered."""

    by: str
    status: int
    headers: Headers
    body: bytes


class BothLanes:
    """Sends the same request through the lane and through Django."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.lane = Lane()
        self.client = Client()

    def close(self) -> None:
        self.runner.run(self._end())
        self.runner.close()

    async def _end(self) -> None:
        await self.lane.reports.close()
        self.lane.engine.close()

    def through_lane(
        self, path: str, query: str = "", method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answered | None:
        """The lane's answer; None when it left the request to Django."""
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        named = {"Host": "testserver", "X-Request-ID": "same"} | headers
        scope = {
            "type": "http",
            "method": method,
            "path": unquote(path, errors="replace"),
            "query_string": query.encode("latin-1"),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()],
        }
        answered = self.lane.serve(scope, send) if body is None else self.lane.report(scope, body, send)
        if not self.runner.run(answered):
            assert not sent
            return None
        start, body = sent
        given = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Answered("lane", start["status"], given, body["body"])

    def through_django(
        self, path: str, query: str = "", method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answered:
        address = f"{path}?{query}" if query else path
        kind = {} if body is None else {"content_type": headers.pop("Content-Type", "")}
        answer = self.client.generic(method, address, body or b"", headers={"X-Request-ID": "same"} | headers, **kind)
        given = {name.lower(): value for name, value in answer.headers.items()}
        return Answered("django", answer.status_code, given, answer.content)


@pytest.fixture
def lanes(committed_db: str, settings: Any) -> Iterator[BothLanes]:
    """Both lanes, no bucket of either used yet, and one web process that has the whole rate."""
    settings.WEB_PROCESSES = 1
    for buckets in (limits.FETCHES, limits.INTAKE):
        buckets.forget()
    both = BothLanes()
    yield both
    both.close()
    for buckets in (limits.FETCHES, limits.INTAKE):
        buckets.forget()  # the next test's keys have the same ids
