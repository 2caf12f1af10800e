"""Tiles, self-ensemble, precision and the checks on what a model returns."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from srbench.base.errors import JobError, UsageError
from srbench.benchmark.speed.timing import count_parameters, peak_memory_mib, time_sizes
from srbench.cli.values import lr_size
from srbench.images.tensors import to_tensor
from srbench.models import load_model
from srbench.models.backends import accelerated
from srbench.models.inference import Inference, eight_poses, seed_device, select_device
from srbench.models.tiles import MOST_OVERLAP, in_tiles, overlap_of

Photograph = Callable[..., np.ndarray]
CPU = torch.device("cpu")


class Net(torch.nn.Module):
    """One 3x3 convolution and a pixel shuffle."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = scale
        self.conv = torch.nn.Conv2d(3, 3 * scale**2, 3, padding=1)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_shuffle(self.conv(lr), self.scale)


def wide(scale: int = 2) -> torch.nn.Module:
    """A stack of eleven 3x3 convolutions, which reaches eleven pixels."""
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3 if first else 8, 8, 3, padding=1) for first in [True, *[False] * 9]]
    net = torch.nn.Sequential(*layers, torch.nn.Conv2d(8, 3 * scale**2, 3, padding=1), torch.nn.PixelShuffle(scale))
    return net.requires_grad_(False)


@pytest.mark.numbers
@pytest.mark.parametrize("tile", [16, 40, 64, 1000])
@pytest.mark.parametrize("size", [(100, 70), (64, 64), (1, 90)])
def test_tiles_equal_the_whole(photograph: Photograph, tile: int, size: tuple[int, int]) -> None:
    x = to_tensor(photograph(*size))
    for net, reach in ((Net().requires_grad_(False), 1), (wide(), 11)):
        overlap = overlap_of(net, 2, CPU)
        assert overlap == reach + 1
        sr, seam = in_tiles(net, x, tile, 2, overlap)
        torch.testing.assert_close(sr, net(x), rtol=0, atol=1e-6)
        assert seam <= 255 * 1e-6


def test_too_little_context_is_told(photograph: Photograph) -> None:
    net, x = wide(), to_tensor(photograph(60, 80))
    sr, seam = in_tiles(net, x, 32, 2, overlap=3)
    assert seam > 1e-3
    assert float((sr - net(x)).abs().max()) > 1e-6


def test_the_reach_of_a_model_that_sees_everything_or_fails_on_the_probe() -> None:
    assert overlap_of(lambda x: x - x.mean(), 1, CPU) == MOST_OVERLAP
    assert overlap_of(lambda x: x.nan_to_num(), 1, CPU) == MOST_OVERLAP
    assert overlap_of(lambda x: x.reshape(7, 7), 1, CPU) == MOST_OVERLAP
    assert overlap_of(lambda x: x, 1, CPU) == 1


def test_bicubic_in_tiles_equals_the_whole(photograph: Photograph) -> None:
    upscaler = load_model("bicubic", 3, "cpu")
    lr = photograph(90, 110)
    whole = Inference(upscaler, CPU, tile="none").upscale(lr)
    tiled = Inference(upscaler, CPU, tile="32").upscale(lr)
    assert (whole.tile, tiled.tile, tiled.seam) == (None, 32, 0.0)
    torch.testing.assert_close(tiled.sr, whole.sr, rtol=0, atol=0)


def test_auto_tiles_when_memory_runs_out(photograph: Photograph) -> None:
    net = Net()

    class Small:
        scale = 2

        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            if lr.shape[-1] * lr.shape[-2] > 150 * 150:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return net(lr)

    lr = photograph(200, 260)
    made = Inference(Small(), CPU).upscale(lr)
    assert made.tile == 130
    torch.testing.assert_close(made.sr, net(to_tensor(lr)).detach(), rtol=0, atol=1e-6)
    with pytest.raises(JobError, match=r"out of memory \(OutOfMemoryError\). Give --tile 128"):
        Inference(Small(), CPU, tile="none").upscale(lr)


