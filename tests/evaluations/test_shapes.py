"""What the API answers about evaluations has the shape that the schema promises, whatever a run came to."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evaluations.models import DriftWatch, EvaluationRun
from promptforge.lib.ids import encode
from tests.api.conftest import Caller, body_of
from tests.api.promised import fits, schema
from tests.evaluations.conftest import Make
from tests.evaluations.running import finished
from tests.evaluations.stub_provider import Provider
from tests.evaluations.watched import Watched
from tests.personas import Team

NAME = "support/greeting"
JUDGED = [
    {"type": "contains", "value": "Hello"},
    {"type": "llm-rubric", "value": "It is kind.", "name": "kind"},
    {"type": "assert-set", "value": [{"type": "llm-rubric", "value": "It greets.", "name": "greets"}]},
]


@pytest.fixture
def api(team: Team) -> Caller:
    return Caller(team.key("prompts:read", "evaluations:run"))


def run_fits(api: Caller, run: EvaluationRun) -> dict[str, Any]:
    """Every answer about the run fits; the run as it was answered."""
    name, place = encode("run", run.pk), "evaluation-runs/{run_id}"
    answer = api.get(f"evaluation-runs/{name}")
    fits(answer, place, "get")
    fits(api.get("evaluation-runs"), "evaluation-runs", "get")
    fits(api.get(f"evaluation-runs/{name}/results"), f"{place}/results", "get")
    fits(api.get(f"evaluation-runs/{name}/export"), f"{place}/export", "get")
    promised = schema()["paths"][f"/api/v1/{place}/export"]["get"]["responses"]["200"]["content"]
    for form in ("junit", "markdown", "csv"):
        file = api.get(f"evaluation-runs/{name}/export", {"format": form})
        assert (file.status_code, file["Content-Type"].partition(";")[0] in promised) == (200, True), form
    body: dict[str, Any] = json.loads(answer.content)
    return body


def test_a_comparison(make: Make, provider: Provider, api: Caller) -> None:
    """With a judge, a tone that moved, and a candidate that fails."""
    bench = make(cases=4, criteria=JUDGED)
    provider.behave(texts={"GRADE": "It is.\nGRADE: PASS", "Text 2": "Bonjour, it is 42!!", "Text 1": "Hello Ada!"})
    run = finished(bench.start(judge=bench.connection))
    body = run_fits(api, run)
    assert body["verdict"]["outcome"] == "FAIL"
    assert all(body["verdict"][told] for told in ("criteria", "worst", "tone", "candidate", "models", "judge_flips"))
    assert body["verdict"] == (run.verdict_object or {}) | {"rate": None}


def test_a_first_promotion_and_a_run_without_calls(make: Make, provider: Provider, api: Caller) -> None:
    bench = make()
    alone = run_fits(api, finished(bench.start(baseline=None, channel=None)))
    assert alone["verdict"]["outcome"] == "PASS"
    run = bench.start(seed=8)
    assert run_fits(api, run)["verdict"] is None
    EvaluationRun.objects.filter(pk=run.pk).update(max_calls=7)
    assert run_fits(api, finished(run))["verdict"]["outcome"] == "INCOMPLETE"


def test_a_reference_and_the_nights_after_it(make: Make, provider: Provider, api: Caller) -> None:
    watched = Watched(make())
    night = watched.night()
    for run in (watched.watch.reference, night.run):
        assert run is not None
        body = run_fits(api, run)
        assert (body["verdict"]["rate"], body["verdict"]["interval"]) == (1.0, None)
    fits(api.get("drift-watches"), "drift-watches", "get")
    name = encode("drw", DriftWatch.objects.get().pk)
    fits(api.get(f"drift-watches/{name}"), "drift-watches/{watch_id}", "get")


def test_sets_and_connections(make: Make, api: Caller) -> None:
    make()
    case = {
        "key": "a",
        "variables": {"customer_name": "Ada"},
        "criteria": [{"type": "equals", "value": "Hi", "not": True}],
    }
    made = api.post("evaluation-sets", {"name": "typed", "prompt": NAME, "criteria": JUDGED, "cases": [case]})
    fits(made, "evaluation-sets", "post")
    name = json.loads(made.content)["id"]
    fits(api.get(f"evaluation-sets/{name}"), "evaluation-sets/{set_id}", "get")
    fits(api.get(f"evaluation-sets/{name}/cases"), "evaluation-sets/{set_id}/cases", "get")
    fits(api.get(f"evaluation-sets/{name}/revisions"), "evaluation-sets/{set_id}/revisions", "get")
    fits(api.get(f"evaluation-sets/{name}/export"), "evaluation-sets/{set_id}/export", "get")
    promised = schema()["paths"]["/api/v1/evaluation-sets/{set_id}/export"]["get"]["responses"]["200"]["content"]
    for form in ("csv", "jsonl", "promptfoo"):
        file = api.get(f"evaluation-sets/{name}/export", {"format": form})
        assert (file.status_code, file["Content-Type"].partition(";")[0] in promised) == (200, True), form
    fits(api.get("model-connections"), "model-connections", "get")
    fits(api.get("evaluation-budget"), "evaluation-budget", "get")


def test_lists_of_sets_take_as_many_queries_for_many_rows_as_for_few(api: Caller) -> None:
    name = body_of(api.post("evaluation-sets", {"name": "first", "cases": [{"key": "one"}]}), 201)["id"]
    lists = ("evaluation-sets", f"evaluation-sets/{name}/revisions", f"evaluation-sets/{name}/cases")

    def costs() -> list[tuple[int, int]]:
        """Queries and rows of each list."""
        found = []
        for path in lists:
            with CaptureQueriesContext(connection) as queries:
                rows = body_of(api.get(path))["data"]
            found.append((len(queries), len(rows)))
        return found

    few = costs()
    for number in range(6):
        body_of(api.post("evaluation-sets", {"name": f"set {number}", "cases": [{"key": "one"}]}), 201)
        body_of(api.post(f"evaluation-sets/{name}/cases", {"key": f"more {number}"}), 201)
    assert [(queries, rows + 6) for queries, rows in few] == costs()
