"""What `decide` answers: more repeats, fresh repeats of some cases, or the verdict with every figure behind it."""

from dataclasses import dataclass
from typing import Literal

from evaluations.statistics.plans import Estimand

type Outcome = Literal["PASS", "FAIL", "INCONCLUSIVE", "NOT_COMPARABLE", "INCOMPLETE"]
type Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Continue:
    """Not settled yet: bring every case to that many repeats in each arm, and ask again with the next look."""

    repeats: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask these cases that many times afresh in each arm, and decide again with the same look."""

    cases: tuple[str, ...]
    repeats: int


@dataclass(frozen=True, slots=True)
class Guardrail:
    """What must hold beside the score. `length` is told as a ratio, `refusals` as a difference of rates.

    `cases` are those that it names; `kind` keeps an invariant that is called "length" apart from the length.
    """

    kind: Literal["length", "refusals", "cases", "invariant"]
    name: str
    outcome: Outcome
    delta: float | None
    interval: Interval | None
    sentence: str
    cases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseRates:
    """A case's mean scores; `passed` of `repeats` in each arm. Without a baseline its score is None."""

    case: str
    candidate: float
    baseline: float | None
    delta: float
    passed: tuple[int, int]
    repeats: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shift:
    """A feature of tone that moved: its mean per answer in each arm; `effect` in standard deviations of all answers."""

    feature: str
    baseline: float
    candidate: float
    delta: float
    interval: Interval
    p: float
    effect: float


@dataclass(frozen=True, slots=True)
class Rates:
    """One arm's mean score, and the share of cases that passed every repeat (pass^k)."""

    score: float
    always: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Shares of 1 everywhere: a delta of −0.10 is a drop of ten points. `interval` holds the bounds that decided."""

    outcome: Outcome
    sentence: str
    delta: float | None
    interval: Interval | None
    margin: float
    estimand: Estimand
    cases: int
    repeats: int
    calls: int
    candidate: Rates | None = None
    baseline: Rates | None = None
    guardrails: tuple[Guardrail, ...] = ()
    worst: tuple[CaseRates, ...] = ()
    tone: tuple[Shift, ...] = ()
    advice: str = ""
