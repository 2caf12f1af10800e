"""The usual mistakes on the way from SR to a number, made on purpose, so that `explain` can name them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from srbench.images.literature import jpeg
from srbench.images.tensors import image_tensor, to_image

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.images.files import Image


@dataclass(frozen=True)
class Mistake:
    """What is done to SR, uint8 `(1, c, h, w)`, before it is scored; `misplaced`: it meets the next image's HR."""

    summary: str
    spoil: Callable[[Tensor], Tensor]
    misplaced: bool = False


MISTAKES = (
    Mistake("SR in -1..1 read as 0..1", lambda sr: 2.0 * (sr.double() / 255.0) - 1.0),
    Mistake("SR in 0..1 read as -1..1", lambda sr: (sr.double() / 255.0 + 1.0) / 2.0),
    Mistake("BGR taken for RGB", lambda sr: sr.flip(1)),
    Mistake("SR one pixel to the right", lambda sr: sr.roll(1, -1)),
    Mistake("SR one pixel to the left", lambda sr: sr.roll(-1, -1)),
    Mistake("SR one pixel down", lambda sr: sr.roll(1, -2)),
    Mistake("SR one pixel up", lambda sr: sr.roll(-1, -2)),
    Mistake("SR one pixel to the right and down", lambda sr: sr.roll((1, 1), (-2, -1))),
    Mistake("SR one pixel to the left and up", lambda sr: sr.roll((-1, -1), (-2, -1))),
    Mistake("SR against the HR of the next image, both cut to one size", lambda sr: sr, misplaced=True),
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
    """SR and HR as they meet where the mistake is made."""
    spoilt = mistake.spoil(sr)
    if not mistake.misplaced:
        return spoilt, hr
    height, width = min(sr.shape[-2], next_hr.shape[0]), min(sr.shape[-1], next_hr.shape[1])
    return spoilt[..., :height, :width], next_hr[:height, :width]
