"""What a cell's answer is worth: its criteria's scores, and what the statistics need to know of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluations import tone
from evaluations.asked_of import Demands, entry
from evaluations.models import Case
from evaluations.scoring import CRITERIA, Answer, Score, score, total
from evaluations.scoring.refusals import is_refusal


@dataclass(frozen=True, slots=True)
class Scored:
    """`value` and `passed` are None when a criterion that counts could not be measured; `why` then says which."""

    value: float | None
    passed: bool | None
    scores: list[dict[str, Any]]
    measures: dict[str, Any]
    why: str = ""


def scored(demands: Demands, case: Case, answer: Answer, judgements: Mapping[str, dict[str, Any]]) -> Scored:
    """`judgements` holds what judges said, as the lines of the cell's scores, by the criterion's name."""
    said = {name: Score(line["value"], line["passed"], line["explanation"]) for name, line in judgements.items()}
    found = [score(each, answer, case.expected, case.variable_values, said) for each in demands.criteria]
    whole = total(demands.criteria, found)
    lines = []
    for criterion, result in zip(demands.criteria, found, strict=True):
        line = entry(criterion, result.value, result.passed, result.explanation)
        lines.append(line | _again(judgements.get(criterion.name)))
    top = {criterion.name for criterion in demands.criteria}
    lines += [dict(line, inside=True) for name, line in judgements.items() if name not in top]
    why = next(
        (
            f"{c.name}: {s.explanation}"
            for c, s in zip(demands.criteria, found, strict=True)
            if c.gates and not s.is_scored
        ),
        "",
    )
    return Scored(whole.value, whole.passed, lines, _measures(demands, lines, answer), why)


def _again(line: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"again": line["again"]} if line and "again" in line else {}


def _measures(demands: Demands, lines: list[dict[str, Any]], answer: Answer) -> dict[str, Any]:
    held = {
        criterion.name: line["passed"]
        for criterion, line in zip(demands.criteria, lines, strict=False)
        if CRITERIA[criterion.type].invariant and criterion.gates and line["passed"] is not None
    }
    return {
        "words": len(answer.output.split()),
        "refused": is_refusal(answer.output, answer.finish_reason),
        "invariants": held,
        "features": tone.features(answer.output),
    }
