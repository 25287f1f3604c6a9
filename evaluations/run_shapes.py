"""Runs and their results as the API and the commands show them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from accounts.shapes import actor_shape
from evaluations.asked_of import entries
from evaluations.asked_with import notes_on, sent_by_arm
from evaluations.models import Arm, Cell, EvaluationRun
from evaluations.planning import plan_of
from evaluations.run_reading import Progress, progress_of
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant

# Every verdict has these fields; what a run came to nothing for (a reference compares with nothing, one that ran out of
# calls was never counted) is empty.
_VERDICT: Mapping[str, Any] = {
    "outcome": None,
    "sentence": "",
    "delta": None,
    "interval": None,
    "margin": None,
    "estimand": None,
    "rate": None,
    "cases": None,
    "repeats": None,
    "calls": None,
    "cost_usd": None,
    "cached": None,
    "unscored": {},
    "errors": {},
    "candidate": None,
    "baseline": None,
    "criteria": [],
    "guardrails": [],
    "worst": [],
    "tone": [],
    "advice": "",
    "models": {},
    "fingerprints": [],
    "judge_flips": None,
}


def run_shapes(runs: Iterable[EvaluationRun]) -> list[dict[str, Any]]:
    listed = list(runs)
    progress = progress_of(listed)
    return [_run_shape(run, progress[run.pk]) for run in listed]


def run_shape(run: EvaluationRun) -> dict[str, Any]:
    [shape] = run_shapes([run])
    return shape


def whole_shape(run: EvaluationRun) -> dict[str, Any]:
    """The run with every result of it."""
    cells = Cell.objects.filter(run=run).select_related("case").order_by("position")
    return run_shape(run) | {"results": [result_shape(cell) for cell in cells]}


def _run_shape(run: EvaluationRun, progress: Progress) -> dict[str, Any]:
    plan, sent = plan_of(run), sent_by_arm(run)
    return {
        "id": encode("run", run.pk),
        "status": run.status,
        "pause_reason": run.pause_reason,
        "candidate": str(run.candidate),
        "baseline": None if run.baseline is None else str(run.baseline),
        "channel": None if run.channel is None else run.channel.name,
        "set": run.set_revision.set.name,
        "revision": run.set_revision.number,
        "connection": run.connection.name,
        "parameters": {arm: sent.get(arm) for arm in Arm.values},
        "notes": notes_on(run),
        "judge": None if run.judge is None else run.judge.name,
        "advisory": json.loads(run.plan).get("advisory", []),
        "plan": {"looks": list(plan.looks), "margin": plan.margin, "estimand": plan.estimand},
        "look": run.look + 1,
        "verdict": None if run.verdict_object is None else {**_VERDICT, **run.verdict_object},
        "progress": {
            "done": progress.done,
            "total": progress.total,
            "unscored": progress.unscored,
            "under_way": progress.calling,
            "rate": progress.rate,
            "seconds_left": progress.seconds_left,
        },
        "calls": run.calls,
        "max_calls": run.max_calls,
        # Unknown is None, never 0.
        "cost_usd": None if run.unpriced_calls else float(run.cost_usd),
        "max_cost_usd": None if run.max_cost_usd is None else float(run.max_cost_usd),
        "created_by": actor_shape(run.created_by),
        "created_at": format_instant(run.created_at),
        "started_at": None if run.started_at is None else format_instant(run.started_at),
        "finished_at": None if run.finished_at is None else format_instant(run.finished_at),
    }


def result_shape(cell: Cell) -> dict[str, Any]:
    return {
        "id": encode("cel", cell.pk),
        "case": cell.case.key,
        "arm": cell.arm,
        "repeat": cell.repeat,
        "confirms": cell.confirms,
        "output": cell.output,
        "scores": entries(cell.scores),
        "score": cell.score,
        "passed": cell.passed,
        "state": cell.state,
        "error": cell.error or None,
        "error_detail": cell.error_detail or None,
        "latency_ms": cell.latency_ms,
        "input_tokens": cell.input_tokens,
        "output_tokens": cell.output_tokens,
        "cost_usd": None if cell.cost_usd is None else float(cell.cost_usd),
        "model": cell.model,
        "fingerprint": cell.fingerprint,
        "cached": cell.cached,
    }
