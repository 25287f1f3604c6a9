"""How far a judge can be trusted: against the labels of people, and against itself."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evaluations.statistics.quantiles import normal_quantile, wilson
from evaluations.statistics.verdicts import Interval

# Until a judge has been held against so many labels, what it says advises and blocks nothing.
LEAST_LABELS = 30
# Above chance: a judge that says the same of everything has a kappa of 0, but for what rounding makes of it.
_NOTHING = 1e-9


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, with Wilson's 95 % interval. Of nothing there is no rate."""

    hits: int
    of: int
    rate: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class Calibration:
    """`sensitivity`: the share that the judge passed of what people passed; `specificity`: failed of what they failed.

    `kappa` is None where people and judge said the same one thing throughout: then chance explains all agreement.
    """

    labels: int
    sensitivity: Share
    specificity: Share
    kappa: float | None
    kappa_interval: Interval | None
    enough: bool
    sentence: str


def calibrate(labels: Sequence[tuple[bool, bool]]) -> Calibration:
    """`labels` hold what a person said of an answer and what the judge did: whether it passes."""
    table = Counter(labels)
    good = share(table[True, True], table[True, True] + table[True, False])
    bad = share(table[False, False], table[False, False] + table[False, True])
    kappa, interval = cohen_kappa(labels)
    agrees = interval is not None and interval[0] > _NOTHING
    enough = len(labels) >= LEAST_LABELS and bool(good.of and bad.of) and agrees
    sentence = _sentence(len(labels), good, bad, agrees=agrees) + _kappa(kappa, interval)
    return Calibration(len(labels), good, bad, kappa, interval, enough, sentence)


def share(hits: int, of: int) -> Share:
    return Share(hits, of, hits / of if of else None, wilson(hits, of))


def cohen_kappa(labels: Sequence[tuple[bool, bool]]) -> tuple[float | None, Interval | None]:
    """Cohen 1960, with the 95 % interval of Fleiss, Cohen & Everitt 1969."""
    if not labels:
        return None, None
    share_of = {pair: count / len(labels) for pair, count in Counter(labels).items()}
    first = {value: sum(part for pair, part in share_of.items() if pair[0] is value) for value in (True, False)}
    second = {value: sum(part for pair, part in share_of.items() if pair[1] is value) for value in (True, False)}
    agreed = sum(part for pair, part in share_of.items() if pair[0] is pair[1])
    chance = sum(first[value] * second[value] for value in (True, False))
    if chance == 1:
        return None, None
    kappa = (agreed - chance) / (1 - chance)
    same = sum(
        share_of.get((value, value), 0.0) * (1 - (first[value] + second[value]) * (1 - kappa)) ** 2
        for value in (True, False)
    )
    other = sum(
        part * (second[pair[0]] + first[pair[1]]) ** 2 for pair, part in share_of.items() if pair[0] is not pair[1]
    )
    spread = same + (1 - kappa) ** 2 * other - (kappa - chance * (1 - kappa)) ** 2
    error = math.sqrt(max(0.0, spread) / len(labels)) / (1 - chance)
    reach = normal_quantile(0.025) * error
    return kappa, (max(-1.0, kappa - reach), min(1.0, kappa + reach))


def flip_rate(judgings: Sequence[Sequence[bool]]) -> Share:
    """Of outputs that were judged more than once, the share on which the judge contradicted itself."""
    judged = [verdicts for verdicts in judgings if len(verdicts) > 1]
    return share(sum(len(set(verdicts)) > 1 for verdicts in judged), len(judged))


def _sentence(labels: int, good: Share, bad: Share, *, agrees: bool) -> str:
    if labels < LEAST_LABELS:
        missing = LEAST_LABELS - labels
        more = "one more answer" if missing == 1 else f"{missing} more answers"
        return f"The judge only advises: {labels} of {LEAST_LABELS} labels are there. Label {more}."
    if not good.of or not bad.of:
        lacking = "passed" if not good.of else "failed"
        return f"The judge only advises: people {lacking} none of the {labels} answers. Label some that {lacking}."
    told = (
        f"The judge passes {good.hits} of the {good.of} answers that people passed, "
        f"and fails {bad.hits} of the {bad.of} that they failed."
    )
    if agrees:
        return told
    return (
        f"The judge only advises: its agreement with people may be chance. {told} Ask more plainly, or another judge."
    )


def _kappa(kappa: float | None, interval: Interval | None) -> str:
    if kappa is None or interval is None:
        return ""
    return f" Cohen's kappa is {kappa:.2f}, between {interval[0]:.2f} and {interval[1]:.2f} (95 %)."