@pytest.mark.numbers
def test_a_batch_equals_its_images(photograph: Photograph) -> None:
    images = [photograph(20, 30, seed=seed) for seed in range(3)]
    inference = Inference(Net(), CPU)
    for one, image in zip(inference.upscale_together(images), images, strict=True):
        torch.testing.assert_close(one.sr, inference.upscale(image).sr, rtol=0, atol=1e-6)


def test_the_eight_poses_are_different_and_undone() -> None:
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    poses = list(eight_poses())
    assert len({tuple(do(x).flatten().tolist()) for do, _ in poses}) == 8
    for do, undo in poses:
        torch.testing.assert_close(undo(do(x)), x)


def test_self_ensemble_of_an_equivariant_model_changes_nothing(photograph: Photograph) -> None:
    plain = Inference(load_model("nearest", 2, "cpu"), CPU)
    lr = photograph(20, 30)
    ensemble = replace(plain, self_ensemble=True)
    torch.testing.assert_close(ensemble.upscale(lr).sr, plain.upscale(lr).sr)


def test_precision_is_that_asked_for(photograph: Photograph) -> None:
    seen = []
    net = Net()
    net.conv.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    for precision in ("fp32", "bf16"):
        Inference(net, CPU, precision=precision).upscale(photograph(16, 16))
    assert seen == [torch.float32, torch.bfloat16]


def test_grey_goes_in_as_three_equal_channels(photograph: Photograph) -> None:
    tensor = to_tensor(photograph(5, 6, grey=True))
    assert tensor.shape == (1, 3, 5, 6)
    assert torch.equal(tensor[:, 0], tensor[:, 2])


def test_devices() -> None:
    assert select_device("cpu") == CPU
    with pytest.raises(UsageError, match="device 'gpu' cannot be used .* Use --device cpu"):
        select_device("gpu")


def test_gmacs_parameters_and_memory() -> None:
    inference = Inference(Net(), CPU)
    assert count_parameters(inference.upscaler) == 3 * 12 * 9 + 12
    memory = peak_memory_mib(inference, torch.rand(1, 3, 1000, 1000))
    assert memory is None or 40 < memory < 400  # SR alone is 46 MiB


def test_timing_counts_neither_warm_up_nor_first_call() -> None:
    calls = []

    class Counting(Net):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            calls.append(lr.shape)
            return super().forward(lr)

    (timed,) = time_sizes(Inference(Counting(), CPU), "net", [(30, 20)], batch=2, budget_s=0)
    row = timed.row
    assert row.repeats == 5
    assert len(calls) == 1 + 1 + 5 + 2  # first, warm-up that counts GMACs, repeats, the two that memory is taken of
    assert set(calls) == {(2, 3, 20, 30)}
    assert row.first_ms > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own workings
def test_compiled_equals_eager(photograph: Photograph) -> None:
    class Mixed(Net):
        """A network on top of an interpolation in scipy, as SRCNN is."""

        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            return load_model("bicubic", 2, "cpu")(lr).float() + super().forward(lr)

    net = Mixed()
    fast = accelerated(net, "compile", CPU, "fp32")
    assert count_parameters(fast) == count_parameters(net)
    for size in ((16, 20), (24, 12)):
        x = to_tensor(photograph(*size))
        with torch.inference_mode():
            torch.testing.assert_close(fast(x), net(x))
    bicubic = load_model("bicubic", 2, "cpu")
    assert accelerated(bicubic, "compile", CPU, "fp32") is bicubic


@pytest.mark.parametrize("text", ["120", "0x5", "5x", "axb", "-1x5"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="write a size as WIDTHxHEIGHT"):
        lr_size(text)


def test_seeding_is_torchs_and_takes_down_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(7)
    wanted = torch.rand(3)
    monkeypatch.setattr(traceback, "format_stack", lambda *rest: pytest.fail("a traceback for a device not here"))
    seed_device(torch.device("cpu"), 7)
    assert torch.equal(torch.rand(3), wanted)
