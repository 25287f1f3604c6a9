"""What watches every request that reaches Django and every task: counts, spans, and a line for what was slow or failed.

Spans cost nothing until an OpenTelemetry SDK is set up: only its interface is installed.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from celery import signals
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from promptforge.celery import app as celery_app
from promptforge.lib import logs, metrics

log = logging.getLogger("promptforge.requests")

SLOW = 1.0  # seconds; a request that takes longer gets a line

# How the resolved route begins, and what it counts as; the first that fits. The names are those of metrics.ROUTES.
ROUTES = (
    ("livez", "health"),
    ("readyz", "health"),
    ("metrics", "health"),
    ("admin/", "admin"),
    ("api/docs/", "page"),
    ("api/v1/schema", "page"),
    ("api/v1/prompts/<path:name>", "fetch"),
    ("api/v1/prompts", "list"),
    ("api/v1/observations", "observations"),
    ("api/v1/feedback", "feedback"),
    ("api/v1/stream", "stream"),
    ("api/v1/", "management"),
    ("api/public/", "langfuse"),
    ("api/", "other"),
    ("", "page"),
)
_tracer = trace.get_tracer("promptforge")
_propagator = TraceContextTextMapPropagator()


class Watched:
    """Counts each request, wraps a span around it, and writes a line when it was slow or the fault was ours."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began, status = time.perf_counter(), 500
        with _span(request) as span:
            try:
                response = self.get_response(request)
                status = response.status_code
                return response
            finally:
                route, seconds = route_of(request), time.perf_counter() - began
                metrics.count("django", route, status, seconds)
                if span is not None:
                    span.update_name(route)
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_status(trace.StatusCode.ERROR)
                if status >= 500 or seconds > SLOW:
                    _write_line(request, route, status, seconds)


def route_of(request: HttpRequest) -> str:
    """What kind of request this was, in one of a few words; POST to a prompt renders it."""
    match = request.resolver_match
    if match is None:
        return "static" if request.path.startswith(settings.STATIC_URL) else "other"
    route = next(name for begin, name in ROUTES if match.route.startswith(begin))
    return "render" if route == "fetch" and request.method == "POST" else route


def _write_line(request: HttpRequest, route: str, status: int, seconds: float) -> None:
    level = logging.ERROR if status == 500 else logging.WARNING
    # Without the query string, which may hold what callers say about their users.
    extra = {"method": request.method, "path": request.path[:300], "route": route, "status": status}
    log.log(level, "request failed" if status >= 500 else "slow request", extra=extra | {"seconds": round(seconds, 3)})


@contextmanager
def _span(request: HttpRequest) -> Iterator[trace.Span | None]:
    """A span that continues the caller's trace (W3C traceparent); None when no SDK is set up."""
    if not traced():
        yield None
        return
    attributes = {
        "http.request.method": str(request.method),
        "promptforge.request_id": request.META["promptforge.request_id"],
    }
    context = _propagator.extract(request.headers)
    with _tracer.start_as_current_span(
        "request", context=context, kind=trace.SpanKind.SERVER, attributes=attributes
    ) as span:
        yield span


def traced() -> bool:
    """Whether somebody set up an OpenTelemetry SDK."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


# --- Tasks -----------------------------------------------------------------------------------------------------------
_running: dict[str, ExitStack] = {}


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def begin_task(task_id: str, task: Any, **_: Any) -> None:
    """Let every line of the task say which it is, and start its clock and its span."""
    watch = _running[task_id] = ExitStack()
    watch.enter_context(logs.bound(task=task.name, task_id=task_id))
    watch.enter_context(metrics.TASK_SECONDS.labels(_known(task)).time())
    if traced():
        watch.enter_context(
            _tracer.start_as_current_span(task.name, kind=trace.SpanKind.CONSUMER, attributes={"task_id": task_id})
        )


@signals.task_postrun.connect  # type: ignore[untyped-decorator]
def end_task(task_id: str, task: Any, state: str | None = None, **_: Any) -> None:
    """Count how the task ended."""
    watch = _running.pop(task_id, None)
    if watch is None:
        return
    outcome = state if state in metrics.OUTCOMES else "other"
    metrics.TASKS.labels(_known(task), outcome).inc()
    span = trace.get_current_span()
    span.set_attribute("outcome", outcome)
    if outcome == "FAILURE":
        span.set_status(trace.StatusCode.ERROR)
    watch.close()


def _known(task: Any) -> str:
    return task.name if task.name in celery_app.tasks else "other"
