"""A run's cases as its page shows them: which got worse, and of each an old and a new answer side by side.

Counted by the database; of the cells themselves only those of the cases in sight are read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Avg, Count, Q
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from evaluations.asked_of import entries
from evaluations.models import Arm, Case, Cell, EvaluationRun
from evaluations.planning import plan_of
from prompts.diffing import Segment, diff_text
from prompts.pages.tags import as_json, rendered_text

WORSE, BETTER, SAME, UNSCORED = "worse", "better", "same", "unscored"
KINDS: Mapping[str, str] = {WORSE: "Worse", BETTER: "Better", SAME: "The same", UNSCORED: "Not scored"}
SHOWN = 5
LONGEST = 12_000  # characters of an answer that are shown; the rest is in the files
# Answers that share less than this are two texts, not one that was changed: marks in them would only be noise.
ALIKE = 0.4
DIFF_SECONDS = 0.1
_LEAST = 1e-9


@dataclass(frozen=True)
class Tally:
    """How one case went in each arm. `delta` is what its score lost or won, None where an arm has no score."""

    case_id: int
    key: str
    critical: bool
    delta: float | None
    passed: Mapping[str, int]
    scored: Mapping[str, int]
    unscored: Mapping[str, int]
    again_passed: Mapping[str, int]
    again: Mapping[str, int]

    @property
    def kinds(self) -> set[str]:
        found = {UNSCORED} if sum(self.unscored.values()) else set()
        if self.delta is not None:
            found.add(WORSE if self.delta < -_LEAST else BETTER if self.delta > _LEAST else SAME)
        return found


@dataclass(frozen=True)
class Mark:
    """What one criterion says of one answer."""

    state: str
    name: str
    word: str
    why: str

    @property
    def is_plain(self) -> bool:
        """Whether its shape says all: it counts, and it passed or failed."""
        return self.state in ("passed", "failed")


@dataclass(frozen=True)
class Side:
    """One answer of one arm."""

    arm: str
    text: SafeString
    is_cut: bool
    passed: str
    marks: Sequence[Mark]
    error: str
    repeat: int
    latency_ms: int | None


@dataclass(frozen=True)
class ShownCase:
    """A case with what was asked, how its repeats went, and the answers that show it.

    `also` was given too, the same in every case beside it.
    """

    tally: Tally
    case: Case
    asked: Sequence[tuple[str, str]]
    also: Sequence[tuple[str, str]]
    told: str
    pairs: Sequence[tuple[Side | None, Side | None]]


def tallies(run: EvaluationRun) -> list[Tally]:
    """Every case that was asked, those that lost most first; one question, whatever the number of cells."""
    done, fresh = Q(state=Cell.State.DONE), Q(confirms=True)
    wanted: dict[str, Any] = {}
    for arm in Arm.values:
        here = Q(arm=arm)
        wanted |= {
            f"{arm}_score": Avg("score", filter=here & done & ~fresh),
            f"{arm}_scored": Count("id", filter=here & done & ~fresh),
            f"{arm}_passed": Count("id", filter=here & done & ~fresh & Q(passed=True)),
            f"{arm}_unscored": Count("id", filter=here & Q(state=Cell.State.UNSCORED)),
            f"{arm}_again": Count("id", filter=here & done & fresh),
            f"{arm}_again_passed": Count("id", filter=here & done & fresh & Q(passed=True)),
        }
    rows = Cell.objects.filter(run=run).values("case_id", "case__key", "case__critical").annotate(**wanted)
    target = None if run.baseline_id is not None else plan_of(run).pass_rate
    found = [_tally(row, target) for row in rows.order_by("case_id")]
    return sorted(found, key=lambda each: (0.0 if each.delta is None else each.delta, not each.critical, each.key))


def _tally(row: Mapping[str, Any], target: float | None) -> Tally:
    after = row["candidate_score"]
    before = row["baseline_score"] if target is None else target
    numbers = {
        what: {arm: int(row[f"{arm}_{what}"]) for arm in Arm.values}
        for what in ("passed", "scored", "unscored", "again_passed", "again")
    }
    delta = None if after is None or before is None else after - before
    return Tally(row["case_id"], row["case__key"], row["case__critical"], delta, **numbers)


def page_of(found: Iterable[Tally], kind: str, number: str | None) -> Page[Tally]:
    """The cases of one kind: the worst first, among what got better the best."""
    chosen = [each for each in found if kind in each.kinds]
    if kind == BETTER:
        chosen.reverse()
    return Paginator(chosen, SHOWN).get_page(number)


def shown_cases(run: EvaluationRun, found: Sequence[Tally], kind: str) -> list[ShownCase]:
    """Of each case the answers that show best why it is listed: of what got worse the worst new and the best old."""
    cells = defaultdict(list)
    light = Cell.objects.filter(run=run, case__in=[each.case_id for each in found]).order_by("confirms", "repeat")
    if kind != UNSCORED:
        light = light.exclude(output=None)
    for cell in light.only("id", "case_id", "arm", "repeat", "score", "state", "confirms"):
        cells[cell.case_id, cell.arm].append(cell)
    chosen = {where: _telling(of, kind, where[1]).pk for where, of in cells.items()}
    whole = Cell.objects.in_bulk(list(chosen.values()))
    cases = Case.objects.in_bulk([each.case_id for each in found])

    def of(tally: Tally, arm: str) -> Cell | None:
        pk = chosen.get((tally.case_id, arm))
        return None if pk is None else whole[pk]

    same = _the_same(list(cases.values()))
    return [
        _shown(tally, cases[tally.case_id], [(of(tally, Arm.BASELINE), of(tally, Arm.CANDIDATE))], same)
        for tally in found
    ]


def whole_case(run: EvaluationRun, tally: Tally) -> ShownCase:
    """One case with every answer that it got, repeat by repeat."""
    by_repeat: dict[int, dict[str, Cell]] = defaultdict(dict)
    for cell in Cell.objects.filter(run=run, case=tally.case_id).order_by("repeat"):
        by_repeat[cell.repeat][cell.arm] = cell
    pairs = [(arms.get(Arm.BASELINE), arms.get(Arm.CANDIDATE)) for arms in by_repeat.values()]
    return _shown(tally, Case.objects.get(pk=tally.case_id), pairs)


def _telling(cells: Sequence[Cell], kind: str, arm: str) -> Cell:
    """The answer that shows what became of a case."""
    if kind == UNSCORED:
        return next((cell for cell in cells if cell.state == Cell.State.UNSCORED), cells[0])
    scored = [cell for cell in cells if cell.score is not None]
    if not scored or kind == SAME:
        return cells[0]
    lowest = (kind == WORSE) == (arm == Arm.CANDIDATE)
    return min(scored, key=lambda cell: ((cell.score or 0.0) * (1 if lowest else -1), cell.repeat))


def _shown(
    tally: Tally,
    case: Case,
    pairs: Sequence[tuple[Cell | None, Cell | None]],
    same: frozenset[tuple[str, str]] = frozenset(),
) -> ShownCase:
    sides = []
    for old, new in pairs:
        before, after = side_by_side(_text(old), _text(new))
        sides.append((_side(old, before), _side(new, after)))
    asked = asked_of(case)
    own = [each for each in asked if each not in same]
    also = [each for each in asked if each in same] if own else []
    return ShownCase(tally, case, own or asked, also, _told(tally), sides)


def _the_same(cases: Sequence[Case]) -> frozenset[tuple[str, str]]:
    """What every case in sight was given alike: it tells them not apart."""
    if len(cases) < 2:
        return frozenset()
    return frozenset.intersection(*(frozenset(asked_of(case)) for case in cases))


def _text(cell: Cell | None) -> str:
    return "" if cell is None or cell.output is None else cell.output


def asked_of(case: Case) -> list[tuple[str, str]]:
    """What was asked: each variable by its name, and what was said before."""
    values = [
        (name, value if isinstance(value, str) else as_json(value)) for name, value in case.variable_values.items()
    ]
    said = [
        (str(message.get("role", name)), str(message.get("content", "")))
        for name, messages in case.placeholder_messages.items()
        for message in messages
    ]
    return values + said


def _told(tally: Tally) -> str:
    """`passes 1 of 5, the live version 5 of 5`."""
    parts = [f"passes {tally.passed[Arm.CANDIDATE]} of {tally.scored[Arm.CANDIDATE]}"]
    if tally.scored[Arm.BASELINE]:
        parts.append(f"the live version {tally.passed[Arm.BASELINE]} of {tally.scored[Arm.BASELINE]}")
    if tally.again[Arm.CANDIDATE]:
        afresh = f"{tally.again_passed[Arm.CANDIDATE]} of {tally.again[Arm.CANDIDATE]}"
        live = tally.again[Arm.BASELINE]
        parts.append(
            f"asked afresh {afresh}" + (f" against {tally.again_passed[Arm.BASELINE]} of {live}" if live else "")
        )
    if lost := sum(tally.unscored.values()):
        parts.append(f"{lost} not scored")
    return ", ".join(parts)


def _side(cell: Cell | None, text: SafeString) -> Side | None:
    if cell is None:
        return None
    return Side(
        arm=cell.arm,
        text=text,
        is_cut=len(cell.output or "") > LONGEST,
        passed="" if cell.passed is None else "passed" if cell.passed else "failed",
        marks=[_mark(line) for line in entries(cell.scores) if not line.get("inside")],
        error=cell.error_detail or cell.error,
        repeat=cell.repeat + 1,
        latency_ms=cell.latency_ms,
    )


def _mark(line: Mapping[str, Any]) -> Mark:
    if line["passed"] is None:
        return Mark("waiting", line["criterion"], "not measured", line["explanation"])
    if not line["weight"]:
        return Mark(
            "note", line["criterion"], "advises: pass" if line["passed"] else "advises: fail", line["explanation"]
        )
    word = "passed" if line["passed"] else "failed"
    return Mark(word, line["criterion"], word, line["explanation"])


# --- Words marked -----------------------------------------------------------------------------------------------------
def side_by_side(old: str, new: str) -> tuple[SafeString, SafeString]:
    """Both texts, what differs marked in either, unless they are two texts rather than one that was changed."""
    old, new = old[:LONGEST], new[:LONGEST]
    if not old or not new or old == new:
        return rendered_text(old), rendered_text(new)
    segments = diff_text(old, new, seconds=DIFF_SECONDS)
    equal = sum(len(each["text"]) for each in segments if each["op"] == "equal")
    if equal < ALIKE * max(len(old), len(new)):
        return rendered_text(old), rendered_text(new)
    return _marked(segments, "delete"), _marked(segments, "insert")


def _marked(segments: Sequence[Segment], op: str) -> SafeString:
    tag, word = ("ins", "added") if op == "insert" else ("del", "removed")
    return format_html_join(
        "",
        "{}",
        (
            (
                rendered_text(each["text"])
                if each["op"] == "equal"
                else format_html(
                    '<{}><span class="visually-hidden">{}: </span>{}</{}>', tag, word, rendered_text(each["text"]), tag
                ),
            )
            for each in segments
            if each["op"] in ("equal", op)
        ),
    )
