"""Perceptual hashes of whole pictures: the same photograph at any size, in any of the eight poses.

The hash is pHash's (E. Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010): the signs of
the 8 x 8 lowest frequencies of a thumbnail's cosine transform, against their median.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from srbench.datasets.leaks.alignment import correlation, detail
from srbench.datasets.leaks.patch_hash import posed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from srbench.datasets.leaks.patch_hash import Floats

THUMBNAIL = 64
MAX_BITS = 16
"""Of 63, in which the hashes of one picture may differ; unrelated pictures differ in half of them."""


def thumbnail(luma: Floats) -> Floats:
    """64 x 64, averaged, whatever the shape of the picture was."""
    from PIL import Image

    small = Image.fromarray(luma).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def phash(small: Floats) -> NDArray[np.float32]:
    """63 signs, +1 or -1, of a thumbnail; the mean has no say."""
    from scipy.fft import dctn

    low = dctn(small, norm="ortho")[:8, :8].reshape(-1)[1:]
    return np.where(low > np.median(low), 1.0, -1.0).astype(np.float32)


def whole_matches(train: Sequence[Floats], test: Sequence[Floats]) -> Iterator[tuple[int, int, int, float]]:
    """Training and test thumbnails with near hashes: their numbers, the pose, and how well their detail correlates."""
    hashes = np.stack([phash(small) for small in train])
    for pose in range(8):
        turned = [posed(small, pose) for small in test]
        apart = (63 - hashes @ np.stack([phash(small) for small in turned]).T) / 2
        for i, j in zip(*np.nonzero(apart <= MAX_BITS), strict=True):
            yield int(i), int(j), pose, correlation(detail(train[i]), detail(turned[j]))
