"""Where to look in an image: the window in which something is largest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def largest_window(values: npt.NDArray[np.floating], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the window of this size, inside `(h, w)` values, with about the largest mean.

    A size above the image's is the image's.
    """
    from scipy.ndimage import uniform_filter

    height, width = min(height, values.shape[0]), min(width, values.shape[1])
    smooth = uniform_filter(values, (height, width), mode="constant")
    row, column = (int(place) for place in np.unravel_index(np.argmax(smooth), smooth.shape))
    top = min(max(row - height // 2, 0), values.shape[0] - height)
    left = min(max(column - width // 2, 0), values.shape[1] - width)
    return slice(top, top + height), slice(left, left + width)
