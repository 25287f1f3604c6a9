"""What each criterion said of both arms, for the verdict as it is kept."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from evaluations.asked_of import entries
from evaluations.models import Arm, Cell
from evaluations.running.facts import Facts

MOST_CRITERIA = 40


def criteria_told(facts: Facts, cells: Iterable[Cell], outcome: str) -> tuple[list[dict[str, Any]], str]:
    """One entry for each criterion that was measured, those that count first, in the order of the set.

    And where the run failed, a sentence on what it breaks most, else an empty one.
    """
    from evaluations.statistics.criteria import CriterionRates, criterion_rates
    from evaluations.statistics.paired import Pair
    from evaluations.statistics.words import criterion_sentence

    met: dict[str, dict[int, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    counting: dict[str, bool] = {}
    for cell in cells:
        if cell.state != Cell.State.DONE or cell.confirms:
            continue
        for line in entries(cell.scores):
            if line["passed"] is not None and not line.get("inside"):
                met[line["criterion"]][cell.case_id][cell.arm].append(float(line["passed"]))
                counting[line["criterion"]] = line["weight"] > 0
    told: list[CriterionRates] = []
    for name, by_case in met.items():
        pairs = [
            Pair(arms[Arm.CANDIDATE], arms[Arm.BASELINE], facts.cases[case].group)
            for case, arms in by_case.items()
            if arms[Arm.CANDIDATE]
        ]
        if pairs:
            told.append(criterion_rates(name, pairs, facts.plan, counts=counting[name]))
    told.sort(key=lambda each: not each.counts)
    breaks = criterion_sentence(told) if outcome == "FAIL" else ""
    return [dataclasses.asdict(each) for each in told[:MOST_CRITERIA]], breaks
