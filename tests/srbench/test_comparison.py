from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test, ttest_1samp

from srbench.analysis.compare import compare, compare_all, compare_overall, rank
from srbench.base.errors import IncomparableError, InputError, UsageError
from srbench.cli import main
from srbench.results.results import Results
from srbench.results.statistics import (
    RESAMPLES,
    SEED,
    _one_more,
    holm,
    mean_interval,
    mean_p,
    stratified,
)
from tests.conftest import Srbench
from tests.made_results import made_run, saved

NOISE = np.random.default_rng(0).normal(0.0, 0.02, 30)
BASE = np.linspace(24.0, 33.0, 30)


def results(**offsets: float) -> Results:
    """One run a model on 30 images, each `offset` dB above the base, with a little noise of its own."""
    return Results(
        tuple(
            made_run(model, {"psnr_y": (BASE + offset + np.roll(NOISE, 3 * index)).tolist()})
            for index, (model, offset) in enumerate(offsets.items())
        )
    )


def test_a_clear_difference_is_found_and_an_absent_one_is_not() -> None:
    both = results(good=0.1, poor=0.0, same=0.0)
    (clear,) = compare(both, "poor", "good")
    assert clear.better == "good" and clear.verdict == "good is better than poor"
    assert clear.interval.mean == pytest.approx(-0.1, abs=0.01) and clear.interval.high < 0
    (none,) = compare(both, "poor", "same")
    assert none.better == "" and none.verdict == "not distinguishable"


def test_lower_is_better_for_lpips() -> None:
    runs = (made_run(model, {"lpips": (0.3 + offset + NOISE).tolist()}) for model, offset in (("a", 0.0), ("b", 0.05)))
    (difference,) = compare(Results(tuple(runs)), "a", "b", "lpips")
    assert difference.better == "a" and difference.wins == 30


def test_few_images_tell_apart_what_differs_a_lot_and_one_never() -> None:
    runs = [made_run(model, {"psnr_y": (BASE[:5] + offset).tolist()}) for model, offset in (("a", 0.0), ("b", 1.0))]
    (difference,) = compare(Results(tuple(runs)), "a", "b")
    assert difference.p == 0.0625  # the same difference on all five images: no spread, so the sign test's
    assert difference.verdict == "not distinguishable"
    noisy = made_run("c", {"psnr_y": (BASE[:5] + 1.0 + 3 * NOISE[:5]).tolist()})
    (difference,) = compare(Results((runs[0], noisy)), "a", "c")
    assert difference.verdict == "c is better than a"
    single = [made_run(model, {"psnr_y": [value]}) for model, value in (("a", 28.0), ("b", 29.0))]
    (difference,) = compare(Results(tuple(single)), "a", "b")
    assert difference.verdict == "not distinguishable: one image is too few"


def test_equal_models_and_infinite_scores() -> None:
    scores = [*BASE[:8].tolist(), math.inf]
    values = {"a": scores, "b": scores, "c": BASE[:9].tolist()}
    runs = tuple(made_run(model, {"psnr_y": psnr}) for model, psnr in values.items())
    (equal,) = compare(Results(runs), "a", "b")
    assert (equal.p, equal.interval.mean, equal.verdict) == (1.0, 0.0, "equal on every image")
    (infinite,) = compare(Results(runs), "a", "c")
    assert infinite.interval.mean == math.inf and infinite.interval.low == 0.0 and infinite.wins == 1


def test_only_images_that_both_have_are_compared() -> None:
    a = made_run("a", {"psnr_y": [1.0, 2.0, 3.0]}, images=["x", "y", "z"])
    b = made_run("b", {"psnr_y": [1.5, 2.5]}, images=["z", "y"])
    (difference,) = compare(Results((a, b)), "a", "b")
    assert difference.interval.n == 2 and difference.interval.mean == pytest.approx((2.0 - 2.5 + 3.0 - 1.5) / 2)


def test_ranks_show_ties() -> None:
    places = rank(results(best=0.2, tied=0.0, also=0.0, worst=-0.2))
    assert [(place.model, place.rank) for place in places if place.rank != 2] == [("best", 1), ("worst", 4)]
    assert {place.model for place in places if place.rank == 2} == {"tied", "also"}


