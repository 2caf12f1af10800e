"""Metrics by reference: what they are given, and what signatures say of them."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.images.tensors import image_tensor
from srbench.metrics import resolve
from srbench.metrics.reference import LESS_IS_BETTER
from srbench.metrics.scorer import Scorer, measure
from srbench.results.documents import run_to_json
from srbench.results.store import load_results, read_run
from srbench.results.summary import heading
from tests.conftest import Srbench

SOURCE = """
import torch
def distance(sr, hr):
    assert sr.is_contiguous() and hr.is_contiguous()  # or .view() fails, as in torchmetrics.functional
    assert sr.shape == hr.shape and sr.shape[:2] == (1, 3) and sr.dtype == torch.float32
    assert 0 <= sr.min() <= sr.max() <= 1
    return (sr - hr).abs().mean()
distance.higher_is_better = False
class Peak(torch.nn.Module):
    def forward(self, sr, hr):
        return (sr - hr).abs().amax(dim=(1, 2, 3))
number = 3
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"my_metrics_{abs(hash(tmp_path)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_function_or_class_is_a_metric(mine: str, photograph: Callable[..., np.ndarray]) -> None:
    sr, hr = photograph(20, 30), photograph(20, 30, seed=1)
    scores = measure(sr, hr, [f"{mine}:distance", f"{mine}:Peak", f"{mine}:distance@rgb"], scale=4)
    difference = np.abs(sr.astype(float) - hr) / 255
    assert scores[f"{mine}:distance"] == pytest.approx(difference.mean(), rel=1e-5)
    assert scores[f"{mine}:Peak"] == pytest.approx(difference.max(), rel=1e-5)
    assert scores[f"{mine}:distance@rgb"] == pytest.approx(difference[4:-4, 4:-4].mean(), rel=1e-5)
    assert heading(f"{mine}:distance").higher_is_better is False and heading(f"{mine}:Peak").higher_is_better is True


