"""`script/server` from start to end: refusals in one sentence, what dies comes back, kills leave nothing behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from promptforge.env import ROOT
from promptforge.lib import supervisor as supervisor_module
from promptforge.lib.cluster import Cluster
from promptforge.lib.supervisor import Service, Supervisor, end_leftovers
from tests.startup.conftest import Server, clean_environment, free_port, wait_until

Serve = Callable[..., Server]


def left_of(home: Path) -> list[int]:
    """Processes that a server on this var directory has started, PostgreSQL included."""
    marked = supervisor_module._marked(str(home.resolve()))
    postgres = home / "postgres" / "postmaster.pid"
    return marked + ([int(postgres.read_text().split()[0])] if postgres.exists() else [])


def children_of(server: Server, name: str) -> list[int]:
    """The processes of one service, by a word of its command line, oldest first."""
    found = []
    for pid in supervisor_module._marked(str(server.home.resolve())):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if name in words or any(word.endswith(f"/{name}") for word in words):
            found.append(pid)
    return sorted(found)


def test_a_whole_life(home: Path, serve: Serve) -> None:
    """Start, be refused a second time, lose a web and a worker process, end on SIGTERM, start again with the data."""
    server = serve()
    server.wait_until_it_answers()
    assert len(children_of(server, "granian")) >= 2
    wait_until(lambda: len(children_of(server, "worker")) >= 2, 20)
    wait_until(lambda: len(children_of(server, "beat")) == 1, 20)

    second = Server(home)
    assert re.fullmatch(
        rf"PromptForge cannot run\. It runs already from this folder "
        rf"\(process {server.process.pid}, http://127\.0\.0\.1:{server.port}/\)\.\n",
        second.refusal(),
    )

    web, worker = children_of(server, "granian")[0], children_of(server, "worker")[0]
    assert os.getpriority(os.PRIO_PROCESS, worker) > os.getpriority(os.PRIO_PROCESS, web)
    os.kill(web, signal.SIGKILL)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: web not in children_of(server, "granian") and server.answers(), 20)
    wait_until(lambda: len(children_of(server, "worker")) >= 2 and worker not in children_of(server, "worker"), 20)

    said = server.end()
    assert server.process.returncode == 0
    assert said.index("Sign in: admin@example.com") < said.index(f"PromptForge is at http://127.0.0.1:{server.port}/")
    assert "/api/v1/prompts/support/greeting" in said
    assert "manage.py rollback support/greeting" in said
    assert "manage.py at support/greeting" in said
    assert "The demo's evaluations: They are made by the local model, which is declined here." in said
    assert "The web server ended (killed by signal 9) and is started again." in said
    assert left_of(home) == []


@pytest.mark.full
def test_a_first_start_tells_the_password_before_it_serves(serve: Serve) -> None:
    """However it is ended from then on, somebody can sign in."""
    said = serve().process.stdout
    assert said is not None
    line = next(line for line in said if line.startswith(("Sign in: ", "\n", "PromptForge")))
    assert line.startswith("Sign in: admin@example.com  password ")
    assert next(said).startswith("Key: pf_")


@pytest.mark.full
def test_ctrl_c_ends_it_and_the_next_start_is_quick(home: Path, serve: Serve) -> None:
    first = serve()
    first.wait_until_it_answers()
    keys = (home / "keys").read_text()
    first.end(signal.SIGINT)
    assert left_of(home) == []

    again = serve()
    began = time.monotonic()
    again.wait_until_it_answers()
    assert time.monotonic() - began < 10  # 3 s on an idle machine
    assert (home / "keys").read_text() == keys
    again.end()


@pytest.mark.full
def test_a_killed_server_leaves_nothing_that_hinders_the_next(home: Path, serve: Serve) -> None:
    """Kill -9 of the supervisor alone, then of every process at once; each time the same port serves again."""
    first = serve()
    first.wait_until_it_answers()
    first.process.kill()
    first.process.communicate()

    second = serve(port=first.port)
    second.wait_until_it_answers()
    for pid in [second.process.pid, *left_of(home)]:
        os.kill(pid, signal.SIGKILL)
    second.process.communicate()

    third = serve(port=first.port)
    third.wait_until_it_answers()
    third.end()
    assert left_of(home) == []


@pytest.mark.full
def test_a_killed_database_comes_back(home: Path, serve: Serve) -> None:
    server = serve()
    server.wait_until_it_answers()
    cluster = Cluster(home)
    os.kill(int((cluster.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    wait_until(lambda: not cluster.is_running(), 5)
    wait_until(cluster.is_running, 5)

    settings = cluster.data / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("nonsense = on\n")  # as little as a full disk lets it start
    os.kill(int((cluster.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    wait_until(lambda: "nonsense" in cluster.log.read_text(), 20)
    assert server.answers()
    settings.write_text(before)
    wait_until(cluster.is_running, 20)
    said = server.end()
    assert said.count("The database ended and is started again.") == 2
    assert said.count("It is tried again until it succeeds.") == 1


def test_a_killed_supervisor_takes_its_children_along(home: Path) -> None:
    """The short form: no server, only a supervisor with one sleeping service."""
    program = (
        "import sys, time; from pathlib import Path; from promptforge.lib.supervisor import *\n"
        "s = Supervisor([Service('sleep', ['/bin/sleep', '60'], Path(sys.argv[1]))],"
        " {MARK: sys.argv[2]}, print, lambda: False)\n"
        "s.start(); print('started', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(home.parent / "log"), str(home)],
        cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    assert len(supervisor_module._marked(str(home))) == 1
    process.kill()
    process.communicate()
    wait_until(lambda: supervisor_module._marked(str(home)) == [], 3)


def test_what_ignores_the_end_is_ended_by_the_next_start(home: Path) -> None:
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", stubborn], env={supervisor_module.MARK: str(home)}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert end_leftovers(str(home), patience=0.2) == 1
    assert process.wait(timeout=3) == -signal.SIGKILL
    process.stdout.close()
    assert end_leftovers(str(home), patience=0.2) == 0


def test_a_crash_loop_is_slowed_and_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    service = Service("worker", ["/bin/sh", "-c", "exit 3"], tmp_path / "worker.log")
    supervisor = Supervisor([service], dict(os.environ), said.append, lambda: False)
    supervisor.start()
    one = supervisor.running[0]
    for expected in (0.5, 1.0, 2.0, 4.0, 4.0):
        assert one.process is not None
        one.process.wait()
        before = time.monotonic()
        supervisor.tend()
        assert one.next_try_at - before == pytest.approx(expected, abs=0.1)
        one.next_try_at = 0.0
        supervisor.tend()
    assert said == [
        "The worker ended (exit code 3) and is started again.",
        "The worker ended (exit code 3) and is started again.",
        f"The worker keeps ending soon after its start: see {tmp_path}/worker.log. Trying on.",
    ]
    supervisor.stop()


def test_stop_takes_grandchildren_too(tmp_path: Path) -> None:
    service = Service("web server", ["/bin/sh", "-c", "sleep 61 & echo $!; wait"], tmp_path / "web.log", grace=2)
    supervisor = Supervisor([service], dict(os.environ), print, lambda: False)
    supervisor.start()
    wait_until(lambda: bool((tmp_path / "web.log").read_text()), 3)
    grandchild = int((tmp_path / "web.log").read_text())
    supervisor.stop()
    wait_until(lambda: not Path(f"/proc/{grandchild}/cmdline").exists() or not _cmdline(grandchild), 3)


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class TestRefusals:
    """Each is one sentence and exit code 1, and leaves nothing running."""

    def test_a_taken_port(self, home: Path, serve: Serve) -> None:
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            assert serve(port=port).refusal() == (
                f"PromptForge cannot run. Port {port} is taken by another program: choose another one with --port.\n"
            )
        assert left_of(home) == []
        assert not (home / "postgres").exists()

    def test_an_unreachable_database(self, home: Path, serve: Serve) -> None:
        port = free_port()
        server = serve(DATABASE_URL=f"postgresql://ada:geheim@127.0.0.1:{port}/pf")
        assert server.refusal() == (
            f"PromptForge cannot run. PostgreSQL at 127.0.0.1, port {port}, does not answer: "
            "check that it runs, and the host and port in DATABASE_URL.\n"
        )
        assert left_of(home) == []

    def test_an_unreachable_broker(self, home: Path, serve: Serve) -> None:
        port = free_port()
        server = serve(CELERY_BROKER_URL=f"redis://:geheim@127.0.0.1:{port}/0")
        assert server.refusal() == (
            f"PromptForge cannot run. The message broker at 127.0.0.1, port {port}, does not answer: "
            "check that it runs, and the host, port and password in CELERY_BROKER_URL.\n"
        )
        assert left_of(home) == []

    def test_a_key_file_that_others_can_read(self, home: Path, serve: Serve) -> None:
        home.mkdir()
        (home / "keys").write_text("")
        (home / "keys").chmod(0o644)
        assert "can be read by others: run chmod 600 on it." in serve().refusal()

    @pytest.mark.parametrize("port", ["0", "65536", "http"])
    def test_a_port_that_is_none(self, home: Path, port: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "promptforge.serve", "--port", port],
            cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert f"'{port}' is not a port: use a number from 1 to 65535" in done.stderr
