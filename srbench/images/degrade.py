"""How LR is made from HR. The degradation is part of a score's key: its choice alone moves a PSNR by up to 1 dB.

A name is one of `DEGRADATIONS`, `jpegQ` for a quality Q, or either with a seed, `dn@7`, where random numbers are drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import InputError, UsageError
from srbench.base.registry import unknown
from srbench.base.text import is_plain
from srbench.images.literature import blur_and_pick, jpeg, noisy
from srbench.images.luma import STUDIO
from srbench.images.resize import CUBIC, Border, imresize, round_to_uint8
from srbench.images.second_order import second_order

if TYPE_CHECKING:
    import numpy.typing as npt

    from srbench.images.files import Image

    LowResolution = Image | npt.NDArray[np.float64]
    """LR in 0..255, `(h, w, 3)` or `(h, w)`: uint8, and float64 where the degradation does not round it."""

SCALES = (2, 3, 4, 8)


@dataclass(frozen=True)
class Degradation:
    """One way from HR to LR.

    make        `(hr, scale, random)` to LR; `hr` is uint8 and cropped to a multiple of the scale
    published   a row of a paper that it gives to every digit, in words
    y_first     whether Y of HR is taken first: then HR, and so SR and LR, is that one plane
    rounded     whether LR is rounded to 8 bits
    random      whether random numbers are drawn, and so a seed may follow the name
    scales      the scales at which it is defined
    """

    name: str
    summary: str
    make: Callable[[Image, int, np.random.Generator], LowResolution]
    published: str = ""
    y_first: bool = False
    rounded: bool = True
    random: bool = False
    scales: tuple[int, ...] = ()


def bicubic(
    hr: Image,
    scale: int,
    random: np.random.Generator | None = None,
    *,
    border: Border = "symmetric",
    between_axes: bool = True,
    rounded: bool = True,
) -> LowResolution:
    """MATLAB's `imresize(hr, 1 / scale, "bicubic")`, rounded between the axes or not, and at the end or not."""
    import torch

    planes = np.atleast_3d(hr).transpose(2, 0, 1).astype(np.float64)
    lr = imresize(torch.from_numpy(planes), 1 / scale, kernel=CUBIC, border=border, as_uint8=between_axes)
    pixels = round_to_uint8(lr).numpy().astype(np.uint8) if rounded else lr.numpy()
    pixels = pixels.transpose(1, 2, 0)
    return np.ascontiguousarray(pixels.reshape(pixels.shape[:2] + hr.shape[2:]))


DEGRADATIONS = {
    flavour.name: flavour
    for flavour in (
        Degradation(
            "matlab",
            "imresize of a uint8 image in today's MATLAB",
            bicubic,
            "bicubic x2, x3, x4 33.64/.9292, 30.39/.8678, 28.42/.8101 on Set5 (SelfExSR)",
        ),
        Degradation(
            "matlab-legacy",
            "the older MATLAB that made the SelfExSR files",
            partial(bicubic, border="replicate"),
            "the SelfExSR files, bit for bit",
        ),
        Degradation(
            "matlab-double",
            "im2double first, rounded once at the end: BasicSR's script",
            partial(bicubic, between_axes=False),
        ),
        Degradation(
            "matlab-y",
            "Y first, LR not rounded: what VDSR, LapSRN and the bicubic rows of EDSR and RCAN were taken on",
            partial(bicubic, between_axes=False, rounded=False),
            "bicubic x2, x3, x4 33.66/.9299, 30.39/.8682, 28.42/.8104 on Set5 (VDSR, LapSRN, EDSR, RCAN)",
            y_first=True,
            rounded=False,
        ),
        Degradation(
            "bd",
            "7x7 Gaussian, sigma 1.6, on uint8 HR, then every third pixel from the second: SRMD, RDN, RCAN",
            lambda hr, scale, random: blur_and_pick(hr, scale),
            "bicubic x3 28.78/.8308 on Set5, 26.33/.6918 on B100 (RDN, RCAN)",
            scales=(3,),
        ),
        Degradation(
            "dn",
            "matlab, then Gaussian noise of sigma 30 on LR, rounded and clipped: RDN",
            lambda hr, scale, random: noisy(bicubic(hr, scale), 30.0, random),
            "near bicubic x3 24.01/.5369 on Set5 (RDN, whose random numbers are not known)",
            random=True,
        ),
        Degradation(
            "second-order",
            "blur, resize, noise and JPEG, twice, and ringing, drawn anew for each image: after Real-ESRGAN",
            second_order,
            random=True,
        ),
    )
}

JPEG = "jpegQ"
JPEG_SUMMARY = "matlab, then JPEG of quality Q (1 to 100) by Pillow, 4:2:0"

FILES = "files"
"""The degradation of LR images that came with the data set; `files:_x4` takes those named as HR and `_x4`."""


def is_given(degradation: str) -> bool:
    """Whether LR is what came with the data set."""
    return degradation.partition(":")[0] == FILES