def test_holm_is_over_all_data_sets() -> None:
    runs = [
        made_run(model, {"psnr_y": (BASE + offset + np.roll(NOISE, shift)).tolist()}, dataset)
        for model, offset, shift in (("a", 0.0, 0), ("b", 0.1, 5))
        for dataset in ("Set14", "B100")
    ]
    differences = compare(Results(tuple(runs)), "a", "b")
    assert [difference.dataset for difference in differences] == ["Set14", "B100"]
    assert all(difference.p_holm == pytest.approx(2 * difference.p) for difference in differences)


def test_the_p_that_is_shown_is_the_one_that_holm_corrects() -> None:
    """On five images, whose p among several comparisons is another one than that of a single comparison."""
    random = np.random.default_rng(4)
    worse = {"a": np.zeros(5), "b": random.normal(0.4, 0.1, 5), "c": random.normal(0.8, 0.2, 5)}
    both = Results(tuple(made_run(model, {"psnr_y": (BASE[:5] - by).tolist()}) for model, by in worse.items()))
    several = compare_all(both, [("a", "b"), ("a", "c"), ("b", "c")], "psnr_y")
    assert [one.p_holm for one in several] == holm([one.p for one in several])
    (single,) = compare(both, "a", "c")
    assert single.p_holm == single.p == pytest.approx(mean_p((worse["c"] - worse["a"]).tolist()))
    assert single.interval.low > 0.0 and single.p < several[1].p and single.better == "a"


def test_holm_golden() -> None:
    # Holm (1979) worked by hand: sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, then made monotone
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), max_size=12))
def test_holm_keeps_the_order_and_never_helps(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1.0 for p, q in zip(p_values, adjusted, strict=True))
    assert [q for _, q in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)


def test_p_is_students_for_normal_differences_and_follows_the_skewed_ones() -> None:
    random = np.random.default_rng(3)
    normal = random.normal(0.1, 1.0, 200)
    assert mean_p(normal.tolist()) == pytest.approx(ttest_1samp(normal, 0.0).pvalue, abs=0.02)
    skewed = -random.lognormal(0.0, 1.0, 40) + 1.0
    assert mean_p(skewed.tolist()) >= ttest_1samp(skewed, 0.0).pvalue


@given(st.lists(st.integers(-20, 20), min_size=5, max_size=20))
def test_the_interval_leaves_out_zero_where_p_is_below_five_percent(values: list[int]) -> None:
    """One statement in two ways."""
    interval, p = mean_interval(values), mean_p(values)
    outside = interval.low > 0 or interval.high < 0
    if len(set(values)) > 1 and abs(p - 0.05) > 1e-9:
        assert outside == (p < 0.05)
    assert mean_p(values, among_many=True) >= p


def test_holm_is_that_of_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = np.random.default_rng(0).uniform(0, 0.1, 30)
    np.testing.assert_allclose(holm(p_values.tolist()), multitest.multipletests(p_values, method="holm")[1])


