"""Upscalers without weights: MATLAB's `imresize(lr, scale, method)`.

`bicubic` is the one that published tables mean. LR values on the 8-bit grid are rounded to it again after each axis,
as MATLAB does for uint8 images: that is worth -0.005 dB at x2, and makes the published rows come out to the digit. LR
that is off the grid (`--degradation matlab-y`) is upscaled as MATLAB does doubles, without rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srbench.models.measured import measured
from srbench.models.spec import ModelSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

KERNELS = {"nearest": "BOX", "bilinear": "TRIANGLE", "bicubic": "CUBIC", "lanczos": "LANCZOS3"}
SCALES = (2, 3, 4, 8)
MEASURED = measured("baselines")
OFF_GRID = 1e-3
"""Farther than float32 moves an 8-bit value on its way to [0, 1] and back, in levels (at most 1.6e-5)."""


@dataclass(frozen=True)
class Interpolation:
    """`(n, 3, h, w)` in [0, 1] to `(n, 3, h * scale, w * scale)` float64: on the 8-bit grid, where LR is."""

    scale: int
    kernel: str

    def __call__(self, lr: Tensor) -> Tensor:
        from srbench.images import resize

        values = lr.double() * 255.0
        pixels = resize.round_to_uint8(values)
        whole = bool((values - pixels).abs().max() < OFF_GRID)
        kernel = getattr(resize, self.kernel)
        return resize.imresize(pixels if whole else values, self.scale, kernel=kernel, as_uint8=whole) / 255.0


def _spec(name: str, summary: str, citation: str = "") -> ModelSpec:
    def build(scale: int, device: torch.device) -> Interpolation:
        return Interpolation(scale, KERNELS[name])

    known = MEASURED.get(name, {})
    return ModelSpec(name, SCALES, build, licence="MIT", citation=citation, summary=summary, measured=known)


NEAREST = _spec("nearest", "repeats each pixel")
BILINEAR = _spec("bilinear", "triangle kernel")
BICUBIC = _spec("bicubic", "cubic kernel, a = -0.5: MATLAB's imresize", "Keys, IEEE TASSP 29(6), 1981")
LANCZOS = _spec("lanczos", "sinc kernel windowed to three lobes", "Duchon, J. Appl. Meteorology 18(8), 1979")
