"""A restore that is killed at any moment, and a PostgreSQL of one's own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from promptforge.env import ROOT
from promptforge.lib.backup import Archive
from tests.backup.conftest import WRITER, Machine, Source, fill, reached
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


def kill_after(machine: Machine, path: Path, seconds: float) -> bool:
    """Kill a restore, and not its children; returns whether it was still running."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "restore", str(path)],
        cwd=ROOT, env=machine.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(seconds)
    is_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return is_running


@pytest.mark.full
@pytest.mark.timeout(300)
def test_a_killed_restore_is_empty_or_fenced_and_can_be_repeated(
    source: Source, new_machine: Callable[..., Machine]
) -> None:
    path, target, found = source.folder / "killed.tar", new_machine(), []
    writer = source.machine.start(WRITER)
    reached(writer, 150)
    writer.communicate("")
    source.machine.manage("backup", path)
    for seconds in (0.9, 1.1, 1.3, 1.5, 1.7, 1.9, 2.2, 2.6, 3.0):
        killed = kill_after(target, path, seconds)
        found.append(state(target))
        if found[-1] == "fenced":
            assert "is not empty" in target.manage("restore", path, code=1)
            target.manage("restore", path, "--replace", "1")
            assert source.look(target)["fenced"]
            target.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        if not killed:
            break
    assert "empty" in found
    assert "fenced" in found
    assert json.loads(target.manage("restore", path, "--json"))["wrong"] == []


@pytest.mark.full
def test_a_killed_program_rolls_back(source: Source, new_machine: Callable[..., Machine], tmp_path: Path) -> None:
    """`pg_restore` dies in the middle: one sentence, exit 1, and an empty database."""
    path, target = source.folder / "program.tar", new_machine()
    source.machine.manage("backup", path)
    with psycopg.connect(target.owner_url) as blocker:
        blocker.execute("CREATE TABLE public.accounts_user ()")  # not committed: psql waits for the name
        process = subprocess.Popen(
            [sys.executable, "-c", WAITING, str(path)],
            cwd=ROOT, env=target.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        wait_until(lambda: target.sql(OTHERS + " AND query LIKE 'CREATE TABLE%'") == [(2,)], 20)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        for child in children:
            if b"psql" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        said = process.communicate(timeout=30)[0]
    assert "BackupRefused: The restore failed" in said
    assert state(target) == "empty"


WAITING = """
import sys, os
from pathlib import Path
os.environ["DJANGO_SETTINGS_MODULE"] = "promptforge.settings"
import django
django.setup()
from events.restore import load
from promptforge.lib.backup import Archive
load(Archive(Path(sys.argv[1])), 18)
"""


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
    writer = first.start(WRITER)
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
    ring = ",".join(f"k5:{purpose}:{'s' * 40}" for purpose in ("receipt", "api-key", "checkpoint"))
    path, target = source.folder / "environment.tar", new_machine()
    source.machine.manage("backup", path, PROMPTFORGE_KEYS=ring)
    archived = Archive(path).text("keys") or ""
    assert archived.count("k5:") == 3
    assert "k1:django:" in archived
    other = ring.replace("s" * 40, "t" * 40)
    assert "PROMPTFORGE_KEYS lacks keys of the backup" in target.manage("restore", path, code=1, PROMPTFORGE_KEYS=other)
    assert state(target) == "empty"
