"""The intervals of a verdict as a picture: where each row's mark, bar and limit stand, in shares of the width.

The template draws them as SVG; every number of the picture stands beside it too.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluations.pages.numbers import percent, points, signed_points, times

BETTER, SAME, OPEN, WORSE, BARE = "better", "same", "open", "worse", "bare"
WORDS: Mapping[str, str] = {
    BETTER: "better",
    SAME: "not worse, no clear difference",
    OPEN: "cannot tell yet",
    WORSE: "worse",
    BARE: "measured, without a live version beside it",
}
_STEPS = (0.01, 0.02, 0.05, 0.10, 0.20, 0.25, 0.50)
_TICKS = 6


@dataclass(frozen=True)
class Place:
    """Somewhere on the width, as SVG takes it, with what is written there."""

    at: str
    label: str = ""


@dataclass(frozen=True)
class IntervalRow:
    """One line: drawn by `mark`, `low` and `high`; said by the rest."""

    name: str
    shape: str
    mark: str
    low: str
    width: str
    told: str
    between: str
    before: str
    after: str
    aside: str = ""

    @property
    def word(self) -> str:
        return WORDS[self.shape]


@dataclass(frozen=True)
class Plot:
    """Rows on one scale. Left of `limit` it is too much worse; with `is_turned`, right of it."""

    rows: Sequence[IntervalRow]
    ticks: Sequence[Place]
    zero: str
    limit: Place
    is_turned: bool
    says: str

    @property
    def shapes(self) -> list[tuple[str, str]]:
        """Each shape that occurs, with what it means."""
        drawn = {row.shape for row in self.rows}
        return [(shape, words) for shape, words in WORDS.items() if shape in drawn]

    @property
    def limit_width(self) -> str:
        """How far the ground behind what is too much reaches."""
        at = float(self.limit.at.removesuffix("%"))
        return f"{(100 - at) if self.is_turned else at:.2f}%"


@dataclass(frozen=True)
class _Measured:
    name: str
    delta: float
    low: float
    high: float
    outcome: str
    before: str
    after: str
    aside: str = ""


def plot_of_points(verdict: Mapping[str, Any]) -> Plot | None:
    """The score, then what guards it, then each criterion: the candidate minus what it is held against, in points."""
    if verdict.get("delta") is None or verdict.get("interval") is None:
        return None
    margin = float(verdict["margin"])
    rows = list(_in_points(verdict))
    low = min([-1.6 * margin, *(row.low for row in rows)])
    high = max([margin, *(row.high for row in rows)])
    step = next((step for step in _STEPS if (high - low) / step <= _TICKS), 0.5)
    scale = _Scale(max(-1.0, math.floor(low / step) * step), min(1.0, math.ceil(high / step) * step))
    ticks = [
        Place(scale.at(number * step), _tick(number * step, "live" if verdict.get("baseline") else "asked"))
        for number in range(round(scale.low / step), round(scale.high / step) + 1)
    ]
    against = "live" if verdict.get("baseline") else "what is asked"
    return Plot(
        rows=[_drawn(row, scale, margin) for row in rows],
        ticks=ticks,
        zero=scale.at(0.0),
        limit=Place(scale.at(-margin), "too much worse"),
        is_turned=False,
        says=f"points, candidate minus {against}; the bar holds where the true change lies",
    )


def plot_of_length(verdict: Mapping[str, Any], limit: float) -> Plot | None:
    """How long answers are against the live version's: a scale of its own, on which the right is the worse side."""
    found = next((each for each in verdict.get("guardrails", ()) if each["kind"] == "length"), None)
    if found is None or found["delta"] is None or found["interval"] is None:
        return None
    low, high = min(found["interval"][0], 0.9), max(found["interval"][1], limit * 1.1)
    scale = _Scale(math.log(max(low, 0.05)), math.log(min(high, 20.0)))
    shape = WORSE if found["outcome"] == "FAIL" else OPEN if found["outcome"] == "INCONCLUSIVE" else SAME
    row = IntervalRow(
        name="Length",
        shape=shape,
        mark=scale.at(math.log(found["delta"])),
        low=scale.at(math.log(found["interval"][0])),
        width=scale.width(math.log(found["interval"][0]), math.log(found["interval"][1])),
        told=_longer(found["delta"]),
        between=f"{times(found['interval'][0])} to {times(found['interval'][1])} as long",
        before="1.00 times",
        after=times(found["delta"]),
    )
    ticks = [Place(scale.at(0.0), "as live")]
    return Plot([row], ticks, scale.at(0.0), Place(scale.at(math.log(limit)), "too long"), is_turned=True, says="")


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    def at(self, value: float) -> str:
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1)
        return f"{100 * share:.2f}%"

    def width(self, low: float, high: float) -> str:
        return f"{float(self.at(high)[:-1]) - float(self.at(low)[:-1]):.2f}%"


