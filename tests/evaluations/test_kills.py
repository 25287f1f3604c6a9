"""Workers, brokers and PostgreSQL die in the middle of runs: no paid answer is lost, and none is paid twice but those
that were on their way."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from amqp.exceptions import NotFound
from kombu import Connection
from redis import Redis, RedisError

from evaluations.models import Cell, EvaluationRun
from promptforge.lib import keyring
from promptforge.lib.cluster import APPLICATION, Cluster
from tests.backup.conftest import Machine, machines
from tests.evaluations.running import HELLO, Bench, finished, make_bench, make_due
from tests.evaluations.stub_provider import Provider
from tests.personas import Team
from tests.plugin import ROOT
from tests.races.conftest import environment_of, process
from tests.startup.conftest import free_port, wait_until

RUBRIC = [*HELLO, {"type": "llm-rubric", "value": "The answer greets", "name": "greets"}]
CONCURRENCY = 4
# Three cases that always pass are settled by five repeats at 30 points, and at 15 by ten.
ONE_LOOK = {"repeats": 5, "margin": 0.3}
TWO_LOOKS = {"repeats": 10, "margin": 0.15}
# Dies at one point, when that has been reached so often.
WORKER = """
import os, signal, threading
from evaluations.running import deciding, engine, settling
point, left = os.environ["POINT"], [int(os.environ["AFTER"])]
lock = threading.Lock()
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def counted():
    with lock:
        left[0] -= 1
        return left[0] < 0
def before(module, name, when):
    real = getattr(module, name)
    def instead(*arguments):
        if when(*arguments) and counted():
            if point == "during":
                threading.Timer(0.05, die).start()
            else:
                die()
        return real(*arguments)
    setattr(module, name, instead)
if point == "between looks":
    left[0] = 0
    before(deciding, "insert_repeats", lambda *_: True)
elif point == "judging":
    before(engine, "perform", lambda call: call.judging is not None)
elif point == "answered":
    before(engine, "settle", lambda *_: True)
else:
    before(engine, "perform", lambda *_: True)
engine.work(100)
print("ended", flush=True)
"""
POINTS = ("before", "during", "answered", "judging", "between looks")


@pytest.fixture
def bench(team: Team, provider: Provider) -> Bench:
    made = make_bench(team, provider, criteria=RUBRIC, max_concurrency=CONCURRENCY)
    texts = {"Does the answer fulfil": "GRADE: PASS", "Text": "Hello Ada!"}
    provider.behave(texts=texts, delay=0.02)
    return made


def paid_for(run: EvaluationRun) -> int:
    """The calls that the answers of a run took: each cell's own, and each grade."""
    return sum(map(calls_behind, Cell.objects.filter(run=run, state="done").values_list("scores", flat=True)))


def calls_behind(scores: str) -> int:
    return 1 + scores.count('"greets"') + scores.count('"again"')


def kept(run: EvaluationRun) -> dict[int, tuple[object, ...]]:
    rows = Cell.objects.filter(run=run, state="done").values_list("pk", "output", "request_id", "scores", "measures")
    return {row[0]: row[1:] for row in rows}


@pytest.mark.parametrize(
    ("point", "after"),
    [
        ("during", 6),
        ("answered", 6),
        *(pytest.param(point, 6, marks=pytest.mark.full) for point in ("before", "judging", "between looks")),
        *(pytest.param(point, n, marks=pytest.mark.full) for point in POINTS for n in range(20)),
    ],
)
def test_a_worker_killed_anywhere_loses_nothing_and_pays_nothing_twice(
    bench: Bench, provider: Provider, committed_db: str, point: str, after: int
) -> None:
    run = bench.start(**(TWO_LOOKS if point == "between looks" else ONE_LOOK))
    with process(
        committed_db,
        WORKER,
        POINT=point,
        AFTER=str(after),
        PROMPTFORGE_ALLOWED_PRIVATE_HOSTS=provider.host,
        PROMPTFORGE_KEYS=ring(),
    ) as worker:
        worker.child.wait(100)
        assert worker.child.returncode == -signal.SIGKILL, worker.child.stderr and worker.child.stderr.read()
    run.refresh_from_db()
    assert run.status == "running"
    before = kept(run)
    make_due(run)
    finished(run)
    assert run.outcome == "PASS", (run.pause_reason, run.verdict)
    assert before.items() <= kept(run).items()
    assert len(provider.calls()) <= paid_for(run) + CONCURRENCY
    assert len(provider.calls()) <= run.calls


