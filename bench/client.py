"""A small HTTP client on one kept-alive connection, for what is prepared and checked beside the load."""

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One answer; `seconds` is the time from sending the request to having the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Talks to one server on this machine; a connection that the server closed is opened again."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.headers = headers
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, method: str, path: str, document: Any = None, **headers: str) -> Answer:
        """Send one request and take its answer, whatever its status is."""
        body = None if document is None else json.dumps(document)
        all_headers = self.headers | headers | ({} if body is None else {"Content-Type": "application/json"})
        begun = time.perf_counter()
        try:
            return self._exchange(method, path, body, all_headers, begun)
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            return self._exchange(method, path, body, all_headers, begun)

    def expect(self, status: int, method: str, path: str, document: Any = None) -> Any:
        """The JSON of an answer that must have this status."""
        answer = self.call(method, path, document)
        if answer.status != status:
            raise RuntimeError(f"{method} {path} answered {answer.status}: {answer.body[:500]!r}")
        return answer.json()

    def _exchange(self, method: str, path: str, body: str | None, headers: dict[str, str], begun: float) -> Answer:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        read = response.read()
        seconds = time.perf_counter() - begun
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, read, seconds)
