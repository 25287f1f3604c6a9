"""What a run has measured, as the statistics see it: scored cells by case and arm, and how many could not be scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

type Arm = Literal["candidate", "baseline"]
ARMS: tuple[Arm, Arm] = ("candidate", "baseline")


@dataclass(frozen=True, slots=True)
class Sample:
    """One scored cell. `invariants` are the criteria that take no single failure, by name: whether each one held."""

    score: float
    passed: bool
    words: int
    refused: bool
    invariants: Mapping[str, bool]
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """A case with its scored cells. Without a group it is a cluster of its own.

    What was asked afresh in the confirm step stands apart: what made a case suspect must not judge it again.
    """

    case: str
    group: str
    critical: bool
    candidate: tuple[Sample, ...]
    baseline: tuple[Sample, ...]
    confirm_candidate: tuple[Sample, ...] = ()
    confirm_baseline: tuple[Sample, ...] = ()

    def of(self, arm: Arm) -> tuple[Sample, ...]:
        return self.candidate if arm == "candidate" else self.baseline


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that `decide` looks at.

    `called` and `unscored` count the cells of each arm that were settled, those of the confirm step among them.
    `confirmed` names the cases whose confirm step is done, scored or not. `differs` names what was not the same for
    both arms, such as "the judge": then nothing can be compared.
    """

    cases: tuple[CaseEvidence, ...]
    unscored: Mapping[Arm, int]
    called: Mapping[Arm, int]
    has_baseline: bool = True
    confirmed: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    @property
    def arms(self) -> tuple[Arm, ...]:
        return ARMS if self.has_baseline else ("candidate",)