def ring() -> str:
    lines = (f"{key.id}:{purpose}:{key.secret.decode()}" for purpose, keys in keyring.keyring().items() for key in keys)
    return ",".join(line for line in lines if ":django:" not in line)


# --- Real workers and brokers ----------------------------------------------------------------------------------------
@contextmanager
def celery(
    environment: dict[str, str], home: Path, broker: str, provider: Provider
) -> Iterator[subprocess.Popen[bytes]]:
    """A real worker of two processes with the schedule inside it, in a group that is killed whole."""
    for folder in ("broker", "broker-control"):
        (home / folder).mkdir(exist_ok=True)
    environment = environment | {
        "PROMPTFORGE_VAR": str(home),
        "PROMPTFORGE_ALLOWED_PRIVATE_HOSTS": provider.host,
        "CELERY_BROKER_URL": broker,
    }
    with (home / "worker.log").open("a") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "promptforge", "worker", "--beat", "--concurrency", "2",
             "--schedule", str(home / "schedule"), "--loglevel", "INFO", "--without-gossip", "--without-mingle"],
            cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        yield worker
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def on(name_of_database: str) -> dict[str, str]:
    """The environment of a worker on the test's database."""
    return environment_of(name_of_database) | {"PROMPTFORGE_KEYS": ring()}


FILES, RABBITMQ = "filesystem://", "amqp://guest:guest@127.0.0.1:5672//"


