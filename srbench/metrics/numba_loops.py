"""Loops for a CPU, compiled by numba: what the metrics do per pixel, in float64, without whole-image temporaries.

Imported by `srbench.metrics.numba_switch` alone, and only where numba is installed. Each kernel has a twin in torch
that is its reference in the tests: the conversions give the same bits, PSNR and SSIM agree to rounding (1e-12).
Compiled code is kept in `$NUMBA_CACHE_DIR`, or else in the cache folder. Results do not depend on threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from srbench.base.assets import cache_folder

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Formula = tuple[float, float, float, float, float]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _kept(**options: Any) -> Decorator:
    """numba's decorator, with a cache that is not beside this file.

    What lies there outlives an uninstalled package, and Python takes the folder that is left for `srbench` itself. No
    thread holds the interpreter's lock. Division follows IEEE: Python's check for zero bars vectorisation.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        settings: Any = numba.config
        given = settings.CACHE_DIR
        settings.CACHE_DIR = given or str(cache_folder().absolute() / "compiled")
        try:
            loop: Callable[..., Any] = numba.njit(cache=True, nogil=True, error_model="numpy", **options)(function)
        finally:
            settings.CACHE_DIR = given
        return loop

    return decorate


compiled = _kept()
fused = _kept(fastmath={"contract"})
"""Products may be fused into sums: where no exact bits are promised."""
summed = _kept(fastmath={"contract", "reassoc"})
"""And sums be taken in any order, which is that of the compiled code, and always the same."""

TAPS = 11
MARGIN = TAPS - 1
_gaussian = [math.exp(-(distance**2) / (2.0 * 1.5**2)) for distance in range(-5, 1)]
W0, W1, W2, W3, W4, W5 = (weight / (2.0 * sum(_gaussian) - 1.0) for weight in _gaussian)
C1 = (0.01 * 255.0) ** 2
C2 = (0.03 * 255.0) ** 2

TILE_ROWS = 32
STRIDE = 256
"""A tile of 42 x 256 values is 84 KiB: the five buffers of `ssim_sums` stay in a second-level cache."""


@compiled
def to_bytes(values: npt.NDArray[np.float32]) -> Bytes:
    """Floats in [0, 1] as an 8-bit file holds them: times 255 in float64, halves rounded up, clamped. Any shape."""
    out = np.empty(values.shape, np.uint8)
    given, made = values.ravel(), out.ravel()
    for j in range(len(given)):
        level = np.floor(np.float64(given[j]) * 255.0 + 0.5)
        made[j] = np.uint8(np.int32(min(max(level, 0.0), 255.0)))
    return out


@compiled
def _y(red: int, green: int, blue: int, luma: Formula) -> float:
    return (red * luma[0] + green * luma[1] + blue * luma[2]) / luma[3] + luma[4]


@compiled
def luma_of_planes(rgb: Bytes, out: Floats, border: int, luma: Formula, whole: bool, start: int, end: int) -> None:
    """Rows `start` to `end` of Y `(h, w)`, of `(3, h + 2 border, w + 2 border)`: in the torch path's order."""
    width = out.shape[1]
    inside = slice(border, border + width)
    for i in range(start, end):
        row, rows = out[i], rgb[:, i + border]
        red, green, blue = rows[0][inside], rows[1][inside], rows[2][inside]
        for j in range(width):
            row[j] = _y(red[j], green[j], blue[j], luma)
        if whole:
            _round_halves_up(row)


@compiled
def luma_of_pixels(rgb: Bytes, out: Floats, border: int, luma: Formula, whole: bool, start: int, end: int) -> None:
    """As `luma_of_planes`, of `(h + 2 border, w + 2 border, 3)`, as image files are read. Turning them into planes
    would cost five times as much as this, and strides that the compiler does not know twice or more."""
    for i in range(start, end):
        row, given = out[i], rgb[i + border].ravel()[3 * border :]
        for j in range(len(row)):
            row[j] = _y(given[3 * j], given[3 * j + 1], given[3 * j + 2], luma)
        if whole:
            _round_halves_up(row)


@compiled
def _round_halves_up(row: Floats) -> None:
    for j in range(len(row)):
        row[j] = min(max(np.floor(row[j] + 0.5), 0.0), 255.0)


