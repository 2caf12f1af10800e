"""Which values does a network take? Found out by upscaling six small pieces of photographs under each hypothesis.

A checkpoint says nothing of the range of values and the order of channels that it was trained with. Under the wrong
range a network's biases have the wrong size, and its output resembles nothing; under the wrong order of channels it
is a little worse than it could be. Both are measured as PSNR against the photographs.

A hypothesis is clearly better than another where it is ahead on every piece (by chance: 1 in 64), and by more than
`NEGLIGIBLE` in the mean. The usual one (0..1, RGB) is taken where none is better; another only where it is clearly
better than all others. In between the user is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from operator import attrgetter
from statistics import fmean
from typing import TYPE_CHECKING

from srbench.base.assets import add_to_cache, read_cache
from srbench.base.errors import InputError, first_line
from srbench.metrics.conventions import VERSION
from srbench.models.values import UNIT, USUAL, Channels, Hints, Range, Values
from srbench.models.wrap import Revalued, combined

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.images.files import Image
    from srbench.models.spec import ModelSpec, Upscaler

FOUND = "model-values.json"
"""What was found out before, in the cache folder."""

BYTE: Range = (0.0, 255.0)
SIGNED: Range = (-1.0, 1.0)
RANGES = ((UNIT, UNIT), (BYTE, BYTE), (SIGNED, SIGNED), (UNIT, SIGNED))
"""What networks are trained with; the last is SRGAN's (Ledig et al., section 3.2): LR in [0, 1], tanh at the end."""

SIDE = 32
"""LR pixels: a multiple of the windows that transformers want."""

CENTRES = {
    "astronaut": (160, 384), "chelsea": (320, 160), "coffee": (288, 192),
    "ihc": (320, 224), "motorcycle": (352, 256), "rocket": (288, 288),
}  # fmt: skip
"""Row and column, in each photograph of `samples`, around which red and blue differ most: the pieces to look at."""

NEGLIGIBLE = 0.05
"""Differences of mean PSNR up to this many dB decide nothing."""

FAR_OFF = 8.0
"""dB below bicubic: further than any GAN, and nearer than any network under a wrong range."""

Scores = Mapping[Values, Sequence[float]]


def find_values(upscaler: Upscaler, hints: Hints) -> tuple[Values, str]:
    """The values that an upscaler on the CPU takes, and in one line how that is known.

    What `hints` say is not doubted. Raises `InputError` where the answer is not clear, naming the option to give.
    """
    ranges = [hints.range] if hints.range else RANGES
    orders: tuple[Channels, ...] = (hints.channels,) if hints.channels else ("rgb", "bgr")
    grid = {Values(*range, order): _scores(upscaler, Values(*range, order)) for range in ranges for order in orders}
    _refuse_nonsense(grid, upscaler.scale)
    by_range = ([Values(*range, order) for order in orders] for range in ranges)
    better = [max(alike, key=lambda values: fmean(grid[values])) for alike in by_range]
    best, how = _decide({values: grid[values] for values in better}, "--model-range", attrgetter("range"))
    told = f"range {best.range} {'given' if hints.range else how}"
    if hints.channels:
        return best, f"{told}; channels {hints.channels} given"
    alike = {replace(best, channels=order): grid[replace(best, channels=order)] for order in orders}
    best, how = _decide(alike, "--model-channels", attrgetter("channels"))
    return best, f"{told}; channels {best.channels} {how}"


def _decide(scores: Scores, option: str, name: Callable[[Values], str]) -> tuple[Values, str]:
    """The hypothesis to take, and whether it was found or is the usual one that nothing speaks against."""
    usual, *_ = scores
    best = max(scores, key=lambda values: fmean(scores[values]))
    told = ", ".join(f"{name(values)} {fmean(row):.2f} dB" for values, row in scores.items())
    if all(_clearly_better(scores[best], row) for values, row in scores.items() if values != best):
        return best, f"detected ({told})"
    if fmean(scores[best]) - fmean(scores[usual]) <= NEGLIGIBLE:
        return usual, f"assumed ({told})"
    raise InputError(
        f"what values it takes is not clear: PSNR on small photographs is {told}. "
        f"Give {option}: {' or '.join(map(name, scores))}"
    )


def _clearly_better(one: Sequence[float], other: Sequence[float]) -> bool:
    leads = [a - b for a, b in zip(one, other, strict=True)]
    return min(leads) > 0.0 and fmean(leads) > NEGLIGIBLE


