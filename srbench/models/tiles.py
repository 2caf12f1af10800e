"""Images in tiles: each is upscaled with context around it, which is cut off again.

A tile equals the whole image where its context is as wide as the model reaches. How far that is, is measured: a column
of NaN goes in, and what comes out tells which pixels saw it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MOST_OVERLAP = 48
"""LR pixels. Residual networks of 16 blocks reach less far and come out exact; ESRGAN's 23 reach further than a tile is
wide, with next to no weight: for such the error at the seams is told instead."""

PROBE_ROWS = 32


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


def in_tiles(
    upscale: Callable[[Tensor], Tensor], x: Tensor, tile: int, scale: int, overlap: int = MOST_OVERLAP
) -> tuple[Tensor, float]:
    """Upscale `(n, c, h, w)` by tiles of `tile` LR pixels. Returns SR, and the error at the seams.

    The error is the largest difference, in 8-bit levels, between what two neighbours make of the last LR pixel before
    the cut: 0 where tiles equal the whole.
    """
    height, width = x.shape[-2:]
    sr: Tensor | None = None
    seam = 0.0
    for top, bottom, above, below in spans(height, tile, overlap):
        for left, right, before, after in spans(width, tile, overlap):
            part = upscale(x[..., above:below, before:after])
            if sr is None:
                sr = part.new_empty((*x.shape[:2], height * scale, width * scale))
            rows, columns = slice(top * scale, bottom * scale), slice(left * scale, right * scale)
            own_rows = slice((top - above) * scale, (bottom - above) * scale)
            own_columns = slice((left - before) * scale, (right - before) * scale)
            sr[..., rows, columns] = part[..., own_rows, own_columns]
            if left:
                theirs = sr[..., rows, _last_before(left, 0, scale)]
                seam = max(seam, _difference(part[..., own_rows, _last_before(left, before, scale)], theirs))
            if top:
                theirs = sr[..., _last_before(top, 0, scale), columns]
                seam = max(seam, _difference(part[..., _last_before(top, above, scale), own_columns], theirs))
    assert sr is not None
    return sr, seam


def _last_before(cut: int, start: int, scale: int) -> slice:
    """The SR pixels of the last LR pixel before a cut, in a part that begins at `start`."""
    return slice((cut - 1 - start) * scale, (cut - start) * scale)


def _difference(a: Tensor, b: Tensor) -> float:
    return 255.0 * float((a.float() - b.float()).abs().max())


def spans(size: int, tile: int, overlap: int = MOST_OVERLAP) -> Iterator[tuple[int, int, int, int]]:
    """Start and end of each tile of an axis, without and with its context."""
    for start in range(0, size, tile):
        end = min(start + tile, size)
        yield start, end, max(start - overlap, 0), min(end + overlap, size)
