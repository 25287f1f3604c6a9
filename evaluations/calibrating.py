"""Whether what a judge says may count: it is held against what people said of the same answers."""

from collections.abc import Collection

from evaluations.asked_of import entries
from evaluations.judging import JUDGE_VERSION
from evaluations.models import Label, ModelConnection
from evaluations.statistics.calibration import Calibration, calibrate
from promptforge.lib.json import canonical_json


def judge_settings(connection: ModelConnection) -> str:
    """Which judge it is: its model with all that decides its answers, and the prompt that it is asked with."""
    return canonical_json({**connection.snapshot, "judge_version": JUDGE_VERSION})


def calibration(project_id: int, settings: str, criterion: str) -> Calibration:
    """One judge's criterion against every label of it in the project."""
    labels = Label.objects.filter(
        criterion=criterion, cell__run__project_id=project_id, cell__run__judge_settings=settings
    ).select_related("cell")
    return calibrate(
        [
            (label.passed, line["passed"])
            for label in labels
            for line in entries(label.cell.scores)
            if line["criterion"] == criterion and line["passed"] is not None
        ]
    )


def advisory_criteria(project_id: int, settings: str, names: Collection[str]) -> list[str]:
    """Those judged criteria that only advise."""
    return [name for name in sorted(names) if not calibration(project_id, settings, name).enough]
