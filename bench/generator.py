"""The load generator (loadgen.c): built on first use, given a plan, and read back as figures."""

import itertools
import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.client import Client

SOURCE = Path(__file__).with_name("loadgen.c")
BLANK = "@" * 12  # the generator writes the next number of a counter here, as hexadecimal digits
CHECKS = {"nothing": 0, "same": 1, "contains": 2}
_counter = itertools.count(1)


class NoCompiler(Exception):
    """There is no C compiler; the message says what to do."""


@dataclass(frozen=True)
class Step:
    """One request of a plan, the status to expect, and how its body is checked."""

    request: bytes
    status: int
    check: Literal["nothing", "same", "contains"]
    expected: bytes = b""


def request(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"", host: str = "127.0.0.1"
) -> bytes:
    """The bytes of one HTTP/1.1 request on a connection that stays open."""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    if body or method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def build(var: Path) -> Path:
    """Compile the generator unless this very source is compiled already; returns the program."""
    program = var / "loadgen"
    if program.exists() and program.stat().st_mtime > SOURCE.stat().st_mtime:
        return program
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if compiler is None:
        raise NoCompiler(
            "The load generator is written in C and there is no C compiler here. "
            "Install one (Debian: apt-get install gcc libc6-dev) and run this again."
        )
    var.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-O2", "-o", str(program), str(SOURCE)], check=True)
    return program


def reference(port: int, headers: dict[str, str], wanted: dict[str, str], *, status: int = 200) -> list[Step]:
    """A GET of each path that must be answered by the same bytes as now; `wanted` says what those must hold.

    So a server that answers the wrong prompt from the beginning is found out too.
    """
    client = Client(port, headers)
    steps = []
    for path, marker in wanted.items():
        answer = client.call("GET", path)
        if answer.status != status or marker.encode() not in answer.body:
            raise RuntimeError(f"{path} answered {answer.status} without {marker!r}: {answer.body[:300]!r}")
        steps.append(Step(request("GET", path, headers), status, "same", answer.body))
    return steps


class Load:
    """One run of the generator; `figures()` waits for its end."""

    def __init__(
        self, program: Path, port: int, steps: Sequence[Step], *, core: int | None = None, **options: float
    ) -> None:
        """`options` are the generator's: connections, seconds, requests, rate, slice. `core` is where it may run."""
        with tempfile.NamedTemporaryFile(prefix="plan-", dir=program.parent, delete=False) as plan:
            plan.write(_written(steps))
        self._plan = Path(plan.name)
        words = [str(program), "--port", str(port), "--plan", plan.name]
        words += ["--seed", str(next(_counter) << 24)]  # so that no run writes the numbers of another
        for name, value in options.items():
            words += [f"--{name}", str(value)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})

    def figures(self) -> dict[str, Any]:
        """What the generator reports, as loadgen.c describes it."""
        printed, complained = self._process.communicate()
        self._plan.unlink()
        if self._process.returncode:
            raise RuntimeError(complained.strip())
        figures: dict[str, Any] = json.loads(printed)
        return figures


def _written(steps: Sequence[Step]) -> bytes:
    parts = [struct.pack("=I", len(steps))]
    for step in steps:
        parts += [struct.pack("=I", len(step.request)), step.request]
        parts += [struct.pack("=III", step.status, CHECKS[step.check], len(step.expected)), step.expected]
    return b"".join(parts)