def _in_points(verdict: Mapping[str, Any]) -> Iterator[_Measured]:
    low, high = verdict["interval"]
    baseline, candidate = verdict["baseline"], verdict["candidate"]
    settled = {row["name"]: row for row in verdict["guardrails"]}
    own = _own_outcome(float(verdict["delta"]), low, high, float(verdict["margin"]))
    before = percent(baseline["score"]) if baseline else "–"
    yield _Measured("Right answers", verdict["delta"], low, high, own, before, percent(candidate["score"]))
    for row in verdict["guardrails"]:
        if row["delta"] is None or row["interval"] is None or row["kind"] == "length":
            continue
        # These say how much more goes wrong; on this scale what is worse stands at the left, as everywhere.
        name = "Answers, no refusals" if row["kind"] == "refusals" else row["name"]
        after, until = -row["interval"][1], -row["interval"][0]
        outcome = row["outcome"]
        if row["kind"] == "invariant" and outcome == "PASS":  # it says no more than "not surely more often broken"
            outcome = _own_outcome(-row["delta"], after, until, float(verdict["margin"]))
        yield _Measured(name, -row["delta"], after, until, outcome, "", "", aside=row["sentence"])
    for row in verdict.get("criteria", ()):
        if row["delta"] is None or row["interval"] is None or row["criterion"] in settled:
            continue
        low, high = row["interval"]
        outcome = _own_outcome(row["delta"], low, high, float(verdict["margin"]))
        aside = "" if row["counts"] else "advises, does not count"
        before, now = percent(row["baseline"]), percent(row["candidate"])
        yield _Measured(row["criterion"], row["delta"], low, high, outcome, before, now, aside=aside)


def _own_outcome(delta: float, low: float, high: float, margin: float) -> str:
    if high < 0 and delta < 0:
        return "FAIL"
    return "PASS" if low > -margin else "INCONCLUSIVE"


def _drawn(row: _Measured, scale: _Scale, margin: float) -> IntervalRow:
    shape = {"FAIL": WORSE, "INCONCLUSIVE": OPEN}.get(row.outcome, BETTER if row.low > 0 else SAME)
    return IntervalRow(
        name=row.name,
        shape=shape,
        mark=scale.at(row.delta),
        low=scale.at(row.low),
        width=scale.width(row.low, row.high),
        told=signed_points(row.delta),
        between=f"{signed_points(row.low)} to {signed_points(row.high)}",
        before=row.before,
        after=row.after,
        aside=row.aside or (f"limit −{points(margin)}" if row.name == "Right answers" else ""),
    )


def _tick(value: float, zero: str) -> str:
    return zero if abs(value) < 1e-9 else signed_points(value, whole=True)


def _longer(ratio: float) -> str:
    if 0.995 <= ratio <= 1.005:
        return "as long"
    return f"{percent(abs(ratio - 1))} {'longer' if ratio > 1 else 'shorter'}"