class OwnRedis:
    """A Redis server of the test's own, which keeps nothing on disk."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_until(self.answers, 10)

    def answers(self) -> bool:
        try:
            return bool(Redis(port=self.port).ping())
        except RedisError:
            return False

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()


class Broker(NamedTuple):
    """`forget`: everything that it holds is gone, under the feet of whoever is connected. `die`: it is killed too."""

    url: str
    forget: Callable[[], object]
    die: Callable[[], object]


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    if request.param == "redis":
        if shutil.which("redis-server") is None:
            pytest.skip("There is no redis-server on this machine.")
        server = OwnRedis()

        def die() -> None:
            server.kill()
            time.sleep(0.5)  # workers and schedule meet a broker that is not there
            server.start()

        yield Broker(server.url, Redis(port=server.port).flushall, die)
        server.kill()
        return

    def forget() -> None:
        if request.param == "rabbitmq":
            with Connection(RABBITMQ) as connection, suppress(NotFound):
                connection.default_channel.queue_purge("celery")
        for message in (tmp_path / "broker").glob("*"):
            message.unlink(missing_ok=True)

    yield Broker(RABBITMQ if request.param == "rabbitmq" else FILES, forget, forget)


@pytest.mark.full
@pytest.mark.parametrize("broker", ["filesystem", "redis", "rabbitmq"], indirect=True)
def test_workers_killed_with_their_broker_lose_nothing(
    bench: Bench, provider: Provider, committed_db: str, tmp_path: Path, broker: Broker
) -> None:
    """The first workers are killed whole in mid-run; others go on from rows alone, while the broker forgets and dies.

    Redis is killed itself; a file system cannot be, and the RabbitMQ of the machine is not the test's own.
    """
    run = bench.start(**ONE_LOOK)
    with celery(on(committed_db), tmp_path, broker.url, provider):
        wait_for(lambda: Cell.objects.filter(run=run, state="done").count() >= 5, tmp_path)
    before = kept(run)
    assert len(before) < 30
    broker.forget()
    make_due(run)
    with celery(on(committed_db), tmp_path, broker.url, provider) as worker:
        wait_for(lambda: len(kept(run)) > len(before), tmp_path)
        broker.die()
        wait_for(lambda: EvaluationRun.objects.get(pk=run.pk).status == "done", tmp_path)
        another = bench.start(candidate=run.candidate, **ONE_LOOK, seed=2)
        wait_for(lambda: EvaluationRun.objects.get(pk=another.pk).status == "done", tmp_path)
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    run.refresh_from_db()
    assert run.outcome == "PASS"
    assert before.items() <= kept(run).items()
    assert len(provider.calls()) <= paid_for(run) + paid_for(another) + CONCURRENCY
    said = (tmp_path / "worker.log").read_text()
    assert "sk-good" not in said
    assert "Traceback" not in said or "redis" in broker.url  # Celery tells in full how it lost its connection


# --- PostgreSQL ------------------------------------------------------------------------------------------------------
SCENE = """
from pathlib import Path
from tests.evaluations.running import make_bench
from tests.evaluations.stub_provider import Provider
from tests.evaluations.test_kills import CONCURRENCY, ONE_LOOK, RUBRIC
from tests.personas import make_team
provider = Provider(*json.loads(sys.argv[1]))
bench = make_bench(make_team("shop", "solo"), provider, criteria=RUBRIC, max_concurrency=CONCURRENCY)
print(json.dumps(bench.start(**ONE_LOOK).pk))
"""
KILLS = 4
DONE = "SELECT id, output, request_id, scores, measures FROM evaluations_cell WHERE state = 'done'"
# What was leased before this moment, and by nobody who lives.
FREE = "UPDATE evaluations_cell SET leased_until = now() WHERE leased_until < to_timestamp({}) + interval '75 seconds'"


@pytest.mark.full
@pytest.mark.timeout(300)
def test_postgresql_killed_in_the_middle_of_a_run_loses_no_answer(provider: Provider) -> None:
    """Killed four times under a worker that lives on: what was committed stays, and only calls on their way are paid
    again."""
    provider.behave(texts={"Does the answer fulfil": "GRADE: PASS", "Text": "Hello Ada!"}, delay=0.1)
    with machines() as (make, _), lasting(make(PROMPTFORGE_KEYS=ring())) as (machine, cluster):
        machine.manage("migrate", "-v0")
        run = machine.ask(SCENE, [str(provider.folder), provider.port])
        environment = machine.environment | {"DATABASE_URL": cluster.url(APPLICATION)}
        with celery(environment, machine.home, FILES, provider) as worker:
            for kill in range(1, KILLS + 1):
                wait_for(lambda n=kill: len(machine.sql(DONE)) >= 5 * n, machine.home)
                before = set(machine.sql(DONE))
                killed_at = kill_postgresql(cluster)
                time.sleep(0.3)  # the worker meets a database that is not there
                cluster.start()
                assert before <= set(machine.sql(DONE))
                machine.sql(FREE.format(killed_at))
            wait_for(lambda: machine.sql("SELECT 1 FROM evaluations_evaluationrun WHERE status = 'done'"), machine.home)
            assert worker.poll() is None, "the worker lives through it"
        found = machine.sql(f"SELECT outcome, calls FROM evaluations_evaluationrun WHERE id = {run}")
        cells = machine.sql(f"SELECT case_id, arm, repeat, state, scores FROM evaluations_cell WHERE run_id = {run}")
    outcome, counted = found[0]
    paid = sum(calls_behind(scores) for *_, scores in cells)
    print(f"killed {KILLS} times: {len(provider.calls())} calls for {paid} that the answers took")
    assert outcome == "PASS"
    assert (len(cells), len({cell[:3] for cell in cells}), {cell[3] for cell in cells}) == (30, 30, {"done"})
    assert len(provider.calls()) <= paid + CONCURRENCY * KILLS
    assert len(provider.calls()) <= counted


@contextmanager
def lasting(machine: Machine) -> Iterator[tuple[Machine, Cluster]]:
    """The machine with a PostgreSQL that keeps what it commits, other than those of tests."""
    cluster = Cluster(machine.home)
    os.kill(pid_of(cluster), signal.SIGINT)
    wait_until(lambda: not cluster.is_running(), 20)
    cluster.start()
    try:
        yield machine, cluster
    finally:
        cluster.stop()


def pid_of(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


def kill_postgresql(cluster: Cluster) -> float:
    """When it was dead, in seconds of the epoch."""
    os.kill(pid_of(cluster), signal.SIGKILL)
    wait_until(lambda: not cluster.is_running(), 20)
    return time.time()


def wait_for(reached: object, home: Path, seconds: float = 100) -> None:
    assert callable(reached)
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, (home / "worker.log").read_text()[-3000:]
        time.sleep(0.05)


def test_a_worker_that_is_told_to_end_ends_soon_and_leaves_no_cell_taken(
    bench: Bench, provider: Provider, committed_db: str, tmp_path: Path
) -> None:
    run = bench.start()
    provider.behave(text="GRADE: PASS", delay=0.5)
    with celery(on(committed_db), tmp_path, FILES, provider) as worker:
        wait_for(lambda: len(provider.calls()) >= 3, tmp_path)
        began = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
        taken = time.monotonic() - began
    print(f"ended in {taken:.1f} s")
    assert taken < 15
    assert not Cell.objects.filter(run=run, leased_until__isnull=False).exists()
    assert len(provider.calls()) == Cell.objects.filter(run=run, tries__gt=0).count() + graded(run)


def graded(run: EvaluationRun) -> int:
    scores = Cell.objects.filter(run=run).values_list("scores", flat=True)
    return sum(each.count('"greets"') + each.count('"again"') for each in scores)
