"""Whether this PromptForge can serve: what `/readyz` and `/metrics` tell."""

import os
import pkgutil
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import psycopg
from django.apps import apps
from django.conf import settings

from promptforge.lib import guards
from promptforge.lib.conninfo import conninfo

PATIENCE = 1.5  # seconds that all checks together may take
LEAST_DISK = 100_000_000  # bytes; less refuses a start, too
State = Literal["ok", "degraded", "failed"]


class Check(NamedTuple):
    """One thing that was looked at. `degraded` serves on; `failed` does not."""

    name: str
    state: State
    says: list[str]


_under_way: "Future[list[Check]] | None" = None
_lock = threading.Lock()


def checks() -> list[Check]:
    """Look at everything at once, in no more than `PATIENCE` seconds; nothing is remembered.

    Whoever asks while a look is under way shares it: each takes a connection beside the pool, and anybody may ask. The
    broker and the disk only degrade: fetches, saves and rollbacks go on without them.
    """
    global _under_way  # noqa: PLW0603  one look a process
    with _lock:
        theirs = _under_way
        if theirs is None:
            mine = _under_way = Future()
    if theirs is not None:
        return theirs.result()
    try:
        mine.set_result(_look())
    except BaseException as error:
        mine.set_exception(error)
        raise
    finally:
        with _lock:
            _under_way = None
    return mine.result()


def _look() -> list[Check]:
    looks = [_Look(_database), _Look(_broker), _Look(_disk)]
    until = time.monotonic() + PATIENCE
    database, broker, disk = (look.result(until) for look in looks)
    if database is None:
        database = _no_database(f"The database did not answer within {PATIENCE} seconds.")
    slow = [f"It did not answer within {PATIENCE} seconds."]
    return [
        *database,
        *(broker or [Check("broker", "degraded", slow)]),
        *(disk or [Check("disk", "degraded", slow)]),
    ]


class _Look:
    """One check in a thread of its own, so that what hangs does not hold up the answer."""

    def __init__(self, check: Callable[[], list[Check]]) -> None:
        self.check = check
        self.found: list[Check] | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.found = self.check()

    def result(self, until: float) -> list[Check] | None:
        self.thread.join(max(0.0, until - time.monotonic()))
        return self.found


def _database() -> list[Check]:
    """Database, migrations and guards, over a connection beside the pool: a busy server is no broken one."""
    try:
        with psycopg.connect(conninfo(connect_timeout=2), autocommit=True) as connection, connection.cursor() as cursor:
            missing = _missing_migrations(cursor)
            different = list(guards.differences(cursor))
    except psycopg.Error:  # the driver's words may quote the password
        return _no_database("The database does not answer, or refuses the connection.")
    return [
        Check("database", "ok", []),
        Check("migrations", "failed" if missing else "ok", missing),
        Check("guards", "failed" if different else "ok", different),
    ]


def _no_database(sentence: str) -> list[Check]:
    unknown = ["Not known while the database does not answer."]
    return [
        Check("database", "failed", [sentence]),
        Check("migrations", "failed", unknown),
        Check("guards", "failed", unknown),
    ]


def _missing_migrations(cursor: Any) -> list[str]:
    try:
        applied = set(cursor.execute("SELECT app, name FROM django_migrations").fetchall())
    except psycopg.errors.UndefinedTable:  # nothing was ever migrated
        applied = set()
    missing = _shipped_migrations() - applied
    return [f"The migration {name} of {app} is not applied. Run `manage.py migrate`." for app, name in sorted(missing)]


@cache
def _shipped_migrations() -> frozenset[tuple[str, str]]:
    """App and name of every migration of the code, which does not change while it runs."""
    found = set()
    for app in apps.get_app_configs():
        try:
            folder = import_module(f"{app.name}.migrations")
        except ModuleNotFoundError:
            continue
        found |= {(app.label, module.name) for module in pkgutil.iter_modules(folder.__path__)}
    return frozenset(found)


def _broker() -> list[Check]:
    url = urlsplit(settings.CELERY_BROKER_URL)
    ports = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "pyamqp": 5672}
    try:
        if url.scheme == "filesystem":
            fine = os.access(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"], os.W_OK)
        else:
            socket.create_connection((url.hostname or "localhost", url.port or ports[url.scheme]), timeout=1).close()
            fine = True
    except (OSError, KeyError):
        fine = False
    sentence = "The message broker does not answer. Rows are the queue: what waits is done when it is back."
    return [Check("broker", "ok" if fine else "degraded", [] if fine else [sentence])]


def _disk() -> list[Check]:
    disk = os.statvfs(settings.VAR)
    free = disk.f_bavail * disk.f_frsize
    if free >= LEAST_DISK:
        return [Check("disk", "ok", [])]
    sentence = f"The disk that holds {settings.VAR} is full ({free // 1_000_000} MB left): free at least 100 MB."
    return [Check("disk", "degraded", [sentence])]