def lr_suffix(degradation: str) -> str | None:
    """What LR's names have behind those of HR, where a degradation says so, as `files:_x4` does."""
    suffix = degradation.removeprefix(f"{FILES}:")
    return suffix if suffix != degradation else None


def degradation_of(name: str) -> Degradation:
    """The degradation behind a name, which is its only one.

    Raises `UsageError` for one that is unknown, has a seed and draws nothing, or is another spelling: `dn@007`, `dn@0`.
    """
    base, at, seed = name.partition("@")
    if is_given(name):
        raise UsageError(f"degradation {name!r} is the LR that came with a data set, and makes none; take matlab")
    if match := re.fullmatch(r"jpeg([1-9][0-9]?|100)", base):
        quality = int(match[1])
        found = Degradation(
            base, JPEG_SUMMARY, lambda hr, scale, random: jpeg(bicubic(hr, scale).astype(np.uint8), quality)
        )
    elif base in DEGRADATIONS:
        found = DEGRADATIONS[base]
    else:
        raise unknown("degradation", name, [*DEGRADATIONS, JPEG, FILES], hint="srbench list degradations")
    if at and not (found.random and is_plain(seed) and seed != "0"):
        random = [row.name for row in DEGRADATIONS.values() if row.random]
        what = f"1, 2, … for {' and '.join(random)} alone, and seed 0 is {random[0]} itself"
        raise UsageError(f"degradation {name!r}: a seed, as in {random[0]}@7, is {what}")
    return found


def check_degradation(name: str, scale: int) -> None:
    """Raise `UsageError` for a name that is neither one of ours nor `files`, or is not defined at the scale."""
    if "|" in name:
        raise UsageError(f"degradation {name!r}: a bar would part the signature that it stands in")
    scales = () if is_given(name) else degradation_of(name).scales
    if scales and scale not in scales:
        raise UsageError(f"degradation {name!r} is defined at x{', x'.join(map(str, scales))} alone, not at x{scale}")


def repeatable(scale: int, *, rounded: bool = False) -> list[str]:
    """The names of those that draw no random numbers, of all at a scale, or of those that make 8-bit LR."""
    rows = (row for row in DEGRADATIONS.values() if not row.random and (row.rounded or not rounded))
    return [row.name for row in rows if not row.scales or scale in row.scales]


def mod_crop(image: Image, scale: int) -> Image:
    """Cut rows at the bottom and columns at the right until both sizes are multiples of `scale`."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def degrade(hr: Image, scale: int = 4, degradation: str = "matlab") -> Image:
    """Make LR from HR as 8 bits hold it: by default `imresize(mod_crop(hr, scale), 1 / scale, "bicubic")`.

    `hr` is uint8 `(h, w, 3)` or `(h, w)`; so is the result, of size `(h // scale, w // scale)`.
    Raises `InputError` for another dtype or shape, for an image smaller than `scale`, and for a scale below 2, and
    `UsageError` for a degradation that is unknown, not defined at the scale, or does not round LR.
    """
    if not degradation_of(degradation).rounded:
        raise UsageError(f"degradation {degradation!r} does not round LR, so no 8-bit image holds it: use it in a run")
    return low_resolution(hr, scale, degradation).astype(np.uint8)


def low_resolution(hr: Image, scale: int, degradation: str) -> LowResolution:
    """As `degrade`, and for a degradation that does not round LR, float64 in 0..255."""
    flavour = degradation_of(degradation)
    check_degradation(degradation, scale)
    _check(hr, scale)
    reference = high_resolution(mod_crop(hr, scale), degradation)
    return flavour.make(reference, scale, _generator(reference, degradation) if flavour.random else UNUSED)


def high_resolution(hr: Image, degradation: str) -> Image:
    """What SR is to be like: HR, or its Y `(h, w)`, rounded, where the degradation takes Y first."""
    if is_given(degradation) or not degradation_of(degradation).y_first or hr.ndim == 2:
        return hr
    y = STUDIO.of(*(hr[..., channel].astype(np.float64) for channel in range(3)))
    return np.floor(y + 0.5).astype(np.uint8)


UNUSED = np.random.default_rng(0)
"""For degradations that draw nothing: to seed one for an image takes longer than to shrink a small one."""


def _generator(hr: Image, degradation: str) -> np.random.Generator:
    """The random numbers of an image: by its pixels and the seed, so that its place in a data set does not matter."""
    import zlib

    seed = degradation.partition("@")[2]
    return np.random.default_rng([int(seed or 0), zlib.crc32(np.ascontiguousarray(hr).data)])


def _check(hr: Image, scale: int) -> None:
    if hr.dtype != np.uint8 or hr.ndim not in (2, 3) or (hr.ndim == 3 and hr.shape[2] != 3):
        raise InputError(f"expected a uint8 image (h, w) or (h, w, 3), got {hr.dtype} {hr.shape}")
    if scale < 2 or min(hr.shape[:2]) < scale:
        raise InputError(f"cannot shrink an image of {hr.shape[1]}x{hr.shape[0]} by {scale}")
