"""What is evaluated, with what, and what came of it."""

from evaluations.models.connections import Budget, ConnectionRate, DaySpending, ModelConnection
from evaluations.models.demo import DemoStory
from evaluations.models.drift import DriftFinding, DriftNight, DriftWatch
from evaluations.models.rules import EvaluationRule, GateRefusal
from evaluations.models.runs import Arm, CachedCall, Cell, EvaluationRun, Label
from evaluations.models.sets import Case, EvaluationSet, SetRevision
from evaluations.models.staged import StagedFile
from evaluations.models.trials import Trial, TrialAnswer

__all__ = [
    "Arm",
    "Budget",
    "CachedCall",
    "Case",
    "Cell",
    "ConnectionRate",
    "DaySpending",
    "DemoStory",
    "DriftFinding",
    "DriftNight",
    "DriftWatch",
    "EvaluationRule",
    "EvaluationRun",
    "EvaluationSet",
    "GateRefusal",
    "Label",
    "ModelConnection",
    "SetRevision",
    "StagedFile",
    "Trial",
    "TrialAnswer",
]
