"""The ladder from a quiet night to an alarm: what it finds, and how seldom it cries wolf."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from evaluations.statistics.drift import Cusum, Reading
from evaluations.statistics.drift_words import NOTHING, sentence
from evaluations.statistics.ladder import Canary, Memory, Night, Record, Step, climb, differences
from tests.evaluations.statistics.simulation import lowered, usual_mix


class Model:
    """A model that passes each case at its own rate and writes about so many words; `before`: its reference."""

    def __init__(self, random: Random, rates: Sequence[float], words: float = 60.0) -> None:
        self.random, self.rates, self.words = random, rates, words
        self.usual = [random.uniform(0.5, 1.5) for _ in rates]
        self.before = self.sampled(10)

    def sampled(self, repeats: int) -> dict[str, list[list[float]]]:
        random = self.random
        return {
            "score": [[float(random.random() < rate) for _ in range(repeats)] for rate in self.rates],
            "refusals": [[float(random.random() < 0.01) for _ in range(repeats)] for _ in self.rates],
            "length": [
                [math.log(self.words * each * random.lognormvariate(0, 0.2) + 1) for _ in range(repeats)]
                for each in self.usual
            ],
        }

    def readings(self, repeats: int) -> dict[str, list[Reading]]:
        now = self.sampled(repeats)
        return {
            name: [Reading(old, new) for old, new in zip(self.before[name], now[name], strict=True)] for name in now
        }


def watch(model: Model, memory: Memory, runs: int) -> tuple[int | None, int, Memory]:
    """So many runs, confirming ones included: the number of that which alarmed, and how many suspicions there were."""
    suspected = 0
    for number in range(1, runs + 1):
        confirms = memory.state == "suspected"
        step = climb(memory, Night(model.readings(6 if confirms else 3), confirms=confirms))
        memory, suspected = step.memory, suspected + ("suspect" in step.levels)
        if "drift" in step.levels:
            return number, suspected, memory
    return None, suspected, memory


def found_share(seeds: range, cases: int, points: float) -> float:
    """A silent change some quiet nights after the promotion: how often the second run after it alarms."""
    found = 0
    for seed in seeds:
        random = Random(seed)
        model = Model(random, usual_mix(cases))
        _, _, memory = watch(model, Memory(), 2)
        model.rates = lowered(usual_mix(cases), points)
        found += watch(model, memory, 2)[0] is not None
    return found / len(seeds)


def alarms(nights: int, references: int, seed: int) -> tuple[int, int]:
    """Of quiet nights in all, over so many references: a reference's own luck is in each of its nights."""
    found = suspected = 0
    for reference in range(references):
        random = Random(f"{seed}:{reference}")
        model, memory, left = Model(random, usual_mix(random.choice([5, 10, 30]))), Memory(), nights // references
        while left > 0:
            alarmed, suspicions, memory = watch(model, memory, left)
            found, suspected = found + (alarmed is not None), suspected + suspicions
            left -= alarmed or left
            memory = Memory() if alarmed else memory
    return found, suspected


@pytest.mark.parametrize("runs", [60, pytest.param(1000, marks=pytest.mark.full)])
def test_a_silent_change_is_alarmed_within_two_runs(runs: int) -> None:
    shares = found_share(range(runs), cases=30, points=25), found_share(range(runs), cases=10, points=45)
    print(f"found in the second run: {shares[0]:.1%} of 25 points on 30 cases, {shares[1]:.1%} of 45 points on 10")
    assert min(shares) >= 0.95


