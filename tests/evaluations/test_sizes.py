"""How fast a run is, and how much memory a worker takes: the sizes that were promised."""

import time
from pathlib import Path

import pytest
from django.conf import LazySettings

from evaluations.models import Cell
from evaluations.running.engine import Engine
from tests.evaluations.running import make_bench
from tests.evaluations.stub_provider import Provider, spawning
from tests.evaluations.test_kills import ring
from tests.personas import Team
from tests.races.conftest import process

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
