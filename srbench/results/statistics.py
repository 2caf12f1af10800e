"""How sure a mean is, and whether it differs from zero: one interval and one test, for tables, comparisons and speed.

Each end of the interval is Student's t of the images seen and one more that was not, on that side of the mean: twice as
far out as the farthest there at five images, nearer at more. Student's t alone takes few images of a skewed
distribution, whose tail they do not show, for too much: at five of lognormal scores its 95 % interval covers 82 % of
means, and this one 90 %. How far out the one image lies was found by simulation, as near as it may be; what holds is in
docs/reports.md, from `tests/srbench/test_coverage.py`. The test is the interval turned round: it leaves out zero where
p < 0.05.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from srbench.results import student

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
ALPHA = 1.0 - LEVEL
SEED = 20_260_101

_CHUNK = 1 << 20
"""How many values are drawn at once: memory stays small for a data set of thousands of images."""


@dataclass(frozen=True)
class Interval:
    """A mean over `n` images and its 95 % interval; below two images `low` and `high` are NaN, as they say nothing."""

    mean: float
    low: float
    high: float
    n: int

    def within(self, least: float, largest: float) -> Interval:
        """The interval without what no mean can be; NaN stays (it is the first argument of each `max` and `min`)."""
        return replace(self, low=max(self.low, least), high=min(self.high, largest))


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % interval of one score an image.

    One infinite score (PSNR of an image equal to HR) makes the mean infinite; there is no variance then, and each end
    is a percentile of resampled means, as far as these hold an infinity. No values at all give NaN.
    """
    return _mean_interval(tuple(values))


@lru_cache(maxsize=4096)  # every format of a report asks for the same intervals
def _mean_interval(values: tuple[float, ...]) -> Interval:
    scores = np.asarray(values, dtype=np.float64)
    if len(scores) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    if len(scores) == 1:
        return Interval(float(scores[0]), math.nan, math.nan, 1)
    if not np.isfinite(scores).all():
        low, high = _percentiles(np.concatenate([scores[draw].mean(axis=1) for draw in _draws(len(scores))]))
        return Interval(float(scores.mean()), low, high, len(scores))

    ends: list[float] = []
    for side in (-1, 1):
        for judged in (scores, _one_more(scores, side)):
            reach = float(student.ppf(1.0 - ALPHA / 2.0, len(judged) - 1)) * _standard_error(judged)
            ends.append(float(judged.mean()) + side * reach)
    mean = float(scores.mean())
    return Interval(mean, min(mean, *ends), max(mean, *ends), len(scores))


def mean_p(values: Sequence[float], *, among_many: bool = False) -> float:
    """Two-sided p-value of a mean of zero: below 0.05 where `mean_interval` leaves out zero.

    `among_many` gives the one for several comparisons (`mean_tests`), which is never smaller: such verdicts rest on
    what is far out in a tail. Infinite values count as one above the largest finite one. Where all
    values are the same there is no variance to judge by, and p is the sign test's. 1 for fewer than two values, and
    where all are zero.
    """
    return _mean_p(tuple(values), among_many)


@lru_cache(maxsize=4096)
def _mean_p(values: tuple[float, ...], among_many: bool) -> float:
    scores = np.asarray(values, dtype=np.float64)
    largest = np.abs(scores[np.isfinite(scores)]).max(initial=0.0) + 1.0
    scores = np.clip(scores, -largest, largest)
    if len(scores) < 2 or not scores.any():
        return 1.0
    if _standard_error(scores) == 0.0:
        return float(2.0 ** (1 - len(scores)))
    side = -1 if scores.mean() > 0.0 else 1
    return max(_students_p(scores, side), _students_p(_one_more(scores, side, among_many=among_many), side))


def _students_p(scores: Values, side: int) -> float:
    """Of a mean of zero, which lies on that side of theirs."""

    return float(min(1.0, 2.0 * student.sf(-side * scores.mean() / _standard_error(scores), len(scores) - 1)))


def _one_more(scores: Values, side: int, *, among_many: bool = False) -> Values:
    """The scores and one that was not seen, below (-1) or above (1) their mean, by a multiple of the farthest there.

    The multiple is 2 for five scores, and falls with their number. Among many comparisons it is twice that, and never
    below 2.
    """
    mean, multiple = scores.mean(), 2.0 * (5.0 / len(scores)) ** 0.75
    farthest = max(0.0, float((side * (scores - mean)).max()))
    return np.append(scores, mean + side * (max(2.0, 2.0 * multiple) if among_many else multiple) * farthest)


