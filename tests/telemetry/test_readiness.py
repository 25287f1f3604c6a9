"""`/readyz` tells what is wrong, quickly, whatever hangs; `/livez` asks nobody."""

import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from psycopg.conninfo import make_conninfo

from promptforge.lib import readiness
from promptforge.lib.cluster import Cluster
from tests.startup.conftest import Server, home, serve, wait_until

__all__ = ["home", "serve"]

FINE = {"database": "ok", "migrations": "ok", "guards": "ok", "broker": "ok", "disk": "ok"}


@pytest.fixture(autouse=True)
def broker(tmp_path: Path, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "filesystem://"
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path)}


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing, as PostgreSQL does when it is stopped."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def ask(path: str = "/readyz", method: str = "get") -> HttpResponse:
    answer: HttpResponse = getattr(Client(), method)(path)
    return answer


def own(sql: str) -> None:
    with connections["owner"].cursor() as owner:
        owner.execute(sql)


def test_all_is_well(committed_db: str) -> None:
    answer = ask()
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "checks": FINE, "says": []})
    assert answer["Cache-Control"] == "no-store"
    assert b'\n  "guards": "ok",\n' in answer.content  # a line for each check
    assert (ask(method="head").status_code, ask(method="head").content) == (200, b"")
    assert ask(method="post").status_code == 405


def test_a_guard_that_is_off_and_a_migration_that_is_missing_are_told_at_once(committed_db: str) -> None:
    assert ask().status_code == 200
    own("ALTER TABLE prompts_release DISABLE TRIGGER release_frozen")
    own("DELETE FROM django_migrations WHERE app = 'prompts' AND name = '0001_initial'")
    answer = ask()
    assert answer.status_code == 503
    assert answer.json() == {
        "ready": False,
        "checks": FINE | {"guards": "failed", "migrations": "failed"},
        "says": [
            "migrations: The migration 0001_initial of prompts is not applied. Run `manage.py migrate`.",
            "guards: The guard release_frozen on prompts_release is switched off.",
        ],
    }
    own("ALTER TABLE prompts_release ENABLE ALWAYS TRIGGER release_frozen")
    own("INSERT INTO django_migrations (app, name, applied) VALUES ('prompts', '0001_initial', now())")
    assert ask().status_code == 200


def test_a_database_that_was_never_migrated_answers(committed_db: str) -> None:
    own("ALTER TABLE django_migrations RENAME TO django_migrations_before")
    checks = ask().json()["checks"]
    assert (checks["database"], checks["migrations"]) == ("ok", "failed")


@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_without_a_database_it_is_not_ready_within_two_seconds_and_lives(
    how: str, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = silent if how == "is silent" else 1
    target = {"host": "127.0.0.1", "port": port, "user": "x", "password": "hunter2", "connect_timeout": 2}
    monkeypatch.setattr(readiness, "conninfo", lambda **_: make_conninfo(**target))
    began = time.monotonic()
    answer = ask()
    assert time.monotonic() - began < 2
    assert answer.status_code == 503
    assert answer.json()["checks"] == FINE | {"database": "failed", "migrations": "failed", "guards": "failed"}
    assert "hunter2" not in answer.content.decode()
    assert (ask("/livez").status_code, ask("/livez", "head").status_code) == (200, 200)


def test_a_crowd_of_askers_opens_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.settimeout(0.2)
        target = {"host": "127.0.0.1", "port": server.getsockname()[1], "user": "x", "connect_timeout": 2}
        monkeypatch.setattr(readiness, "conninfo", lambda **_: make_conninfo(**target))
        with ThreadPoolExecutor(20) as crowd:
            answers = [each.result() for each in [crowd.submit(readiness.checks) for _ in range(20)]]
        opened = []
        with suppress(TimeoutError):
            while True:
                opened.append(server.accept()[0])
        for each in opened:
            each.close()
    assert (len(opened), len({str(answer) for answer in answers})) == (1, 1)


@pytest.mark.parametrize("url", ["redis://:hunter2@127.0.0.1:1/0", "amqp://127.0.0.1:1//", "strange://x"])
def test_a_broker_that_is_away_does_not_keep_it_from_serving(committed_db: str, url: str, settings: Any) -> None:
    settings.CELERY_BROKER_URL = url
    answer = ask()
    assert (answer.status_code, answer.json()["checks"]) == (200, FINE | {"broker": "degraded"})
    assert "hunter2" not in answer.content.decode()


def test_a_full_disk_is_told_and_serves_on(committed_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LEAST_DISK", 10**18)
    answer = ask()
    assert (answer.status_code, answer.json()["checks"]) == (200, FINE | {"disk": "degraded"})


def test_it_is_quick_and_leaves_no_connection_behind(committed_db: str) -> None:
    def one() -> float:
        began = time.process_time()  # of this process: how busy the machine is does not count
        readiness.checks()
        return time.process_time() - began

    assert min(one() for _ in range(10)) < 0.15  # 0.02 on an idle machine
    with connections["owner"].cursor() as owner:
        owner.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert owner.fetchone()[0] <= 2


@pytest.mark.full
def test_a_server_whose_database_is_stopped(home: Path, serve: Callable[..., Server]) -> None:
    server = serve()
    server.wait_until_it_answers()

    def status(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            return refusal.code

    wait_until(lambda: status("/readyz") == 200, 10)
    postmaster = int((Cluster(home).data / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGSTOP)
    try:
        for _ in range(3):
            began = time.monotonic()
            assert status("/readyz") == 503
            assert time.monotonic() - began < 2
            assert status("/livez") == 200
        assert status("/metrics") == 200
    finally:
        os.kill(postmaster, signal.SIGCONT)
    wait_until(lambda: status("/readyz") == 200, 10)
    server.end()
