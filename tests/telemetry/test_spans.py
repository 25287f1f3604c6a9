"""Requests and tasks are spans when an SDK is set up, and cost nothing when none is."""

import time

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from accounts import tasks
from promptforge import telemetry, views
from promptforge.telemetry import Watched

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
_exporter = InMemorySpanExporter()
_provider = TracerProvider()
_provider.add_span_processor(SimpleSpanProcessor(_exporter))


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", _provider)
    _exporter.clear()
    return _exporter


def test_a_request_is_a_span_of_the_callers_trace(exported: InMemorySpanExporter) -> None:
    answer = Client().get("/api/v1/prompts/support/greeting", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    assert answer.status_code == 401
    (span,) = exported.get_finished_spans()
    assert (span.name, span.kind) == ("fetch", trace.SpanKind.SERVER)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 401,
        "promptforge.request_id": answer["X-Request-ID"],
    }
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.status.status_code is trace.StatusCode.UNSET


@pytest.mark.parametrize("given", ["", "00-0-0-01", "ü", f"00-{'0' * 32}-{PARENT}-01", "x" * 5000])
def test_a_bad_traceparent_begins_a_trace_of_its_own(given: str, exported: InMemorySpanExporter) -> None:
    assert Client().get("/livez", headers={"traceparent": given}).status_code == 200
    (span,) = exported.get_finished_spans()
    assert (span.name, span.parent) == ("health", None)


def test_what_fails_is_marked(exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError

    monkeypatch.setattr(views.readiness, "checks", broken)
    assert Client(raise_request_exception=False).get("/readyz").status_code == 500
    monkeypatch.setattr(tasks, "forget_failures", broken)
    tasks.forget_sign_in_failures.apply()
    monkeypatch.setattr(tasks, "forget_failures", lambda: None)
    tasks.forget_sign_in_failures.apply()
    request, failed, done = exported.get_finished_spans()
    assert request.status.status_code is failed.status.status_code is trace.StatusCode.ERROR
    assert failed.name == done.name == "accounts.tasks.forget_sign_in_failures"
    assert (failed.attributes or {})["outcome"] == "FAILURE"
    assert (done.attributes or {})["outcome"] == "SUCCESS"
    assert done.status.status_code is trace.StatusCode.UNSET


def test_watching_a_request_costs_less_than_twenty_microseconds() -> None:
    request, answer = HttpRequest(), HttpResponse()
    request.META["promptforge.request_id"] = "1"
    request.path = "/x"
    assert not telemetry.traced()

    def thousand() -> float:
        watched, began = Watched(lambda _: answer), time.process_time()
        for _ in range(1000):
            watched(request)
        return time.process_time() - began

    assert min(thousand() for _ in range(20)) < 0.020  # 0.004 on an idle machine
