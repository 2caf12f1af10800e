from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from srbench.results.statistics import RESAMPLES, mean_interval

SCORES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=40)


@given(SCORES)
def test_interval_holds_the_mean_and_stays_inside_the_scores(scores: list[float]) -> None:
    interval = mean_interval(scores)
    slack = 1e-9 * max(map(abs, scores), default=0.0)
    assert min(scores) - slack <= interval.low <= interval.mean + slack
    assert interval.mean - slack <= interval.high <= max(scores) + slack
    assert interval == mean_interval(scores)


@given(SCORES, st.floats(-50, 50))
def test_shifting_the_scores_shifts_the_interval(scores: list[float], shift: float) -> None:
    plain, moved = mean_interval(scores), mean_interval([score + shift for score in scores])
    assert (moved.low - plain.low, moved.high - plain.high) == pytest.approx((shift, shift), abs=1e-6)


def test_interval_agrees_with_scipy() -> None:
    scores = np.random.default_rng(1).normal(28.0, 3.0, 50)
    theirs = bootstrap((scores,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=2).confidence_interval
    ours = mean_interval(scores.tolist())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.03)


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
