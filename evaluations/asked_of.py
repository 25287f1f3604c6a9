"""What is asked of each case's answers in a run: the set's criteria and the case's own, and which of them count."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evaluations.models import Case, SetRevision
from evaluations.scoring import CRITERIA, Criterion, judged, read_criteria


@dataclass(frozen=True, slots=True)
class Demands:
    """The criteria of one case. Those that a judge answers come in `judged`, also where they stand inside others."""

    criteria: tuple[Criterion, ...]
    judged: tuple[Criterion, ...]

    @property
    def counts(self) -> bool:
        return any(criterion.gates for criterion in self.criteria)

    @property
    def needs_baseline(self) -> bool:
        return any(CRITERIA[each.type].needs_baseline for each in flat(self.criteria))


def demands_of(revision: SetRevision, case: Case, advisory: Sequence[str], *, has_baseline: bool) -> Demands:
    """What is asked of a case. A judge that is not calibrated advises: what it says is recorded and does not count.

    What compares with the live version says nothing where there is none.
    """
    raw = [*revision.criteria_list, *case.criteria_list]
    read = _advising(read_criteria(raw, "/criteria"), frozenset(advisory))
    if not has_baseline:
        read = tuple(each for each in read if not CRITERIA[each.type].needs_baseline)
    return Demands(read, judged(read))


def flat(criteria: Sequence[Criterion]) -> Iterator[Criterion]:
    for criterion in criteria:
        yield criterion
        if criterion.type == "assert-set":
            yield from flat(criterion.value)


def _advising(criteria: Sequence[Criterion], advisory: frozenset[str]) -> tuple[Criterion, ...]:
    found = []
    for each in criteria:
        criterion = each
        if each.type == "assert-set":
            members = _advising(each.value, advisory)
            weight = each.weight if any(member.gates for member in members) else 0.0
            criterion = replace(each, value=members, weight=weight)
        elif CRITERIA[each.type].judged and each.name in advisory:
            criterion = replace(each, weight=0.0)
        found.append(criterion)
    return tuple(found)


def entry(criterion: Criterion, value: float | None, passed: bool | None, explanation: str) -> dict[str, Any]:  # noqa: FBT001
    """One criterion's line in a cell's scores."""
    return {
        "criterion": criterion.name,
        "value": value,
        "passed": passed,
        "explanation": explanation,
        "weight": criterion.weight,
    }


def entries(scores: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(scores)
    return found
