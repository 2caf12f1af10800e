"""Latency over input size: a fixed cost of every call, and a cost of each LR megapixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from srbench.results.statistics import LEVEL, SEED

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float64]

RESAMPLES = 2_000
FEWEST_SIZES = 3


@dataclass(frozen=True)
class LatencyLine:
    """`ms = fixed + per_megapixel * megapixels`, each with its 95 % interval; megapixels are of LR.

    `misfit` is the largest distance of a median from the line, as a part of the median: above some percent the model is
    not linear in its input (caches, algorithm choice, attention), and the line should not be believed between sizes.
    """

    fixed_ms: tuple[float, float, float]
    ms_per_megapixel: tuple[float, float, float]
    misfit: float


def fit_line(times_ms: Mapping[float, Sequence[float]]) -> LatencyLine | None:
    """The line through the medians of repeated timings by LR megapixels; None for fewer than three sizes.

    Least squares of relative errors, so that small sizes count as much as large ones. The intervals come from drawing
    the repeats of each size anew, 2,000 times with a fixed seed (Efron and Tibshirani 1993, chapter 13).
    """
    if len(times_ms) < FEWEST_SIZES:
        return None
    megapixels = np.array(sorted(times_ms))
    samples = [np.asarray(times_ms[size], dtype=np.float64) for size in megapixels]
    medians = np.array([np.median(sample) for sample in samples])
    line = _line(megapixels, medians[None])[0]
    random = np.random.default_rng(SEED)
    drawn = np.stack(
        [np.median(sample[random.integers(0, len(sample), (RESAMPLES, len(sample)))], axis=1) for sample in samples],
        axis=1,
    )
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(_line(megapixels, drawn), [tail, 1 - tail], axis=0)
    misfit = float(np.max(np.abs(line[0] + line[1] * megapixels - medians) / medians))
    fixed, slope = ((float(line[i]), float(low[i]), float(high[i])) for i in (0, 1))
    return LatencyLine(fixed, slope, misfit)


def _line(megapixels: Values, medians: Values) -> Values:
    """Intercepts and slopes `(k, 2)` of k sets of medians `(k, sizes)`, by weighted normal equations."""
    weights = 1.0 / medians**2
    one, x = weights.sum(1), (weights * megapixels).sum(1)
    xx, y, xy = (weights * megapixels**2).sum(1), (weights * medians).sum(1), (weights * medians * megapixels).sum(1)
    slope = (one * xy - x * y) / (one * xx - x * x)
    return np.stack([(y - slope * x) / one, slope], axis=1)
