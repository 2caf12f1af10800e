"""Peak memory of a pass has one meaning for every backend: what sampling the process sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn

from srbench.benchmark.speed.timing import MIB, _return_freed_memory, peak_memory_mib
from srbench.models.inference import prepare
from srbench.models.loaders.onnx import session_of
from srbench.models.spec import ModelSpec


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


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
@pytest.mark.parametrize("backend", ["eager", "onnx"])
def test_peak_memory_is_what_the_process_takes(backend: str, tmp_path: Path) -> None:
    if backend == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    spec = ModelSpec("wide", (1,), lambda scale, device: Wide().eval())
    inference, x = prepare(spec, 1, torch.device("cpu"), backend=backend), torch.rand(1, 3, 400, 500)
    for _ in range(2):  # as timing does before memory is asked for
        inference(x)
    told = peak_memory_mib(inference, x)
    session = session_of(inference.upscaler)
    with session.without_arena() if session else nullcontext():
        inference(x)
        seen = sampled(lambda: inference(x))
    assert told is not None and told == pytest.approx(seen, rel=0.1)
    assert told > 64 * 400 * 500 * 4 / MIB  # one layer at least
