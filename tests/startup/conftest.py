"""Folders and servers for the tests of the start; none of them uses Django's database."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from promptforge.env import ROOT
from promptforge.lib.cluster import Cluster
from promptforge.lib.supervisor import end_leftovers

OURS = re.compile(r"PROMPTFORGE_|DATABASE_|CELERY_|WEB_CONCURRENCY|PG[A-Z]+$|DJANGO_|PYTEST_")


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without anything that points to the database of the other tests."""
    return {name: value for name, value in os.environ.items() if not OURS.match(name)} | extra


@pytest.fixture
def home() -> Iterator[Path]:
    """A var directory that PostgreSQL's own account can enter, which pytest's folders are not when root tests."""
    folder = Path(tempfile.mkdtemp(prefix="pf test ", dir="/tmp"))
    folder.chmod(0o755)
    yield folder / "var"
    end_leftovers(str((folder / "var").resolve()), patience=0.5)
    stop_by_force(folder / "var")
    shutil.rmtree(folder)


def stop_by_force(home: Path) -> None:
    """End a cluster whoever started it."""
    cluster = Cluster(home)
    pid_file = cluster.data / "postmaster.pid"
    if cluster.is_running():
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
        wait_until(lambda: not cluster.is_running(), 10)
    shutil.rmtree(cluster.socket_directory, ignore_errors=True)


def wait_until(happens: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One `script/server` without its set-up, on a port and a var directory of its own."""

    def __init__(self, home: Path, *arguments: str, port: int | None = None, **environment: str) -> None:
        self.home = home
        self.port = port or free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "promptforge.serve", "--port", str(self.port), *arguments],
            cwd=ROOT,
            env=clean_environment(
                **{"PROMPTFORGE_VAR": str(home), "WEB_CONCURRENCY": "1", "PROMPTFORGE_LOCAL_MODEL": "no"} | environment
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=2):
                return True
        except urllib.error.HTTPError as answer:
            return answer.code < 500
        except OSError:
            return False

    def wait_until_it_answers(self, seconds: float = 60) -> None:
        wait_until(lambda: self.answers() or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, self.process.communicate()[0]

    def end(self, number: int = signal.SIGTERM) -> str:
        """Send a signal, wait for the end, and return what it had printed."""
        self.process.send_signal(number)
        return self.process.communicate(timeout=40)[0]

    def refusal(self) -> str:
        """What it printed when it ended by itself with exit code 1."""
        said = self.process.communicate(timeout=40)[0]
        assert self.process.returncode == 1, said
        return said


@pytest.fixture
def serve(home: Path) -> Iterator[Callable[..., Server]]:
    """Start servers on `home`; what is left of them is ended afterwards."""
    started: list[Server] = []

    def start(*arguments: str, **options: str) -> Server:
        started.append(Server(home, *arguments, **options))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()
