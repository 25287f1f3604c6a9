"""Results of a run for other programs: a long table, JUnit's XML, a comment for a pull request."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from promptforge.lib.errors import shorten
from promptforge.lib.spreadsheets import harmless

MAX_COMMENT = 60_000
WORST = 5


@dataclass(frozen=True, slots=True)
class ScoreRow:
    criterion: str
    value: float | None
    passed: bool | None
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One cell: `state` is `done` or `unscored`, with the error that left it so."""

    case: str
    arm: str
    repeat: int
    state: str
    passed: bool | None
    scores: tuple[ScoreRow, ...] = ()
    error: str = ""
    latency_ms: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class GuardrailRow:
    name: str
    outcome: str
    delta: float | None
    interval: tuple[float, float] | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A run and its verdict. `broken` names the cases that the confirming step found broken."""

    run: str
    set: str
    candidate: str
    baseline: str | None
    outcome: str
    sentence: str
    delta: float | None
    interval: tuple[float, float] | None
    margin: float | None
    cases: int
    repeats: int
    calls: int
    cost_usd: float | None
    guardrails: tuple[GuardrailRow, ...] = ()
    advice: str = ""
    notes: tuple[str, ...] = ()  # what was asked differently, and what was not
    broken: frozenset[str] = frozenset()
    rows: Sequence[Row] = field(default_factory=tuple)
    url: str = ""


@dataclass(slots=True)
class _Tally:
    """How the repeats of one case went."""

    passed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    scored: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unscored: list[Row] = field(default_factory=list)
    why: str = ""

    def rate(self, arm: str) -> float | None:
        return self.passed[arm] / self.scored[arm] if self.scored[arm] else None

    def told(self, arm: str) -> str:
        return f"{self.passed[arm]} of {self.scored[arm]}" if self.scored[arm] else "–"


def write_long(report: Report) -> Iterator[str]:
    """`item,prompt,run,metric,score`: one line for each score; what is unmeasured has no line, and is no 0."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["item", "prompt", "run", "metric", "score"])
    for row in report.rows:
        prompt = (report.baseline if row.arm == "baseline" else report.candidate) or row.arm
        for score in row.scores:
            if score.value is not None:
                writer.writerow(
                    [harmless(row.case), harmless(prompt), row.repeat, harmless(score.criterion), f"{score.value:.6g}"]
                )
        yield out.getvalue()
        out.seek(0)
        out.truncate()
    yield out.getvalue()


def write_junit(report: Report) -> str:
    """The verdict as one test and each case as one.

    FAIL and a broken case are failures; what could not be scored is an error; INCONCLUSIVE is skipped with its message,
    which no one takes for passed.
    """
    tests = [_junit_case("verdict", report.set, *_verdict_of(report))]
    for case, tally in _tallies(report.rows).items():
        tests.append(_junit_case(case, report.set, *_case_of(report, case, tally)))
    counts = {kind: sum(f"<{kind} " in test for test in tests) for kind in ("failure", "error", "skipped")}
    head = (
        f'<testsuite name={_attribute(f"{report.candidate} on {report.set}")} tests="{len(tests)}" '
        f'failures="{counts["failure"]}" errors="{counts["error"]}" skipped="{counts["skipped"]}">'
    )
    return "\n".join(
        ['<?xml version="1.0" encoding="UTF-8"?>', "<testsuites>", head, *tests, "</testsuite>", "</testsuites>", ""]
    )


