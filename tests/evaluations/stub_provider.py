"""A provider of models to test against: a real HTTP server that speaks all three wire formats, misbehaves when told to,
and writes every call into a file, so that the count outlives whoever is killed meanwhile.

In a thread of the test:

    with providing(tmp_path) as provider:
        provider.behave(texts={"refund": ["Yes.", "No."]}, delay=0.05)
        Connection(kind="openai", base_url=provider.url("openai"), model="stub-1", …)
        assert len(provider.calls()) == 3

In a process of its own, when many call at once: `with spawning(tmp_path) as provider: …`. Both listen on the loopback
address: allow `provider.host` in settings.ALLOWED_PRIVATE_HOSTS (PROMPTFORGE_ALLOWED_PRIVATE_HOSTS of a child process).

`behave` writes a file that is read at each call, so that another process may switch it too:

    provider.behave(fault="rate_limited", retry_after="7", first=3)    # the first three calls, then as usual
    provider.behave(fault="server_error", every=10)                    # each tenth call
    provider.behave(fault="wrong_model", only="French")                # calls whose messages hold that text
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.plugin import ROOT

PATHS = {"openai": "/v1", "local": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key")


@dataclass(frozen=True)
class Provider:
    """A running stub, known by its folder and port; any process may make one to look at it."""

    folder: Path
    port: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, kind: str) -> str:
        """The base URL that a connection of this kind takes."""
        return f"http://{self.host}{PATHS[kind]}"

    def behave(self, **behaviour: Any) -> None:
        """From the next call on; what is not named is as usual. `first` and `every` count from now.

        `fault` (a key of FAULTS), `retry_after`, `status`, `model`, `first`, `every`, `only`; `delay` in seconds;
        `text`, or `texts`: what the messages hold (all parts of it, between ` && `) -> an answer, or a list from which
        the seed picks; `words` more.
        """
        new = self.folder / f"behaviour.{os.getpid()}.{threading.get_ident()}"
        new.write_text(json.dumps({**behaviour, "since": self._arrivals()}))
        new.replace(self.folder / "behaviour.json")

    def calls(self) -> list[dict[str, Any]]:
        """Every call that arrived, in order.

        `number`, `kind`, `model`, `messages`, `seed`, `key`, `body`, `path`, `at`, and the port that it came `from`.
        """
        return [entry for entry in self._log() if entry["what"] == "arrived"]

    def answered(self) -> list[dict[str, Any]]:
        """Every call that was answered to its end: `number`, `fault` or None, `text`, `at`."""
        return [entry for entry in self._log() if entry["what"] == "answered"]

    def most_at_once(self) -> int:
        """The largest number of calls that were under way together."""
        under_way, most = 0, 0
        for entry in self._log():
            under_way += 1 if entry["what"] == "arrived" else -1
            most = max(most, under_way)
        return most

    def _log(self) -> list[dict[str, Any]]:
        log = self.folder / "calls.jsonl"
        whole = log.read_text().rpartition("\n")[0] if log.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]

    def _arrivals(self) -> int:
        return len(self.calls())


@contextmanager
def providing(folder: Path) -> Iterator[Provider]:
    """Serve from threads of this process."""
    server = _Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Provider(folder, server.server_port)
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()


@contextmanager
def spawning(folder: Path) -> Iterator[Provider]:
    """Serve from a process of its own."""
    command = [sys.executable, "-m", "tests.evaluations.stub_provider", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Provider(folder, int(process.stdout.readline()))
        finally:
            process.kill()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.ending, self.lock = folder, threading.Event(), threading.Lock()
        self.log = os.open(folder / "calls.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.count = len(Provider(folder, 0).calls())

    def note(self, **entry: Any) -> int:
        """One write to a file: neither the end of a caller nor of this process takes it back."""
        with self.lock:
            if entry["what"] == "arrived":
                self.count += 1
                entry = {**entry, "number": self.count}
            os.write(self.log, (json.dumps({**entry, "at": time.time()}) + "\n").encode())
            return self.count

    def behaviour(self) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self.folder / "behaviour.json").read_text())
        except FileNotFoundError:
            return {"since": 0}
        return told

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Only calls.jsonl is kept."""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self.send(200, {"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        kind = _kind(self.path)
        if kind is None:
            self.send(404, {"error": {"message": f"no such path: {self.path}"}})
            return
        asked = READERS[kind](body, self.path)
        key = next((self.headers[name] for name in KEY_HEADERS if self.headers[name]), "").removeprefix("Bearer ")
        number = self.server.note(
            what="arrived", kind=kind, path=self.path, key=key, body=body, **asked, **{"from": self.client_address[1]}
        )
        told = self.server.behaviour()
        fault = told.get("fault") if _applies(told, number, asked["messages"]) else None
        text = _text(told, asked)
        if told.get("delay"):
            self.server.ending.wait(told["delay"])
        with suppress(OSError):
            if fault is None:
                self.send(200, WRITERS[kind](text, asked, {}))
            else:
                FAULTS[fault](self, kind, text, asked, told)
        self.server.note(what="answered", number=number, fault=fault, text=text)

    def send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        raw = isinstance(content, bytes)
        body = content if raw else json.dumps(content).encode()
        self.send_response(status)
        ours = {"Content-Type": "text/html" if raw else "application/json", "Content-Length": str(len(body))}
        for name, value in {**ours, "x-request-id": "req-stub", "request-id": "req-stub", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _kind(path: str) -> str | None:
    path = path.partition("?")[0]
    if path == "/v1/chat/completions":
        return "openai"
    if path == "/v1/messages":
        return "anthropic"
    return "gemini" if path.startswith("/v1beta/models/") and path.endswith(":generateContent") else None


def _applies(told: dict[str, Any], number: int, messages: list[dict[str, str]]) -> bool:
    since = number - told["since"]
    said = json.dumps(messages, ensure_ascii=False)
    return since <= told.get("first", since) and since % told.get("every", 1) == 0 and told.get("only", "") in said


def _text(told: dict[str, Any], asked: dict[str, Any]) -> str:
    """The answer, which the messages and the seed settle: the same call is answered the same."""
    said = json.dumps(asked["messages"], ensure_ascii=False)
    drawn = int.from_bytes(hashlib.sha256(f"{said}\0{asked['seed']}".encode()).digest()[:8])
    if "text" in told:
        return str(told["text"])
    for held, answers in told.get("texts", {}).items():
        if all(part in said for part in held.split(" && ")):
            return str(answers if isinstance(answers, str) else answers[drawn % len(answers)])
    return " ".join([f"Answer {drawn % 10_000}.", *["word"] * told.get("words", 0)])


# --- The wire formats ------------------------------------------------------------------------------------------------
def _read_openai(body: dict[str, Any], _: str) -> dict[str, Any]:
    return {"model": body["model"], "seed": body.get("seed"), "messages": body["messages"]}


def _read_anthropic(body: dict[str, Any], _: str) -> dict[str, Any]:
    system = [{"role": "system", "content": body["system"]}] if "system" in body else []
    return {"model": body["model"], "seed": None, "messages": system + body["messages"]}


def _read_gemini(body: dict[str, Any], path: str) -> dict[str, Any]:
    turns = [("system", body["systemInstruction"])] if "systemInstruction" in body else []
    turns += [("assistant" if turn["role"] == "model" else "user", turn) for turn in body["contents"]]
    messages = [{"role": role, "content": "".join(p["text"] for p in turn["parts"])} for role, turn in turns]
    model = path.removeprefix("/v1beta/models/").partition(":")[0]
    return {"model": model, "seed": body.get("generationConfig", {}).get("seed"), "messages": messages}


def _tokens(text: str, asked: dict[str, Any]) -> tuple[int, int]:
    return sum(len(m["content"].split()) for m in asked["messages"]), len(text.split())


def _write_openai(text: str, asked: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    read, written = other.get("tokens") or _tokens(text, asked)
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": other.get("finish", "stop"),
    }
    usage = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    return {
        "id": "chatcmpl-stub", "object": "chat.completion", "model": other.get("model", asked["model"]),
        "system_fingerprint": other.get("fingerprint", "fp_stub"), "choices": other.get("choices", [choice]),
        "usage": usage | {"prompt_tokens_details": {"cached_tokens": 0}},
    }  # fmt: skip


def _write_anthropic(text: str, asked: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    read, written = other.get("tokens") or _tokens(text, asked)
    reasons = {"content_filter": "refusal", "length": "max_tokens"}
    finish = other.get("finish", "")
    return {
        "id": "msg_stub", "type": "message", "role": "assistant", "model": other.get("model", asked["model"]),
        "content": other.get("choices", [{"type": "text", "text": text}]),
        "stop_reason": reasons.get(finish, "end_turn"),
        "usage": {"input_tokens": read, "output_tokens": written, "cache_read_input_tokens": 0},
    }  # fmt: skip


def _write_gemini(text: str, asked: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    read, written = other.get("tokens") or _tokens(text, asked)
    reasons = {"content_filter": "SAFETY", "length": "MAX_TOKENS"}
    finish = reasons.get(other.get("finish", ""), "STOP")
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": finish}
    return {
        "candidates": other.get("choices", [candidate]), "modelVersion": other.get("model", asked["model"]),
        "usageMetadata": {"promptTokenCount": read, "candidatesTokenCount": written}, "responseId": "resp-stub",
    }  # fmt: skip


READERS: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
    "openai": _read_openai,
    "anthropic": _read_anthropic,
    "gemini": _read_gemini,
}
WRITERS: dict[str, Callable[[str, dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "openai": _write_openai,
    "anthropic": _write_anthropic,
    "gemini": _write_gemini,
}

# --- Misbehaviour ----------------------------------------------------------------------------------------------------
Told = dict[str, Any]


def _error(status: int, word: str) -> Callable[[_Handler, str, str, Told, Told], None]:
    def answer(handler: _Handler, kind: str, text: str, asked: Told, told: Told) -> None:
        chosen = told.get("status", status)
        headers = {"Retry-After": str(told["retry_after"])} if "retry_after" in told else {}
        # As real ones do, it repeats the key that it was sent.
        key = next((handler.headers[name] for name in KEY_HEADERS if handler.headers[name]), "")
        handler.send(chosen, {"error": {"message": f"{word}: {key}", "type": word, "code": word}}, headers)

    return answer


def _other(**other: Any) -> Callable[[_Handler, str, str, Told, Told], None]:
    def answer(handler: _Handler, kind: str, text: str, asked: Told, told: Told) -> None:
        named = {"model": told["model"]} if "model" in told else {}
        handler.send(200, WRITERS[kind](text, asked, {**other, **named}))

    return answer


def _raw(make: Callable[[bytes], bytes]) -> Callable[[_Handler, str, str, Told, Told], None]:
    def answer(handler: _Handler, kind: str, text: str, asked: Told, told: Told) -> None:
        handler.send(told.get("status", 200), make(json.dumps(WRITERS[kind](text, asked, {})).encode()))

    return answer


def _cut(handler: _Handler, kind: str, text: str, asked: Told, told: Told) -> None:
    """Promise more bytes than come, then hang up."""
    handler.send(200, b'{"choices": [', {"Content-Length": "5000"})
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def _huge(handler: _Handler, kind: str, text: str, asked: Told, told: Told) -> None:
    """50 MB of a JSON string."""
    part = b"x" * 1_000_000
    handler.send(200, b'{"choices": "', {"Content-Length": str(50 * len(part))})
    for _ in range(50):
        handler.wfile.write(part)


def _drip(handler: _Handler, kind: str, text: str, asked: Told, told: Told) -> None:
    """A byte now and then, for ever."""
    handler.send(200, b"{", {"Content-Length": "1000000"})
    while not handler.server.ending.wait(0.05):
        handler.wfile.write(b" ")


def _hang(handler: _Handler, kind: str, text: str, asked: Told, told: Told) -> None:
    handler.server.ending.wait(600)


FAULTS: dict[str, Callable[[_Handler, str, str, Told, Told], None]] = {
    "rate_limited": _error(429, "rate_limit_exceeded"),
    "no_money": _error(429, "insufficient_quota"),
    "server_error": _error(500, "server_error"),
    "overloaded": _error(529, "overloaded_error"),
    "bad_key": _error(401, "invalid_api_key"),
    "forbidden": _error(403, "permission_denied"),
    "bad_request": _error(400, "invalid_request_error"),
    "unknown_model": _error(404, "model_not_found"),
    "error_in_200": _error(200, "server_error"),
    "html": _raw(lambda _: b"<html><body>502 Bad Gateway</body></html>"),
    "truncated": _raw(lambda whole: whole[: len(whole) // 2]),
    "empty": _raw(lambda _: b""),
    "wrong_model": _other(model="another-family-9"),
    "empty_choices": _other(choices=[]),
    "content_filter": _other(finish="content_filter"),
    "length": _other(finish="length"),
    "absurd_tokens": _other(tokens=(2**40, 2**40)),
    "dear_tokens": _other(tokens=(2**31 - 1, 2**31 - 1)),
    "unwritable": _other(finish="st\0p\ud83d", fingerprint="fp\0\ud83d"),
    "cut": _cut,
    "huge": _huge,
    "drip": _drip,
    "hang": _hang,
}


if __name__ == "__main__":
    stub = _Server(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(stub.server_port, flush=True)
    stub.serve_forever()