@summed
def squared_error(x: Floats, y: Floats) -> float:
    """The sum of squared differences of two planes; exact, in any order, where both hold whole numbers."""
    a, b = x.ravel(), y.ravel()
    total = 0.0
    for j in range(len(a)):
        total += (a[j] - b[j]) ** 2
    return total


def _correlation(shift: int) -> Callable[[Floats, Floats], None]:
    """The Gaussian along an axis whose neighbours lie `shift` values apart, a constant: only so is it vectorised."""

    @fused
    def correlate(a: Floats, out: Floats) -> None:
        for j in range(len(a) - MARGIN * shift):
            out[j] = (
                W5 * a[j + 5 * shift]
                + W4 * (a[j + 4 * shift] + a[j + 6 * shift])
                + W3 * (a[j + 3 * shift] + a[j + 7 * shift])
                + W2 * (a[j + 2 * shift] + a[j + 8 * shift])
                + W1 * (a[j + shift] + a[j + 9 * shift])
                + W0 * (a[j] + a[j + 10 * shift])
            )

    return correlate


_across, _down = _correlation(1), _correlation(STRIDE)


@fused
def _load(x: Floats, y: Floats, top: int, left: int, rows: int, columns: int, planes: Floats) -> None:
    """The four planes that the formula needs filtered: x, y, x² + y², xy; x and y centred by 128, to cancel less."""
    for i in range(rows):
        one, other = x[top + i, left : left + columns], y[top + i, left : left + columns]
        start = i * STRIDE
        first, second = planes[0, start : start + columns], planes[1, start : start + columns]
        squares, products = planes[2, start : start + columns], planes[3, start : start + columns]
        for j in range(columns):
            a, b = one[j] - 128.0, other[j] - 128.0
            first[j], second[j], squares[j], products[j] = a, b, a * a + b * b, a * b


@fused
def _add_row(first: Floats, second: Floats, squares: Floats, products: Floats, sums: Floats) -> None:
    """Add a row of equation 13 of Wang et al. 2004 to the sums of its columns. Means are shifted back by 128."""
    for j in range(len(sums)):
        mean_x, mean_y = first[j], second[j]
        variances = squares[j] - (mean_x * mean_x + mean_y * mean_y)
        covariance = products[j] - mean_x * mean_y
        mean_x, mean_y = mean_x + 128.0, mean_y + 128.0
        above = (2.0 * mean_x * mean_y + C1) * (2.0 * covariance + C2)
        sums[j] += above / ((mean_x * mean_x + mean_y * mean_y + C1) * (variances + C2))


@fused
def _add_tile(planes: Floats, rows: int, width: int, sums: Floats) -> None:
    sums[:] = 0.0
    for start in range(0, rows * STRIDE, STRIDE):
        end = start + width
        _add_row(planes[0, start:end], planes[1, start:end], planes[2, start:end], planes[3, start:end], sums[:width])


def tile_rows(height: int) -> int:
    """How many rows of tiles `ssim_sums` makes of an image."""
    return -(-(height - MARGIN) // TILE_ROWS)


@compiled
def ssim_sums(x: Floats, y: Floats, sums: Floats, start: int, end: int) -> None:
    """Sums of SSIM over the positions where the 11x11 Gaussian fits, one for each row of tiles from `start` to `end`.

    `x` and `y` are planes in [0, 255]; together the sums are of `(h - 10) * (w - 10)` values. A tile is filtered in
    flat buffers of a fixed row length, so that both axes are one-dimensional filters; what a filter reads across the
    end of a row lands in the last ten columns, which are not used.
    """
    planes, between = np.zeros((4, (TILE_ROWS + MARGIN) * STRIDE)), np.zeros((TILE_ROWS + MARGIN) * STRIDE)
    of_columns = np.zeros(STRIDE - MARGIN)
    for tile_row in range(start, end):
        top = tile_row * TILE_ROWS
        rows = min(TILE_ROWS + MARGIN, x.shape[0] - top)
        sums[tile_row] = 0.0
        for left in range(0, x.shape[1] - MARGIN, STRIDE - MARGIN):
            columns = min(STRIDE, x.shape[1] - left)
            _load(x, y, top, left, rows, columns, planes)
            for index in range(4):  # not "for plane in planes": numba would lose sight of their being contiguous
                _across(planes[index], between)
                _down(between, planes[index])
            _add_tile(planes, rows - MARGIN, columns - MARGIN, of_columns)
            sums[tile_row] += of_columns.sum()
