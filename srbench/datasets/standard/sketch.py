"""How far a copy is from an image that we do not have: PSNR from a 128-byte sketch.

The count sketch (Charikar, Chen and Farach-Colton, ICALP 2002; as a norm estimator: Thorup and Zhang, SODA 2004) adds
every value, with a sign, to one of 64 buckets; sign and bucket are a hash of the value's place. The sketch of a
difference is the difference of the sketches, and its squared norm is, on average, the squared norm of the difference.
Its relative spread is sqrt(2 / 64), 0.8 dB. The terms of most sets forbid to ship pixels; a sketch shows none.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING

import numpy as np

from srbench.images.degrade import mod_crop
from srbench.images.files import to_rgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from srbench.images.files import Image

BUCKETS = 64
REGION = 12
"""The sketch covers what the crop to multiples of 12 keeps, so that every copy in circulation contains it."""


def sketch(image: Image) -> str:
    """64 sums modulo 2^16, base64; of the image cropped to multiples of 12, grey as RGB."""
    sums = _sums(to_rgb(mod_crop(image, REGION)))
    return base64.b64encode((sums & 0xFFFF).astype("<u2").tobytes()).decode()


def psnr_from(one: str, other: str, width: int, height: int) -> float:
    """The PSNR in dB, about, of two RGB images of one size, by their sketches; infinite where the sketches agree.

    Images that have little in common wrap around and look more alike than they are: below 15 dB the value is a bound.
    """
    values = (np.frombuffer(base64.b64decode(text), "<i2").astype(np.int64) for text in (one, other))
    difference = (np.subtract(*values) + 0x8000) % 0x10000 - 0x8000
    squares = float((difference**2).sum())
    count = (width - width % REGION) * (height - height % REGION) * 3
    return 10 * math.log10(255**2 * count / squares) if squares else math.inf


def _sums(rgb: Image) -> NDArray[np.int64]:
    height, width = rgb.shape[:2]
    rows, columns, channels = np.ogrid[:height, :width, :3]
    hashed = _mixed((rows << 16 | columns << 2 | channels).astype(np.uint32)).reshape(-1)
    signed = np.where(hashed & 1, 1.0, -1.0) * rgb.reshape(-1)
    return np.bincount(hashed >> 26, signed, BUCKETS).astype(np.int64)


def _mixed(x: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """A 32-bit mixer, written out (M. Wellons, "lowbias32") because a library's random stream may change."""
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    return x ^ x >> np.uint32(16)
