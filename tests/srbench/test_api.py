"""The public names, and evaluation from Python."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import srbench
from srbench import metrics
from srbench.base.errors import JobError, UnavailableError, UsageError
from srbench.metrics.metric import Metric
from srbench.results.store import load_results


def test_public_names_are_these_and_resolve() -> None:
    assert srbench.__all__ == [
        "Asset", "Backend", "Dataset", "Metric", "ModelSpec", "Results", "Sample", "SrbenchError", "compare", "degrade",
        "evaluate", "list_models", "load_model", "load_results", "measure", "rank", "read_image", "write_image",
    ]  # fmt: skip
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    for name in srbench.__all__:
        function = getattr(srbench, name)
        assert callable(function), name
        assert function.__doc__
        assert f"`{name}" in page, f"docs/api.md does not speak of {name}"
    assert set(srbench.__all__) <= set(dir(srbench))
    with pytest.raises(AttributeError, match="no attribute 'mesure'"):
        srbench.mesure  # noqa: B018


def test_no_module_takes_the_place_of_a_public_name() -> None:
    """Importing a submodule sets it on the package: one called as a public function would hide that function."""
    modules = {path.stem for path in Path(srbench.__path__[0]).glob("*.py")}
    assert not modules & set(srbench.__all__)


def test_a_name_and_a_function_score_the_same(folder: Path) -> None:
    named = srbench.evaluate("nearest", str(folder), scale=2)

    def repeat(lr: torch.Tensor) -> torch.Tensor:
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)

    given = srbench.evaluate(repeat, str(folder), scale=2)
    assert given.models == ("repeat",)
    assert given.runs[0].values("psnr_y") == named.runs[0].values("psnr_y")
    assert len(named.frame()) == 3 * 2


def test_evaluate_keeps_results_where_told(folder: Path) -> None:
    out = folder.parent / "kept"
    results = srbench.evaluate("bicubic", [str(folder)], metrics=["psnr_rgb"], limit=1, out=out)
    assert load_results(out).runs == results.runs
    assert len(results.runs[0].rows) == 1


def test_evaluate_refuses_bad_requests(folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'bicube'"):
        srbench.evaluate("bicube", str(folder))


def test_evaluate_without_a_metric_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no metric to score by"):
        srbench.evaluate("bicubic", str(folder), metrics=())


def test_load_model() -> None:
    upscaler = srbench.load_model("bicubic", scale=3, device="cpu")
    assert upscaler(torch.rand(1, 3, 4, 5)).shape == (1, 3, 12, 15)
    with pytest.raises(UsageError, match="bicubic has no scale 5; it has 2, 3, 4, 8"):
        srbench.load_model("bicubic", scale=5)


def test_results_show_themselves(folder: Path) -> None:
    results = srbench.evaluate("nearest", str(folder), scale=2)
    mean = f"{sum(results.runs[0].values('psnr_y')) / 3:.4f}"
    assert repr(results).startswith("<Results: 1 model on 1 data set, 3 images scored")
    assert re.search(rf"tiny +2 +nearest +{re.escape(mean)} +0\.\d{{4}} +3$", repr(results), re.MULTILINE)
    page = results._repr_html_()
    assert re.search(rf"<td>nearest</td>\s*<td>{re.escape(mean)}</td>", page) and "<th>psnr_y</th>" in page
    hostile = replace(results.runs[0], identity=replace(results.runs[0].identity, model="<script>"))
    assert "<script>" not in replace(results, runs=(hostile,))._repr_html_()
    other = replace(hostile, identity=replace(hostile.identity, precision="fp16"))
    assert "2 models" in repr(replace(results, runs=(results.runs[0], other)))  # they do not mix: a row each, no error
    assert repr(srbench.Results(())) == "<Results: 0 models on 0 data sets, 0 images scored>"


def test_an_evaluation_that_scored_nothing_raises(folder: Path) -> None:
    def broken(lr: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no such layer")

    with pytest.raises(JobError, match="broken scored nothing on tiny: a: RuntimeError: no such layer"):
        srbench.evaluate(broken, str(folder))
    with pytest.raises(UsageError, match="bicubic x5: it is made for --scale 2,3,4,8"):
        srbench.evaluate("bicubic", str(folder), scale=5)


def test_an_evaluation_by_a_metric_that_is_not_here_raises(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(convention: object, device: object) -> None:
        raise UnavailableError("no weights")

    monkeypatch.setattr(metrics, "load", lambda kind, name: Metric("far", "rgb", missing))  # type: ignore[arg-type]
    with pytest.raises(UnavailableError, match="psnr_y is not available: no weights"):
        srbench.evaluate("nearest", str(folder), metrics=["psnr_y"])


def test_one_image_of_three_is_not_nothing(folder: Path) -> None:
    def picky(lr: torch.Tensor) -> torch.Tensor:
        if lr.shape[-1] != 12:
            raise RuntimeError("only 12 wide")
        return lr.repeat_interleave(4, -1).repeat_interleave(4, -2)

    results = srbench.evaluate(picky, str(folder))
    assert 0 < len(results.runs[0].failures) < 3


def test_comparisons_show_themselves(folder: Path, tmp_path: Path) -> None:
    for model in ("nearest", "bicubic"):
        srbench.evaluate(model, str(folder), out=tmp_path / "out")
    results = srbench.load_results(tmp_path / "out")
    differences, places = srbench.compare(results, "BICUBIC", "nearest"), srbench.rank(results)
    assert differences[0].a == "bicubic" and len(places) == 2  # lists as before
    for table in (differences, places):
        assert repr(table) == table.frame().to_string(index=False)
        assert "<table" in table._repr_html_() and "tiny ×4" in table._repr_html_()
    assert list(differences.frame().columns)[:3] == ["data set", "A", "B"]
