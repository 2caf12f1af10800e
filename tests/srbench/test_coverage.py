"""What 95 % intervals cover and how often models that do not differ are told apart, by simulation.

`python -m tests.srbench.test_coverage` prints the table that docs/reports.md holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from srbench.benchmark.speed.versus import ratio
from srbench.results.statistics import _mean_interval, _mean_p, holm, mean_interval, mean_p

Draw = Callable[[np.random.Generator, int], np.ndarray]

NORMAL: Draw = lambda random, n: random.standard_normal(n)  # noqa: E731
LOGNORMAL: Draw = lambda random, n: random.lognormal(0.0, 1.0, n) - math.exp(0.5)  # noqa: E731
"""Both of mean zero; the skewness of the second is 6.2."""

EXPONENTIAL: Draw = lambda random, n: random.exponential(1.0, n) - 1.0  # noqa: E731
"""Mean zero, skewness 2."""

TIMES = 1500


def coverage(draw: Draw, n: int, times: int = TIMES) -> float:
    """The share of intervals that hold the true mean, zero."""
    random, held = np.random.default_rng(n), 0
    for _ in range(times):
        interval = mean_interval(draw(random, n).tolist())
        held += interval.low <= 0.0 <= interval.high
    _mean_interval.cache_clear()
    return held / times


def false_alarms_of_speed(rounds: int, times: int = TIMES) -> float:
    """How often a model is called faster than itself; times are lognormal, as disturbed machines make them."""
    random = np.random.default_rng(rounds)
    drawn = 0.01 * random.lognormal(0.0, 0.1, (times, 2, rounds))
    return sum(ratio("a", "b", one.tolist(), other.tolist()).distinguishable for one, other in drawn) / times


def family_wise_error(draw: Draw, n: int, pairs: int = 36, times: int = 100) -> float:
    """How often any of several pairs that do not differ is told apart."""
    random, wrong = np.random.default_rng(n), 0
    for _ in range(times):
        wrong += min(holm([mean_p(draw(random, n).tolist()) for _ in range(pairs)])) < 0.05
        _mean_p.cache_clear()
    return wrong / times


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 14, 100])
def test_intervals_cover_what_they_promise(n: int) -> None:
    assert coverage(NORMAL, n) >= 0.93
    assert coverage(LOGNORMAL, n) >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [3, 10])
def test_a_model_is_not_faster_than_itself(rounds: int) -> None:
    assert false_alarms_of_speed(rounds) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("draw", [NORMAL, EXPONENTIAL], ids=["normal", "skewed"])
def test_the_family_of_all_pairs_keeps_its_level(draw: Draw) -> None:
    assert family_wise_error(draw, 100) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100)  # of 100 families


if __name__ == "__main__":
    for n in (5, 14, 100):
        print(f"n = {n}: normal {coverage(NORMAL, n):.1%}, lognormal {coverage(LOGNORMAL, n):.1%}")  # noqa: T201
    for rounds in (3, 10):
        print(f"speed, {rounds} rounds: {false_alarms_of_speed(rounds):.1%} false alarms")  # noqa: T201
    for name, draw in (("normal", NORMAL), ("exponential", EXPONENTIAL), ("lognormal", LOGNORMAL)):
        print(f"36 pairs, n = 100, {name}: {family_wise_error(draw, 100):.1%} family-wise")  # noqa: T201
