"""Y of R, G and B: which weights, and the one formula that every path shares, so that all give the same bits."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

Plane = TypeVar("Plane", bound=Any)


class Luma(NamedTuple):
    """`(red R + green G + blue B) / divisor + offset`, for R, G, B in [0, 255]."""

    red: float
    green: float
    blue: float
    divisor: float
    offset: float

    def of(self, red: Plane, green: Plane, blue: Plane) -> Plane:
        """Y of three planes: float64 arrays or tensors of one shape."""
        total = red * self.red + green * self.green + blue * self.blue  # the order is part of the result
        y: Plane = total / self.divisor + self.offset
        return y


STUDIO = Luma(65.481, 128.553, 24.966, 255.0, 16.0)
"""ITU-R BT.601 in 16..235, as MATLAB's rgb2ycbcr."""

FULL = Luma(299.0, 587.0, 114.0, 1000.0, 0.0)
"""The same in 0..255, as JPEG and PIL. In whole numbers, so that a Y of exactly one half is one, and rounds up."""

EDSR_PYTORCH = Luma(65.738, 129.057, 25.064, 256.0, 16.0)
"""What EDSR-PyTorch's `calc_psnr` weighs by, and the many repositories that began as a copy of it."""
