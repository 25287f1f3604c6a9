"""Which features of tone moved. It advises; no verdict depends on it.

Numbers by the hundred thousand, so NumPy adds them up; it comes with scipy, and is imported where scipy is.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

from evaluations.statistics.evidence import Evidence, Sample
from evaluations.statistics.quantiles import holm, quantile
from evaluations.statistics.verdicts import Shift

if TYPE_CHECKING:
    import numpy as np

    type Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

# Below this many groups no paired test has anything to go by; below this effect (Cohen's "small") nobody hears it.
LEAST_GROUPS = 3
LEAST_EFFECT = 0.2
NAMED = 3


def shifts(evidence: Evidence, alpha: float) -> tuple[Shift, ...]:
    """The features that moved for certain, at most three, furthest first.

    Each is a paired t test of D by case, clustered by group as the score is; Holm guards them together.
    """
    groups = _groups(evidence)
    if not evidence.has_baseline or len(groups) < LEAST_GROUPS:
        return ()
    names = sorted(evidence.cases[0].candidate[0].features)
    try:
        found = _tested(evidence, names, groups)
    except KeyError:  # some answer lacks one; to look for that first would take longer than all the rest
        found = _tested(evidence, _common(evidence), groups)
    moved = holm([shift.p for shift in found], alpha)
    told = [shift for shift, did in zip(found, moved, strict=True) if did and abs(shift.effect) >= LEAST_EFFECT]
    return tuple(sorted(told, key=lambda shift: (-abs(shift.effect), shift.feature))[:NAMED])


def _tested(evidence: Evidence, names: list[str], groups: Mapping[str | int, int]) -> list[Shift]:
    import numpy as np
    from scipy.special import stdtr

    if not names:
        return []
    candidate, after = _means([case.candidate for case in evidence.cases], names)
    baseline, before = _means([case.baseline for case in evidence.cases], names)
    count = len(evidence.cases)
    differences = after - before
    delta = differences.mean(axis=0)
    clusters = np.zeros((len(groups), len(names)))
    np.add.at(clusters, [groups[case.group or index] for index, case in enumerate(evidence.cases)], differences - delta)
    df = len(groups) - 1
    error = np.sqrt((df + 1) / df * (clusters**2).sum(axis=0)) / count
    # Over both arms together, so that the spread is never nought where something moved.
    spread = np.concatenate([candidate, baseline]).std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(error > 0, 2 * stdtr(df, -np.abs(delta) / error), np.where(delta == 0, 1.0, 0.0))
        effect = np.where(spread > 0, delta / spread, 0.0)
    reach = quantile(0.025, df) * error
    return [
        Shift(
            name,
            baseline=float(before[:, at].mean()),
            candidate=float(after[:, at].mean()),
            delta=float(delta[at]),
            interval=(float(delta[at] - reach[at]), float(delta[at] + reach[at])),
            p=float(p[at]),
            effect=float(effect[at]),
        )
        for at, name in enumerate(names)
    ]


def _means(arm: Sequence[Sequence[Sample]], names: list[str]) -> tuple["Matrix", "Matrix"]:
    """All values of an arm, one row per sample, and their means, one row per case."""
    import numpy as np

    read = itemgetter(*names, names[0])
    rows = np.array([read(sample.features) for samples in arm for sample in samples])[:, :-1]
    sizes = np.array([len(samples) for samples in arm])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return rows, np.add.reduceat(rows, starts, axis=0) / sizes[:, None]


def _groups(evidence: Evidence) -> dict[str | int, int]:
    """Each group's row; a case without one is a group of its own."""
    named = dict.fromkeys(case.group or index for index, case in enumerate(evidence.cases))
    return {group: row for row, group in enumerate(named)}


def _common(evidence: Evidence) -> list[str]:
    """The features that every answer of both arms has."""
    samples = chain.from_iterable((*case.candidate, *case.baseline) for case in evidence.cases)
    first, *others = (sample.features.keys() for sample in samples)
    return sorted(set(first).intersection(*others))
