"""The load generator tells what happened: right and wrong bodies, refusals, lateness, one number for each request."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.generator import BLANK, Load, Step, build, reference, request

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load generator takes a C compiler")


class Strange(BaseHTTPRequestHandler):
    """Answers right, but for every tenth fetch of /wobbly, refuses /full, and takes its time for /slow."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked = 0
    bodies: list[bytes] = []

    def do_GET(self) -> None:
        type(self).asked += 1
        body = f"the prompt of {self.path}".encode()
        if self.path == "/wobbly" and self.asked % 10 == 0:
            body = body.replace(b"prompt", b"Prompt")
        if self.path == "/slow":
            time.sleep(0.05)
        self._send(503 if self.path == "/full" else 200, body)

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(201, b"saved")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    Strange.asked, Strange.bodies = 0, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Strange) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("generator"))


def test_every_body_is_compared(program: Path, port: int) -> None:
    steps = reference(port, {}, {"/steady": "prompt of /steady", "/wobbly": "prompt of /wobbly"})
    Strange.asked = 0
    figures = Load(program, port, steps, connections=1, requests=400).figures()
    assert (figures["answers"], figures["errors"], figures["wrong"]) == (400, 0, 40)
    assert figures["first_wrong"] == "the Prompt of /wobbly"
    steady = Load(program, port, steps[:1], connections=4, seconds=0.2).figures()
    assert (steady["errors"], steady["wrong"]) == (0, 0)
    assert steady["expected"]["count"] == steady["answers"] > 4


def test_a_reference_that_lacks_its_marker_is_refused(port: int) -> None:
    with pytest.raises(RuntimeError, match="without 'another prompt'"):
        reference(port, {}, {"/steady": "another prompt"})


def test_refusals_are_counted_apart(program: Path, port: int) -> None:
    steps = [Step(request("GET", "/full"), 200, "nothing"), Step(request("GET", "/steady"), 200, "contains", b"steady")]
    figures = Load(program, port, steps, connections=2, requests=100).figures()
    assert (figures["errors"], figures["wrong"], figures["expected"]["count"]) == (50, 0, 50)
    assert {status: one["count"] for status, one in figures["statuses"].items()} == {"200": 50, "503": 50}
    assert figures["statuses"]["503"]["retry_after"] == 50
    assert figures["statuses"]["200"]["retry_after"] == 0


def test_with_a_rate_waiting_for_a_connection_counts(program: Path, port: int) -> None:
    """Twenty requests a second by one connection that is busy for 50 ms and more each: they queue up."""
    slow = [Step(request("GET", "/slow"), 200, "same", b"the prompt of /slow")]
    in_turn = Load(program, port, slow, connections=1, requests=10).figures()
    due = Load(program, port, slow, connections=1, rate=200, seconds=0.1).figures()
    assert due["answers"] == 20
    assert due["expected"]["max_ms"] > 20 * 50 - 100 > in_turn["expected"]["p50_ms"]


def test_a_rate_is_kept(program: Path, port: int) -> None:
    steps = reference(port, {}, {"/steady": "steady"})
    figures = Load(program, port, steps, connections=8, rate=100, seconds=0.5, slice=0.25).figures()
    assert figures["answers"] == 50
    assert [one["count"] for one in figures["slices"].values()] == [25, 25]


def test_every_request_has_a_number_of_its_own(program: Path, port: int) -> None:
    body = json.dumps({"ids": [BLANK, BLANK]}).encode()
    steps = [Step(request("POST", "/saves", body=body), 201, "same", b"saved")]
    for _ in range(2):
        figures = Load(program, port, steps, connections=4, requests=50).figures()
        assert (figures["errors"], figures["wrong"]) == (0, 0)
    numbers = [number for sent in Strange.bodies for number in json.loads(sent)["ids"]]
    assert len(set(numbers)) == len(numbers) == 200


def test_a_server_that_hangs_up_is_told(program: Path) -> None:
    class Rude(Strange):
        def do_GET(self) -> None:
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Rude) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        steps = [Step(request("GET", "/"), 200, "nothing")]
        figures = Load(program, server.server_port, steps, connections=2, requests=20).figures()
        server.shutdown()
    assert (figures["answers"], figures["errors"], figures["reconnects"]) == (0, 20, 20)
