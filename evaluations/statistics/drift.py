"""Whether a model that nobody touched answers otherwise than it did: against a reference that is never renewed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluations.statistics.paired import mean, overall, variance
from evaluations.statistics.quantiles import holm, tail

# A watch runs every night for years: one in a hundred runs may suspect something where nothing is.
ALPHA = 0.01
SLACK, ALARM = 0.5, 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One metric of one case: the repeats of the frozen reference, and those of now."""

    reference: Sequence[float]
    now: Sequence[float]


@dataclass(frozen=True, slots=True)
class Change:
    """How one metric moved since the reference, `z` in standard errors; `suspected` if surely and enough to matter."""

    metric: str
    delta: float
    z: float
    p: float
    suspected: bool


def compare(metrics: Mapping[str, Sequence[Reading]], floors: Mapping[str, float]) -> tuple[Change, ...]:
    """All metrics of one run, two-sided, Holm over them; a change below its metric's floor is none that matters."""
    tested = {metric: moved(readings) for metric, readings in sorted(metrics.items())}
    p_values = [2 * tail(abs(z)) for _, z in tested.values()]
    fallen = holm(p_values, ALPHA)
    return tuple(
        Change(metric, delta, z, p, fell and abs(delta) >= floors.get(metric, 0.0))
        for (metric, (delta, z)), p, fell in zip(tested.items(), p_values, fallen, strict=True)
    )


def moved(readings: Sequence[Reading]) -> tuple[float, float]:
    """The mean difference, and how many standard errors that is.

    The error is that of a permutation test within each case: were nothing changed, every repeat could as well have
    stood on the other side. So it is nought only where all repeats are the same on both sides.
    """
    delta = overall([mean(reading.now) - mean(reading.reference) for reading in readings])
    error = math.sqrt(math.fsum(_spread(reading) for reading in readings)) / len(readings)
    return delta, delta / error if error else 0.0


def confirmed(suspicion: Sequence[Change], fresh: Sequence[Change]) -> tuple[str, ...]:
    """Drift: the metrics that a fresh run suspects too, and in the same direction."""
    again = {change.metric: change.delta for change in fresh if change.suspected}
    return tuple(
        change.metric for change in suspicion if change.suspected and again.get(change.metric, 0.0) * change.delta > 0
    )


@dataclass(frozen=True, slots=True)
class Cusum:
    """Small steps in one direction that no single night shows (Page 1954, two-sided).

    With the usual slack and alarm it rings by chance once in about 465 nights, and after about ten of one
    standard deviation each.
    """

    up: float = 0.0
    down: float = 0.0

    def after(self, z: float) -> "Cusum":
        return Cusum(max(0.0, self.up + z - SLACK), max(0.0, self.down - z - SLACK))

    @property
    def alarmed(self) -> bool:
        return max(self.up, self.down) > ALARM


def _spread(reading: Reading) -> float:
    together = [*reading.reference, *reading.now]
    return variance(together) * (1 / len(reading.reference) + 1 / len(reading.now))