def mean_tests(tests: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """`mean_p` of each test, among many where there are several, and Holm's correction of it over all of them."""
    p_values = [mean_p(values, among_many=len(tests) > 1) for values in tests]
    return list(zip(p_values, holm(p_values), strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979): adjusted p-values in the order given, at most 1."""
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - step) * p_values[index]))
        adjusted[index] = reached
    return adjusted


def stratified(tests: Iterable[Sequence[Sequence[float]]]) -> list[tuple[float, float]]:
    """Two-sided p of no difference in any group, of each test over all data sets together, differences a group each.

    Beside p stands 1 or -1, the sign of the statistic: which way all groups together lean.

    Within each group the signs of differences are flipped at random (a permutation within sets: of each image, which
    model is which), 10,000 times with a fixed seed; tests of equally large groups share the flips, which take nearly
    all of the time. The statistic is the sum over groups of each mean by its standard error, so that a large set does
    not outvote the others. Each group has one more image, as in `mean_p` among many. 1 where there is nothing to flip.
    """
    extended = [_extended(groups) for groups in tests]
    alike: dict[tuple[int, ...], list[int]] = {}
    for index, (_, groups) in enumerate(extended):
        alike.setdefault(tuple(map(len, groups)), []).append(index)
    found = [(1.0, 0.0)] * len(extended)
    for indices in alike.values():
        random = np.random.default_rng(SEED)
        observed, drawn = np.zeros(len(indices)), np.zeros((RESAMPLES, len(indices)))
        for same in zip(*(extended[index][1] for index in indices), strict=True):
            values = np.stack(same, axis=1)
            lengths = np.linalg.norm(values, axis=0)  # flips leave them as they are: sums by them are in the order of t
            observed += values.sum(axis=0) / lengths
            drawn += _flipped_sums(values, random) / lengths
        extreme = np.count_nonzero(np.abs(drawn) >= np.abs(observed) * (1 - 1e-12), axis=0)
        for index, sum_, count in zip(indices, observed, extreme, strict=True):
            leaning = -float(extended[index][0])
            p = 1.0 if sum_ * leaning <= 0.0 else float((1 + count) / (RESAMPLES + 1))
            found[index] = p, leaning
    return found


def _extended(groups: Sequence[Sequence[float]]) -> tuple[int, list[Values]]:
    """The side on which no difference lies, and each group that says anything with one more image on that side."""
    finite = [np.asarray([value for value in group if math.isfinite(value)], dtype=np.float64) for group in groups]
    finite = [values for values in finite if len(values) > 1 and values.any()]
    side = -1 if sum(values.sum() / np.linalg.norm(values) for values in finite) > 0.0 else 1
    return side, [_one_more(values, side, among_many=True) for values in finite]


def _flipped_sums(values: Values, random: np.random.Generator) -> Values:
    """`(RESAMPLES, k)`: sums of `(n, k)` values, whose columns are flipped alike."""
    rows = max(1, _CHUNK // len(values))
    sizes = [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]
    return np.concatenate([(2.0 * random.integers(0, 2, (size, len(values))) - 1.0) @ values for size in sizes])


def _standard_error(scores: Values) -> float:
    """Zero where all are equal but for their last bits, which are no spread."""
    equal = np.ptp(scores) <= 1e-12 * max(1.0, float(np.abs(scores).max()))
    return 0.0 if equal else float(scores.std(ddof=1) / math.sqrt(len(scores)))


def _draws(n: int) -> Iterator[npt.NDArray[np.int64]]:
    """Indices of every resample, `(k, n)` at a time. They depend on n alone: models are resampled alike."""
    random = np.random.default_rng(SEED)
    rows = max(1, _CHUNK // n)
    for start in range(0, RESAMPLES, rows):
        yield random.integers(0, n, (min(rows, RESAMPLES - start), n))


def _percentiles(means: Values) -> tuple[float, float]:
    """Both ends, each one of the means: interpolating between a finite and an infinite one would give NaN."""
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail], method="inverted_cdf")
    return float(low), float(high)
