"""The usual mistakes on the way from SR to a number, made on purpose, so that `explain` can name them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from srbench.images.literature import jpeg
from srbench.images.tensors import image_tensor, to_image

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.images.files import Image


@dataclass(frozen=True)
class Mistake:
    """What is done to SR, uint8 `(1, c, h, w)`, before it is scored.

    misplaced   whether SR meets the next image's HR
    peak        what PSNR takes for the peak, where that of its arrays is 1; only PSNRs are scored so
    error       in place of `spoil`, where nothing is clipped: SR minus HR as they meet, from both in 0..1
    """

    summary: str
    spoil: Callable[[Tensor], Tensor] = lambda sr: sr
    misplaced: bool = False
    peak: float = 1.0
    error: Callable[[Tensor, Tensor], Tensor] | None = None

    @property
    def psnr_alone(self) -> bool:
        """Whether its SSIM is another question."""
        return self.decibels != 0.0

    @property
    def decibels(self) -> float:
        """What is added to the PSNR of `with_mistake`: for another peak, and for an `error` that was made a quarter."""
        return 20.0 * math.log10(self.peak / (4.0 if self.error else 1.0))


def _signed(sr: Tensor) -> Tensor:
    return 2.0 * (sr.double() / 255.0) - 1.0


def _unsigned(sr: Tensor) -> Tensor:
    return (sr.double() / 255.0 + 1.0) / 2.0


def _shifted(sr: Tensor, by: tuple[int, int]) -> Tensor:
    return sr.roll(by, (-2, -1))


SHIFTS = {
    "to the right": (0, 1),
    "to the left": (0, -1),
    "down": (1, 0),
    "up": (-1, 0),
    "to the right and down": (1, 1),
    "to the right and up": (-1, 1),
    "to the left and down": (1, -1),
    "to the left and up": (-1, -1),
}
"""Rows down and columns to the right."""

MISTAKES = (
    Mistake("SR in -1..1 read as 0..1", _signed),
    Mistake("SR in -1..1 read as 0..1, with a peak of 2", _signed, peak=2.0),
    Mistake("SR in -1..1 against HR in 0..1, not clipped", error=lambda sr, hr: 2.0 * sr - 1.0 - hr),
    Mistake("SR in 0..1 against HR in -1..1, not clipped", error=lambda sr, hr: sr - (2.0 * hr - 1.0)),
    Mistake("SR in 0..1 read as -1..1", _unsigned),
    Mistake("SR in 0..1 read as -1..1, with a peak of 2", _unsigned, peak=2.0),
    Mistake("a peak of 2, as of values in -1..1, for values in 0..1", peak=2.0),
    Mistake("a peak of 1, as of values in 0..1, for values in -1..1", peak=0.5),
    Mistake("a peak of 255 for values in 0..1", peak=255.0),
    Mistake("BGR taken for RGB", lambda sr: sr.flip(1)),
    *(Mistake(f"SR one pixel {where}", partial(_shifted, by=by)) for where, by in SHIFTS.items()),
    Mistake("SR against the HR of the next image, both cut to one size", misplaced=True),
    Mistake("SR through JPEG of quality 95", lambda sr: image_tensor(jpeg(to_image(sr), 95), "cpu")),
    Mistake("SR through JPEG of quality 75", lambda sr: image_tensor(jpeg(to_image(sr), 75), "cpu")),
)


def with_next(pairs: Iterable[tuple[Tensor, Image]]) -> Iterator[tuple[Tensor, Image, Image]]:
    """SR, its HR, and the HR of the pair after it; after the last comes the first. One pair is held back."""
    pairs = iter(pairs)
    first = list(islice(pairs, 1))
    before = first
    for sr, hr in pairs:
        yield (*before[0], hr)
        before = [(sr, hr)]
    for sr, hr in before:
        yield sr, hr, first[0][1]


def with_mistake(mistake: Mistake, sr: Tensor, hr: Image, next_hr: Image) -> tuple[Tensor, Image]:
    """SR and HR as they meet where the mistake is made; an `error`, in floats, as a quarter of it beside plain grey."""
    if mistake.error:
        error = mistake.error(sr.double() / 255.0, image_tensor(hr, "cpu").double() / 255.0)
        return 128.0 / 255.0 + error / 4.0, np.full_like(hr, 128)
    spoilt = mistake.spoil(sr)
    if not mistake.misplaced:
        return spoilt, hr
    height, width = min(sr.shape[-2], next_hr.shape[0]), min(sr.shape[-1], next_hr.shape[1])
    return spoilt[..., :height, :width], next_hr[:height, :width]
