"""Where to look in an image: the window in which something is largest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def largest_window(values: npt.NDArray[np.floating], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the window of this size, inside `(h, w)` values, with the largest sum; of several the first.

    A size above the image's is the image's.
    """
    height, width = min(height, values.shape[0]), min(width, values.shape[1])
    total = np.pad(values.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    top, left = (int(place) for place in np.unravel_index(sums.argmax(), sums.shape))
    return slice(top, top + height), slice(left, left + width)
