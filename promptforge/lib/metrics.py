"""What is counted, by name; every process adds to its own files, and `GET /metrics` tells the sum.

Labels take few, literal values: never a prompt, a project, a key, an address. What is not in a list counts as `other`.

For the serving lane, from the event loop or from any thread:

    count("fast", "fetch", 200, seconds)    one request that the lane answered itself; < 1 µs
    checked(requests=17, seconds=0.0004)    one freshness check, and how many requests it served; ~1 µs
    SHED.inc()                              a request refused with 503 because too many wait
    IN_FLIGHT.inc() / .dec()                requests in Django now
    WAITING.inc() / .dec()                  requests that wait for their turn
    RELOADS.labels("all" | "changes").inc() the snapshot was read again, whole or where it changed
    PAYLOAD_BYTES.set(n)                    bytes of payload that this process holds
    STALE.inc()                             an answer from memory while the database did not answer

The last six cost 1 to 2 µs each. What reaches Django is counted by `promptforge.telemetry.Watched`.
"""

import logging
import os
import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from promptforge.env import var_directory
from promptforge.lib import metric_files

log = logging.getLogger("promptforge.metrics")

CONTENT_TYPE = CONTENT_TYPE_LATEST
FOLDER = var_directory() / "metrics"
Lane = Literal["fast", "django"]

ROUTES = frozenset(
    {"fetch", "render", "list", "langfuse", "observations", "feedback", "stream", "management", "admin", "page"}
    | {"static", "health", "other"}
)
STATUSES = frozenset({200, 201, 202, 204, 301, 302, 304})
STATUSES |= {400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422, 429, 499, 500, 503, 507}
OUTCOMES = frozenset({"SUCCESS", "FAILURE", "RETRY", "REJECTED", "IGNORED"})
FLUSH_EACH = 1.0  # seconds

_SECONDS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_TASK_SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def _share() -> bool:
    """Count in files that all processes share, before the first metric is made; in this process alone if need be."""
    try:
        _SLOT.name()
    except OSError as error:
        log.warning("this process counts for itself alone: %s", error)
        return False
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(FOLDER)
    values.ValueClass = values.MultiProcessValue(_SLOT.name)  # type: ignore[no-untyped-call]
    return True


_SLOT = metric_files.Slot(FOLDER)
_SHARED = _share()
_OURS = CollectorRegistry()

REQUESTS = Counter("promptforge_requests", "Requests answered.", ["lane", "route", "status"], registry=_OURS)
REQUEST_SECONDS = Histogram(
    "promptforge_request_seconds",
    "Time to an answer's first byte.",
    ["lane", "route"],
    buckets=_SECONDS,
    registry=_OURS,
)
SHED = Counter("promptforge_requests_shed", "Requests refused with 503 because too many waited.", registry=_OURS)
IN_FLIGHT = Gauge(
    "promptforge_requests_in_flight", "Requests in Django now.", multiprocess_mode="livesum", registry=_OURS
)
WAITING = Gauge(
    "promptforge_requests_waiting", "Requests that wait for a turn.", multiprocess_mode="livesum", registry=_OURS
)
CHECK_SECONDS = Histogram(
    "promptforge_freshness_check_seconds", "Time of one freshness check.", buckets=_SECONDS, registry=_OURS
)
CHECK_REQUESTS = Histogram(
    "promptforge_freshness_check_requests", "Requests served by one freshness check.", buckets=_REQUESTS, registry=_OURS
)
RELOADS = Counter(
    "promptforge_snapshot_reloads", "Times that a process read its snapshot again.", ["extent"], registry=_OURS
)
PAYLOAD_BYTES = Gauge(
    "promptforge_snapshot_payload_bytes",
    "Payload that the processes hold in memory.",
    multiprocess_mode="livesum",
    registry=_OURS,
)
STALE = Counter("promptforge_stale_answers", "Answers from memory while the database did not answer.", registry=_OURS)
TASKS = Counter("promptforge_tasks", "Tasks ended.", ["task", "outcome"], registry=_OURS)
TASK_SECONDS = Histogram("promptforge_task_seconds", "Time of a task.", ["task"], buckets=_TASK_SECONDS, registry=_OURS)
RELEASES = Counter("promptforge_releases", "Rows appended to ledgers.", ["kind"], registry=_OURS)