def test_the_signature_names_its_source(mine: str, srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    options = ["--models", "bicubic", "--datasets", folder, "--metrics", f"{mine}:distance", "--no-speed"]
    assert srbench("run", *options, "--out", tmp_path / "out") == 0, srbench.err
    (run,) = load_results(tmp_path / "out").runs
    assert f"|{mine}:distance(source@" in run.signature(f"{mine}:distance")
    image = folder / "HR" / sorted(path.name for path in (folder / "HR").iterdir())[0]
    assert srbench("measure", image, image, "--metrics", f"{mine}:distance") == 0, srbench.err
    assert f"{mine}:distance is taken under nocrop+source@" in srbench.err
    assert srbench("report", tmp_path / "out", "--format", "md,csv,plots", "--out", tmp_path / "report") == 0, (
        srbench.err
    )


def test_a_metric_in_a_file_is_found_by_its_path(
    srbench: Srbench, folder: Path, tmp_path: Path, photograph: Callable[..., np.ndarray]
) -> None:
    path = tmp_path / "metrics of mine" / f"in_file_{abs(hash(tmp_path)) % 10**8}.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    name = f"{path}:distance"
    sr, hr = photograph(20, 30), photograph(20, 30, seed=1)
    difference = np.abs(sr.astype(float) - hr).mean() / 255
    assert measure(sr, hr, [name], scale=4)[name] == pytest.approx(difference, rel=1e-5)
    options = ["--models", "bicubic", "--datasets", folder, "--metrics", name, "--no-speed", "--out", tmp_path / "out"]
    assert srbench("run", *options) == 0, srbench.err
    (run,) = load_results(tmp_path / "out").runs
    assert f"|{name}(source@" in run.signature(name)
    with pytest.raises(InputError, match="no such file"):
        resolve(f"{tmp_path}/nothing.py:distance")


def test_a_package_is_named_with_its_version() -> None:
    from importlib.metadata import version

    name = "torchmetrics.functional.image:structural_similarity_index_measure"
    pytest.importorskip("torchmetrics")
    (taken,) = Scorer([name]).conventions.values()
    assert taken == f"nocrop+torchmetrics-{version('torchmetrics')}"


def test_piq_by_its_name(photograph: Callable[..., np.ndarray]) -> None:
    piq = pytest.importorskip("piq")
    from srbench.images.tensors import to_tensor

    sr, hr = photograph(64, 64), photograph(64, 64, seed=1)
    assert measure(sr, hr, ["piq:fsim"])["piq:fsim"] == pytest.approx(float(piq.fsim(to_tensor(sr), to_tensor(hr))))


def test_what_is_none_is_refused(mine: str) -> None:
    with pytest.raises(UnavailableError, match="pip install no_such_package"):
        resolve("no_such_package:metric")
    with pytest.raises(UsageError, match="has no 'nothing'"):
        resolve(f"{mine}:nothing")
    with pytest.raises(UsageError, match="is a int, expected a Metric"):
        resolve(f"{mine}:number")


def test_scores_of_an_edited_metric_are_not_put_beside_the_old_ones(
    srbench: Srbench, folder: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / "mine.py", tmp_path / "out"
    name, kept = f"{path}:f", []
    options = ["bicubic", "--datasets", folder, "--metrics", name, "--no-speed", "--save-images", "--out", out]
    for value in (1.0, 3.0):
        path.write_text(f"def f(sr, hr):\n    return {value}\n")
        for limit in (1, 2):
            status = srbench("run", *options, "--limit", limit)
            assert status == (0 if value == 1 else 2), srbench.err
            (run,) = load_results(out).runs
            kept.append((run.values(name), run.metrics[name]))
    assert f"{name} is nocrop+source@" in srbench.err and "another --out, or --force" in srbench.err
    assert kept[1] == kept[2] == kept[3] and kept[1][0] == [1.0, 1.0]
    assert srbench("score", out, "--metrics", name) == 2
    assert "do not compare. srbench run with another --out, or with --force" in srbench.err
    assert srbench("run", *options, "--force") == 0, srbench.err
    (run,) = load_results(out).runs
    assert set(run.values(name)) == {3.0} and run.metrics[name] != kept[1][1]


def test_a_journal_of_an_edited_metric_is_not_merged(folder: Path, tmp_path: Path, srbench: Srbench) -> None:
    assert srbench("run", "bicubic", "--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--out", tmp_path) == 0
    (path,) = tmp_path.glob("*/x4/bicubic.json")
    run = read_run(path)
    assert run is not None
    header = {**run_to_json(replace(run, rows=(), metrics={"psnr_y": "rgb"})), "images": []}
    path.with_suffix(".journal").write_text(json.dumps(header) + "\n")
    with pytest.raises(
        InputError, match=r"bicubic.journal: .*psnr_y is matlab in the stored scores, but rgb now.*Delete it"
    ):
        read_run(path)


FAILING = """
import torch
def raising(sr, hr):
    raise KeyError("no such thing")
def two(sr, hr):
    return torch.ones(2)
class Unmade(torch.nn.Module):
    def __init__(self):
        raise RuntimeError("no weights here")
"""


def test_a_metric_that_fails_leaves_the_scores_of_the_others(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "failing.py", tmp_path / "out"
    path.write_text(FAILING)
    names = [f"{path}:raising", "psnr_y", f"{path}:two", f"{path}:Unmade"]
    options = ["--models", "bicubic,nearest", "--datasets", folder, "--no-speed", "--save-images", "--out", out]
    assert srbench("run", *options, "--metrics", ",".join(names)) == 1
    assert "bug" not in srbench.err
    for run in load_results(out).runs:
        assert len(run.values("psnr_y")) == len(run.rows) > 0 and not run.values(names[0])
        assert all(f"{names[0]} fails on this pair: KeyError" in row.error for row in run.rows)
        assert all(
            f"{names[2]} fails on this pair: TypeError: returned a Tensor of sh" in row.error for row in run.rows
        )
        assert "RuntimeError: no weights here" in run.unavailable[names[3]]
    path.write_text(FAILING.replace('raise KeyError("no such thing")', "return 5.0"))
    assert srbench("score", out, "--metrics", f"{names[0]},{names[2]},psnr_rgb") == 1
    assert f"{names[2]} fails on this pair" in srbench.err and "bug" not in srbench.err
    assert srbench("run", *options, "--metrics", f"{names[0]},psnr_rgb") == 0, srbench.err
    for run in load_results(out).runs:
        assert run.values(names[0]) == [5.0] * len(run.rows)
        assert len(run.values("psnr_y")) == len(run.values("psnr_rgb")) == len(run.rows)


def test_a_metric_object_has_its_source_in_the_signature(tmp_path: Path) -> None:
    path, taken = tmp_path / "objects.py", []
    for value in (1.0, 2.0):
        path.write_text(f"""
from srbench.metrics.metric import Metric
def load(convention, device):
    return lambda sr, hr: sr.mean(dim=(1, 2, 3)) * 0 + {value}
PLAIN = Metric("plain", "rgb", load, "nocrop")
WITH_WEIGHTS = Metric("own", "rgb", load, "nocrop", variant=lambda: "weights@1f0c2a")
""")
        taken.append(Scorer([f"{path}:PLAIN", f"{path}:WITH_WEIGHTS"]).conventions)
    for first, second in zip(*(each.values() for each in taken), strict=True):
        assert "source@" in first and first != second
    assert taken[0][f"{path}:WITH_WEIGHTS"].startswith("nocrop+weights@1f0c2a,source@")


def test_what_a_metric_calls_and_loads_is_in_the_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own file stays as it is; a helper module beside it changes, or the weights that it reads."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which is found by the second and the size of a file
    (tmp_path / "outer_of_metric.py").write_text("""
import pathlib
import torch
import inner_of_metric
def distance(sr, hr):
    return inner_of_metric.scaled((sr - hr).abs().mean())
def later(sr, hr):
    from inner_of_metric import scaled
    return scaled((sr - hr).abs().mean())
class Learned(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(float(pathlib.Path(__file__).with_name("weight").read_text())))
    def forward(self, sr, hr):
        return (sr - hr).abs().mean() * self.weight
""")
    names = [f"{tmp_path / 'outer_of_metric.py'}:{name}" for name in ("distance", "later", "Learned")]
    taken = []
    for factor, weight in ((1, 1), (2, 1), (2, 3), (2, 3)):
        for name in [name for name in sys.modules if name.startswith(("inner_of_metric", "outer_of_metric"))]:
            monkeypatch.delitem(sys.modules, name)
        (tmp_path / "inner_of_metric.py").write_text(f"def scaled(x):\n    return x * {factor}  # {weight}\n")
        (tmp_path / "weight").write_text(str(weight))
        taken.append(list(Scorer(names).conventions.values()))
    first, scaled, weighted, last = (dict(zip(names, each, strict=True)) for each in taken)
    distance, later, learned = names
    assert first[distance] != scaled[distance] == weighted[distance] and first[later] != scaled[later]
    assert first[learned] == scaled[learned] != weighted[learned] and last == weighted


def test_a_metric_meets_each_image_as_it_was_made(tmp_path: Path, photograph: Callable[..., np.ndarray]) -> None:
    """One that keeps a running mean gave a model's score by the models before it; a folder's @ was a convention."""
    (tmp_path / "mo@d").mkdir()
    file = tmp_path / "mo@d" / "running.py"
    file.write_text("""
import torch
class Running(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.register_buffer("total", torch.zeros(()))
        self.count = 0
    def forward(self, sr, hr):
        self.count += 1
        self.total += (sr - hr).abs().mean()
        return self.weight * self.total / self.count
Running.higher_is_better = None
""")
    scorer = Scorer([f"{file}:Running"])
    hr = photograph(16, 16)
    scores = [scorer(image_tensor(sr, "cpu"), hr, 1) for sr in (hr, 255 - hr, hr)]
    assert scores[0] == scores[2] != scores[1] and heading(f"{file}:Running").higher_is_better is None


def test_a_number_is_taken_in_float64_and_nothing_else_is_made_one(tmp_path: Path) -> None:
    (tmp_path / "numbers.py").write_text("""
import torch
def tenth(sr, hr): return 0.1
def huge(sr, hr): return 1e300
def complex_one(sr, hr): return torch.tensor(1 + 2j)
def unsaid(sr, hr): return 1.0
unsaid.higher_is_better = "False"
""")
    image = np.zeros((8, 8, 3), np.uint8)
    names = ("tenth", "huge", "complex_one", "unsaid")
    tenth, huge, complex_one, unsaid = (f"{tmp_path / 'numbers.py'}:{name}" for name in names)
    assert measure(image, image, [tenth, huge]) == {tenth: 0.1, huge: 1e300}
    with pytest.raises(InputError, match="returned a Tensor of shape"):
        measure(image, image, [complex_one])
    with pytest.raises(UsageError, match="has higher_is_better = 'False', expected True, False or None"):
        measure(image, image, [unsaid])


def test_names_of_distances_are_known_as_such() -> None:
    names = {"my_loss": False, "MAE": False, "spectral_angle_mapper": False, "psnr": True, "my_metric": True}
    names |= {"SSIMLoss": False, "GMSDLoss": False, "gmsd": False, "VIFLoss": False, "vif_p": True, "ssim": True}
    assert {name: not LESS_IS_BETTER.search(name) for name in names} == names


FETCHED = ("CLIPIQA", "ContentLoss", "DISTS", "LPIPS", "PieAPP", "StyleLoss")
"""What fetches weights when it is made."""


@pytest.mark.slow
def test_every_metric_of_piq_prefers_the_reference_itself(photograph: Callable[..., np.ndarray]) -> None:
    """Losses are less where it is better, and so are some of the functions, whatever they are called."""
    piq = pytest.importorskip("piq")
    hr = photograph(176, 176)
    worse = (hr + np.random.default_rng(0).normal(0, 20, hr.shape)).clip(0, 255).astype(np.uint8)
    tried = []
    for name in dir(piq):
        thing = getattr(piq, name)
        if name[0] == "_" or inspect.ismodule(thing) or name in FETCHED:
            continue
        metric = resolve(f"piq:{name}").metric
        try:
            best, other = (measure(sr, hr, [f"piq:{name}"])[f"piq:{name}"] for sr in (hr, worse))
        except InputError:  # it wants one image, or features
            continue
        assert metric.higher_is_better == (best > other), name
        tried.append(name)
    assert {"ssim", "SSIMLoss", "gmsd", "GMSDLoss", "MDSILoss", "vif_p", "HaarPSILoss"} <= set(tried) and len(
        tried
    ) > 20
