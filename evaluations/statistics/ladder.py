"""The steps from a quiet night to an alarm: notice, suspect, drift; and who is named as the cause."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from evaluations.statistics.drift import Change, Cusum, Reading, compare, confirmed

type Level = Literal["notice", "suspect", "drift", "cleared"]
type State = Literal["quiet", "suspected", "drifted"]

# A change that is smaller matters to nobody: five points of a hundred; a sixth more or fewer words.
FLOORS: Mapping[str, float] = {"score": 0.05, "refusals": 0.05, "length": math.log(7 / 6)}
# A slide that is seen over many nights has to show more surely in one: the reference's own luck is in every night.
SURELY = 3.3
# The reference's own luck stands in every night. So many nights tell how much that is, before slides are looked for.
LEARNING_NIGHTS = 14
# Nights in a row without a suspicion, after which a drift counts as over.
QUIET_NIGHTS = 2
# McNemar's z at .01, two-sided, and how many of the stored answers may change their grade in either direction.
CANARY_Z, CANARY_FLIPS = 2.576, 0.5

# What may differ between two records, in the order in which it is told. What is ours makes answers incomparable; what
# touches only the grades leaves length and refusals.
OURS = ("prompt", "parameters", "adapter")
GRADING = ("set", "judge", "judge's grades")
THEIRS = ("model id", "fingerprint")


@dataclass(frozen=True, slots=True)
class Record:
    """All that decides what a run measured, as it stands in the run."""

    prompt: str
    parameters: str
    adapter: str
    set: str
    judge: str
    models: frozenset[str]
    fingerprints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Canary:
    """Stored answers graded again: how many passed before and fail now, and the other way round."""

    graded: int
    worse: int
    better: int

    @property
    def moved(self) -> bool:
        flips = self.worse + self.better
        return flips > CANARY_FLIPS * self.graded or (
            flips > 0 and abs(self.worse - self.better) / math.sqrt(flips) > CANARY_Z
        )


@dataclass(frozen=True, slots=True)
class Night:
    """One run held against the reference. Without readings nothing could be measured."""

    readings: Mapping[str, Sequence[Reading]]
    differs: tuple[str, ...] = ()
    confirms: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """What a watch knows of the nights since its reference."""

    state: State = "quiet"
    suspicion: tuple[Change, ...] = ()
    slow: Mapping[str, Cusum] = field(default_factory=dict)
    slides: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    quiet: int = 0
    usual: Mapping[str, tuple[float, int]] = field(default_factory=dict)  # the sum of z, and of how many nights


@dataclass(frozen=True, slots=True)
class Step:
    """What one night comes to: the levels that are told, the metrics that moved, and what is remembered."""

    levels: tuple[Level, ...]
    changes: tuple[Change, ...]
    moved: tuple[str, ...]
    memory: Memory


def differences(reference: Record, now: Record, canary: Canary | None) -> tuple[str, ...]:
    """By what two records differ, the judge's own behaviour included."""
    by = {
        "prompt": reference.prompt != now.prompt,
        "parameters": reference.parameters != now.parameters,
        "adapter": reference.adapter != now.adapter,
        "set": reference.set != now.set,
        "judge": reference.judge != now.judge,
        "judge's grades": canary is not None and canary.moved,
        "model id": bool(now.models - reference.models),
        "fingerprint": bool(now.fingerprints - reference.fingerprints),
    }
    return tuple(name for name in (*OURS, *GRADING, *THEIRS) if by[name])


def climb(memory: Memory, night: Night) -> Step:
    """One night further: a suspicion asks for fresh samples, and only these make it a drift.

    What is not compared like with like climbs nowhere: it is noticed once, in words.
    """
    notices: tuple[Level, ...] = ("notice",) if set(night.differs) - set(memory.noticed) else ()
    noticed = tuple(dict.fromkeys([*memory.noticed, *night.differs]))
    readings = _comparable(night)
    if not readings:
        return Step(notices, (), (), replace(memory, noticed=noticed))
    changes = compare(readings, FLOORS)
    if night.confirms and memory.state == "suspected":
        return _settle(memory, changes, notices, noticed)
    return _watch(memory, changes, notices, noticed)


def _comparable(night: Night) -> Mapping[str, Sequence[Reading]]:
    if set(night.differs) & set(OURS):
        return {}
    graded = set(night.differs) & set(GRADING)
    return {name: each for name, each in night.readings.items() if each and not (graded and name == "score")}


def _watch(memory: Memory, changes: tuple[Change, ...], notices: tuple[Level, ...], noticed: tuple[str, ...]) -> Step:
    if memory.state == "quiet":
        memory = _learnt(memory, changes)
    slides = tuple(each.metric for each in changes if memory.slow.get(each.metric, Cusum()).alarmed)
    moved = tuple(each.metric for each in changes if each.suspected or each.metric in slides)
    if memory.state == "drifted":
        quiet = 0 if any(each.suspected for each in changes) else memory.quiet + 1
        if quiet < QUIET_NIGHTS:
            return Step(notices, changes, moved, replace(memory, noticed=noticed, quiet=quiet))
        return Step((*notices, "cleared"), changes, moved, Memory(noticed=noticed, usual=memory.usual))
    if memory.state == "suspected" or not moved:
        return Step(notices, changes, moved, replace(memory, noticed=noticed))
    suspected = replace(memory, state="suspected", suspicion=changes, slides=slides, noticed=noticed)
    return Step((*notices, "suspect"), changes, moved, suspected)


def _learnt(memory: Memory, changes: tuple[Change, ...]) -> Memory:
    """Fourteen nights say how a quiet night stands to this reference; what comes after adds up against that."""
    usual, slow = dict(memory.usual), dict(memory.slow)
    for each in changes:
        total, nights = usual.get(each.metric, (0.0, 0))
        if nights < LEARNING_NIGHTS:
            usual[each.metric] = (total + each.z, nights + 1)
        else:
            slow[each.metric] = slow.get(each.metric, Cusum()).after(each.z - total / nights)
    return replace(memory, usual=usual, slow=slow)


def _settle(memory: Memory, changes: tuple[Change, ...], notices: tuple[Level, ...], noticed: tuple[str, ...]) -> Step:
    """Fresh samples settle a suspicion: in the same direction, as surely, and by enough to matter."""
    again = set(confirmed(memory.suspicion, changes))
    before = {each.metric: each.delta for each in memory.suspicion}
    again |= {
        each.metric
        for each in changes
        if each.metric in memory.slides
        and each.suspected
        and abs(each.z) > SURELY
        and each.delta * before.get(each.metric, 0.0) > 0
    }
    moved = tuple(each.metric for each in changes if each.metric in again)
    if moved:
        return Step((*notices, "drift"), changes, moved, Memory("drifted", noticed=noticed, usual=memory.usual))
    return Step((*notices, "cleared"), changes, (), Memory(noticed=noticed, usual=memory.usual))
