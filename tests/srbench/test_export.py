"""`srbench export`: files that do what the model does, at sizes that were not traced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from srbench.models import load_model
from srbench.models.export import SUFFIXES, open_exported
from srbench.models.spec import ModelSpec
from srbench.results.store import load_results
from tests.conftest import Srbench

Register = Callable[[str, str, object], None]


class Net(torch.nn.Module):
    """Two convolutions, nearest neighbour, pixel shuffle: what super-resolution networks are made of."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = 4
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.last = torch.nn.Conv2d(8, 12, 3, padding=1)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.leaky_relu(self.first(lr), 0.2)
        x = torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
        return torch.nn.functional.pixel_shuffle(self.last(x), 2)


class Fixed(Net):
    """Forgets that sizes change: a Python number in the graph."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return super().forward(lr).reshape(-1, 3, 96, 128)


@pytest.fixture
def nets(register: Register) -> None:
    pytest.importorskip("onnx", reason="needs onnx: pip install 'srbench-sr[onnx]'")
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'srbench-sr[onnx]'")
    register("models", "net", ModelSpec("net", (4,), lambda scale, device: Net().eval()))
    register("models", "fixed", ModelSpec("fixed", (4,), lambda scale, device: Fixed().eval()))


@pytest.mark.parametrize("format", SUFFIXES)
def test_exported_files_do_what_the_model_does(format: str, nets: None, srbench: Srbench, tmp_path: Path) -> None:
    out = tmp_path / f"net{SUFFIXES[format]}"
    assert srbench("export", "net", out, "--format", format) == 0
    assert "net x4" in srbench.out and "largest difference from the model" in srbench.out
    assert srbench.err.endswith(f"srbench run {out} --scale 4\n")
    lr = torch.rand(3, 3, 50, 41)
    torch.testing.assert_close(open_exported(out, format)(lr), Net()(lr).detach(), rtol=0, atol=1e-5)


def test_exported_onnx_runs_as_a_model(nets: None, srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported.onnx"
    assert srbench("export", "net", out) == 0
    options = ["--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--out", tmp_path / "results"]
    assert srbench("run", "--models", f"net,{out}", *options) == 0
    scores = {run.identity.model: run.values("psnr_y") for run in load_results(tmp_path / "results")}
    assert scores["exported"] == pytest.approx(scores["net"], abs=1e-3)
    assert srbench("speed", "--models", out, "--sizes", "20x10", "--budget", 0, "--out", tmp_path / "results") == 0
    assert "exported" in srbench.out
    torch.testing.assert_close(
        load_model(str(out), 4, "cpu")(torch.ones(1, 3, 9, 8)),
        Net()(torch.ones(1, 3, 9, 8)).detach(),
        rtol=0,
        atol=1e-5,
    )


@pytest.mark.parametrize("format", ["torchscript", "torch-export"])
def test_exported_programs_run_as_models_once_trusted(
    format: str, nets: None, srbench: Srbench, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / f"exported{SUFFIXES[format]}"
    assert srbench("export", "net", out, "--format", format) == 0
    values = ["--model-range", "0..1", "--model-channels", "rgb"]  # the network is random
    options = [*values, "--datasets", folder, "--metrics", "psnr_y", "--out", tmp_path / "results"]
    assert srbench("run", "--models", out, *options) == 2
    assert "is a program, and running it could do harm. If you trust it, set SRBENCH_TRUST_PROGRAMS=1" in srbench.err
    monkeypatch.setenv("SRBENCH_TRUST_PROGRAMS", "1")
    assert srbench("run", "--models", f"net,{out}", *options, "--no-speed") == 0
    scores = {run.identity.model: run.values("psnr_y") for run in load_results(tmp_path / "results")}
    assert scores["exported"] == pytest.approx(scores["net"], abs=1e-3)
    speed = ["--sizes", "20x10", "--budget", 0, "--out", tmp_path / "results"]
    assert srbench("speed", "--models", out, *values, *speed) == 0
    assert "exported" in srbench.out


def test_what_cannot_be_exported(nets: None, srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert srbench("export", "net", tmp_path / "net.pt") == 2
    assert "onnx files end in .onnx; write net.onnx, or give --format torchscript for .pt, --format" in srbench.err
    for format, suffix in SUFFIXES.items():
        assert srbench("export", "bicubic", tmp_path / f"bicubic{suffix}", "--format", format) == 2
        told = f"srbench: bicubic cannot be written as {format} (it computes with numpy, as bicubic of srbench does"
        assert srbench.err.startswith(told), srbench.err
    assert srbench("export", "fixed", tmp_path / "fixed.pt", "--format", "torchscript") == 1
    assert "the exported file fails on 29x37 pixels" in srbench.err
    assert srbench("export", "net", tmp_path / "net.onnx", "--tolerance", "-1") == 2
    assert "is not in the range" in srbench.err
    monkeypatch.setattr("srbench.models.export._largest_difference", lambda *given: 1.0)
    assert srbench("export", "net", tmp_path / "net.onnx") == 1
    assert "differs from net by" in srbench.err and "not kept" in srbench.err
    assert list(tmp_path.iterdir()) == []


def test_the_axes_of_an_onnx_file_have_names(nets: None, srbench: Srbench, tmp_path: Path) -> None:
    assert srbench("export", "net", tmp_path / "net.onnx") == 0
    import onnx

    graph = onnx.load(tmp_path / "net.onnx").graph
    (given,) = graph.input
    sizes = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
    assert sizes == ["batch", 3, "height", "width"]
