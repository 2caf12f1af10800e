"""Peak signal-to-noise ratio, `10 log10(255² / MSE)` in dB, one value an image; identical images give infinity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from srbench.metrics.metric import Metric, ScoreFunction
from srbench.metrics.numba_switch import kernels

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.metrics.conventions import Convention


def psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """PSNR of each pair of `(n, c, h, w)` views in [0, 255]; n values in dB, `inf` where the pair is equal.

    The mean squared error is pooled over the channels and pixels of an image, never over images.
    """
    error = (sr.double() - hr.double()).square().mean(dim=(1, 2, 3))
    return 10.0 * (255.0**2 / error).log10()


def fast_psnr(sr: Tensor, hr: Tensor) -> Tensor:
    """As `psnr`, by the compiled loop, for views on a CPU."""
    import torch

    fast = kernels("cpu")
    assert fast is not None
    pixels = sr[0].numel()
    sums = [fast.squared_error(a.numpy(), b.numpy()) for a, b in zip(sr.contiguous(), hr.contiguous(), strict=True)]
    return 10.0 * (255.0**2 / (torch.tensor(sums, dtype=torch.float64) / pixels)).log10()


def _load(convention: Convention, device: torch.device) -> ScoreFunction:
    return _by_either


def _by_either(sr: Tensor, hr: Tensor) -> Tensor:
    """Which path is decided where an image is scored: numba is imported if there is one, and not to be ready for it."""
    return fast_psnr(sr, hr) if kernels(sr.device) else psnr(sr, hr)


SUMMARY = "peak signal-to-noise ratio in dB"
PSNR_Y = Metric("psnr_y", "y", _load, bounds=(0.0, math.inf), label="PSNR-Y", summary=SUMMARY)
PSNR_RGB = Metric("psnr_rgb", "rgb", _load, convention="rgb", bounds=(0.0, math.inf), label="PSNR-RGB", summary=SUMMARY)
