"""A run as other programs take it: what the formats need, gathered from its rows."""

from collections.abc import Callable, Iterator, Mapping

from evaluations.asked_of import entries
from evaluations.asked_with import notes_on
from evaluations.formats.results import GuardrailRow, Report, Row, ScoreRow, write_comment, write_junit, write_long
from evaluations.models import Cell, EvaluationRun
from promptforge.lib.ids import encode

# What a run can be taken away as: media type, ending, and who writes it.
FILES: Mapping[str, tuple[str, str, Callable[[Report], str]]] = {
    "junit": ("application/xml", "xml", write_junit),
    "markdown": ("text/markdown; charset=utf-8", "md", write_comment),
    "csv": ("text/csv; charset=utf-8", "csv", lambda report: "".join(write_long(report))),
}


def report_of(run: EvaluationRun) -> Report:
    """A run that ended; one that did not is told as INCOMPLETE, which no one takes for passed."""
    verdict = run.verdict_object or {}
    guardrails = tuple(
        GuardrailRow(
            each["name"],
            each["outcome"],
            each["delta"],
            None if each["interval"] is None else (each["interval"][0], each["interval"][1]),
            each["sentence"],
        )
        for each in verdict.get("guardrails", ())
    )
    broken = {case for each in verdict.get("guardrails", ()) if each["outcome"] == "FAIL" for case in each["cases"]}
    interval = verdict.get("interval")
    return Report(
        run=encode("run", run.pk),
        set=run.set_revision.set.name,
        candidate=str(run.candidate),
        baseline=None if run.baseline is None else str(run.baseline),
        outcome=run.outcome or EvaluationRun.Outcome.INCOMPLETE,
        sentence=verdict.get("sentence") or _unfinished(run),
        delta=verdict.get("delta"),
        interval=None if interval is None else (interval[0], interval[1]),
        margin=verdict.get("margin"),
        cases=verdict.get("cases", 0),
        repeats=verdict.get("repeats", 0),
        calls=run.calls,
        cost_usd=None if run.unpriced_calls else float(run.cost_usd),
        guardrails=guardrails,
        advice=verdict.get("advice", ""),
        notes=tuple(notes_on(run)),
        broken=frozenset(broken),
        rows=tuple(_rows(run)),
    )


def _unfinished(run: EvaluationRun) -> str:
    return f"The run is {run.status}. {run.pause_reason}".strip()


def _rows(run: EvaluationRun) -> Iterator[Row]:
    ended = Cell.objects.filter(run=run, state__in=[Cell.State.DONE, Cell.State.UNSCORED]).select_related("case")
    for cell in ended.order_by("case__position", "case_id", "arm", "repeat"):
        scores = tuple(
            ScoreRow(line["criterion"], line["value"], line["passed"], line["explanation"])
            for line in entries(cell.scores)
        )
        cost = None if cell.cost_usd is None else float(cell.cost_usd)
        yield Row(
            cell.case.key, cell.arm, cell.repeat, cell.state, cell.passed, scores, cell.error, cell.latency_ms, cost
        )
