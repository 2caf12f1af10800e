"""MATLAB's `imresize`, exact in float64, on any device.

Each axis is a product with a banded matrix. MATLAB (`contributions` in imresize.m) gives output sample i the taps
around `u = i / scale + (1 - 1 / scale) / 2` (counted from 1), weighs them with the kernel, stretched by `1 / scale`
when shrinking (antialiasing), and normalises each row of weights to sum to one. Rows come first, then columns.
On uint8 images MATLAB rounds to uint8 after each axis; on doubles it does not round at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse
    from torch import Tensor

Border = Literal["symmetric", "replicate"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Kernel:
    """An interpolation kernel: `weight(x)` for distances x in input samples, zero outside `|x| <= width / 2`."""

    name: str
    width: float
    weight: Callable[[Floats], Floats]


def _box(x: Floats) -> Floats:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _triangle(x: Floats) -> Floats:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic(x: Floats) -> Floats:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981, equation 15 (a = -1/2)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x**2 + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, near, np.where(x <= 2.0, far, 0.0))


def _lanczos3(x: Floats) -> Floats:
    return np.where(np.abs(x) < 3.0, np.sinc(x) * np.sinc(x / 3.0), 0.0)


BOX = Kernel("box", 1.0, _box)
TRIANGLE = Kernel("triangle", 2.0, _triangle)
CUBIC = Kernel("cubic", 4.0, _cubic)
LANCZOS3 = Kernel("lanczos3", 6.0, _lanczos3)


@lru_cache(maxsize=256)
def matrix(size: int, scale: float, kernel: Kernel, border: Border) -> sparse.csr_array:
    """The banded matrix `(ceil(size * scale), size)` in float64 that resizes one axis; its rows sum to one."""
    from scipy import sparse

    stretch = min(scale, 1.0)  # below 1 when shrinking: a wider, lower kernel
    width = kernel.width / stretch
    centre = np.arange(1, math.ceil(size * scale) + 1) / scale + 0.5 * (1.0 - 1.0 / scale)
    first = np.floor(centre - width / 2.0)
    position = first[:, None] + np.arange(math.ceil(width) + 2)  # counted from 1, as in MATLAB
    weight = kernel.weight(stretch * (centre[:, None] - position))
    weight /= weight.sum(axis=1, keepdims=True)
    column = _inside(position.astype(np.int64) - 1, size, border)
    row = np.broadcast_to(np.arange(len(centre))[:, None], column.shape)
    return sparse.csr_array((weight.ravel(), (row.ravel(), column.ravel())), shape=(len(centre), size))


def _inside(index: npt.NDArray[np.int64], size: int, border: Border) -> npt.NDArray[np.int64]:
    if border == "replicate":
        return np.clip(index, 0, size - 1)
    index = index % (2 * size)  # ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
    return np.minimum(index, 2 * size - 1 - index)


def imresize(
    image: Tensor,
    scale: float,
    *,
    kernel: Kernel = CUBIC,
    border: Border = "symmetric",
    as_uint8: bool = True,
) -> Tensor:
    """Resize `(..., h, w)` by `scale` along both axes, as MATLAB's `imresize(image, scale, kernel)`.

    `image` is float64 in [0, 255]. With `as_uint8` it must hold whole numbers, and values are rounded and clamped to
    0..255 after each axis, as MATLAB does for uint8 images; without it nothing is rounded. Returns float64
    `(..., ceil(h * scale), ceil(w * scale))`.
    """
    down = matrix(image.shape[-2], scale, kernel, border)
    across = matrix(image.shape[-1], scale, kernel, border)
    image = _multiply(down, image)
    if as_uint8:
        image = round_to_uint8(image)
    image = _multiply(across, image.mT).mT
    return round_to_uint8(image) if as_uint8 else image


def _multiply(banded: sparse.csr_array, x: Tensor) -> Tensor:
    """`banded @ x` for x of shape `(..., size, m)`: sparse on a CPU, where dense would be slow, dense elsewhere.

    Both give the same pixels: on 8-bit input at scales 2, 3 and 4 no value lies so close to a rounding edge that the
    order of summation could move it (the exact ties are sums of dyadic fractions, exact in any order).
    """
    import torch

    if x.device.type != "cpu":
        return torch.as_tensor(banded.toarray(), device=x.device) @ x
    size, width = x.shape[-2:]  # by numpy from here: torch takes longer to turn a small image round than to resize it
    columns = x.numpy().reshape(-1, size, width).transpose(1, 0, 2)
    product = (banded @ columns.reshape(size, -1)).reshape(-1, *columns.shape[1:]).transpose(1, 0, 2)
    return torch.from_numpy(product).reshape(*x.shape[:-2], -1, width)


def round_to_uint8(values: Tensor) -> Tensor:
    """Round halves up, as MATLAB does for positive values, and clamp to 0..255; the dtype stays."""
    return halves_up(values).clamp_(0.0, 255.0)


def halves_up(values: Tensor) -> Tensor:
    """`floor(values + 0.5)`. On a CPU by numpy: torch's goes through a vector library that wakes its own threads even
    for a few thousand values, which costs milliseconds wherever they do not all get a processor at once."""
    values = values + 0.5
    if values.device.type != "cpu":
        return values.floor_()
    plane = values.detach().numpy()
    np.floor(plane, out=plane)
    return values


def resize_to(image: npt.NDArray[np.generic], size: tuple[int, ...], kernel: Kernel = CUBIC) -> Floats:
    """`(h, w)` or `(h, w, 3)` to `size` (height, width) in float64, nothing rounded, each axis by its own scale."""
    values = np.atleast_3d(image).astype(np.float64)
    for axis, wanted in enumerate(size[:2]):
        length = values.shape[axis]
        banded = matrix(length, wanted / length, kernel, "symmetric")[:wanted]
        flat = np.moveaxis(values, axis, 0)
        values = np.moveaxis((banded @ flat.reshape(length, -1)).reshape(-1, *flat.shape[1:]), 0, axis)
    return np.ascontiguousarray(values.reshape(values.shape[:2] + image.shape[2:]))
