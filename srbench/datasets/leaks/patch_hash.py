"""Perceptual hashes of patches around corners: what a crop keeps, however it was turned, regraded or compressed.

A patch of 16 x 16 pixels, as 8 x 8 means without their mean and contrast, is turned and flipped until its first moments
lie in one octant; thus all eight poses of a picture give the same descriptor. Corners look much alike, so descriptors
are whitened before they are compared, which leaves what tells them apart; and only those with near moments are.

Corners are those of Harris and Stephens (Alvey Vision Conference 1988) in Noble's measure, det / trace.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int64]

HALF = 8
CELLS = 8
SPACING = 3
"""A corner is the strongest within this many pixels."""

MIN_CORNER = 1.0
MIN_CONTRAST = 2.0
"""Grey levels: below this deviation a patch is sky."""

COMPONENTS = 24
"""How many of the 64 directions in which descriptors vary are kept; the others are mostly noise."""

MIN_LIKENESS = 0.92
"""Cosine of two whitened descriptors that are called a match: 9 in 10 true ones, 1 in 60,000 others."""

MOMENT_REACH = 0.2
"""By how much the first moments of matching descriptors may differ; they are at most about 2.3."""

AMBIGUOUS = 0.1
"""How near to the border of its octant a moment may be before a patch is kept in both poses."""

_SIGNS = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
POSES = np.array([[[a, 0], [0, b]] for a, b in _SIGNS] + [[[0, a], [b, 0]] for a, b in _SIGNS])
"""The flips and quarter turns as matrices on (x, y)."""


@dataclass(frozen=True)
class Patches:
    """Descriptors `(n, 64)` of unit norm, their moments `(n,)`, the images and places (x, y) and poses they are of."""

    descriptors: Floats
    moment: Floats
    image: Ints
    place: Ints
    pose: Ints

    def __len__(self) -> int:
        return len(self.image)

    def _arrays(self) -> tuple[NDArray[np.generic], ...]:
        return self.descriptors, self.moment, self.image, self.place, self.pose

    @staticmethod
    def joined(parts: list[Patches]) -> Patches:
        """All of them, sorted by moment."""
        arrays = [np.concatenate(arrays) for arrays in zip(*(part._arrays() for part in parts), strict=True)]
        order = np.argsort(arrays[1], kind="stable")
        return Patches(*(array[order] for array in arrays))


def patches_of(luma: Floats, image: int, *, both: bool = False) -> Patches:
    """The patches of one picture, float `(h, w)` in 0..255; `both` also keeps the second pose of ambiguous ones."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(luma, 1.0)
    place = corners(smooth)
    windows = np.lib.stride_tricks.sliding_window_view(smooth, (2 * HALF, 2 * HALF)) if len(place) else smooth
    values = windows[place[:, 1] - HALF, place[:, 0] - HALF] if len(place) else np.zeros((0, 16, 16), np.float32)
    cells = values.reshape(-1, CELLS, 2, CELLS, 2).mean((2, 4))
    cells -= cells.mean((1, 2), keepdims=True)
    norm = np.sqrt((cells**2).sum((1, 2)))
    keep = norm >= MIN_CONTRAST * CELLS
    return _canonical(cells[keep] / norm[keep, None, None], place[keep], image, both)


def corners(smooth: Floats) -> Ints:
    """Places (x, y) of the corners of a smoothed picture that leave room for a patch."""
    from scipy.ndimage import gaussian_filter, maximum_filter, sobel

    if min(smooth.shape) <= 2 * HALF:
        return np.zeros((0, 2), np.int64)
    across, down = sobel(smooth, 1) / 8, sobel(smooth, 0) / 8
    xx, yy, xy = (gaussian_filter(product, 2.0) for product in (across * across, down * down, across * down))
    strength = (xx * yy - xy * xy) / (xx + yy + 1e-3)
    inside = strength[HALF : 1 - HALF, HALF : 1 - HALF]
    strongest = maximum_filter(strength, 2 * SPACING + 1)[HALF : 1 - HALF, HALF : 1 - HALF]
    y, x = np.nonzero((inside == strongest) & (inside > MIN_CORNER))
    return np.stack([x, y], 1) + HALF


def _canonical(cells: Floats, place: Ints, image: int, both: bool) -> Patches:
    """Each patch in the pose that brings its moments to mx >= my >= 0; `both`: near a border in the next one too."""
    axis = (np.arange(CELLS, dtype=np.float32) - (CELLS - 1) / 2) / CELLS
    moments = np.stack([(cells * axis).sum((1, 2)), (cells * axis[:, None]).sum((1, 2))], 1)
    moved = np.einsum("pij,nj->npi", POSES, moments)
    slack = np.minimum(moved[..., 1], moved[..., 0] - moved[..., 1])
    if both:
        which, pose = np.nonzero(slack >= -AMBIGUOUS)
    else:
        which, pose = np.arange(len(cells)), slack.argmax(1)
    descriptors = np.stack([posed(cells[n], int(p)) for n, p in zip(which, pose, strict=True)]) if len(which) else cells
    return Patches(
        descriptors.reshape(-1, CELLS**2).astype(np.float32),
        moved[which, pose, 0].astype(np.float32),
        np.full(len(which), image),
        place[which],
        pose.astype(np.int64),
    )


def posed(picture: Floats, pose: int) -> Floats:
    """A picture `(h, w)` turned so that what was at (x, y) from its centre is at `POSES[pose] @ (x, y)`."""
    matrix = POSES[pose]
    if matrix[0, 0] == 0:
        picture = picture.T
        signs = matrix[0, 1], matrix[1, 0]
    else:
        signs = matrix[0, 0], matrix[1, 1]
    return picture[:: signs[1], :: signs[0]]


def whitened(one: Patches, other: Patches) -> tuple[Floats, Floats]:
    """Both sets of descriptors along the directions in which they vary, each scaled to the same spread; unit norm."""
    both = np.concatenate([one.descriptors, other.descriptors])
    middle = both.mean(0)
    spread, directions = np.linalg.eigh(np.cov(both - middle, rowvar=False))
    kept = slice(-1, -COMPONENTS - 1, -1)
    matrix = (directions[:, kept] / np.sqrt(spread[kept] + 1e-4)).astype(np.float32)
    moved = [(patches.descriptors - middle) @ matrix for patches in (one, other)]
    first, second = (values / np.linalg.norm(values, axis=1, keepdims=True) for values in moved)
    return first, second


def matches(one: Patches, other: Patches, chunk: int = 512) -> Iterator[tuple[Ints, Ints]]:
    """Indices of like patches, both sets sorted by moment; a chunk of `one` at a time."""
    if not len(one) or not len(other):
        return
    mine, theirs = whitened(one, other)
    for start in range(0, len(one), chunk):
        part = one.moment[start : start + chunk]
        low, high = np.searchsorted(other.moment, (part[0] - MOMENT_REACH, part[-1] + MOMENT_REACH))
        near = np.flatnonzero(mine[start : start + chunk] @ theirs[low:high].T > MIN_LIKENESS)
        yield near // max(high - low, 1) + start, near % max(high - low, 1) + low
