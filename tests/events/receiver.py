"""A real HTTP server in threads, whose behaviour a test chooses by path; it notes all that it received."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request, in full."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        return self.headers.get("webhook-id", "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """`/ok` answers 200, `/500` and the like their number; see `_Handler` for the rest."""

    host: str
    port: int
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    becomes: dict[str, str] = field(default_factory=dict)

    def url(self, behaviour: str, host: str | None = None) -> str:
        return f"http://{host or self.host}:{self.port}/{behaviour}"

    def at(self, behaviour: str) -> list[Received]:
        return [one for one in self.received if one.path == f"/{behaviour}"]

    def wait(self, behaviour: str, count: int, seconds: float = 10) -> list[Received]:
        deadline = time.monotonic() + seconds
        while len(self.at(behaviour)) < count:
            assert time.monotonic() < deadline, f"{len(self.at(behaviour))} of {count} arrived at {behaviour}"
            time.sleep(0.01)
        return self.at(behaviour)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.receiver.received.append(Received(self.path, headers, body, time.monotonic()))
        self.close_connection = True
        behaviour = self.path.strip("/").split("-")[0]
        behaviour = self.receiver.becomes.get(behaviour, behaviour)
        with suppress(OSError):
            getattr(self, f"be_{behaviour}", self.be_status)(behaviour)

    do_GET = do_POST  # noqa: N815  as the library calls it

    def be_ok(self, _: str) -> None:
        self._answer(200, b'{"fine": true}')

    def be_open(self, _: str) -> None:
        """As `ok`, and the connection stays."""
        self.close_connection = False
        self._answer(200, b'{"fine": true}')

    def be_status(self, behaviour: str) -> None:
        self._answer(int(behaviour), b"")

    def be_redirect(self, _: str) -> None:
        self.send_response(302)
        self.send_header("Location", f"http://127.0.0.1:{self.receiver.port}/secret")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def be_hang(self, _: str) -> None:
        self.receiver.released.wait(60)

    def be_drip(self, _: str) -> None:
        """A byte of the head now and then: each in time, the whole never."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.receiver.released.wait(0.05):
            self.wfile.write(b"X")
            self.wfile.flush()

    def be_dribble(self, _: str) -> None:
        """The same in the body."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not self.receiver.released.wait(0.05):
            self.wfile.write(b"X")
            self.wfile.flush()

    def be_huge(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not self.receiver.released.is_set():
            self.wfile.write(b"X" * 65536)

    def be_early(self, _: str) -> None:
        """No answer: the connection just ends."""
        self.connection.shutdown(socket.SHUT_RDWR)

    def be_nonsense(self, _: str) -> None:
        self.wfile.write(b"220 mail.example ESMTP\r\n")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "seen=1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def receiving(host: str = "127.0.0.1", port: int = 0, tls: Any = None) -> Iterator[Receiver]:
    class Handler(_Handler):
        pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def get_request(self) -> Any:
            Handler.receiver.connections += 1
            connection, address = super().get_request()
            return (tls.wrap_socket(connection, server_side=True) if tls else connection), address

        def handle_error(self, *args: Any) -> None:
            pass

    server = Server((host, port), Handler)
    Handler.receiver = Receiver(host, server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Handler.receiver
    finally:
        Handler.receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
