"""PostgreSQL ends and comes back, or comes back as an older one: servers that live through it tell of what is."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from promptforge.lib.backup import program
from promptforge.lib.cluster import ADMIN, APPLICATION, DATABASE, OWNER, Cluster
from tests.backup.conftest import Machine, machines
from tests.serving.fleet import History, fleet
from tests.serving.test_history import NAME, run
from tests.startup.conftest import wait_until

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

SHOP = """
from accounts.actions.api_keys import create_key
from accounts.actions.members import create_user, set_roles
from accounts.policies import Principal
from prompts.actions.projects import create_project
from prompts.actions.versions import create_prompt, save_version
emil = create_user(email="emil@shop.example", name="Emil")
project = create_project(name="shop", preset="solo", creator=emil)
set_roles(project=project, user=emil, roles=["editor", "release-manager", "admin"], by=None)
by = Principal(emil, project)
prompt, _ = create_prompt(by=by, name="support/greeting", content="Text 1")
for number in range(2, 6):
    save_version(by=by, prompt=prompt, content=f"Text {number}")
scopes = ["prompts:read", "releases:write"]
print(json.dumps(create_key(project=project, name="k", scopes=scopes, responsible=emil, by=None).text))
"""


@pytest.fixture
def site() -> Iterator[tuple[Machine, Path, str]]:
    """A machine with a shop, a folder beside it, and a key of the shop."""
    with machines() as (make, folder):
        machine = make()
        machine.manage("migrate", "-v0")
        yield machine, folder, machine.ask(SHOP)


def environment(machine: Machine) -> dict[str, str]:
    return {"DATABASE_URL": Cluster(machine.home).url(APPLICATION), "PROMPTFORGE_VAR": str(machine.home)}


def restart_postgresql(machine: Machine) -> None:
    """In order, though nobody is waited for: these clusters give up durability, so a crash would lose commits."""
    cluster = Cluster(machine.home, durable=False)
    os.kill(int((cluster.data / "postmaster.pid").read_text().split()[0]), signal.SIGINT)
    wait_until(lambda: not cluster.is_running(), 20)
    cluster.start()


def test_no_answer_is_stale_while_postgresql_is_restarted(site: tuple[Machine, Path, str]) -> None:
    machine, _, key = site

    def restart(history: History, revision: int) -> None:
        if revision % 40 == 0:
            restart_postgresql(machine)

    with fleet(2, **environment(machine)) as servers:
        history = run(key, servers, moves=200, readers=4, seed=5, besides=restart)
    assert history.is_linearizable()


def put_in_its_place(machine: Machine, restored: str) -> None:
    """Give the restored database the name of the one that is served, under the servers' feet."""
    with psycopg.connect(Cluster(machine.home).url(ADMIN, "postgres"), autocommit=True) as admin:
        for old, new in ((DATABASE, "lost"), (restored, DATABASE)):
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(old)))
            admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [old])
            admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(DATABASE)))


def restore(machine: Machine, path: Path, name: str) -> None:
    cluster = Cluster(machine.home)
    with psycopg.connect(cluster.url(ADMIN, "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
    programs = Path(program("psql", 18)).parent  # a database that is named needs PostgreSQL's own programs on the PATH
    machine.manage(
        "restore",
        path,
        DATABASE_URL=cluster.url(APPLICATION, name),
        DATABASE_OWNER_URL=cluster.url(OWNER, name),
        PATH=f"{programs}:{os.environ['PATH']}",
    )


def test_servers_that_live_through_a_restore_serve_what_was_restored(site: tuple[Machine, Path, str]) -> None:
    machine, folder, key = site
    path = folder / "before.tar"
    with fleet(2, **environment(machine)) as servers:
        run(key, servers, moves=10, readers=2, seed=6)
        machine.manage("backup", path)
        run(key, servers, moves=15, readers=2, seed=7, first=11)
        callers = [server.caller(key) for server in servers]
        assert {revision_of(caller.call) for caller in callers} == {25}
        restore(machine, path, "restored")
        put_in_its_place(machine, "restored")
        assert {revision_of(caller.call) for caller in callers} == {10}
        machine.manage("restore", "--confirm")
        history = run(key, servers, moves=15, readers=4, seed=8, first=11)
    assert history.is_linearizable()


def revision_of(call: Callable[..., tuple]) -> int:
    """What is served now, once the server has found the database again: it looks for it ten times a second."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        status, headers, _ = call("GET", f"/api/v1/prompts/{NAME}")
        if status == 200:
            return int(headers["PromptForge-Revision"])
        assert status == 503
    raise AssertionError("it did not come back")
