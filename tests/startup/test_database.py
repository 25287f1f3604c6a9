"""The embedded PostgreSQL: made once, shared, mended after kills, stopped by the last; and a named one's refusals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import environ
import psycopg
import pytest

from promptforge.env import ROOT
from promptforge.lib import cluster as cluster_module
from promptforge.lib import database
from promptforge.lib.cluster import ADMIN, APPLICATION, OWNER, Cluster, DatabaseUnavailable, State
from promptforge.lib.os_account import account_for
from tests.startup.conftest import clean_environment, free_port, wait_until

JOIN_AND_WAIT = """
import sys
from pathlib import Path
from promptforge.lib.cluster import Cluster
cluster = Cluster(Path(sys.argv[1]))
cluster.start()
print("joined", flush=True)
sys.stdin.read()
cluster.stop()
"""


def another_user(home: Path) -> "subprocess.Popen[str]":
    """A second process that has joined the cluster, and leaves when its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", JOIN_AND_WAIT, str(home)],
        cwd=ROOT, env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "joined\n"
    return process


def pid_of(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


def test_start_makes_it_once_and_stop_leaves_nothing_running(home: Path) -> None:
    cluster = Cluster(home)
    cluster.start()
    with psycopg.connect(cluster.url(OWNER)) as connection:
        connection.execute("create table kept (word text)")
        connection.execute("insert into kept values ('yes')")
    cluster.stop()
    assert not cluster.is_running()
    assert not cluster.socket_directory.exists()

    began = time.monotonic()
    cluster.start()
    assert time.monotonic() - began < 0.5
    with psycopg.connect(cluster.url(OWNER)) as connection:
        assert connection.execute("select word from kept").fetchone() == ("yes",)
    cluster.stop()


def test_roles_are_apart(home: Path) -> None:
    cluster = Cluster(home, durable=False)
    cluster.start()
    with psycopg.connect(cluster.url(OWNER), autocommit=True) as owner:
        assert owner.execute("select rolsuper, rolcreatedb from pg_roles where rolname = current_user").fetchone() == (
            False,
            True,
        )
        owner.execute("create database another")
        assert owner.execute("show listen_addresses").fetchone() == ("",)
        assert owner.execute("show fsync").fetchone() == ("off",)
        assert owner.execute("select datcollate, pg_encoding_to_char(encoding) from pg_database").fetchone() == (
            "C",
            "UTF8",
        )
    with psycopg.connect(cluster.url(APPLICATION)) as application, pytest.raises(psycopg.errors.InsufficientPrivilege):
        application.execute("create table mine (word text)")
    cluster.stop()


def test_whoever_leaves_last_stops_it(home: Path) -> None:
    cluster = Cluster(home, durable=False)
    cluster.start()
    other = another_user(home)
    cluster.stop()
    assert cluster.is_running()
    other.communicate("")
    assert not cluster.is_running()


def test_a_killed_owner_leaves_it_to_the_next(home: Path) -> None:
    other = another_user(home)
    other.kill()
    other.communicate()
    cluster = Cluster(home)
    before = pid_of(cluster)
    cluster.start()
    assert pid_of(cluster) == before
    cluster.stop()
    wait_until(lambda: not cluster.is_running(), 5)


def is_alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_server_is_started_again_with_its_data(home: Path) -> None:
    cluster = Cluster(home)
    cluster.start()
    with psycopg.connect(cluster.url(OWNER)) as connection:
        connection.execute("create table kept as select 7 as number")
    pid = pid_of(cluster)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), 10)  # a signal that was sent is not yet a process that ended
    cluster.start()
    with psycopg.connect(cluster.url(OWNER)) as connection:
        assert connection.execute("select number from kept").fetchone() == (7,)
    cluster.stop()


def test_a_stale_process_file_is_seen_through(home: Path) -> None:
    cluster = Cluster(home, durable=False)
    cluster.start()
    process_file = cluster.data / "postmaster.pid"
    written = process_file.read_text()
    lock_file = cluster.socket_directory / ".s.PGSQL.5432.lock"
    lock = lock_file.read_text()
    cluster.stop()

    child = subprocess.Popen(["/bin/true"])
    wait_until(lambda: " Z " in Path(f"/proc/{child.pid}/stat").read_text(), 3)
    zombie = child.pid
    for number in (zombie, os.getpid()):  # a dead child that nobody has reaped, and a living stranger
        process_file.write_text(written.replace(written.split()[0], str(number), 1))
        assert cluster._state() is State.STALE
    cluster._claim_socket_directory(account_for(cluster.data))
    lock_file.write_text(lock.replace(lock.split()[0], str(zombie), 1))
    cluster.start()
    assert cluster.is_running()
    cluster.stop()
    child.wait()


def test_a_lost_socket_is_mended(home: Path) -> None:
    cluster = Cluster(home, durable=False)
    cluster.start()
    (cluster.socket_directory / ".s.PGSQL.5432").unlink()
    cluster.start()
    psycopg.connect(cluster.url(ADMIN, "postgres")).close()
    cluster.stop()


def test_a_folder_that_is_no_database_is_left_alone(home: Path) -> None:
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "letters").write_text("mine")
    with pytest.raises(DatabaseUnavailable, match="holds no database: move it away"):
        Cluster(home).start()
    assert (home / "postgres" / "letters").read_text() == "mine"


