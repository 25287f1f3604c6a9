"""Starting and ending the servers that are measured."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from promptforge.lib.supervisor import end_group, spawn

OURS = re.compile(r"PROMPTFORGE_|DATABASE_|CELERY_|WEB_CONCURRENCY|PG[A-Z]+$|DJANGO_")


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without anything that points to another PromptForge or database."""
    return {name: value for name, value in os.environ.items() if not OURS.match(name)} | extra


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(happens: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Ask again and again; RuntimeError with `otherwise` when the time is over."""
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            raise RuntimeError(otherwise)
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether something takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Program:
    """A server process with a log; its session is ended as a whole, also when this process is killed."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = spawn(command, environment, output=output.fileno())
        self.pid = self._process.pid

    def await_port(self, port: int, seconds: float = 60) -> None:
        """Wait until it listens; says where to look when it ended instead."""
        wait_until(
            lambda: listens(port) or self._process.poll() is not None, seconds, f"No answer yet: see {self.log}."
        )
        if self._process.poll() is not None:
            raise RuntimeError(f"It ended at once: see {self.log}.")

    def end(self, seconds: float = 40) -> None:
        """Ask it to end, then force it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self._process.kill()
        end_group(self.pid)
        self._process.wait()
