"""Running things at the same time: threads with connections of their own, and processes that can be killed."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections

from promptforge.lib import database
from tests.plugin import ROOT


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What `act(0)` … `act(count - 1)` answer or raise, all begun at the same moment, each in a thread of its own."""
    start = threading.Barrier(count)
    answers: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            connections["default"].ensure_connection()
            start.wait(30)
            answers[number] = act(number)
        except Exception as error:  # noqa: BLE001  the test looks at it
            answers[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return answers


@contextmanager
def meanwhile(act: Callable[[threading.Event, threading.Event], Any]) -> Iterator[list[Any]]:
    """Run `act(reached, go_on)` in a thread beside the block: from when it has set `reached` to when the block ends.

    The list holds what `act` answered or raised, once the block is over.
    """
    reached, go_on = threading.Event(), threading.Event()
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(act(reached, go_on))
        except Exception as error:  # noqa: BLE001  the test looks at it
            outcome.append(error)
        finally:
            reached.set()
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert reached.wait(30)
        assert not outcome, outcome
        yield outcome
    finally:
        go_on.set()
        thread.join(30)
        assert not thread.is_alive()


def environment_of(name_of_database: str) -> dict[str, str]:
    """What a process needs to work on a test's database."""
    return os.environ | {
        "DATABASE_URL": _at_database(database.application_url(), name_of_database),
        "DATABASE_OWNER_URL": _at_database(database.owner_url(), name_of_database),
        "DJANGO_SETTINGS_MODULE": "promptforge.settings",
    }


class Process:
    """A Python process on a test's database, which says lines and can be killed."""

    def __init__(self, name_of_database: str, code: str, **environment: str) -> None:
        begin = "import django; django.setup()\n"
        self.child = subprocess.Popen(
            [sys.executable, "-c", begin + textwrap.dedent(code)],
            cwd=ROOT,
            env=environment_of(name_of_database) | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.child.stdout is not None
        said = self.child.stdout.readline().strip()
        if not said:
            assert self.child.stderr is not None
            raise AssertionError(self.child.stderr.read())
        return said

    def kill(self) -> None:
        self.child.send_signal(signal.SIGKILL)

    def rest(self) -> list[str]:
        """What it had still said when it was killed."""
        said, _ = self.child.communicate(timeout=30)
        return said.split()


@contextmanager
def process(name_of_database: str, code: str, **environment: str) -> Iterator[Process]:
    started = Process(name_of_database, code, **environment)
    try:
        yield started
    finally:
        started.kill()
        started.child.communicate(timeout=30)


def _at_database(url: str, name: str) -> str:
    address, query, rest = url.partition("?")
    return f"{address.rpartition('/')[0]}/{name}{query}{rest}"
