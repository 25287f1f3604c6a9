"""What a criterion is, what an answer is, and what judging one by the other says. Names are promptfoo's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

# A longer output is looked at up to here; what looks at less says so in its explanation.
MAX_TEXT = 200_000
# A sentence about a criterion shows this much of its value.
SHOWN = 60


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is asked of an answer. A weight of 0 records it without letting it decide."""

    type: str
    value: Any = None
    threshold: float | None = None
    weight: float = 1.0
    negated: bool = False
    name: str = ""

    @property
    def gates(self) -> bool:
        return self.weight > 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One call's result. What was not measured is None: an unknown cost is unknown, never 0.

    `baseline_words` is the mean number of words of the live version's answers to the same case.
    """

    output: str
    finish_reason: str | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    baseline_words: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """`value` 0..1 and whether it passed; both None when it could not be measured, which is neither pass nor fail."""

    value: float | None
    passed: bool | None
    explanation: str

    @property
    def is_scored(self) -> bool:
        return self.passed is not None


@dataclass(frozen=True, slots=True)
class Question:
    """What a scorer is asked: the criterion with its value filled in, and all that surrounds the answer."""

    criterion: Criterion
    answer: Answer
    text: str
    expected: str | None
    variables: Mapping[str, Any]
    judgements: Mapping[str, Score] = field(default_factory=dict)

    @property
    def value(self) -> Any:
        """The criterion's own value, else what the case expects."""
        return self.expected if self.criterion.value is None else self.criterion.value


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of criterion.

    `check` reads the value (and raises ValueError with a sentence), `score` judges, `says` is the sentence for people
    behind "must" or "must not". `threshold`: "none", "optional" or "required". `invariant`: gated with zero tolerance.
    `judged`: a model answers it. `needs_baseline`: says nothing where no version is live yet.
    """

    check: Callable[[Any], Any]
    score: Callable[[Question], Score]
    says: Callable[[Criterion], str]
    threshold: str = "none"
    highest: float | None = None
    expects: bool = False  # without a value the case's expected answer stands in
    invariant: bool = False
    judged: bool = False
    needs_baseline: bool = False


def held(passed: bool, explanation: str, value: float | None = None) -> Score:  # noqa: FBT001  reads as a sentence
    """The score of something that holds or not, or that holds in part (`value`)."""
    return Score(float(passed) if value is None else value, passed, explanation)


def unmeasured(explanation: str) -> Score:
    return Score(None, None, explanation)