def test_all_sets_together_is_scipys_permutation_test() -> None:
    """For one set, the exact sign-flip test of paired differences and one more, to within sampling noise."""
    values = np.random.default_rng(1).normal(1.0, 0.8, 12)
    judged = [*values, values.mean() - 4.0 * (5 / 12) ** 0.75 * (values.mean() - values.min())]
    exact = permutation_test((judged,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert stratified([[values.tolist()]])[0][0] == pytest.approx(exact, abs=0.02)
    assert stratified([[[0.0, 0.0], []]])[0][0] == 1.0


def test_many_tests_over_all_sets_are_those_of_one_at_a_time() -> None:
    random = np.random.default_rng(2)
    tests = [[random.normal(0.1 * k, 1.0, n).tolist() for n in (12, 7, 30)] for k in range(6)]
    tests += [[[math.inf, *tests[0][0][1:]], *tests[0][1:]], [[0.0, 0.0], []], [tests[1][0]]]
    assert stratified(tests) == [stratified([groups])[0] for groups in tests]
    drawn = np.random.default_rng(SEED).integers(0, 2, (RESAMPLES, 8)) * 2.0 - 1.0
    values = _one_more(np.asarray(tests[5][1]), -1, among_many=True)
    expected = (1 + np.count_nonzero(np.abs(drawn @ values) >= values.sum() * (1 - 1e-12))) / (RESAMPLES + 1)
    assert stratified([tests[3], [tests[5][1]]])[1] == (expected, 1.0)  # flips of its own seed, as it had alone


def test_models_that_no_set_tells_apart_are_told_apart_by_all() -> None:
    random = np.random.default_rng(5)
    runs = []
    for dataset in ("Set5", "Set14", "B100", "Urban100"):
        base, gain = random.normal(28, 3, 20), random.normal(0.1, 0.18, 20)
        runs += [
            made_run("a", {"psnr_y": base.tolist()}, dataset),
            made_run("b", {"psnr_y": (base + gain).tolist()}, dataset),
        ]
    results = Results(tuple(runs))
    assert not any(difference.better for difference in compare(results, "a", "b"))
    (overall,) = compare_overall(results, [("a", "b")], "psnr_y")
    assert overall.verdict == "b is better than a" and set(overall.datasets) == {"Set5", "Set14", "B100", "Urban100"}


def test_all_sets_together_name_the_one_that_their_statistic_leans_to() -> None:
    """Two small sets that lean one way by nothing do not outvote a large one that is sure."""
    runs = []
    for dataset, gain, n in (("Set5", 0.005, 5), ("Set14", 0.003, 14), ("B100", -0.5, 100)):
        random = np.random.default_rng(n)
        base, noise = random.normal(28, 3, n), random.normal(0.0, 0.1, n)
        noise -= noise.mean()
        images = [f"{dataset}-{index}" for index in range(n)]
        runs += [
            made_run("a", {"psnr_y": (base + gain + noise).tolist()}, dataset, images=images),
            made_run("b", {"psnr_y": base.tolist()}, dataset, images=images),
        ]
    for pair in (("a", "b"), ("b", "a")):
        (overall,) = compare_overall(Results(tuple(runs)), [pair], "psnr_y")
        assert overall.verdict == "b is better than a"


def test_what_cannot_be_compared_is_refused() -> None:
    both = results(good=0.1, poor=0.0)
    with pytest.raises(UsageError, match="Did you mean good"):
        compare(both, "god", "poor")
    with pytest.raises(UsageError, match="unknown metric 'psnr_z'. Did you mean psnr_y"):
        compare(both, "good", "poor", "psnr_z")
    elsewhere = made_run("elsewhere", {"psnr_y": [1.0]}, images=["other"])
    with pytest.raises(InputError, match="no image with psnr_y in common"):
        compare(Results((*both.runs, elsewhere)), "good", "elsewhere")
    other = made_run("other", {"psnr_y": [1.0]}, degradation="files")
    with pytest.raises(IncomparableError, match="degradation"):
        compare(Results((*both.runs, other)), "good", "other")


def test_command_says_it_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path, results(good=0.1, poor=0.0, same=0.0))
    assert main(["compare", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "good is better than poor" in out and "not distinguishable" in out
    assert "Set5 ×4, PSNR-Y: 1. good 28." in out and "2= poor" in out and "2= same" in out
    assert "fewer than 30 images" not in out
    few = Results(tuple(made_run(name, {"psnr_y": (BASE[:12] + gain).tolist()}) for name, gain in (("a", 0), ("b", 1))))
    assert main(["compare", str(saved(tmp_path / "few", few))]) == 0
    assert "Set5: fewer than 30 images do not show a tail" in capsys.readouterr().out
    assert main(["compare", str(folder), "--models", "good"]) == 2


def test_a_comparison_as_json(srbench: Srbench, tmp_path: Path) -> None:
    better = {"psnr_y": [30.0 + 0.1 * i for i in range(7)]}
    runs = (made_run("a", better), made_run("b", {"psnr_y": [value - 1.0 for value in better["psnr_y"]]}))
    folder = saved(tmp_path / "results", Results(runs))
    assert srbench("compare", folder, "--format", "json") == 0
    document = json.loads(srbench.out)
    (paired,) = document["differences"]
    assert (paired["better"], paired["verdict"], paired["interval"]["n"]) == ("a", "a is better than b", 7)
    assert [(place["model"], place["rank"]) for place in document["ranks"]] == [("a", 1), ("b", 2)]
