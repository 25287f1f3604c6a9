"""Whether what a judge says may count: it is held against what people said of the same answers."""

from collections.abc import Collection
from typing import Any

from evaluations.asked_of import demands_of, entries
from evaluations.judging import JUDGE_VERSION
from evaluations.models import Cell, Label, ModelConnection
from evaluations.scoring import Criterion
from evaluations.statistics.calibration import Calibration, calibrate
from promptforge.lib.json import canonical_json


def judge_settings(connection: ModelConnection) -> str:
    """Which judge it is: its model with all that decides its answers, and the prompt that it is asked with."""
    return canonical_json({**connection.snapshot, "judge_version": JUDGE_VERSION})


def judged_criterion(cell: Cell, name: str) -> Criterion | None:
    """The criterion of this name as a judge was asked it of the cell's answer; None when none was."""
    run = cell.run
    demands = demands_of(run.set_revision, cell.case, (), has_baseline=run.baseline_id is not None)
    return next((each for each in demands.judged if each.name == name), None)


def calibration(project_id: int, settings: str, criterion: Criterion) -> Calibration:
    """One judge's criterion against every label of it in the project.

    A name says nothing of what was asked: only labels count whose answer was judged by exactly this question.
    """
    labels = Label.objects.filter(
        criterion=criterion.name, cell__run__project_id=project_id, cell__run__judge_settings=settings
    ).select_related("cell__case", "cell__run__set_revision")
    asked: dict[tuple[int, int], bool] = {}  # each case is labelled many times, and read once
    for label in labels:
        place = label.cell.run.set_revision_id, label.cell.case_id
        if place not in asked:
            found = judged_criterion(label.cell, criterion.name)
            asked[place] = found is not None and _question(found) == _question(criterion)
    return calibrate(
        [
            (label.passed, line["passed"])
            for label in labels
            if asked[label.cell.run.set_revision_id, label.cell.case_id]
            for line in entries(label.cell.scores)
            if line["criterion"] == criterion.name and line["passed"] is not None
        ]
    )


def advisory_criteria(project_id: int, settings: str, criteria: Collection[Criterion]) -> list[str]:
    """The names of those judged criteria that only advise; one name may stand for other questions in other cases."""
    asked = {(each.name, *_question(each)): each for each in criteria}
    return sorted({each.name for each in asked.values() if not calibration(project_id, settings, each).enough})


def _question(criterion: Criterion) -> tuple[Any, ...]:
    """What is asked, whatever it weighs."""
    return criterion.type, criterion.value, criterion.negated
