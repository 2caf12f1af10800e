"""How sure a mean is: bootstrap intervals over images, made the same way every time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
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


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and percentile-bootstrap interval (Efron and Tibshirani 1993, chapter 13) of one score an image.

    10,000 resamples with a fixed seed, so that the same scores give the same interval. One infinite score (PSNR of
    an image equal to HR) makes the mean infinite, and each end of the interval as far as its resamples hold one.
    No values at all give NaN.
    """
    return _mean_interval(tuple(values))


@lru_cache(maxsize=4096)  # every format of a report asks for the same intervals
def _mean_interval(values: tuple[float, ...]) -> Interval:
    scores = np.asarray(values, dtype=np.float64)
    if len(scores) == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    if len(scores) == 1:
        return Interval(float(scores[0]), math.nan, math.nan, 1)
    low, high = _percentiles(np.concatenate([scores[draw].mean(axis=1) for draw in _draws(len(scores))]))
    return Interval(float(scores.mean()), low, high, len(scores))


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