@pytest.mark.parametrize("nights", [300, pytest.param(20_000, marks=pytest.mark.full)])
def test_quiet_nights_raise_no_alarm(nights: int) -> None:
    """At most one in a thousand, three metrics each; and one night in fifty asks for fresh samples at most."""
    found, suspected = alarms(nights, max(3, nights // 500), seed=1)
    print(f"{nights:,} quiet nights: {found} alarms, {suspected} suspicions")
    assert found <= nights / 1000
    assert suspected <= max(9, nights / 50)


def test_a_slide_that_no_night_shows_is_found_in_time() -> None:
    """Eight points less, which one night in eight would show: the nights together do."""
    found = []
    for seed in range(8):
        random = Random(seed)
        model = Model(random, usual_mix(30))
        _, _, memory = watch(model, Memory(), 20)
        model.rates = lowered(usual_mix(30), 12)
        found.append(watch(model, memory, 60)[0])
    assert sum(each is not None for each in found) >= 7


# --- By hand ---------------------------------------------------------------------------------------------------------
def night(score: float, *, confirms: bool = False, differs: tuple[str, ...] = (), words: float = 4.0) -> Night:
    """Six cases: all passed in the reference, and `score` of each now."""
    readings = {
        "score": [Reading([1.0] * 10, [score] * 3)] * 6,
        "length": [Reading([4.0, 4.1] * 5, [words] * 3)] * 6,
    }
    return Night(readings, differs, confirms)


def climbed(*nights: Night) -> list[Step]:
    memory, steps = Memory(), []
    for each in nights:
        steps.append(climb(memory, each))
        memory = steps[-1].memory
    return steps


@pytest.mark.parametrize(
    ("nights", "levels"),
    [
        ([night(1.0)] * 3, [(), (), ()]),
        ([night(0.0), night(0.0, confirms=True)], [("suspect",), ("drift",)]),
        ([night(0.0), night(1.0, confirms=True)], [("suspect",), ("cleared",)]),
        # A confirmation that could not be measured settles nothing; the next one does.
        ([night(0.0), Night({}, confirms=True), night(0.0, confirms=True)], [("suspect",), (), ("drift",)]),
        # What went on is told once; two quiet nights end it.
        (
            [night(0.0), night(0.0, confirms=True), night(0.0), night(1.0), night(0.0), night(1.0), night(1.0)],
            [("suspect",), ("drift",), (), (), (), (), ("cleared",)],
        ),
        ([night(0.0, differs=("model id",)), night(0.0, confirms=True)], [("notice", "suspect"), ("drift",)]),
        ([night(0.0, differs=("prompt",))] * 2, [("notice",), ()]),
        ([night(0.0, differs=("judge",))] * 2, [("notice",), ()]),
        ([night(0.0, differs=("judge's grades",)), night(0.0)], [("notice",), ("suspect",)]),
        ([night(0.0, differs=("judge",)), night(0.0, differs=("judge", "model id"))], [("notice",), ("notice",)]),
        # Length needs no judge.
        ([night(0.0, differs=("judge",), words=5.0)], [("notice", "suspect")]),
        # A confirmation of the contrary confirms nothing.
        ([night(1.0, words=5.0), night(1.0, words=3.0, confirms=True)], [("suspect",), ("cleared",)]),
    ],
)
def test_the_steps(nights: list[Night], levels: list[tuple[str, ...]]) -> None:
    assert [step.levels for step in climbed(*nights)] == levels


def record(**fields: Any) -> Record:
    same = {"prompt": "1", "parameters": "{}", "adapter": "1", "set": "a", "judge": "j"}
    return Record(**same | {"models": frozenset({"m-1"}), "fingerprints": frozenset({"fp"})} | fields)


@pytest.mark.parametrize(
    ("fields", "canary", "differs"),
    [
        ({}, Canary(20, 2, 2), ()),
        ({"prompt": "2", "parameters": '{"temperature":1}'}, None, ("prompt", "parameters")),
        ({"set": "b", "adapter": "2", "judge": "k"}, None, ("adapter", "set", "judge")),
        ({"models": frozenset({"m-1", "m-2"})}, None, ("model id",)),
        ({"fingerprints": frozenset({"fp2"})}, None, ("fingerprint",)),
        # What a provider no longer says is no other.
        ({"fingerprints": frozenset()}, None, ()),
        ({}, Canary(20, 7, 0), ("judge's grades",)),
        ({}, Canary(20, 0, 7), ("judge's grades",)),
        ({}, Canary(20, 6, 5), ("judge's grades",)),
        ({}, Canary(20, 6, 0), ()),
        ({}, Canary(0, 0, 0), ()),
    ],
)
def test_what_differs(fields: dict[str, Any], canary: Canary | None, differs: tuple[str, ...]) -> None:
    assert differences(record(), record(**fields), canary) == differs


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ((), NOTHING),
        (("model id",), f"{NOTHING} And it says so: the provider names another model."),
        (("set", "judge"), "Between the two, the evaluation set was changed and another judge grades."),
    ],
)
def test_the_alarm_says_what_changed(differs: tuple[str, ...], words: str) -> None:
    [_, step] = climbed(night(0.0), night(0.0, confirms=True))
    said = sentence("drift", step.changes, step.moved, differs)
    assert said == f"The score is 100 points lower than in the reference, and fresh samples confirm it. {words}"


def test_the_memory_of_a_slide_outlives_a_cleared_suspicion() -> None:
    learnt = Memory(usual={"score": (0.0, 14)}, slow={"score": Cusum(9.0, 0.0)}, state="suspected", suspicion=())
    cleared = climb(learnt, night(1.0, confirms=True))
    assert (cleared.levels, cleared.memory.usual, cleared.memory.slow) == (("cleared",), {"score": (0.0, 14)}, {})
