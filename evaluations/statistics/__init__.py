"""The statistics of evaluations: pure functions, no framework. See docs/evaluation-statistics.md."""

from evaluations.statistics.deciding import decide
from evaluations.statistics.evidence import Arm, CaseEvidence, Evidence, Sample
from evaluations.statistics.plans import Plan, SetPower, plan_for, set_power
from evaluations.statistics.verdicts import CaseRates, Confirm, Continue, Guardrail, Rates, Shift, Verdict

__all__ = [
    "Arm",
    "CaseEvidence",
    "CaseRates",
    "Confirm",
    "Continue",
    "Evidence",
    "Guardrail",
    "Plan",
    "Rates",
    "Sample",
    "SetPower",
    "Shift",
    "Verdict",
    "decide",
    "plan_for",
    "set_power",
]
