"""Few labels whatever comes in, one sum of all processes, and no count lost with a killed one."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver
from prometheus_client.parser import text_string_to_metric_families

from promptforge.lib import metrics
from promptforge.telemetry import ROUTES, Watched
from prompts.actions.releases import promote, rollback
from tests.api.conftest import Caller
from tests.personas import Team
from tests.plugin import ROOT
from tests.startup.conftest import clean_environment
from tests.telemetry.conftest import counted, moved

TOKEN = "0123456789abcdef-metrics"


# --- Labels ----------------------------------------------------------------------------------------------------------
def test_nothing_that_comes_in_makes_a_series() -> None:
    """500 prompts, addresses, methods, routes and statuses: they count, and no label holds any of them."""
    client = Client()

    def send(number: int) -> None:
        client.get(f"/api/v1/prompts/hostile{number}?variable{number}=1")
        client.generic(f"HOSTILE{number}", f"/hostile/{number}", headers={"X-Request-ID": f"hostile{number}"})
        metrics.count("fast", f"hostile{number}", 200 + number, 0.001)

    before = counted()
    for number in range(500):
        send(number)
    after = counted()
    assert sum(moved(before).values()) == 2 * 1500  # each counts as a request and as a time
    assert "hostile" not in str(list(after))
    names = {labels for name, labels in after if name == "promptforge_requests_total"}
    assert len({dict(labels)["status"] for labels in names}) <= len(metrics.STATUSES) + 6
    assert {dict(labels)["route"] for labels in names} <= metrics.ROUTES


def patterns(entries: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[str]:
    for entry in entries:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry.url_patterns, route)
        else:
            yield route


def test_every_route_has_its_class() -> None:
    assert {name for _, name in ROUTES} <= metrics.ROUTES
    classes = {
        route: next(name for begin, name in ROUTES if route.startswith(begin))
        for route in patterns(get_resolver().url_patterns)
    }
    assert classes["api/v1/prompts"] == "list"
    assert classes["api/v1/prompts/<path:name>"] == "fetch"
    assert classes["api/v1/releases"] == classes["api/v1/members/<str:member_id>/grants"] == "management"
    pages = {route for route, name in classes.items() if name == "page"}
    people = {route for route in classes if route.startswith(("accounts/", "p/<slug:project>/"))}
    assert people <= pages
    assert pages - people == {
        *("", "theme/", "welcome/", "projects/new/", "styleguide/"),
        *("docs/errors", "api/docs/", "api/v1/schema"),
    }
    assert {route for route, name in classes.items() if name == "health"} == {"livez", "readyz", "metrics"}
    assert {route for route, name in classes.items() if name == "other"} == {"api/"}


def test_what_reaches_django_is_counted_by_what_it_is(team: Team) -> None:
    caller, before = Caller(None), counted()
    caller.get("prompts/support/greeting")
    caller.post("prompts/support/greeting", {})
    caller.client.get("/")
    caller.client.get("/admin/")
    caller.client.get("/static/css/none.css")
    assert moved(before) == {
        f"{name}{{lane=django,{'%s'}}}" % labels: 1.0
        for route, status in (
            ("fetch", 401), ("render", 401), ("page", 200), ("admin", 302), ("static", 404)
        )
        for name, labels in (
            ("promptforge_requests_total", f"route={route},status={status}"),
            ("promptforge_request_seconds_count", f"route={route}"),
        )
    }  # fmt: skip


def test_what_breaks_below_is_counted_as_500() -> None:
    def broken(_: HttpRequest) -> HttpResponse:
        raise KeyboardInterrupt

    request, before = HttpRequest(), counted()
    request.META["promptforge.request_id"] = "1"
    with pytest.raises(KeyboardInterrupt):
        Watched(broken)(request)
    assert moved(before)["promptforge_requests_total{lane=django,route=other,status=500}"] == 1


def test_a_release_is_counted_by_its_kind_once_it_is_committed(team: Team) -> None:
    before, prompt = counted(), team.prompt(versions=2)
    move = {"by": team.cleo, "prompt": prompt, "channel": team.stable}
    with transaction.atomic():
        promote(version=team.version(prompt, 1), **move)
        transaction.set_rollback(True)
    assert moved(before) == {}
    promote(version=team.version(prompt, 1), **move)
    promote(version=team.version(prompt, 2), **move)
    rollback(reason="Too short", **move)
    assert moved(before) == {
        "promptforge_releases_total{kind=promote}": 2,
        "promptforge_releases_total{kind=rollback}": 1,
    }


def test_tallies_fall_into_the_buckets_that_observe_would_choose() -> None:
    """A time on a bound, below the lowest, between, and above the highest; nothing else counts in this route."""
    times = (0.0001, 0.00025, 0.0007, 5.0, 7.0)
    for seconds in times:
        metrics.count("fast", "stream", 200, seconds)
        metrics.REQUEST_SECONDS.labels("django", "stream").observe(seconds)
        metrics.checked(requests=int(seconds * 10), seconds=seconds)
    found = counted()

    def of(lane: str) -> list[float]:
        return [
            value
            for (name, labels), value in found.items()
            if ("lane", lane) in labels and ("route", "stream") in labels and "_seconds" in name
        ]

    assert of("fast") == of("django")
    assert len(of("fast")) == 17


def test_a_count_costs_microseconds() -> None:
    def thousand() -> float:
        began = time.perf_counter()
        for _ in range(1000):
            metrics.count("fast", "fetch", 200, 0.0004)
        return time.perf_counter() - began

    assert min(thousand() for _ in range(20)) < 0.006  # 0.0006 on an idle machine


# --- Who may read them -----------------------------------------------------------------------------------------------
def ask(authorization: str | None = None, method: str = "get") -> HttpResponse:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer: HttpResponse = getattr(Client(), method)("/metrics", headers=headers)
    return answer


def test_metrics_are_open_in_development_and_absent_in_production_without_a_token() -> None:
    assert ask().status_code == 200
    assert ask(method="head").status_code == 200
    assert ask(method="post").status_code == 405
    with override_settings(PRODUCTION=True, SECURE_SSL_REDIRECT=True):
        assert ask().status_code == 404
        assert ask("Bearer ").status_code == 404


@pytest.mark.parametrize("production", [True, False])
def test_a_token_that_is_set_is_needed(production: bool) -> None:
    with override_settings(PRODUCTION=production, METRICS_TOKEN=TOKEN):
        for wrong in (
            None,
            "",
            "Bearer",
            "Bearer ",
            f"Bearer {TOKEN[:-1]}",
            f"Bearer {TOKEN}x",
            f"Basic {TOKEN}",
            TOKEN,
            "Bearer ü",
        ):
            answer = ask(wrong)
            assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Bearer realm="metrics"')
            assert b"promptforge_" not in answer.content
        answer = ask(f"Bearer {TOKEN}")
        assert answer.status_code == 200
        assert TOKEN.encode() not in answer.content


def test_they_are_what_prometheus_reads() -> None:
    families = {family.name: family for family in text_string_to_metric_families(ask().content.decode())}
    assert {sample.labels["check"] for sample in families["promptforge_ready"].samples} == {
        "database", "migrations", "guards", "broker", "disk",
    }  # fmt: skip
    assert families["promptforge_request_seconds"].type == "histogram"


# --- Several processes -----------------------------------------------------------------------------------------------
WORK = """
import sys, time
from promptforge.lib import metrics
metrics.count("fast", "fetch", 200, 0.001)
metrics.flush()
metrics.IN_FLIGHT.inc()
metrics.STALE.inc()
print("counted", flush=True)
time.sleep(60)
"""
TELL = """
from promptforge.lib import metrics
print(metrics.exposition(version="1", checks=[]).decode())
"""
FORK = """
import os
from promptforge.lib import metrics
metrics.STALE.inc()
if os.fork() == 0:
    metrics.STALE.inc()
    metrics.IN_FLIGHT.inc()
    print("counted", flush=True)
    os.read(0, 1)
