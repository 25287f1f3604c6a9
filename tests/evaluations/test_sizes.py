"""How fast a run is, and how much memory a worker takes: the sizes that were promised."""

import statistics
import time
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.urls import reverse

from evaluations.models import Cell
from evaluations.running.engine import Engine
from tests.evaluations.running import make_bench
from tests.evaluations.stub_provider import Provider, spawning
from tests.evaluations.test_kills import ring
from tests.guards.attacks import forge_release
from tests.pages.conftest import signed_in
from tests.personas import Team
from tests.races.conftest import process
from tests.serving.fleet import Caller, fleet

WORKER = """
import resource
from evaluations.running.engine import work
work(200)
import sys
assert "scipy" in sys.modules
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, flush=True)
"""


@pytest.mark.full
@pytest.mark.timeout(400)
def test_a_thousand_calls_of_a_second_take_a_minute(team: Team, tmp_path: Path, settings: LazySettings) -> None:
    with spawning(tmp_path / "stub") as provider:
        settings.ALLOWED_PRIVATE_HOSTS = [provider.host]
        bench = make_bench(team, provider, cases=500, max_concurrency=20)
        provider.behave(text="Hello Ada!", delay=1)
        run = bench.start(repeats=1)
        assert Cell.objects.filter(run=run).count() == 1000
        began = time.monotonic()
        Engine().work(300)
        taken = time.monotonic() - began
        run.refresh_from_db()
        print(f"1,000 calls of a second, 20 at once: {taken:.1f} s; most at once {provider.most_at_once()}")
        assert run.calls == len(provider.calls()) == Cell.objects.filter(run=run, confirms=False).count()
        assert provider.most_at_once() <= 20
        assert taken <= 60


@pytest.mark.full
def test_a_worker_stays_below_250_megabytes(team: Team, provider: Provider, committed_db: str) -> None:
    """Ten groups of cases need Student's t: scipy is loaded, with tone, languages and prices."""
    criteria = [{"type": "contains", "value": "Hello"}, {"type": "language", "value": "en"}, {"type": "no-pii"}]
    bench = make_bench(team, provider, cases=40, criteria=criteria)
    provider.behave(text="Hello Ada, this is a rather usual answer to what you have asked of us today.")
    bench.start(repeats=3)
    environment = {"PROMPTFORGE_ALLOWED_PRIVATE_HOSTS": provider.host, "PROMPTFORGE_KEYS": ring()}
    with process(committed_db, WORKER, **environment) as worker:
        megabytes = int(worker.line())
    print(f"a worker with scipy takes {megabytes} MB")
    assert megabytes <= 250


WORKING = """
from evaluations.running.engine import Engine
Engine().work(200)
print("ended", flush=True)
"""
MEASURED = 20.0  # seconds


@pytest.mark.full
@pytest.mark.timeout(400)
def test_the_web_answers_as_fast_while_a_thousand_calls_go(
    team: Team, tmp_path: Path, settings: LazySettings, committed_db: str
) -> None:
    """A fetch through the lane and a page of Django's, a hundred and ten a second: before a run, and during it."""
    with spawning(tmp_path / "stub") as provider, fleet(1) as [server]:
        settings.ALLOWED_PRIVATE_HOSTS = [provider.host]
        bench = make_bench(team, provider, cases=500, max_concurrency=20)
        forge_release(bench.prompt, team.stable, team.version(bench.prompt, 1), team.cleo)
        lane, page = server.caller(team.key()), server.caller()
        page.headers = {"Cookie": signed_in(team.ada.user).cookies.output(attrs=[], header="", sep=";").strip()}
        address = reverse("prompt", args=(team.project.name, bench.prompt.name))
        asked = {"/api/v1/prompts/support/greeting": lane, address: page}
        latencies(asked, 3)
        before = latencies(asked, MEASURED)
        provider.behave(text="Hello Ada!", delay=1)
        run = bench.start(repeats=1)
        environment = {"PROMPTFORGE_ALLOWED_PRIVATE_HOSTS": provider.host, "PROMPTFORGE_KEYS": ring()}
        with process(committed_db, WORKING, **environment) as worker:
            while len(provider.calls()) < 20:
                time.sleep(0.1)
            during = latencies(asked, MEASURED)
            assert Cell.objects.filter(run=run, state="pending").exists(), "it was measured to its end"
            assert worker.line() == "ended"
    for path in asked:
        was, now = before[path], during[path]
        print(f"{path}: p50 {was[0]:.1f} → {now[0]:.1f} ms, p99 {was[1]:.1f} → {now[1]:.1f} ms")
    for path in asked:
        assert during[path][0] <= 1.5 * before[path][0] + 2
        assert during[path][1] <= 2 * before[path][1] + 20


def latencies(asked: dict[str, Caller], seconds: float) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile of each path in milliseconds, each tenth call to the last one."""
    taken: dict[str, list[float]] = {path: [] for path in asked}
    ends, turn = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        turn += 1
        for path, caller in list(asked.items())[: 2 if turn % 10 == 0 else 1]:
            began = time.monotonic()
            status, _, body = caller.call("GET", path)
            taken[path].append(1000 * (time.monotonic() - began))
            assert status == 200, body[:300]
        time.sleep(0.008)
    return {path: (statistics.median(each), statistics.quantiles(each, n=100)[98]) for path, each in taken.items()}
