"""What a large picture will take, told before it is begun: tiles, time by one small piece of it, memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srbench.apps.upscale.pixels import first_tile, upscaled
from srbench.base.text import counted, duration
from srbench.models.tiles import tiles_of

if TYPE_CHECKING:
    from srbench.apps.upscale.pixels import Enlarger, Pixels

LARGE = 10**6
"""LR pixels from which there is a forecast: below, a picture is done before one could be read."""

PIECE = 96
"""LR pixels along the side of the piece that is timed."""


@dataclass(frozen=True)
class Forecast:
    """`size` is SR's width and height, `tile` a tile's side in LR pixels, `mib` what the result takes in memory."""

    size: tuple[int, int]
    tiles: int
    tile: int
    seconds: float
    mib: float

    def __str__(self) -> str:
        tiles = f"{counted(self.tiles, 'tile')} of {self.tile} LR pixels" if self.tiles > 1 else "in one piece"
        width, height = self.size
        cost = f"about {duration(self.seconds)}, and {self.mib:,.0f} MiB for the result"
        return f"{width}x{height} pixels, {tiles}: {cost}"


def forecast(enlarger: Enlarger, lr: Pixels) -> Forecast:
    """For a picture `(h, w, 3)` or `(h, w)`. A piece from its middle is upscaled twice, and the second time counts."""
    inference = enlarger.inference
    tile = min(first_tile(inference.tile, lr), max(lr.shape[:2]))
    overlap = inference.overlap if tile < max(lr.shape[:2]) else 0
    tiles = tiles_of(lr.shape[0], lr.shape[1], tile, inference.upscaler.scale, overlap)
    work = sum((one.below - one.above) * (one.after - one.before) for one in tiles)
    top, left = (max(0, side // 2 - PIECE // 2) for side in lr.shape[:2])
    piece = lr[top : top + PIECE, left : left + PIECE]
    for _ in range(2):
        start = time.perf_counter()
        upscaled(inference, piece)
        taken = time.perf_counter() - start
    height, width = (round(side * enlarger.scale) for side in lr.shape[:2])
    # SR, and Pillow's copy of it while the file is written, which has four bytes where RGB has three.
    samples = 3 if lr.ndim == 3 else 1
    mib = height * width * lr.dtype.itemsize * (samples + (4 if samples == 3 else 1)) / 2**20
    seconds = taken * work / (piece.shape[0] * piece.shape[1])
    return Forecast((width, height), len(tiles), tile, seconds, mib)
