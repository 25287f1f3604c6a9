"""What each criterion said of both arms, for the verdict as it is kept."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from evaluations.asked_of import entries
from evaluations.models import Arm, Cell
from evaluations.running.facts import Facts

MOST_CRITERIA = 40


def criteria_told(facts: Facts, cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """One entry for each criterion that was measured, those that count first, in the order of the set."""
    from evaluations.statistics.criteria import criterion_rates
    from evaluations.statistics.paired import Pair

    met: dict[str, dict[int, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    counting: dict[str, bool] = {}
    for cell in cells:
        if cell.state != Cell.State.DONE or cell.confirms:
            continue
        for line in entries(cell.scores):
            if line["passed"] is not None and not line.get("inside"):
                met[line["criterion"]][cell.case_id][cell.arm].append(float(line["passed"]))
                counting[line["criterion"]] = line["weight"] > 0
    told = []
    for name, by_case in met.items():
        pairs = [
            Pair(arms[Arm.CANDIDATE], arms[Arm.BASELINE], facts.cases[case].group)
            for case, arms in by_case.items()
            if arms[Arm.CANDIDATE]
        ]
        if pairs:
            found = criterion_rates(name, pairs, facts.plan, counts=counting[name])
            told.append(dataclasses.asdict(found))
    told.sort(key=lambda each: not each["counts"])
    return told[:MOST_CRITERIA]
