"""Peak memory of a pass has one meaning for every backend: what sampling the process sees."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from srbench.benchmark import memory
from srbench.benchmark.memory import LPIPS, USUAL
from srbench.benchmark.speed.timing import MIB, _return_freed_memory, peak_memory_mib
from srbench.images.files import write_image
from srbench.models.inference import prepare
from srbench.models.spec import ModelSpec
from srbench.models.wrap import giving_memory_back
from tests.conftest import Srbench


class Wide(nn.Module):
    """Two layers of 64 channels at full size."""

    scale = 1

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 3, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def sampled(call: Callable[[], object]) -> float:
    """Growth of resident memory while a call runs, looked at by a thread as often as it can."""

    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MIB

    _return_freed_memory()
    before, most, done = resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    call()
    done.set()
    thread.join()
    return most


@pytest.mark.slow
@pytest.mark.parametrize(("metrics", "stated"), [("psnr_y,ssim_y", USUAL), ("lpips", LPIPS)])
def test_bytes_a_pixel(metrics: str, stated: int, tmp_path: Path, weights_folder: Path) -> None:
    """Nine megapixels against next to none, each in a process of its own."""
    peaks = []
    for side in (64, 3000):
        home = tmp_path / str(side)
        write_image(home / "x.png", np.tile(np.arange(side, dtype=np.uint8)[:, None, None], (1, side, 3)))
        code = (
            "import resource, sys; from srbench.cli import main; status = main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=open('peak', 'w')); sys.exit(status)"
        )
        command = ["run", "--models", "nearest", "--datasets", str(home), "--metrics", metrics, "--no-speed"]
        more = ["--workers", "0", "--device", "cpu", "--out", "out"]
        subprocess.run([sys.executable, "-c", code, *command, *more], cwd=home, check=True, capture_output=True)
        peaks.append(int((home / "peak").read_text()) * 1024)
    measured = (peaks[1] - peaks[0]) / 3000**2
    assert 0.3 * stated < measured < stated, measured  # less where pages go back at once, or the small one compiled


def test_what_does_not_fit_into_memory_is_refused_by_name(
    srbench: Srbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ("run", "--models", "nearest", "--datasets", folder, "--no-speed", "--device", "cpu", "--out", folder / "out")
    monkeypatch.setattr(memory, "memory_bytes", lambda: 48 * 48 * 150)
    assert srbench(*run, "--metrics", "psnr_y", "--workers", 0) == 0
    assert srbench(*run, "--metrics", "psnr_y,lpips", "--workers", 0) == 2
    assert f"{folder / 'HR' / 'c.png'}: 0 megapixels; to score it takes some 260 bytes a pixel, and" in srbench.err
    assert "Leave out LPIPS (--metrics psnr_y,ssim_y)" in srbench.err
    assert srbench(*run, "--metrics", "psnr_y", "--workers", 1) == 2
    assert "110 bytes a pixel, 2 at once" in srbench.err


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("backend", ["eager", "onnx", "openvino"])
def test_peak_memory_is_what_the_process_takes(backend: str, tmp_path: Path) -> None:
    for package in {"onnx": ("onnxruntime", "onnxscript"), "openvino": ("openvino", "onnxscript")}.get(backend, ()):
        pytest.importorskip(package)
    spec = ModelSpec("wide", (1,), lambda scale, device: Wide().eval())
    inference, x = prepare(spec, 1, torch.device("cpu"), backend=backend), torch.rand(1, 3, 400, 500)
    for _ in range(2):  # as timing does before memory is asked for
        inference(x)
    told = peak_memory_mib(inference, x)
    with giving_memory_back(inference.upscaler):
        inference(x)
        seen = sampled(lambda: inference(x))
    assert told is not None and told == pytest.approx(seen, rel=0.1)
    assert told > 64 * 400 * 500 * 4 / MIB  # one layer at least
