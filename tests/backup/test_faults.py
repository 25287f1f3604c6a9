"""A restore that is killed at any moment, and a PostgreSQL of one's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from promptforge.env import ROOT
from promptforge.lib import keyring
from promptforge.lib.backup import Archive
from tests.backup.conftest import Machine, Source, fill, reached
from tests.startup.conftest import wait_until

SERVER = "postgresql://postgres@127.0.0.1:5432"
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def state(machine: Machine) -> str:
    """What a killed restore has left: an empty database, or one that is whole and fenced with a new history."""
    wait_until(lambda: machine.sql(f"{OTHERS} AND usesysid IS NOT NULL") == [(0,)], 20)
    if machine.sql("SELECT to_regclass('public.events_serving')") == [(None,)]:
        return "empty"
    ((fences,),) = machine.sql("SELECT count(*) FROM events_restorefence WHERE confirmed_at IS NULL")
    assert fences == 1
    return "fenced"


# Loads a backup without first asking whether anybody else is there, so that a test can stand in its way.
LOAD = """
from pathlib import Path
from events.restore import load
from promptforge.lib.backup import Archive
load(Archive(Path(sys.argv[1])), 18)
"""


@contextmanager
def in_its_way(machine: Machine, path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A load that waits in the middle of its transaction, for a name that this session is about to take."""
    with psycopg.connect(machine.owner_url) as blocker:
        blocker.execute("CREATE TABLE public.accounts_user ()")
        process = machine.start(LOAD, str(path))
        wait_until(lambda: machine.sql(OTHERS + " AND query LIKE 'CREATE TABLE%'") == [(2,)], 30)
        yield process
        blocker.rollback()


def kill_when(machine: Machine, path: Path, happens: Callable[[], bool]) -> None:
    """Kill a restore, and not its children, at a moment."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "restore", str(path)],
        cwd=ROOT, env=machine.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: process.poll() is not None or happens(), 30)
    process.kill()
    process.wait()


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_killed_restore_is_empty_or_fenced_and_can_be_repeated(
    source: Source, new_machine: Callable[..., Machine]
) -> None:
    path, target = source.folder / "killed.tar", new_machine()
    source.machine.manage("backup", path)

    with in_its_way(target, path) as process:
        process.kill()
        process.communicate()
    assert state(target) == "empty"

    # Once it is committed, before keys, checkpoints and guards have been looked at again.
    kill_when(target, path, lambda: target.sql("SELECT to_regclass('public.events_serving')") != [(None,)])
    assert state(target) == "fenced"
    assert "is not empty" in target.manage("restore", path, code=1)
    target.manage("restore", path, "--replace", "1")
    assert source.look(target)["fenced"]

    for seconds in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        target.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        begin = time.monotonic()
        kill_when(target, path, lambda begin=begin, seconds=seconds: time.monotonic() - begin > seconds)
        assert state(target) in ("empty", "fenced")
    target.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert json.loads(target.manage("restore", path, "--json"))["wrong"] == []


@pytest.mark.full
def test_a_killed_program_rolls_back(source: Source, new_machine: Callable[..., Machine], tmp_path: Path) -> None:
    """`psql` dies in the middle: the restore fails and leaves an empty database."""
    path, target = source.folder / "program.tar", new_machine()
    source.machine.manage("backup", path)
    with in_its_way(target, path) as process:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if b"psql" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        process.communicate(timeout=30)
        assert process.returncode == 1
    assert state(target) == "empty"


# --- A PostgreSQL of one's own ---------------------------------------------------------------------------------------
@pytest.fixture
def databases() -> Iterator[list[str]]:
    """Three addresses of empty databases on a local PostgreSQL, where there is one that trusts us."""
    names = [f"pf_backup_{os.getpid()}_{number}" for number in range(3)]
    try:
        admin = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL on 127.0.0.1, port 5432, that lets the user postgres in without a password")
    with admin:
        for name in names:
            admin.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0".encode())
        yield [f"{SERVER}/{name}" for name in names]
        for name in names:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.full
def test_a_database_of_one_s_own(
    databases: list[str], source: Source, site: tuple[Callable[..., Machine], Path], new_machine: Callable[..., Machine]
) -> None:
    first, second = new_machine(DATABASE_URL=databases[0]), new_machine(DATABASE_URL=databases[1])
    own, path = fill(first, site[1]), source.folder / "own.tar"
    writer = first.write()
    acknowledged = reached(writer, 5)
    first.manage("backup", path)
    writer.communicate("")
    version = Archive(path).manifest["postgresql"] // 10000

    said = first.manage("backup", source.folder / "none.tar", code=1, PATH="/nowhere")
    assert f"There is no pg_dump of PostgreSQL {version} or newer on the PATH" in said

    assert json.loads(second.manage("restore", path, "--json"))["wrong"] == []
    found = own.look(second)
    assert (found["key"], found["receipt"], found["guards"], found["fenced"]) == ("shop", True, [], True)
    assert found["live"] >= acknowledged
    assert "it holds 1 projects" in second.manage("restore", path, code=1)
    with psycopg.connect(databases[1]):
        assert "1 other sessions" in second.manage("restore", path, "--replace", "1", code=1)

    # The embedded PostgreSQL may be newer than this one.
    embedded = source.folder / "embedded.tar"
    source.machine.manage("backup", embedded)
    if Archive(embedded).manifest["postgresql"] // 10000 > version:
        third = new_machine(DATABASE_URL=databases[2])
        assert f"does not fit into the older {version} here" in third.manage("restore", embedded, code=1)


@pytest.mark.full
def test_keys_in_the_environment(source: Source, new_machine: Callable[..., Machine]) -> None:
    """The ring of the environment is in the backup, and a restore wants it there again."""
    ring = ",".join(f"k5:{purpose}:{'s' * 40}" for purpose in keyring.PURPOSES)
    path, target = source.folder / "environment.tar", new_machine()
    source.machine.manage("backup", path, PROMPTFORGE_KEYS=ring)
    archived = Archive(path).text("keys") or ""
    assert archived.count("k5:") == len(keyring.PURPOSES)
    assert "k1:django:" in archived
    other = ring.replace("s" * 40, "t" * 40)
    assert "PROMPTFORGE_KEYS lacks keys of the backup" in target.manage("restore", path, code=1, PROMPTFORGE_KEYS=other)
    assert state(target) == "empty"
