"""Conventions: everything between two images and a number that papers do differently.

This is the one place that rounds, clamps, crops, treats grey and converts to Y, so no two metrics can disagree.
`views` turns a pair of images into the pair of float64 arrays that a metric compares.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from srbench.base.errors import InputError, UsageError
from srbench.base.registry import refuse_unknown
from srbench.images.luma import EDSR_PYTORCH, FULL, STUDIO, Luma
from srbench.images.resize import round_to_uint8
from srbench.metrics.numba_switch import kernels, over_threads

if TYPE_CHECKING:
    from torch import Tensor


VERSION = "0.1"
"""The part of the version that a score depends on: it moves when a release changes any number."""

Channel = Literal["y", "rgb"]

LUMAS = {"studio": STUDIO, "full": FULL, "edsr-pytorch": EDSR_PYTORCH}


@dataclass(frozen=True)
class Convention:
    """How a pair of images becomes the pair of arrays that a metric compares.

    crop        border pixels cut on each side: the scale times `crop_scales`, plus `crop_more`
    luma        `studio`: Y in 16..235 as MATLAB's rgb2ycbcr; `full`: 0..255 as JPEG; `edsr-pytorch`: its own weights
    round_sr    whether SR is rounded to 8 bits first, as an image file would hold it
    round_y     whether Y is rounded to whole numbers, as MATLAB does for uint8 images
    grey        what a grey HR means: `luma`, its values are Y; `rgb`, they are R = G = B and go through the formula
    window      SSIM's window: `gaussian` 11 taps, sigma 1.5, population covariance (Wang et al. 2004); `uniform` 7x7,
                sample covariance (scikit-image's defaults)
    channels    the channels on which it is defined
    published   a row of a paper or repository that it gives to every digit, in words
    """

    name: str
    summary: str
    crop_scales: int = 1
    crop_more: int = 0
    luma: Literal["studio", "full", "edsr-pytorch"] = "studio"
    round_sr: bool = True
    round_y: bool = True
    grey: Literal["luma", "rgb"] = "luma"
    window: Literal["gaussian", "uniform"] = "gaussian"
    channels: tuple[Channel, ...] = ("y", "rgb")
    published: str = ""

    def views(self, sr: Tensor, hr: Tensor, *, scale: int, channel: Channel) -> tuple[Tensor, Tensor]:
        """The two arrays to compare, float64 `(n, c, h, w)` in [0, 255]; c is 1 for `y` and 3 for `rgb`.

        `sr` is float in [0, 1] (clamped and, where the convention says so, rounded here) or uint8, `hr` is uint8; both
        `(n, 1 or 3, h, w)`, of one size. Raises `InputError` where sizes differ, nothing is left after the crop, or SR
        is already rounded and should not be; `UsageError` for a channel that this convention does not define.
        """
        if channel not in self.channels:
            raise UsageError(f"convention {self.name!r} is not defined on channel {channel!r}, only on {self.channels}")
        if sr.shape[-2:] != hr.shape[-2:]:
            raise InputError(f"SR is {_size(sr)} but HR is {_size(hr)}; they must be of one size")
        border = self.crop_scales * scale + self.crop_more
        if min(hr.shape[-2:]) <= 2 * border:
            raise InputError(f"nothing is left of an image of {_size(hr)} after cropping {border} pixels on each side")
        sr = quantise(sr) if self.round_sr else self._unrounded(sr)
        if channel == "rgb":
            return _inside(sr, border).expand(-1, 3, -1, -1), _inside(hr, border).expand(-1, 3, -1, -1)
        if hr.shape[1] == 1 and self.grey == "luma":
            return _grey(sr, border), _inside(hr, border)
        return self._luma(sr, border), self._luma(hr, border)

    def _luma(self, rgb: Tensor, border: int) -> Tensor:
        return _weighted(rgb, border, LUMAS[self.luma], self.round_y)

    def _unrounded(self, sr: Tensor) -> Tensor:
        import torch

        if sr.dtype == torch.uint8:
            raise InputError(f"convention {self.name!r} scores SR before it is rounded, and this one is: run the model")
        return (sr.double() * 255.0).clamp(0.0, 255.0)


def quantise(sr: Tensor) -> Tensor:
    """SR as an image file would hold it: uint8, clamped, halves rounded up. uint8 passes through."""
    import torch

    if sr.dtype == torch.uint8:
        return sr
    if sr.dtype == torch.float32 and (fast := kernels(sr.device)):
        return torch.from_numpy(fast.to_bytes(sr.detach().contiguous().numpy()))
    return round_to_uint8(sr.double() * 255.0).to(torch.uint8)


def _inside(pixels: Tensor, border: int) -> Tensor:
    """float64, without the border."""
    return pixels[..., border : pixels.shape[-2] - border, border : pixels.shape[-1] - border].double()


def _grey(sr: Tensor, border: int) -> Tensor:
    """What a colour SR of a grey HR is compared by: full-swing luma, rounded as SR is; it keeps R = G = B as it is."""
    import torch

    return _inside(sr, border) if sr.shape[1] == 1 else _weighted(sr, border, FULL, sr.dtype == torch.uint8)


def _weighted(rgb: Tensor, border: int, luma: Luma, whole: bool) -> Tensor:
    """Y `(n, 1, h, w)` float64 without the border, of `(n, 1 or 3, h, w)`; both paths give the same bits."""
    import torch

    rgb = rgb.expand(-1, 3, -1, -1)
    if rgb.dtype == torch.uint8 and (fast := kernels(rgb.device)):
        # By numpy, which asks for large pages: faults on fresh memory would cost as much as the conversion.
        planes = np.empty((len(rgb), *(side - 2 * border for side in rgb.shape[-2:])))
        pixels = rgb.permute(0, 2, 3, 1)
        kernel, rgb = (fast.luma_of_pixels, pixels) if pixels.is_contiguous() else (fast.luma_of_planes, rgb)
        for given, made in zip(rgb.contiguous().numpy(), planes, strict=True):
            loop = partial(kernel, given, made, border, tuple(luma), whole)
            over_threads(loop, len(made), made.size // LIGHT)
        return torch.from_numpy(planes)[:, None]
    y = luma.of(*(_inside(rgb[:, index : index + 1], border) for index in range(3)))
    return round_to_uint8(y) if whole else y


def _size(image: Tensor) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"


LIGHT = 8
"""How many pixels are turned into Y while one gets its SSIM: few are done sooner than a second thread wakes."""


CONVENTIONS = {
    convention.name: convention
    for convention in (
        Convention(
            "matlab",
            "Y rounded to uint8, `scale` pixels cropped: SelfExSR, VDSR, EDSR, KAIR and most tables since",
            published="bicubic x4 on Set5 28.42/.8101 (SelfExSR); with LR by matlab-y 28.42/.8104 (VDSR, LapSRN, RCAN)",
        ),
        Convention("basicsr", "as matlab, Y not rounded: BasicSR, Real-ESRGAN, SwinIR (+0.01 dB)", round_y=False),
        Convention(
            "edsr-pytorch",
            "Y by EDSR-PyTorch's own weights, not rounded, grey read as RGB: EDSR-PyTorch and the code made from it",
            luma="edsr-pytorch",
            round_y=False,
            grey="rgb",
        ),
        Convention(
            "unrounded",
            "as basicsr, and SR not rounded either: PSNR inside a training loop",
            round_sr=False,
            round_y=False,
        ),
        Convention("rgb", "RGB, `scale` pixels cropped", channels=("rgb",)),
        Convention("nocrop", "as matlab, no border cropped", crop_scales=0),
        Convention("edsr-div2k", "RGB, `scale` + 6 pixels cropped: EDSR on DIV2K", crop_more=6, channels=("rgb",)),
        Convention("skimage-default", "as matlab, SSIM with scikit-image's default 7x7 window", window="uniform"),
        Convention("grey-as-rgb", "as matlab, grey images read as RGB (+0.09 dB on Set14)", grey="rgb"),
        Convention("full-swing", "as matlab, Y in 0..255 as JPEG and PIL have it (-1.3 dB)", luma="full"),
    )
}


def parted(metric: str) -> tuple[str, str]:
    """`psnr_y` and `basicsr` of `psnr_y@basicsr`; a path may have an `@` of its own, a convention no `/` or `:`."""
    found = re.fullmatch(r"(.+?)(?:@([^@/:]*))?", metric, re.DOTALL)
    return (found[1], found[2] or "") if found else (metric, "")


def convention(name: str) -> Convention:
    """The convention of that name; raises `UsageError` with the nearest names for an unknown one."""
    refuse_unknown("convention", [name], CONVENTIONS, hint="srbench list conventions")
    return CONVENTIONS[name]
