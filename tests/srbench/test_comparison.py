from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from srbench.analysis.compare import compare, holm, rank, wilcoxon_p
from srbench.base.errors import IncomparableError, InputError, UsageError
from srbench.cli import main
from srbench.results.records import Results
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


def test_five_images_are_too_few() -> None:
    runs = (made_run(model, {"psnr_y": (BASE[:5] + offset).tolist()}) for model, offset in (("a", 0.0), ("b", 1.0)))
    (difference,) = compare(Results(tuple(runs)), "a", "b")
    assert difference.p == 0.0625
    assert difference.verdict == "not distinguishable: 5 images are too few"


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


def test_holm_golden() -> None:
    # Holm (1979) worked by hand: sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, then made monotone
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), max_size=12))
def test_holm_keeps_the_order_and_never_helps(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1.0 for p, q in zip(p_values, adjusted, strict=True))
    assert [q for _, q in sorted(zip(p_values, adjusted, strict=True))] == sorted(adjusted)


def test_wilcoxon_is_that_of_scipy_and_takes_infinities_by_rank() -> None:
    values = [0.3, -0.1, 0.5, 0.7, 0.2, 0.4, -0.6]
    assert wilcoxon_p(values) == wilcoxon(values).pvalue
    assert wilcoxon_p([*values[:3], math.inf, *values[4:]]) == wilcoxon_p(values)


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
