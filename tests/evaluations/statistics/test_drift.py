"""The watch over models that nobody touched: against permutations, and how often it cries wolf."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
import scipy.stats

from evaluations.statistics.drift import Cusum, Reading, compare, confirmed, moved
from tests.evaluations.statistics.simulation import lowered, usual_mix


def readings(random: Random, before: Sequence[float], now: Sequence[float]) -> list[Reading]:
    return [
        Reading([float(random.random() < old) for _ in range(10)], [float(random.random() < new) for _ in range(3)])
        for old, new in zip(before, now, strict=True)
    ]


def test_the_test_is_that_of_permutations() -> None:
    """Within each case every repeat could as well have stood on the other side."""
    found = readings(Random(7), usual_mix(30), lowered(usual_mix(30), 8))
    delta, z = moved(found)
    together = np.array([[*reading.reference, *reading.now] for reading in found])
    shuffled = np.random.default_rng(1).permuted(np.broadcast_to(together, (4000, *together.shape)), axis=2)
    drawn = (shuffled[:, :, 10:].mean(axis=2) - shuffled[:, :, :10].mean(axis=2)).mean(axis=1)
    assert delta / z == pytest.approx(float(np.std(drawn)), rel=0.05)
    assert 2 * scipy.stats.norm.sf(abs(z)) == pytest.approx(float(np.mean(np.abs(drawn) >= abs(delta))), abs=0.03)


def test_it_is_found_and_confirmed() -> None:
    random, before = Random(8), usual_mix(30)
    now = lowered(before, 20)
    first = compare({"score": readings(random, before, now)}, {"score": 0.05})
    second = compare({"score": readings(random, before, now)}, {"score": 0.05})
    assert first[0].suspected
    assert confirmed(first, second) == ("score",)


def test_a_change_in_the_other_direction_confirms_nothing() -> None:
    random, before = Random(9), [0.5] * 30
    down = compare({"score": readings(random, before, [0.1] * 30)}, {})
    up = compare({"score": readings(random, before, [0.9] * 30)}, {})
    assert down[0].suspected
    assert up[0].suspected
    assert confirmed(down, up) == ()


def test_what_is_too_small_to_matter_is_no_suspicion() -> None:
    random, before = Random(10), [0.5] * 400
    found = readings(random, before, [0.42] * 400)
    assert compare({"score": found}, {"score": 0.0})[0].suspected
    assert not compare({"score": found}, {"score": 0.2})[0].suspected


def test_nothing_moved_where_everything_is_the_same() -> None:
    same = [Reading([1.0] * 10, [1.0] * 3)] * 10
    assert moved(same) == (0.0, 0.0)
    total = [Reading([1.0] * 10, [0.0] * 3)] * 10
    assert compare({"score": total}, {})[0].suspected


def test_one_night_in_a_hundred_is_suspect_and_not_two_in_a_row() -> None:
    """Six metrics, nothing changed; 1 % by Holm, and a fresh run has to agree."""
    random, before = Random(11), usual_mix(10)
    nights = [
        compare({f"metric {number}": readings(random, before, before) for number in range(6)}, {}) for _ in range(300)
    ]
    suspect = sum(any(change.suspected for change in night) for night in nights)
    assert suspect <= 9
    assert all(confirmed(first, second) == () for first, second in zip(nights[::2], nights[1::2], strict=True))


def test_a_slow_slide_rings_and_quiet_nights_do_not() -> None:
    """Montgomery's table for slack 0.5 and alarm 5, two-sided: 465 quiet nights, and 10.4 of one deviation."""
    random = Random(12)

    def nights(shift: float) -> int:
        watch, count = Cusum(), 0
        while not watch.alarmed:
            watch, count = watch.after(random.gauss(shift)), count + 1
        return count

    assert np.mean([nights(0.0) for _ in range(150)]) == pytest.approx(465, rel=0.25)
    for shift in (1.0, -1.0):
        assert np.mean([nights(shift) for _ in range(300)]) == pytest.approx(10.4, rel=0.1)
