"""How sure a mean is, and whether it differs from zero: one interval and one test, for tables, comparisons and speed.

The 95 % interval reaches on each side as far as the wider of two: Student's t, exact for normal scores, and the
bootstrap-t (Efron and Tibshirani 1993, section 12.5), which follows skewed ones. Its test is the same turned round: the
larger of both p-values, so that the interval leaves out zero where p < 0.05. What the interval covers at 5, 14 and 100
images is simulated in `tests/srbench/test_coverage.py`. Everything is made the same way every time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
FEWEST_RESAMPLED = 5
"""Below, too many resamples hold one value alone, and have no t; Student's stands alone there."""

_CHUNK = 1 << 20
"""How many values are drawn at once: memory stays small for a data set of thousands of images."""

_TAIL = 25
"""Of how few resamples a p-value is not read off: farther out the tail is Student's, stretched to meet the 25th."""


@dataclass(frozen=True)
class Interval:
    """A mean over `n` images and its 95 % interval; below two images `low` and `high` are NaN, as they say nothing."""

    mean: float
    low: float
    high: float
    n: int


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
    mean, error = float(scores.mean()), _standard_error(scores)
    low, high = _bounds(scores)
    return Interval(mean, mean - high * error, mean - low * error, len(scores))


def mean_p(values: Sequence[float]) -> float:
    """Two-sided p-value of a mean of zero, below 0.05 where `mean_interval` leaves out zero (to its resolution).

    Infinite values count as one above the largest finite one. Where all values are the same there is no variance to
    judge by, and p is the sign test's. 1 for fewer than two values, and where all are zero.
    """
    return _mean_p(tuple(values))


@lru_cache(maxsize=4096)
def _mean_p(values: tuple[float, ...]) -> float:
    scores = np.asarray(values, dtype=np.float64)
    largest = np.abs(scores[np.isfinite(scores)]).max(initial=0.0) + 1.0
    scores = np.clip(scores, -largest, largest)
    if len(scores) < 2 or not scores.any():
        return 1.0
    error = _standard_error(scores)
    if error == 0.0:
        return float(2.0 ** (1 - len(scores)))
    observed = float(scores.mean()) / error
    p = 2.0 * student.sf(abs(observed), len(scores) - 1)
    if len(scores) >= FEWEST_RESAMPLED:
        drawn = _resampled_t(scores) * math.copysign(1.0, observed)
        p = max(p, min(1.0, 2.0 * _tail(drawn, abs(observed), len(scores))))
    return float(p)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979): adjusted p-values in the order given, at most 1."""
    adjusted = [1.0] * len(p_values)
    reached = 0.0
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, (len(p_values) - step) * p_values[index]))
        adjusted[index] = reached
    return adjusted


def stratified_p(groups: Sequence[Sequence[float]]) -> float:
    """Two-sided p of no difference in any group: the test over all data sets together, differences a group each.

    Within each group the signs of differences are flipped at random (a permutation within sets: of each image, which
    model is which), 10,000 times with a fixed seed. The statistic is the sum over groups of each mean by its standard
    error, so that a large set does not outvote the others. 1 where there is nothing to flip.
    """
    random = np.random.default_rng(SEED)
    observed, drawn = 0.0, np.zeros(RESAMPLES)
    for group in groups:
        values = np.asarray([value for value in group if math.isfinite(value)], dtype=np.float64)
        if len(values) < 2 or not values.any():
            continue
        flipped = _studentised(values * (2.0 * random.integers(0, 2, (RESAMPLES, len(values))) - 1.0))
        observed, drawn = observed + float(_studentised(values[None])[0]), drawn + flipped
    if observed == 0.0:
        return 1.0
    return float((1 + np.count_nonzero(np.abs(drawn) >= abs(observed) * (1 - 1e-12))) / (RESAMPLES + 1))


def _studentised(rows: Values) -> Values:
    """Means by the root mean square, of each row: it orders sign flips as t does, and is finite."""
    return np.asarray(rows.mean(axis=1) / np.sqrt((rows**2).mean(axis=1)) * math.sqrt(rows.shape[1]))


def _standard_error(scores: Values) -> float:
    """Zero where all are equal but for their last bits, which are no spread."""
    equal = np.ptp(scores) <= 1e-12 * max(1.0, float(np.abs(scores).max()))
    return 0.0 if equal else float(scores.std(ddof=1) / math.sqrt(len(scores)))


def _bounds(scores: Values) -> tuple[float, float]:
    """Between which t, the mean's error by its standard error, lies in 95 % of cases; the wider on each side."""
    reach = float(student.ppf(1.0 - ALPHA / 2.0, len(scores) - 1))
    if len(scores) < FEWEST_RESAMPLED or _standard_error(scores) == 0.0:
        return -reach, reach
    low, high = _percentiles(_resampled_t(scores))
    return min(low, -reach), max(high, reach)


def _resampled_t(scores: Values) -> Values:
    """t of every resample around the mean of the scores; resamples of one value alone have none, and are left out."""
    centred = scores - scores.mean()
    pieces = []
    for draw in _draws(len(scores)):
        values = centred[draw]
        means, errors = values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(len(scores))
        spread = np.ptp(values, axis=1) > 0.0
        pieces.append(means[spread] / errors[spread])
    return np.concatenate(pieces)


def _tail(drawn: Values, observed: float, n: int) -> float:
    """The share of `drawn` at or above what was observed, a Student's tail beyond the 25th largest."""
    count = int(np.count_nonzero(drawn >= observed))
    edge = float(np.partition(drawn, -_TAIL)[-_TAIL])
    if count >= _TAIL or edge <= 0.0:
        return (1 + count) / (1 + len(drawn))
    stretch = edge / float(student.isf(_TAIL / len(drawn), n - 1))
    return float(student.sf(observed / stretch, n - 1))


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
