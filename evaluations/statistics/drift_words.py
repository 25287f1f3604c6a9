"""What a watch found, in one sentence each: what moved, by how much, and by what the two records differ."""

import math
from collections.abc import Sequence

from evaluations.statistics.drift import Change
from evaluations.statistics.ladder import GRADING, OURS, Canary, Level

NOTHING = "Nothing changed here; the model did."
_DIFFERS = {
    "prompt": "another version of the prompt is asked",
    "parameters": "the connection's model or parameters were changed",
    "adapter": "the provider is asked and read in another way than then",
    "set": "the evaluation set was changed",
    "judge": "another judge grades",
    "judge's grades": "the judge grades stored answers otherwise than it did",
    "model id": "the provider names another model",
    "fingerprint": "the provider's fingerprint is another",
}


def sentence(
    level: Level, changes: Sequence[Change], moved: Sequence[str], differs: Sequence[str], canary: Canary | None = None
) -> str:
    """One finding as the inbox, the letter and the webhook tell it."""
    shown = [change for change in changes if change.metric in moved]
    if level == "notice":
        return f"Since the reference {_listed(differs)}.{_means(differs, canary)}"
    if level == "cleared":
        return "The suspicion was not confirmed: the answers are again as in the reference."
    what = _joined([_told(change) for change in shown])
    if level == "suspect":
        return f"Tonight {what} than in the reference. Fresh samples will settle whether that is chance."
    return f"{what[:1].upper()}{what[1:]} than in the reference, and fresh samples confirm it. {attribution(differs)}"


def attribution(differs: Sequence[str]) -> str:
    """Whether the model changed or we did, by what differs between the two records."""
    if not differs:
        return NOTHING
    ours = [name for name in differs if name in OURS or name in GRADING]
    told = f"{_listed(differs)}."
    if ours:
        return f"Between the two, {told}"
    return f"{NOTHING} And it says so: {told}"


def _told(change: Change) -> str:
    if change.metric == "length":
        share = round(100 * abs(math.expm1(change.delta)))
        return f"answers are {share} % {'longer' if change.delta > 0 else 'shorter'}"
    points = round(100 * abs(change.delta))
    if change.metric == "refusals":
        return f"the model refuses {points} points {'more' if change.delta > 0 else 'less'} often"
    return f"the score is {points} points {'higher' if change.delta > 0 else 'lower'}"


def _means(differs: Sequence[str], canary: Canary | None) -> str:
    if set(differs) & set(OURS):
        return " Then and now cannot be compared, so nothing is booked as drift: take a new reference."
    if "judge's grades" in differs and canary is not None:
        return (
            f" Of {canary.graded} stored answers, {canary.worse + canary.better} got another grade. What the judge "
            "says is not booked as drift of the model."
        )
    if set(differs) & set(GRADING):
        return " So grades are not booked as drift of the model; length and refusals still are. Take a new reference."
    return " The answers were compared at once; what moved is told apart."


def _listed(differs: Sequence[str]) -> str:
    return _joined([_DIFFERS[name] for name in differs])


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "something moved"
