"""How LR is made from HR. The degradation is part of a score's key: its choice alone moves a PSNR by up to 1 dB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import InputError
from srbench.base.registry import unknown
from srbench.images.resize import CUBIC, Border, imresize, round_to_uint8

if TYPE_CHECKING:
    from srbench.images.files import Image

SCALES = (2, 3, 4, 8)


@dataclass(frozen=True)
class Degradation:
    """One flavour of MATLAB's bicubic `imresize`."""

    name: str
    border: Border
    round_between_axes: bool
    summary: str


DEGRADATIONS = {
    flavour.name: flavour
    for flavour in (
        Degradation("matlab", "symmetric", True, "imresize of a uint8 image in today's MATLAB"),
        Degradation("matlab-legacy", "replicate", True, "the older MATLAB that made the SelfExSR files"),
        Degradation("matlab-double", "symmetric", False, "im2double first, rounded once at the end: BasicSR's script"),
    )
}

FILES = "files"
"""The degradation of LR images that came with the data set."""


def check_degradation(name: str) -> None:
    """Raise `UsageError` for a name that is neither one of ours nor `files`."""
    if name not in DEGRADATIONS and name != FILES:
        raise unknown("degradation", name, [*DEGRADATIONS, FILES], hint="srbench list degradations")


def mod_crop(image: Image, scale: int) -> Image:
    """Cut rows at the bottom and columns at the right until both sizes are multiples of `scale`."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def degrade(hr: Image, scale: int = 4, degradation: str = "matlab") -> Image:
    """Make LR from HR: `imresize(mod_crop(hr, scale), 1 / scale, "bicubic")`.

    `hr` is uint8 `(h, w, 3)` or `(h, w)`; so is the result, of size `(h // scale, w // scale)`.
    Raises `InputError` for another dtype or shape, for an image smaller than `scale`, and for a scale below 2.
    """
    import torch

    flavour = DEGRADATIONS.get(degradation)
    if flavour is None:
        raise unknown("degradation", degradation, DEGRADATIONS, hint="srbench list degradations")
    _check(hr, scale)
    planes = np.atleast_3d(mod_crop(hr, scale)).transpose(2, 0, 1)
    lr = imresize(
        torch.from_numpy(planes.astype(np.float64)),
        1 / scale,
        kernel=CUBIC,
        border=flavour.border,
        as_uint8=flavour.round_between_axes,
    )
    pixels = round_to_uint8(lr).numpy().astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(pixels.reshape(pixels.shape[:2] + hr.shape[2:]))


def _check(hr: Image, scale: int) -> None:
    if hr.dtype != np.uint8 or hr.ndim not in (2, 3) or (hr.ndim == 3 and hr.shape[2] != 3):
        raise InputError(f"expected a uint8 image (h, w) or (h, w, 3), got {hr.dtype} {hr.shape}")
    if scale < 2 or min(hr.shape[:2]) < scale:
        raise InputError(f"cannot shrink an image of {hr.shape[1]}x{hr.shape[0]} by {scale}")
