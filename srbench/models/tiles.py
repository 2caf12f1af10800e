"""Images in tiles: each is upscaled with context around it, which is cut off again.

A tile equals the whole image where its context is as wide as the model reaches. How far that is, is measured: a column
of NaN goes in, and what comes out tells which pixels saw it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from srbench.base.errors import UsageError
from srbench.base.text import is_plain

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MOST_OVERLAP = 48
"""LR pixels. Residual networks of 16 blocks reach less far and come out exact; ESRGAN's 23 reach further than a tile is
wide, with next to no weight: for such the error at the seams is told instead."""

SMALLEST_AUTO_TILE = 64
PROBE_ROWS = 32

T = TypeVar("T")


def check_tile(tile: str) -> None:
    """Raise `UsageError` for what `--tile` does not take."""
    if tile not in ("auto", "none") and not (is_plain(tile) and tile != "0"):
        raise UsageError(f"--tile {tile!r} is neither auto, none, nor a number of LR pixels")


def overlap_of(upscale: Callable[[Tensor], Tensor], scale: int, device: torch.device) -> int:
    """LR pixels of context that a tile needs: one more than the model reaches, and `MOST_OVERLAP` at most.

    With the one more, neighbours also agree on the last pixel before the cut, where the seam is measured. It is
    `MOST_OVERLAP` too where a model does not work on the small picture, or does not let NaN through.
    """
    import torch

    middle = 2 * MOST_OVERLAP
    x = torch.full((1, 3, PROBE_ROWS, 2 * middle), 0.5, device=device)
    x[..., middle] = torch.nan
    try:
        reached = max(_reach(upscale(x), scale, middle), _reach(upscale(x.mT.contiguous()).mT, scale, middle))
    except Exception:  # any model may be behind this, with any error; tiles of such a one take the most context
        return MOST_OVERLAP
    return min(reached + 1, MOST_OVERLAP)


def _reach(sr: Tensor, scale: int, middle: int) -> int:
    """The largest distance, in LR pixels, between column `middle` and an SR pixel that is not finite."""
    columns = (~sr.isfinite()).flatten(0, -2).any(dim=0).nonzero().flatten() // scale
    return int((columns - middle).abs().max()) if len(columns) else MOST_OVERLAP


@dataclass(frozen=True)
class Tile:
    """One tile of an image: rows and columns, first to last, of LR without and with context."""

    top: int
    bottom: int
    left: int
    right: int
    above: int
    below: int
    before: int
    after: int
    scale: int

    @property
    def context(self) -> tuple[slice, slice]:
        """The rows and columns of LR that the model sees."""
        return slice(self.above, self.below), slice(self.before, self.after)

    @property
    def own(self) -> tuple[slice, slice]:
        """The rows and columns to keep of what the model makes of it."""
        return (
            slice((self.top - self.above) * self.scale, (self.bottom - self.above) * self.scale),
            slice((self.left - self.before) * self.scale, (self.right - self.before) * self.scale),
        )

    @property
    def place(self) -> tuple[slice, slice]:
        """Where they belong in SR."""
        return (
            slice(self.top * self.scale, self.bottom * self.scale),
            slice(self.left * self.scale, self.right * self.scale),
        )


def tiles_of(height: int, width: int, side: int, scale: int, overlap: int = MOST_OVERLAP) -> list[Tile]:
    """The tiles of `side` LR pixels that cover an image of `height` x `width`, row by row, with context around each."""
    return [
        Tile(*rows[:2], *columns[:2], *rows[2:], *columns[2:], scale)
        for rows in _spans(height, side, overlap)
        for columns in _spans(width, side, overlap)
    ]


def _spans(size: int, side: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Start and end of each tile of an axis, without and with its context."""
    return [
        (start, min(start + side, size), max(start - overlap, 0), min(start + side + overlap, size))
        for start in range(0, size, side)
    ]


def in_tiles(
    upscale: Callable[[Tensor], Tensor], x: Tensor, side: int, scale: int, overlap: int = MOST_OVERLAP
) -> tuple[Tensor, float]:
    """Upscale `(n, c, h, w)` by tiles of `side` LR pixels. Returns SR, and the error at the seams.

    The error is the largest difference, in 8-bit levels, between what two neighbours make of the last LR pixel before
    the cut: 0 where tiles equal the whole.
    """
    height, width = x.shape[-2:]
    sr: Tensor | None = None
    seam = 0.0
    for tile in tiles_of(height, width, side, scale, overlap):
        part = upscale(x[(..., *tile.context)])
        if sr is None:
            sr = part.new_empty((*x.shape[:2], height * scale, width * scale))
        (rows, columns), (own_rows, own_columns) = tile.place, tile.own
        sr[..., rows, columns] = part[..., own_rows, own_columns]
        if tile.left:
            theirs = sr[..., rows, _last_before(tile.left, 0, scale)]
            seam = max(seam, _difference(part[..., own_rows, _last_before(tile.left, tile.before, scale)], theirs))
        if tile.top:
            theirs = sr[..., _last_before(tile.top, 0, scale), columns]
            seam = max(seam, _difference(part[..., _last_before(tile.top, tile.above, scale), own_columns], theirs))
    assert sr is not None
    return sr, seam


def _last_before(cut: int, start: int, scale: int) -> slice:
    """The SR pixels of the last LR pixel before a cut, in a part that begins at `start`."""
    return slice((cut - 1 - start) * scale, (cut - start) * scale)


def _difference(a: Tensor, b: Tensor) -> float:
    return 255.0 * float((a.float() - b.float()).abs().max())


def until_it_fits(attempt: Callable[[int | None], T], side: int | None, largest: int) -> T:
    """What `attempt(side)` returns, with half the side again each time that memory runs out.

    `side` is in LR pixels, and None for the whole image, whose longer side is `largest`. Errors other than running out
    of memory are the attempt's own, and so is running out of it at `SMALLEST_AUTO_TILE`.
    """
    import torch

    while True:
        try:
            return attempt(side)
        except Exception as error:
            side = (side or largest) // 2
            if not is_out_of_memory(error) or side < SMALLEST_AUTO_TILE:
                raise
        if torch.cuda.is_available():  # outside of `except`, where the error still holds on to what was computed
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, by the types and words that torch has for it on a GPU and on a CPU; imports no torch."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or "can't allocate memory" in str(error)
