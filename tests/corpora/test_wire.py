"""Bad input as raw bytes, over a connection to the real web server: what no test client would send."""

import http.client
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.http import HttpResponse

from promptforge import serve
from tests.authorization.world import everything
from tests.corpora.conftest import corpus, unfolded
from tests.corpora.test_corpora import Wrong, assert_all, judge
from tests.personas import Team
from tests.races.conftest import environment_of
from tests.startup.conftest import free_port, wait_until

PATIENCE = 5.0  # seconds after which a connection counts as hanging
ALIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def port(shop: Team, committed_db: str) -> Iterator[int]:
    """Where the web server listens, started as `script/server` starts it, on this test's database."""
    number = free_port()
    environment = environment_of(committed_db) | {"WEB_CONCURRENCY": "1", "PROMPTFORGE_RATE_WRITE": "1000000"}
    [web, *_] = serve._services(number)
    process = subprocess.Popen(web.command, env=environment, start_new_session=True)
    try:
        wait_until(lambda: is_alive(number) or process.poll() is not None, 30)
        yield number
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_alive(port: int) -> bool:
    try:
        return talk(port, ALIVE)[0].status_code == 200
    except OSError:
        return False


def talk(port: int, sent: bytes, *, cut: bool = False, closes: bool = False) -> tuple[HttpResponse, bytes]:
    """The answer to these bytes, and what comes after it until the connection `closes`. `cut` ends our side of it."""
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as connection:
        try:
            connection.sendall(sent)
            if cut:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before it was all sent
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        response = HttpResponse(answer.read(), status=answer.status, headers=dict(answer.getheaders()))
        return response, connection.recv(1000) if closes else b""


def bytes_of(asked: dict[str, Any], key: str) -> bytes:
    """The request line, headers and body of a row, each character a byte; a bare one brings all of its headers."""
    asked = unfolded(asked)
    headers = [] if asked.get("bare") else ["Host: localhost", "Authorization: Bearer {key}"]
    lines = [asked["line"], *headers, *asked.get("headers", ())]
    head = "".join(f"{line}\r\n" for line in lines).replace("{key}", key)
    return f"{head}\r\n{asked.get('body', '')}".encode("latin-1")


def wire_fault(row: dict[str, Any], port: int, key: str) -> str | None:
    """What is wrong with the answer to a row. Without `expect_code` it never reaches us: the web server refuses it."""
    sent, closes = bytes_of(row["input"], key), row.get("closes", False)
    try:
        answer, rest = talk(port, sent, cut=row["input"].get("cut", False), closes=closes)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    if rest:
        return f"goes on with {rest[:150]!r}"
    if row["expect_code"] is not None:
        return judge(row, answer, sent.decode("latin-1"))
    is_ours = answer["Content-Type"] == "application/problem+json"
    return (
        f"{answer.status_code} {answer.content[:150]!r}"
        if is_ours or answer.status_code != row["expect_status"]
        else None
    )


def test_the_wire(port: int, keys: dict[str, str | None]) -> None:
    wrong: Wrong = []
    before, key = everything(), str(keys["all"])
    for row in corpus("wire"):
        if (fault := wire_fault(row, port, key)) is not None:
            wrong.append((row["id"], fault))
        if not is_alive(port):
            wrong.append((row["id"], "the next request is not answered"))
    assert_all(wrong, before)
    good, _ = talk(port, bytes_of(IN_CHUNKS, key))
    assert (good.status_code, json.loads(good.content).get("name")) == (201, "chunks"), good.content


IN_CHUNKS = {
    "line": "POST /api/v1/prompts HTTP/1.1",
    "headers": ["Content-Type: application/json", "Transfer-Encoding: chunked"],
    "body": '11\r\n{"name":"chunks",\r\nf\r\n"content":"Hi"}\r\n0\r\n\r\n',
}