def write_comment(report: Report) -> str:
    """Markdown for a pull request: the sentence first, then the figures, guardrails and worst cases."""
    mark = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "⚠️"}.get(report.outcome, "🚫")
    against = f" against {_markdown(report.baseline)}" if report.baseline else ""
    lines = [
        f"### {mark} {report.outcome}: {_markdown(report.candidate)}{against} on {_markdown(report.set)}",
        "",
        _markdown(report.sentence, 2_000),
        "",
        "| change | interval | margin | cases × repeats | calls | cost |",
        "|---|---|---|---|---|---|",
        _table_row(
            _points(report.delta),
            _interval(report.interval),
            _points(report.margin, signed=False),
            f"{report.cases} × {report.repeats}",
            f"{report.calls:,}",
            _money(report.cost_usd),
        ),
    ]
    if report.guardrails:
        lines += ["", "| guardrail | outcome | change | says |", "|---|---|---|---|"]
        lines += [
            _table_row(_markdown(g.name), g.outcome, _number(g.delta), _markdown(g.sentence, 300))
            for g in report.guardrails
        ]
    if worst := _worst(report):
        lines += ["", "| case | candidate passed | live passed | why |", "|---|---|---|---|"]
        lines += [
            _table_row(_markdown(case), tally.told("candidate"), tally.told("baseline"), _markdown(tally.why, 200))
            for case, tally in worst
        ]
    for note in filter(None, (report.advice, *report.notes)):
        lines += ["", _markdown(note, 1_000)]
    if report.url:
        lines += ["", f"[The whole run]({report.url})"]
    return "\n".join(lines)[:MAX_COMMENT] + "\n"


# --- Inside ----------------------------------------------------------------------------------------------------------
def _tallies(rows: Iterable[Row]) -> dict[str, _Tally]:
    tallies: dict[str, _Tally] = defaultdict(_Tally)
    for row in rows:
        tally = tallies[row.case]
        if row.passed is None:
            tally.unscored.append(row)
            continue
        tally.scored[row.arm] += 1
        tally.passed[row.arm] += row.passed
        if row.arm == "candidate" and not row.passed and not tally.why:
            tally.why = next((score.explanation for score in row.scores if score.passed is False), "")
    return tallies


def _worst(report: Report) -> list[tuple[str, _Tally]]:
    """The cases that fell most, those that are broken first."""

    def fell(item: tuple[str, _Tally]) -> tuple[bool, float]:
        new, old = item[1].rate("candidate"), item[1].rate("baseline")
        return item[0] in report.broken, (1.0 if old is None else old) - (1.0 if new is None else new)

    ranked = sorted(_tallies(report.rows).items(), key=fell, reverse=True)
    return [item for item in ranked if fell(item) > (False, 0.0)][:WORST]


def _verdict_of(report: Report) -> tuple[str, str, str]:
    kind = {"PASS": "", "FAIL": "failure", "INCONCLUSIVE": "skipped"}.get(report.outcome, "error")
    return kind, " ".join([f"{report.outcome}: {report.sentence}", *report.notes]), report.advice


def _case_of(report: Report, case: str, tally: _Tally) -> tuple[str, str, str]:
    told = f"candidate passed {tally.told('candidate')}, live passed {tally.told('baseline')}"
    if case in report.broken:
        return "failure", f"Broken: {told}", tally.why
    if tally.unscored:
        first = tally.unscored[0]
        message = f"{len(tally.unscored)} unscored, {told}"
        return "error", message, f"{first.arm}, repeat {first.repeat}: {first.error or 'not scored'}"
    return "", told, ""


def _junit_case(name: str, suite: str, kind: str, message: str, body: str) -> str:
    head = f"<testcase name={_attribute(name)} classname={_attribute(suite)}>"
    if not kind:
        return f"{head}<system-out>{_xml(message)}</system-out></testcase>"
    return f"{head}<{kind} message={_attribute(message)}>{_xml(body)}</{kind}></testcase>"


def _table_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


# What XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))


def _markdown(text: str, most: int = 120) -> str:
    """Text that stays text in a table of Markdown: no markup, no mention, no link, no line end."""
    plain = re.sub(r"([\\`*_{}\[\]()#+!|<>~@&:$-])", r"\\\1", shorten(" ".join(text.split()), most))
    return plain.replace("\\@", "@\u200b").replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")


def _points(value: float | None, *, signed: bool = True) -> str:
    if value is None:
        return "–"
    return f"{100 * value:{'+' if signed else ''}.1f} points"


def _interval(value: tuple[float, float] | None) -> str:
    return "–" if value is None else f"{100 * value[0]:+.1f} to {100 * value[1]:+.1f}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3g}"


def _money(value: float | None) -> str:
    return "unknown" if value is None else f"${value:.4f}"
