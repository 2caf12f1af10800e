"""What 95 % intervals cover and how often models that do not differ are told apart, by simulation.

`python -m tests.srbench.test_coverage` prints the table that docs/reports.md holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import combinations, product

import numpy as np
import pytest

from srbench.apps.study.score import ELO, _with_interval, bradley_terry
from srbench.benchmark.speed.versus import ratio
from srbench.results.statistics import _mean_interval, _mean_p, mean_interval, mean_tests, stratified

Draw = Callable[[np.random.Generator, int], np.ndarray]

NORMAL: Draw = lambda random, n: random.standard_normal(n)  # noqa: E731
LOGNORMAL: Draw = lambda random, n: random.lognormal(0.0, 1.0, n) - math.exp(0.5)  # noqa: E731
"""Both of mean zero; the skewness of the second is 6.2."""

EXPONENTIAL: Draw = lambda random, n: random.exponential(1.0, n) - 1.0  # noqa: E731
"""Mean zero, skewness 2."""

HEAVY: Draw = lambda random, n: random.lognormal(0.0, 1.5, n) - math.exp(1.125)  # noqa: E731
RARE: Draw = lambda random, n: (random.random(n) < 0.1) - 0.1  # noqa: E731
"""Beyond what is promised, for what is said of it: a skewness of 33, and one image in ten that fails alike."""

TIMES = 8000


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


def family_wise_error(draw: Draw, n: int, pairs: int = 36, times: int = 400) -> float:
    """How often any of several pairs that do not differ is told apart."""
    random, wrong = np.random.default_rng(n), 0
    for _ in range(times):
        tested = mean_tests([draw(random, n).tolist() for _ in range(pairs)])
        wrong += min(p_holm for _, p_holm in tested) < 0.05
        _mean_p.cache_clear()
    return wrong / times


def false_alarms_of_all_sets(draw: Draw, sizes: tuple[int, ...] = (5, 14, 100, 100), times: int = 100) -> float:
    """How often two models that do not differ are told apart on all data sets together."""
    random = np.random.default_rng(1)
    return sum(stratified([[draw(random, n).tolist() for n in sizes]])[0][0] < 0.05 for _ in range(times)) / times


STRENGTHS = np.array([-150.0, -50.0, 50.0, 150.0]) / ELO


def elo_in_the_limit(spread: float) -> np.ndarray:
    """The scores of infinitely many raters and images, whose opinions of a model differ by a normal deviation."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    apart = STRENGTHS[:, None] - STRENGTHS[None, :]
    chance = (1.0 / (1.0 + np.exp(-apart[..., None] - math.sqrt(2.0) * spread * nodes))) @ (weights / weights.sum())
    np.fill_diagonal(chance, 0.0)
    return bradley_terry(1e6 * chance)


def elo_coverage(raters: int, images: int, of_raters: float = 0.5, of_images: float = 0.5, times: int = 15) -> float:
    """The share of models whose interval holds that limit; each rater and each image has leanings of its own."""
    random, held = np.random.default_rng(raters), 0
    limit, pairs = elo_in_the_limit(math.hypot(of_raters, of_images)), list(combinations(range(4), 2))
    for _ in range(times):
        people, pictures = random.normal(0, of_raters, (raters, 4)), random.normal(0, of_images, (images, 4))
        table, names = [], []
        for r, i, (a, b) in product(range(raters), range(images), pairs):
            strength = STRENGTHS + people[r] + pictures[i]
            answer = np.zeros((4, 4))
            wins = random.random() < 1.0 / (1.0 + math.exp(strength[b] - strength[a]))
            answer[(a, b) if wins else (b, a)] = 1.0
            table.append(answer)
            names.append((str(r), str(i)))
        _, low, high = _with_interval(np.stack(table), *zip(*names, strict=True), bradley_terry)
        held += np.count_nonzero((low <= limit) & (limit <= high))
    return held / (4 * times)


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
@pytest.mark.parametrize("draw", [NORMAL, EXPONENTIAL, LOGNORMAL], ids=["normal", "exponential", "lognormal"])
def test_the_family_of_all_pairs_keeps_its_level(draw: Draw) -> None:
    assert family_wise_error(draw, 100) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("draw", [NORMAL, LOGNORMAL], ids=["normal", "lognormal"])
def test_all_sets_together_keep_their_level(draw: Draw) -> None:
    assert false_alarms_of_all_sets(draw) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("raters", "images"), [(5, 5), (3, 10), (20, 5)])
def test_elo_covers_other_raters_and_other_images(raters: int, images: int) -> None:
    assert elo_coverage(raters, images) >= 0.93


def report() -> Iterator[str]:
    for n in (5, 14, 100):
        yield f"n = {n}: normal {coverage(NORMAL, n):.1%}, lognormal {coverage(LOGNORMAL, n):.1%}"
        yield f"n = {n}: lognormal of sigma 1.5 {coverage(HEAVY, n):.1%}, rare failures {coverage(RARE, n):.1%}"
    for rounds in (3, 10):
        yield f"speed, {rounds} rounds: {false_alarms_of_speed(rounds):.1%} false alarms"
    for n in (5, 14, 30, 100):
        found = [family_wise_error(draw, n) for draw in (NORMAL, EXPONENTIAL, LOGNORMAL)]
        yield f"36 pairs, n = {n}: normal, exponential, lognormal {', '.join(f'{share:.1%}' for share in found)}"
    for name, draw in (("normal", NORMAL), ("exponential", EXPONENTIAL), ("lognormal", LOGNORMAL)):
        yield f"all sets together, {name}: {false_alarms_of_all_sets(draw):.1%}"
    for raters, images in ((5, 5), (3, 10), (20, 5)):
        yield f"Elo, {raters} raters, {images} images: {elo_coverage(raters, images):.1%}"


if __name__ == "__main__":
    for line in report():
        print(line, flush=True)  # noqa: T201
