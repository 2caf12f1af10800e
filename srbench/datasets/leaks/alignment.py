"""From like patches to one picture inside another: where they agree on a pose and a place, the pixels are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from srbench.datasets.leaks.patch_hash import POSES, Patches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from srbench.datasets.leaks.patch_hash import Floats, Ints

CELL = 6
"""Pixels within which the places of agreeing patches fall."""

MIN_VOTES = 3
FEW = 40
"""A picture with fewer patches than this is small, and two that agree are enough to look closer."""

PER_IMAGE = 6
"""How many alignments of one training image are looked at, those with the most votes first."""

FAR_APART = 50
"""Pixels, the root of summed squares, by which agreeing patches lie apart before a scale is read off their places."""

SCALES = 0.85, 1.18
"""The least and the largest scale that is believed: pictures are compared at sizes a factor of 1.26 apart."""

MIN_SIDE = 24
MIN_SHARE = 0.02
"""What two pictures must share to be compared: the pixels of a square of that side, and this share of the smaller."""

MAX_CORRELATION = 0.9999
"""Above it, two pictures are equal; its transform stays finite."""

COMPOSED = np.array(
    [[next(k for k in range(8) if (POSES[k] == a.T @ b).all()) for b in POSES] for a in POSES], dtype=np.int64
)
"""`COMPOSED[i, j]` is the pose that leads from a patch kept in pose j to its like kept in pose i."""


@dataclass(frozen=True)
class Alignment:
    """Test picture `test` lies in training picture `train`: (x, y) there is `scale * POSES[pose] @ (x, y) + shift`."""

    train: int
    test: int
    pose: int
    scale: float
    shift: tuple[float, float]
    votes: int


def alignments(one: Patches, other: Patches, pairs: Iterable[tuple[Ints, Ints]]) -> list[Alignment]:
    """Where like patches of a training (`one`) and a test picture (`other`) agree; the best of each training image."""
    found = [np.concatenate(side) for side in zip(*pairs, strict=True)] or [np.zeros(0, np.int64)] * 2
    here, there = found
    pose = COMPOSED[one.pose[here], other.pose[there]]
    turned = np.einsum("nij,nj->ni", POSES[pose], other.place[there])
    shift = one.place[here] - turned
    patches = np.minimum(np.bincount(one.image)[one.image[here]], np.bincount(other.image)[other.image[there]])
    key = np.stack([one.image[here], other.image[there], pose], 1)
    groups = [group for offset in (0, CELL // 2) for group in _groups(key, (shift + offset) // CELL)]
    wanted = [group for group in groups if len(group) >= (MIN_VOTES if patches[group[0]] >= FEW else 2)]
    fitted = [_fit(key[group[0]], one.place[here[group]], turned[group]) for group in wanted]
    return _best(fitted)


def _groups(key: Ints, cell: Ints) -> Iterator[Ints]:
    """Indices of the matches that agree in everything."""
    whole = np.concatenate([key, cell], 1)
    order = np.lexsort(whole.T)
    if len(order):
        changes = np.flatnonzero((np.diff(whole[order], axis=0) != 0).any(1)) + 1
        yield from (group for group in np.split(order, changes) if len(group) > 1)


def _fit(key: Ints, here: Ints, turned: Ints) -> Alignment:
    """Scale and shift by least squares; the scale only where the patches lie far enough apart to tell."""
    middle, centre = here.mean(0), turned.mean(0)
    spread = float(((turned - centre) ** 2).sum())
    scale = float(((here - middle) * (turned - centre)).sum() / spread) if spread > FAR_APART**2 else 1.0
    scale = min(max(scale, SCALES[0]), SCALES[1])
    across, down = middle - scale * centre
    votes = len(np.unique(here, axis=0))
    return Alignment(int(key[0]), int(key[1]), int(key[2]), scale, (float(across), float(down)), votes)


def _best(found: Iterable[Alignment]) -> list[Alignment]:
    kept: dict[int, list[Alignment]] = {}
    for item in sorted(found, key=lambda item: -item.votes):
        mine = kept.setdefault(item.train, [])
        if item.votes > 1 and len(mine) < PER_IMAGE:
            mine.append(item)
    return [item for mine in kept.values() for item in mine]


def detail(luma: Floats) -> Floats:
    """What two gradings of a picture have in common: no light and shade, no noise."""
    from scipy.ndimage import gaussian_filter

    fine: Floats = gaussian_filter(luma, 0.8) - gaussian_filter(luma, 4.0)
    return fine


def likeness(train: Floats, test: Floats, alignment: Alignment) -> tuple[float, float]:
    """Correlation of the detail of two pictures where they overlap, and how many deviations that is from chance.

    The deviations are of Fisher's transform, atanh, of the correlation. Both are 0 where they share too little to tell.
    """
    from scipy.ndimage import affine_transform

    matrix = POSES[alignment.pose].T / alignment.scale
    across, down = -matrix @ np.array(alignment.shift)
    swapped = matrix[::-1, ::-1]  # arrays are indexed by (y, x)
    rows, columns = _window(train.shape, test.shape, alignment)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return 0.0, 0.0
    corner = swapped @ np.array([rows.start, columns.start]) + np.array([down, across])
    size = (rows.stop - rows.start, columns.stop - columns.start)
    if size[0] * size[1] < max(MIN_SIDE**2, MIN_SHARE * min(train.size, test.size)):
        return 0.0, 0.0
    moved = affine_transform(test, swapped, corner, output_shape=size, order=1, mode="nearest")
    value = correlation(train[rows, columns], moved)
    return value, float(np.arctanh(min(value, MAX_CORRELATION))) / chance(train[rows, columns], moved)


def _window(train: tuple[int, ...], test: tuple[int, ...], alignment: Alignment) -> tuple[slice, slice]:
    """The rows and columns of the training picture that the test picture covers."""
    corners = np.array([[x, y] for x in (0, test[1] - 1) for y in (0, test[0] - 1)])
    moved = alignment.scale * corners @ POSES[alignment.pose].T + alignment.shift
    low, high = np.ceil(moved.min(0)).astype(int), np.floor(moved.max(0)).astype(int) + 1
    return slice(max(low[1], 0), min(high[1], train[0])), slice(max(low[0], 0), min(high[0], train[1]))


def chance(one: Floats, other: Floats) -> float:
    """The deviation of the correlation of two unrelated pictures that have the spectra of these.

    With random phases its variance is sum(PQ) / (sum(P) sum(Q)) over the power spectra P and Q: small for rich
    pictures, large for stripes and grids, which correlate with any others of their period.
    """
    from scipy.fft import rfft2

    p, q = (np.abs(rfft2(picture - picture.mean())) ** 2 for picture in (one, other))
    total = float(p.sum()) * float(q.sum())
    return float(np.sqrt((p * q).sum() / (2 * total))) if total else 1.0


def correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Pearson's, of two arrays of one shape; 0 where one is flat."""
    a, b = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 1e-6 * a.size else 0.0
