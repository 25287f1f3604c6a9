"""Real web servers on the test's database, and a record of who saw what when."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db import connections

from tests.plugin import ROOT
from tests.startup.conftest import free_port, wait_until


def database_url() -> str:
    """Where the test's database is, for another process, as the role that serves."""
    given = connections["default"].get_connection_params()
    place = {name: given[name] for name in ("host", "port") if given.get(name)}
    return f"postgresql://{given['user']}@/{given['dbname']}?{urlencode(place)}"


class WebServer:
    """One granian with one worker, as `script/server` starts it."""

    def __init__(self, environment: dict[str, str], app: str) -> None:
        self.port = free_port()
        self.app = app
        self.environment = environment
        self.start()

    def start(self) -> None:
        granian = Path(sys.executable).parent / "granian"
        words = [str(granian), "--interface", "asginl", "--port", str(self.port), "--workers", "1", "--no-ws"]
        words += ["--log-level", "warning", "--respawn-failed-workers", "--respawn-interval", "0.2", self.app]
        self.process = subprocess.Popen(words, cwd=ROOT, env=self.environment, start_new_session=True)

    def is_up(self) -> bool:
        try:
            return self.caller().call("GET", "/livez")[0] == 200
        except OSError:
            return False

    def caller(self, key: str = "") -> "Caller":
        return Caller(self.port, key)

    def workers(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Caller:
    """One kept-alive connection with one key; connects again after a server has died."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.headers = port, {"Authorization": f"Bearer {key}"} if key else {}
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, http.client.HTTPMessage, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = None if body is None else json.dumps(body).encode()
        headers = self.headers | ({"Content-Type": "application/json"} if sent else {})
        try:
            self._connection.request(method, path, sent, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            self._connection = None
            raise


@contextmanager
def fleet(count: int, app: str = "promptforge.asgi:application", **environment: str) -> Iterator[list[WebServer]]:
    """That many servers, each a process of its own, all on the test's database."""
    named = {**os.environ, "DATABASE_URL": environment.get("DATABASE_URL") or database_url(), "WEB_CONCURRENCY": "1"}
    named |= environment
    named |= {"PROMPTFORGE_RATE_FETCH": "1000000", "PROMPTFORGE_RATE_WRITE": "1000000"}
    servers = [WebServer(named, app) for _ in range(count)]
    try:
        for server in servers:
            wait_until(server.is_up, 60)
        yield servers
    finally:
        for server in servers:
            server.end()


class Span(NamedTuple):
    """Something that took from one instant to another, and the revision that it brought about or saw."""

    begun: float
    ended: float
    revision: int


class History:
    """What moved and what was read. `violations()` names each read that a linearizable channel could not have given.

    `stood` is the revision at which the channel stood before the first move.
    """

    def __init__(self, stood: int = 0) -> None:
        self.stood = stood
        self.moves: list[Span] = []
        self.reads: list[Span] = []
        self.refused = 0
        self.keys_that_outlived_their_end = 0
        self._lock = threading.Lock()

    def moved(self, begun: float, revision: int) -> None:
        with self._lock:
            self.moves.append(Span(begun, time.monotonic(), revision))

    def saw(self, begun: float, revision: int) -> None:
        with self._lock:
            self.reads.append(Span(begun, time.monotonic(), revision))

    def is_linearizable(self) -> bool:
        """Whether no read was stale and no key outlived its end; says what was wrong."""
        wrong = self.violations()
        print(*wrong[:10], f"{self.keys_that_outlived_their_end} keys outlived their end", sep="\n")
        return not wrong and not self.keys_that_outlived_their_end

    def violations(self) -> list[tuple[Span, str]]:
        """Reads older than a move that had been answered before they began, or newer than any that had begun."""
        found = []
        for read in self.reads:
            least = max((move.revision for move in self.moves if move.ended < read.begun), default=self.stood)
            most = max((move.revision for move in self.moves if move.begun < read.ended), default=self.stood)
            if read.revision < least:
                found.append((read, f"revision {least} had been answered before"))
            elif read.revision > most:
                found.append((read, f"only revision {most} had been asked for"))
        return found
