"""Every test that needs a database gets a fresh one, copied from a template, in which transactions really commit.

Frozen tables cannot be flushed, and a transaction that is rolled back at the end never reaches the commit triggers:
so the usual fixtures of pytest-django would test another product. They are refused here.
"""

import fcntl
import gc
import hashlib
import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from promptforge.lib import database, guards
from promptforge.lib.cluster import ADMIN, Cluster
from tests.personas import Team, find_team, make_team
from tests.plugin import ROOT

FORBIDDEN_FIXTURES = {
    "db",
    "transactional_db",
    "django_db_reset_sequences",
    "django_db_serialized_rollback",
    "live_server",
}
TEAMS = {"careful_team": "team", "team": "solo"}  # tests that ask for both mean the careful one
_counter = itertools.count()


def pytest_configure() -> None:
    # Each test client makes an application of its own, and whitenoise would look at every static file for each.
    settings.WHITENOISE_AUTOREFRESH = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        used = FORBIDDEN_FIXTURES & set(getattr(item, "fixturenames", ()))
        if used or item.get_closest_marker("django_db"):
            raise pytest.UsageError(
                f"{item.nodeid} uses {used or 'django_db'}: use committed_db, which commits for real."
            )


def pytest_collection_finish() -> None:
    # Thousands of collected tests and all that they import stay: the collector need not look through them again.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server() -> Iterator[None]:
    """The PostgreSQL that the tests work on: embedded, or the one that DATABASE_URL names."""
    if database.is_external():
        yield
        return
    cluster = Cluster(Path(os.environ["PROMPTFORGE_VAR"]), durable=False)
    cluster.start()
    yield
    cluster.stop()


@contextmanager
def administer() -> Iterator[psycopg.Connection[Any]]:
    """Connect as whoever may end other roles' sessions, so that a database can be dropped at once."""
    url = database.owner_url() if database.is_external() else database.embedded().url(ADMIN, "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def copy_database(admin: psycopg.Connection[Any], name: str, template: str) -> None:
    """A new database like another. File by file takes half as long as through the log, where no disk has to agree."""
    strategy = "WAL_LOG" if database.is_external() else "FILE_COPY"
    admin.execute(
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {} {}").format(
            sql.Identifier(name), sql.Identifier(template), sql.SQL(strategy), _owned()
        )
    )


def drop_database(admin: psycopg.Connection[Any], name: str) -> None:
    """Remove a database and end whoever is left in it.

    A session that was closed just now is still ending: PostgreSQL would find it and look again in a tenth of a second.
    """
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        if not admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchone():
            break
        time.sleep(0.001)
    admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _owned() -> sql.Composable:
    """To whom a new database belongs: to the owner of the tables, whoever creates it."""
    owner = psycopg.conninfo.conninfo_to_dict(database.owner_url()).get("user")
    return sql.SQL("OWNER {}").format(sql.Identifier(str(owner))) if owner else sql.SQL("")


def _template_name() -> str:
    """One template for each state of migrations and guards."""
    digest = hashlib.sha256(guards.shipped_sql().encode())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(path.read_bytes())
    digest.update((ROOT / "requirements.txt").read_bytes())
    return f"template_{digest.hexdigest()[:16]}"


def _point_at(name: str) -> None:
    for alias in connections:
        connections[alias].close()
        connections.databases[alias]["NAME"] = name
        connections[alias].settings_dict["NAME"] = name


@pytest.fixture(scope="session")
def template(server: None, django_db_blocker: Any) -> str:
    """The name of the migrated, guarded, empty database that every test's own is copied from."""
    name, making = _template_name(), f"making_{_template_name()}"
    lock = Path(os.environ["PROMPTFORGE_VAR"]) / "template.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle, administer() as admin:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return name
        # The newest few stay: another run, of another state of the tree, may be working with them.
        for (stale,) in admin.execute(
            "SELECT datname FROM pg_database WHERE datname ~ '^template_[0-9a-f]{16}$' ORDER BY oid DESC OFFSET 4"
        ).fetchall():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(stale)))
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(making)))
        admin.execute(sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(making), _owned()))
        _point_at(making)
        with django_db_blocker.unblock():
            call_command("migrate", verbosity=0)
            for alias in connections:
                connections[alias].close()
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(making), sql.Identifier(name)))
    return name


@pytest.fixture(scope="session")
def peopled(template: str, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    """By the fixture that asks for it, a database with its team: making one takes three times as long as a copy."""
    names = {asked: f"{asked}_{os.getpid()}" for asked in TEAMS}
    with administer() as admin:
        for asked, name in names.items():
            copy_database(admin, name, template)
            _point_at(name)
            with django_db_blocker.unblock():
                make_team("shop", preset=TEAMS[asked])
                for alias in connections:
                    connections[alias].close()
        yield names
        for name in names.values():
            drop_database(admin, name)


@pytest.fixture
def committed_db(
    request: pytest.FixtureRequest, template: str, peopled: dict[str, str], django_db_blocker: Any
) -> Iterator[str]:
    """A database of the test's own; its name is the value. `connections["owner"]` is who owns the tables."""
    name = f"test_{os.getpid()}_{next(_counter)}"
    asked = next((each for each in TEAMS if each in request.fixturenames), None)
    with administer() as admin:
        copy_database(admin, name, peopled[asked] if asked else template)
        _point_at(name)
        _sabotage(name)
        with django_db_blocker.unblock():
            yield name
            for alias in connections:
                connections[alias].close()
        drop_database(admin, name)


def _sabotage(name: str) -> None:
    """Break one guard in this database, when the sabotage suite runs a test to see that it can fail."""
    if statement := os.environ.get("SABOTAGE_SQL"):
        with psycopg.connect(owner_url_of(name), autocommit=True) as owner:
            owner.execute(statement.encode())


def owner_url_of(name: str) -> str:
    """The address of one test database for its owner."""
    base = psycopg.conninfo.conninfo_to_dict(database.owner_url())
    return psycopg.conninfo.make_conninfo(**(base | {"dbname": name}))


@pytest.fixture
def team(committed_db: str) -> Team:
    """The standing personas in the project `shop`, whose `stable` takes direct releases (preset solo)."""
    return find_team("shop")


@pytest.fixture
def careful_team(committed_db: str) -> Team:
    """The same people in a project whose `stable` is protected (preset team)."""
    return find_team("shop")