# --- Counting that costs next to nothing -----------------------------------------------------------------------------
class _Tally:
    """Observations of one histogram, gathered in plain lists until `flush` hands them over in one go."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self.counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        self.sum += value
        self.counts[bisect_left(self.bounds, value)] += 1

    def flush(self, histogram: Histogram) -> None:
        # prometheus-client can only observe one by one; these are the very cells that `observe` adds to.
        histogram._sum.inc(self.sum)  # noqa: SLF001
        for cell, count in zip(histogram._buckets, self.counts, strict=True):  # noqa: SLF001
            if count:
                cell.inc(count)


_lock, _handing_over = threading.Lock(), threading.Lock()
_requests: dict[tuple[str, str, int], _Tally] = {}
_checks = (_Tally(_SECONDS), _Tally(_REQUESTS))
_flusher: threading.Thread | None = None


def count(lane: Lane, route: str, status: int, seconds: float) -> None:
    """Note one answered request; it shows in `/metrics` within a second."""
    key = (lane, route, status)
    with _lock:
        tally = _requests.get(key)
        if tally is None:
            tally = _requests[key] = _Tally(_SECONDS)
            _start_flushing()
        tally.sum += seconds
        tally.counts[bisect_left(_SECONDS, seconds)] += 1


def checked(*, requests: int, seconds: float) -> None:
    """Note one freshness check and how many requests it served."""
    with _lock:
        if _flusher is None:
            _start_flushing()
        _checks[0].add(seconds)
        _checks[1].add(requests)


def flush() -> None:
    """Hand over what was gathered in this process; once it returns, all of it can be told."""
    global _requests, _checks
    with _handing_over:
        with _lock:
            taken, _requests = _requests, {}
            checks, _checks = _checks, (_Tally(_SECONDS), _Tally(_REQUESTS))
        _hand_over(taken, checks)


def _hand_over(taken: dict[tuple[str, str, int], _Tally], checks: tuple[_Tally, _Tally]) -> None:
    for (lane, route, status), tally in taken.items():
        named = route if route in ROUTES else "other"
        REQUESTS.labels(lane, named, _status(status)).inc(sum(tally.counts))
        tally.flush(REQUEST_SECONDS.labels(lane, named))
    if any(checks[0].counts):
        checks[0].flush(CHECK_SECONDS)
        checks[1].flush(CHECK_REQUESTS)


def _status(status: int) -> str:
    if status in STATUSES:
        return str(status)
    return f"{status // 100}xx" if 100 <= status < 600 else "other"


def _start_flushing() -> None:
    global _flusher  # noqa: PLW0603
    if _flusher is None:
        _flusher = threading.Thread(target=_flush_for_ever, name="metrics", daemon=True)
        _flusher.start()


def _flush_for_ever() -> None:
    pause = threading.Event()
    while True:
        pause.wait(FLUSH_EACH)
        flush()


def _begin_anew_in_child() -> None:
    global _flusher, _lock, _handing_over, _requests, _checks
    # The thread stayed with the parent, which also tells what it had gathered.
    _flusher, _lock, _handing_over = None, threading.Lock(), threading.Lock()
    _requests, _checks = {}, (_Tally(_SECONDS), _Tally(_REQUESTS))


os.register_at_fork(after_in_child=_begin_anew_in_child)


# --- Telling ---------------------------------------------------------------------------------------------------------
class _AtScrape(Collector):
    """What is not counted but looked at when somebody asks."""

    def __init__(self, version: str, checks: Iterable[tuple[str, bool]]) -> None:
        self.version, self.checks = version, checks

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily("promptforge_build_info", "The build that answers.", labels=["version"])
        build.add_metric([self.version], 1)
        yield build
        ready = GaugeMetricFamily("promptforge_ready", "1 when a check of /readyz is in order.", labels=["check"])
        for name, fine in self.checks:
            ready.add_metric([name], fine)
        yield ready


def exposition(*, version: str, checks: Iterable[tuple[str, bool]]) -> bytes:
    """The sum of all processes in Prometheus' text format."""
    flush()
    registry = CollectorRegistry()
    registry.register(_AtScrape(version, checks))
    registry.register(_AllProcesses())
    return generate_latest(registry)


class _AllProcesses(Collector):
    """The sum of the files."""

    def collect(self) -> Iterable[Metric]:
        if not _SHARED:
            return _OURS.collect()
        merged: Iterable[Metric] = MultiProcessCollector.merge(metric_files.readable(FOLDER))  # type: ignore[no-untyped-call]
        return merged
