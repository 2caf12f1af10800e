"""Large pictures in bounded memory: upscaled tile by tile, resized strip by strip, into whole numbers at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from srbench.images.files import to_rgb
from srbench.images.luma import FULL
from srbench.images.resize import CUBIC, halves_up, matrix
from srbench.models.inference import Inference, as_job_error, check_sr
from srbench.models.tiles import check_tile, tiles_of, until_it_fits

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int], None]
Pixels = npt.NDArray[Any]
"""uint8 or uint16, `(h, w)` or `(h, w, channels)`, over the whole range of its type."""

AUTO_TILE = 256
"""LR pixels: at x4 a tile with its context is 4.2 MB of SR in 8 bits, and some hundred times that inside a network."""

STRIP = 256
"""Rows that are resized at once."""


@dataclass
class Enlarger:
    """A model, and the factor that is wanted of it: what the model does not give, a final bicubic resize does."""

    inference: Inference
    scale: float

    def __call__(self, lr: Pixels, progress: Progress | None = None) -> Pixels:
        """`(h, w, 3)` or `(h, w)` to `(round(h * scale), round(w * scale), …)` of the same type.

        `progress(done, expected)` is called after each tile.
        Raises `JobError` where the model fails, or memory runs out at the smallest tiles.
        """
        sr = upscaled(self.inference, lr, progress)
        own = self.inference.upscaler.scale
        if self.scale == own:
            return sr
        return resized(sr, self.scale / own, (round(lr.shape[0] * self.scale), round(lr.shape[1] * self.scale)))

    def plane(self, alpha: Pixels) -> Pixels:
        """A plane that no model should see, such as alpha: bicubic, rounded once."""
        return resized(alpha, self.scale, (round(alpha.shape[0] * self.scale), round(alpha.shape[1] * self.scale)))


def upscaled(inference: Inference, lr: Pixels, progress: Progress | None = None) -> Pixels:
    """SR of a picture by tiles, whatever its size; `Inference.tile` is `none`, a number, or `auto`, which is
    `AUTO_TILE` and half of it again while memory runs out.
    """
    side = first_tile(inference.tile, lr)

    def attempt(side: int | None) -> Pixels:
        return _by_tiles(inference, lr, side or max(lr.shape[:2]), progress)

    with as_job_error():
        return until_it_fits(attempt, side, max(lr.shape[:2])) if inference.tile == "auto" else attempt(side)


def first_tile(tile: str, lr: Pixels) -> int:
    """The side of the first tiles tried, in LR pixels."""
    if tile == "auto":
        return AUTO_TILE
    if tile == "none":
        return int(max(lr.shape[:2]))
    check_tile(tile)
    return int(tile)


def _by_tiles(inference: Inference, lr: Pixels, side: int, progress: Progress | None) -> Pixels:
    scale = inference.upscaler.scale
    height, width = lr.shape[:2]
    sr = np.empty((height * scale, width * scale, *lr.shape[2:]), lr.dtype)
    tiles = tiles_of(height, width, side, scale, inference.overlap if side < max(height, width) else 0)
    for done, tile in enumerate(tiles, 1):
        sr[tile.place] = _tile(inference, lr[tile.context])[tile.own]
        if progress:
            progress(done, len(tiles))
    return sr


def _tile(inference: Inference, lr: Pixels) -> Pixels:
    import torch

    full = float(np.iinfo(lr.dtype).max)
    planes = np.ascontiguousarray(to_rgb(lr).transpose(2, 0, 1)[None], dtype=np.float32)
    x = torch.from_numpy(planes).to(inference.device) / full
    sr = inference(x)
    check_sr(sr, x, inference.upscaler.scale, inference.precision)
    return whole_numbers(_as_grey(sr) if lr.ndim == 2 else sr[0].permute(1, 2, 0), full, lr.dtype)


def _as_grey(sr: Tensor) -> Tensor:
    """A grey picture stays one: full-swing luma, which keeps R = G = B as it is."""
    y: Tensor = FULL.of(*sr[0].unbind())
    return y


def whole_numbers(values: Tensor, full: float, dtype: npt.DTypeLike) -> Pixels:
    """[0, 1] to 0..full, clamped, halves rounded up."""
    import torch

    return halves_up(values.to(torch.float64) * full).clamp_(0.0, full).cpu().numpy().astype(dtype)


def resized(image: Pixels, scale: float, size: tuple[int, int]) -> Pixels:
    """MATLAB's `imresize` of `(h, w)` or `(h, w, c)` to exactly `size` (height, width), rounded once, by strips."""
    down = matrix(image.shape[0], scale, CUBIC, "symmetric")[: size[0]]
    across = matrix(image.shape[1], scale, CUBIC, "symmetric")[: size[1]]
    full = np.iinfo(image.dtype).max
    out = np.empty((*size, *image.shape[2:]), image.dtype)
    for top in range(0, size[0], STRIP):
        rows = down[top : top + STRIP]
        first, last = int(rows.indices.min()), int(rows.indices.max()) + 1
        part = image[first:last].reshape(last - first, -1).astype(np.float64)
        strip = (rows[:, first:last] @ part).reshape(rows.shape[0], *image.shape[1:]).swapaxes(0, 1)
        strip = (across @ strip.reshape(len(strip), -1)).reshape(size[1], rows.shape[0], *image.shape[2:])
        out[top : top + STRIP] = np.floor(strip.swapaxes(0, 1) + 0.5).clip(0, full)
    return out