os._exit(0)
"""


class Processes:
    """Processes of one PromptForge, which count in one folder."""

    def __init__(self, home: Path) -> None:
        self.environment = clean_environment(PROMPTFORGE_VAR=str(home))
        self.folder = home / "metrics"
        self.started: list[subprocess.Popen[str]] = []

    def start(self, program: str = WORK) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, env=self.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        return process

    def tell(self) -> dict[str, float]:
        done = subprocess.run(
            [sys.executable, "-c", TELL], cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
        )
        return {
            f"{sample.name}{''.join(sample.labels.values())}": sample.value
            for family in text_string_to_metric_families(done.stdout)
            for sample in family.samples
        }

    def slots(self) -> int:
        return len(list(self.folder.glob("*.slot")))


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    home = Processes(tmp_path)
    yield home
    for process in home.started:
        process.kill()
        process.communicate()


def test_two_processes_are_told_as_one_and_a_killed_one_leaves_its_counts(processes: Processes) -> None:
    first, _ = processes.start(), processes.start()
    told = processes.tell()
    assert told["promptforge_requests_totalfastfetch200"] == 2
    assert told["promptforge_request_seconds_countfastfetch"] == 2
    assert told["promptforge_requests_in_flight"] == 2

    first.send_signal(signal.SIGKILL)
    first.wait()
    told = processes.tell()
    assert told["promptforge_requests_totalfastfetch200"] == 2
    assert told["promptforge_stale_answers_total"] == 2
    assert told["promptforge_requests_in_flight"] == 1  # nothing is in flight in a process that is gone

    slots = processes.slots()
    processes.start()
    told = processes.tell()
    assert told["promptforge_stale_answers_total"] == 3
    assert told["promptforge_requests_in_flight"] == 2
    assert processes.slots() == slots  # the successor goes on in the files of the killed one


def test_a_broken_file_is_left_out_and_begun_anew(processes: Processes) -> None:
    processes.start().kill()
    processes.started[0].wait()
    for name, content in (("counter_0.db", b"\xff" * 300), ("histogram_0.db", b"\x40"), ("counter_77.db", b"")):
        (processes.folder / name).write_bytes(content)
    assert processes.tell()["promptforge_stale_answers_total"] == 0
    processes.start()
    assert processes.tell()["promptforge_stale_answers_total"] == 1


def test_a_forked_process_counts_for_itself_and_its_parents_slot_is_free_when_that_ends(processes: Processes) -> None:
    processes.start(FORK).wait()
    told = processes.tell()
    assert told["promptforge_stale_answers_total"] == 2
    assert told["promptforge_requests_in_flight"] == 1


def test_a_folder_that_cannot_be_written_stops_nobody(processes: Processes) -> None:
    processes.folder.parent.mkdir(exist_ok=True)
    processes.folder.write_text("a file where the folder should be")
    processes.start()
    assert processes.tell()["promptforge_stale_answers_total"] == 0