def _refuse_nonsense(scores: Scores, scale: int) -> None:
    bicubic = fmean(_psnr(sr, hr) for _, hr, sr in pieces(scale))
    if max(fmean(row) for row in scores.values()) < bicubic - FAR_OFF:
        told = ", ".join(f"{values} {fmean(row):.1f}" for values, row in scores.items())
        raise InputError(
            f"it upscales nothing under any range of values tried: PSNR on small photographs is {told} dB, "
            f"bicubic's {bicubic:.1f}. If it is sound, give --model-range and --model-channels"
        )


def _scores(upscaler: Upscaler, values: Values) -> list[float]:
    """PSNR of each piece; `InputError` where the network fails on it."""
    import torch

    ranged = Revalued(upscaler, values)
    try:
        with torch.inference_mode():
            return [_psnr(ranged(lr), hr) for lr, hr, _ in pieces(upscaler.scale)]
    except Exception as error:
        reason = first_line(error)
        raise InputError(
            f"it fails on {SIDE}x{SIDE} pixels ({type(error).__name__}: {reason}), so what values it takes cannot be "
            f"told. Give --model-range and --model-channels"
        ) from error


def _psnr(sr: Tensor, hr: Tensor) -> float:
    """Over all channels, four LR pixels away from the border; at most 99 dB; 0 for what is not a number."""
    import torch

    margin = hr.shape[-1] // SIDE * 4
    error = (sr.clamp(0.0, 1.0) - hr)[..., margin:-margin, margin:-margin].square().mean()
    return float(torch.nan_to_num(-10.0 * error.clamp_min(1e-9).log10(), nan=0.0).clamp(0.0, 99.0))


@cache
def pieces(scale: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """LR, HR and LR upscaled by bicubic, of each photograph: float32 `(1, 3, h, w)` in [0, 1]."""
    from srbench.datasets.samples import files
    from srbench.images.files import read_image
    from srbench.images.resize import imresize
    from srbench.images.tensors import image_tensor

    made = []
    for id, path in files().items():
        hr = image_tensor(_around(read_image(path), CENTRES[id], SIDE * scale), "cpu").double()
        lr = imresize(hr, 1.0 / scale)
        made.append(tuple((image / 255.0).float() for image in (lr, hr, imresize(lr, scale))))
    return made  # type: ignore[return-value]


def _around(image: Image, centre: tuple[int, int], side: int) -> Image:
    """The square around a point, moved as far as it must to lie inside; a smaller image is repeated by reflection."""
    import numpy as np

    missing = [(0, max(0, side - size)) for size in image.shape[:2]]
    image = np.pad(image, [*missing, (0, 0)], mode="reflect")
    top, left = (min(max(0, at - side // 2), size - side) for at, size in zip(centre, image.shape[:2], strict=True))
    return image[top : top + side, left : left + side]


def with_values(spec: ModelSpec, hints: Hints, file: Callable[[int], str]) -> ModelSpec:
    """The spec for the values that the model takes: told by `hints`, else found out where the spec asks for it.

    Other values than the usual become part of its digest; `file` is the digest without them. Raises `InputError`
    where what the model takes is not clear.
    """
    takes, returns = hints.range or (USUAL.takes, USUAL.returns)
    values = Values(takes, returns, hints.channels or USUAL.channels)
    remark = "range and channels given" if hints.range or hints.channels else ""
    if spec.probe and not (hints.range and hints.channels):
        values, remark = _found_once(spec, hints, file(spec.scales[0]))
    if values == USUAL:
        return replace(spec, remark=remark)

    def build(scale: int, device: torch.device) -> Upscaler:
        return Revalued(spec.build(scale, device), values)

    def digest(scale: int) -> str:
        return combined([file(scale), f"values {values}"])

    return replace(spec, build=build, digest=digest, values=str(values), remark=remark)


def _found_once(spec: ModelSpec, hints: Hints, digest: str) -> tuple[Values, str]:
    """As `find_values`, remembered by the digest of the file: finding out takes 48 small images."""
    import torch

    key = f"{digest} {spec.summary} {hints.range} {hints.channels} {VERSION}"
    if (entry := read_cache(FOUND).get(key)) is not None:
        (takes, returns, channels), remark = entry
        return Values(tuple(takes), tuple(returns), channels), remark
    values, remark = find_values(spec.build(spec.scales[0], torch.device("cpu")), hints)
    add_to_cache(FOUND, {key: [[values.takes, values.returns, values.channels], remark]})
    return values, remark
