"""Scores of an image pair: the convention makes the views, the metrics compare them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from srbench.base.arithmetic import exact_arithmetic
from srbench.base.errors import InputError, SrbenchError, UnavailableError, UsageError, first_line
from srbench.images.degrade import degradation_of, degrade, is_given, mod_crop
from srbench.images.tensors import image_tensor, to_image
from srbench.metrics import BoundMetric, resolve
from srbench.metrics.conventions import quantise

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch
    from torch import Tensor

    from srbench.images.files import Image
    from srbench.metrics.metric import ScoreFunction


class ScoreError(InputError):
    """Some metrics failed on a pair, which the message names; `scores` are those of the others."""

    def __init__(self, message: str, scores: dict[str, float]) -> None:
        super().__init__(message)
        self.scores = scores


class Scorer:
    """Some metrics, loaded on a device. `unavailable` says of each that could not be loaded why, and what helps.

    Raises `UsageError` for unknown metrics or conventions.
    """

    def __init__(self, names: Iterable[str], device: torch.device | str = "cpu", degradation: str = "matlab") -> None:
        """`degradation` is how LR was made of HR, which metrics of LR ask for."""
        import torch

        self.degradation = degradation

        self.device = torch.device(device)
        self.metrics: dict[str, BoundMetric] = {}
        self.unavailable: dict[str, str] = {}
        self._functions: dict[str, ScoreFunction] = {}
        for bound in [resolve(name) for name in dict.fromkeys(names)]:
            try:
                if bound.metric.of_lr:
                    _refuse_unrepeatable(degradation)
                self._functions[bound.name] = bound.metric.load(bound.convention, self.device)
                self.metrics[bound.name] = bound
            except UnavailableError as error:
                self.unavailable[bound.name] = str(error)

    @property
    def conventions(self) -> dict[str, str]:
        """What each loaded metric is taken under, by the metric's name: the convention, and the metric's variant.

        `nocrop`, or `nocrop+weights@1f0c2a`: scores of two variants are no more comparable than of two conventions.
        """
        taken = {name: (bound.convention.name, bound.metric.variant()) for name, bound in self.metrics.items()}
        return {name: "+".join(filter(None, parts)) for name, parts in taken.items()}

    @property
    def unrounded(self) -> bool:
        """Whether a metric is taken of SR before it is rounded."""
        return not all(bound.convention.round_sr for bound in self.metrics.values())

    def __call__(self, sr: Tensor, hr: Image, scale: int, names: Iterable[str] | None = None) -> dict[str, float]:
        """The scores of one pair: `sr` `(1, c, h, w)` float in [0, 1] or uint8, `hr` uint8 `(h, w, 3)` or `(h, w)`.

        Raises `InputError` where the sizes differ, and as `ScoreError`, which has the other scores, where an image is
        too small for a metric, a metric fails, or its score is not a number.
        """
        reference, sr = image_tensor(hr, self.device), sr.to(self.device)
        rounded = quantise(sr)
        views: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        scores: dict[str, float] = {}
        failures: list[str] = []
        for name in self.metrics if names is None else names:
            bound = self.metrics[name]
            key = (bound.convention.name, "lr" if bound.metric.of_lr else bound.metric.channel)
            if key not in views:
                given, compared = rounded if bound.convention.round_sr else sr, reference
                if bound.metric.of_lr:
                    again = (degrade(to_image(image), scale, self.degradation) for image in (rounded, reference))
                    given, compared = (image_tensor(lr, self.device) for lr in again)
                views[key] = bound.convention.views(given, compared, scale=scale, channel=bound.metric.channel)
            try:
                scores[name] = self._score(name, views[key])
            except InputError as error:
                failures.append(str(error))
        if failures:
            raise ScoreError("; ".join(dict.fromkeys(failures)), scores)
        return scores

    def _score(self, name: str, views: tuple[Tensor, Tensor]) -> float:
        try:
            with exact_arithmetic():
                score = float(self._functions[name](*views))
        except SrbenchError:
            raise
        except (Exception, SystemExit) as error:  # a metric is anybody's code
            raise InputError(f"{name} fails on this pair: {type(error).__name__}: {first_line(error)}") from error
        if math.isnan(score):
            raise InputError(f"{name} is not a number for this pair")
        return score


def _refuse_unrepeatable(degradation: str) -> None:
    if is_given(degradation):
        why = "how those files were made is not known"
    elif degradation_of(degradation).random:
        why = "it draws random numbers, for SR others than for HR"
    elif not degradation_of(degradation).rounded:
        why = "its LR is not rounded to 8 bits"
    else:
        return
    raise UnavailableError(f"SR cannot be degraded again by {degradation!r}: {why}. By matlab, bd or jpegQ it can be")


def measure(
    sr: Image | Tensor,
    hr: Image | Tensor,
    metrics: Sequence[str] = ("psnr_y", "ssim_y"),
    scale: int = 4,
) -> dict[str, float]:
    """Score an SR image against its HR image.

    Both are uint8 arrays or tensors, `(h, w, 3)` RGB or `(h, w)` grey, 0 to 255, of one size; an HR that was not yet
    cropped to a multiple of `scale` is cropped here. `scale` decides how many border pixels most conventions cut.
    Returns one number a metric; PSNR of equal images is infinite.

    Raises `InputError` for other dtypes, shapes or sizes, `UsageError` for unknown metrics, and `UnavailableError`
    where a metric's weights cannot be had.
    """
    if scale < 1:
        raise UsageError(f"scale is {scale}; expected 1 or more")
    sr, hr = as_image(sr, "SR"), as_image(hr, "HR")
    scorer = Scorer(metrics)
    for reason in scorer.unavailable.values():
        raise UnavailableError(reason)
    return scorer(image_tensor(sr, "cpu"), matched(sr, hr, scale), scale)


def as_image(image: Any, what: str) -> Image:
    """A uint8 numpy image; raises `InputError` for anything else, saying how to convert it."""
    array: npt.NDArray[Any] = image.detach().cpu().numpy() if hasattr(image, "detach") else np.asarray(image)
    if array.dtype != np.uint8:
        raise InputError(f"{what} is {array.dtype}, expected uint8: from [0, 1], (255 * x).round().clip(0, 255)")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 and array.shape[2:] != (3,):
        raise InputError(f"{what} has shape {array.shape}, expected (h, w, 3) or (h, w)")
    return array


def matched(sr: Image, hr: Image, scale: int) -> Image:
    """HR, cropped to a multiple of the scale where that is SR's size; raises `InputError` where sizes do not match."""
    for candidate in (hr, mod_crop(hr, scale)):
        if candidate.shape[:2] == sr.shape[:2]:
            return candidate
    raise InputError(
        f"SR is {sr.shape[1]}x{sr.shape[0]} but HR is {hr.shape[1]}x{hr.shape[0]}; "
        f"they must be of one size, or HR a little larger than a multiple of the scale ({scale})"
    )