def test_a_socket_folder_of_somebody_else_is_refused(home: Path) -> None:
    cluster = Cluster(home, durable=False)
    cluster.socket_directory.mkdir(mode=0o755)
    with pytest.raises(DatabaseUnavailable, match="open to others: remove it"):
        cluster.start()
    cluster.socket_directory.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that PostgreSQL's account cannot enter")
def test_root_keeps_the_data_where_their_account_can_enter(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "SYSTEM_PLACE", home.parent / "system")
    closed = home.parent / "closed"
    closed.mkdir(mode=0o700)
    cluster = Cluster(closed / "var", durable=False)
    cluster.start()
    assert (closed / "var" / "postgres").is_symlink()
    assert cluster.data == (home.parent / "system" / cluster.digest / "postgres").resolve()
    assert cluster.data.stat().st_uid != 0
    cluster.stop()
    cluster.start()
    cluster.stop()


def test_missing_programs_are_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "SUPPLIER", "no_such_supplier")
    with pytest.raises(DatabaseUnavailable, match=r"not installed .* set DATABASE_URL"):
        Cluster(home).start()


def test_a_full_disk_is_one_sentence(home: Path) -> None:
    said = (
        'initdb: error: could not write to file "pg_wal/xlogtemp.1": No space left on device\ninitdb: removing contents'
    )
    assert (
        cluster_module._explain(said, home, home)
        == f"The disk that holds {home} is full: free some space and start again."
    )


@pytest.mark.full
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_really_full_disk_leaves_nothing_half_made(home: Path) -> None:
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tmpfs", str(home)], check=True)
    try:
        with pytest.raises(DatabaseUnavailable, match="is full: free some space"):
            Cluster(home).start()
        assert not (home / "postgres.new").exists()
        assert not (home / "postgres").exists()
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_the_address_reads_alike_for_driver_and_settings(home: Path) -> None:
    cluster = Cluster(home)
    url = cluster.url(APPLICATION)
    assert psycopg.conninfo.conninfo_to_dict(url) == {
        "user": APPLICATION,
        "dbname": "promptforge",
        "host": str(cluster.socket_directory),
        "port": "5432",
    }
    config = environ.Env.db_url_config(url)
    assert (config["ENGINE"], config["NAME"], config["USER"], config["PORT"]) == (
        "django.db.backends.postgresql",
        "promptforge",
        APPLICATION,
        5432,
    )
    assert config["OPTIONS"] == {"host": str(cluster.socket_directory)}
    assert len(str(cluster._socket)) < 100


@pytest.fixture
def no_named_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_named_database")
class TestNamedDatabase:
    def test_the_owner_is_the_application_unless_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert f"//{APPLICATION}@" in database.application_url()
        assert f"//{OWNER}@" in database.owner_url()
        monkeypatch.setenv("DATABASE_URL", "postgresql://a@h/n")
        assert database.owner_url() == database.application_url() == "postgresql://a@h/n"
        monkeypatch.setenv("DATABASE_OWNER_URL", "postgresql://o@h/n")
        assert database.owner_url() == "postgresql://o@h/n"

    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("postgresql://ada:geheim@127.0.0.1:{port}/x", "at 127.0.0.1, port {port}, does not answer"),
            ("mysql://ada:geheim@127.0.0.1/x", "DATABASE_URL must begin with postgresql://"),
            ("postgresql://ada:geheim@127.0.0.1/x?nonsense=1", "DATABASE_URL is not a valid address"),
        ],
    )
    def test_an_unusable_address_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, url: str, sentence: str
    ) -> None:
        port = free_port()
        monkeypatch.setenv("DATABASE_URL", url.format(port=port))
        with pytest.raises(DatabaseUnavailable) as refused:
            database.check_external()
        assert sentence.format(port=port) in str(refused.value)
        assert "geheim" not in str(refused.value)

    def test_what_a_living_server_refuses_is_named(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Cluster(home, durable=False)
        cluster.start()
        for role, name, sentence in (
            (OWNER, "nowhere", "has no database nowhere: create it"),
            ("nobody_here", "promptforge", "has no role nobody_here: create it"),
        ):
            monkeypatch.setenv("DATABASE_URL", cluster.url(role, name))
            with pytest.raises(DatabaseUnavailable, match=sentence):
                database.check_external()
        monkeypatch.setenv("DATABASE_URL", cluster.url(OWNER))
        database.check_external()
        monkeypatch.setattr(database, "OLDEST", 99)
        with pytest.raises(DatabaseUnavailable, match="leads to PostgreSQL 18, and PromptForge needs 99"):
            database.check_external()
        cluster.stop()

    def test_a_command_has_the_database_for_as_long_as_it_runs(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster = Cluster(home, durable=False)
        monkeypatch.setattr(database, "embedded", lambda: cluster)
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        for words in (["manage.py"], ["manage.py", "help"], ["manage.py", "migrate", "--help"]):
            with database.available(words):
                assert not home.exists()
        with database.available(["manage.py", "migrate"]):
            assert cluster.is_running()
        assert not cluster.is_running()

    def test_a_command_ends_with_the_sentence(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATABASE_URL", "mysql://h/n")
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        with (
            pytest.raises(SystemExit, match="must begin with postgresql://"),
            database.available(["manage.py", "migrate"]),
        ):
            pass
