from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from srbench.results import student as own_student
from srbench.results.results import Results
from srbench.results.statistics import _mean_interval, mean_interval
from srbench.results.summary import summarise
from tests.made_results import made_run

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


@pytest.mark.parametrize(
    ("n", "times"), [(2, 2.0 * (5 / 2) ** 0.75), (5, 2.0), (14, 2.0 * (5 / 14) ** 0.75), (80, 0.25)]
)
def test_an_interval_is_students_with_one_more_image_on_that_side(n: int, times: float) -> None:
    """By scipy, of scores written down with the one more image among them."""
    scores = np.random.default_rng(1).lognormal(0.0, 1.0, n)
    mean = scores.mean()
    below, above = [*scores, mean - times * (mean - scores.min())], [*scores, mean + times * (scores.max() - mean)]
    ours = mean_interval(scores.tolist())
    assert ours.low == pytest.approx(min(ttest_1samp(x, 0.0).confidence_interval().low for x in (below, scores)))
    assert ours.high == pytest.approx(max(ttest_1samp(x, 0.0).confidence_interval().high for x in (above, scores)))


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


@pytest.mark.parametrize(
    ("metric", "scores", "ends"),
    [
        ("lpips", [0.01, 0.02, 0.6], (0.0, None)),
        ("ssim_y", [0.999, 0.998, 0.6], (None, 1.0)),
        ("ssim_rgb", [0.999, 0.998, 0.6], (None, 1.0)),
        ("psnr_y", [1.0, 2.0, 60.0], (0.0, None)),
        ("lpips", [0.5], (math.nan, math.nan)),
    ],
)
def test_no_interval_of_a_mean_says_what_no_score_can_be(
    metric: str, scores: list[float], ends: tuple[float | None, float | None]
) -> None:
    (score,) = summarise(Results((made_run("a", {metric: scores}),)))
    free = mean_interval(scores)
    for found, wanted, unbounded in zip(
        (score.interval.low, score.interval.high), ends, (free.low, free.high), strict=True
    ):
        assert found == pytest.approx(unbounded if wanted is None else wanted, nan_ok=True)
        assert wanted is None or found != unbounded  # else the test would show nothing


def test_students_t_is_that_of_scipy() -> None:
    for freedom in (1, 2, 4, 99, 9_999):
        for p in (1e-9, 0.025, 0.5, 0.975):
            assert own_student.ppf(p, freedom) == student.ppf(p, freedom)
        for t in (-2.0, 0.0, 3.1, 40.0):
            assert own_student.sf(t, freedom) == student.sf(t, freedom)
