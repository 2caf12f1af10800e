from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from srbench.results.statistics import RESAMPLES, _mean_interval, mean_interval

SCORES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40)


@given(SCORES)
def test_interval_holds_the_mean_and_is_made_alike_every_time(scores: list[float]) -> None:
    interval = mean_interval(scores)
    assert interval.low <= interval.mean <= interval.high
    _mean_interval.cache_clear()
    assert interval == mean_interval(scores)


EIGHTHS = st.integers(-8000, 8000).map(lambda count: count / 8)


@given(st.lists(EIGHTHS, min_size=2, max_size=40), EIGHTHS)
def test_shifting_the_scores_shifts_the_interval(scores: list[float], shift: float) -> None:
    """In steps that a shift does not round: scores 1e-7 apart, which it does, have another spread afterwards."""
    plain, moved = mean_interval(scores), mean_interval([score + shift for score in scores])
    assert (moved.low - plain.low, moved.high - plain.high) == pytest.approx((shift, shift), abs=1e-6)


def test_below_five_images_the_interval_is_students() -> None:
    scores = np.random.default_rng(1).normal(28.0, 3.0, 4)
    theirs = ttest_1samp(scores, 0.0).confidence_interval(0.95)
    ours = mean_interval(scores.tolist())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_from_five_on_it_reaches_as_far_as_the_wider_of_students_and_the_bootstrap_t() -> None:
    """The bootstrap-t by a loop that shares nothing with the code but its definition."""
    scores = np.random.default_rng(1).lognormal(0.0, 1.0, 15)
    random, drawn = np.random.default_rng(7), []
    for _ in range(RESAMPLES):
        sample = random.choice(scores, 15)
        drawn.append((sample.mean() - scores.mean()) / (sample.std(ddof=1) / math.sqrt(15)))
    low, high = np.quantile(drawn, [0.025, 0.975])
    error, reach = scores.std(ddof=1) / math.sqrt(15), float(student.ppf(0.975, 14))
    ours = mean_interval(scores.tolist())
    assert ours.low == pytest.approx(scores.mean() - max(high, reach) * error, abs=0.02)
    assert ours.high == pytest.approx(scores.mean() - min(low, -reach) * error, rel=0.05)


def test_many_images_are_resampled_in_pieces() -> None:
    scores = np.random.default_rng(1).normal(0.0, 1.0, 3000)
    interval = mean_interval(scores.tolist())
    assert interval.high - interval.low == pytest.approx(2 * 1.96 / math.sqrt(3000), rel=0.05)


def test_an_infinite_score_makes_mean_and_upper_end_infinite_but_not_nan() -> None:
    interval = mean_interval([30.0, 31.0, 32.0, math.inf])
    assert interval.mean == interval.high == math.inf
    assert 30.0 <= interval.low <= 32.0
    assert mean_interval([math.inf, math.inf]).low == math.inf


def test_one_image_or_none_has_no_interval() -> None:
    assert math.isnan(mean_interval([28.0]).low)
    assert mean_interval([28.0]).mean == 28.0
    assert math.isnan(mean_interval([]).mean)
