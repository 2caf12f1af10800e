"""Validation while training: srbench's own scores, default conventions, on images that are no test set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import nn

from reference_models.weights import as_upscaler
from srbench.base.arithmetic import exact_arithmetic
from srbench.base.callables import evaluating
from srbench.datasets.sample import Sample
from srbench.images.tensors import to_image, to_tensor
from srbench.metrics.conventions import quantise
from srbench.metrics.scorer import Scorer

if TYPE_CHECKING:
    from srbench.images.files import Image


MOST_DB = 100.0
"""What an image counts that is met exactly, or nearly; what a network makes of photographs is far below."""


@dataclass(frozen=True)
class Validation:
    """Samples, what they are scored by, and the score by which weights are chosen and a training is stopped.

    `by` is `psnr_y`, or for a GAN `lpips`, which is better where it is lower; empty where the last weights are the
    best. `fingerprint` is that of the samples.
    """

    samples: Sequence[Sample] = ()
    metrics: tuple[str, ...] = ("psnr_y", "ssim_y")
    by: str = "psnr_y"
    fingerprint: str = ""

    @cached_property
    def _scorers(self) -> dict[torch.device, Scorer]:
        return {}

    @exact_arithmetic()
    @torch.inference_mode()
    def __call__(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """The mean of each score; the network is put into evaluation mode and back. Empty without samples.

        PSNR is of an image at most `MOST_DB` here: one that is met exactly, as a plain colour is by bicubic, would make
        every mean infinite, and none better than another.
        """
        if not self.samples:
            return {}
        scorer = self._scorers.setdefault(device, Scorer(self.metrics, device))
        upscale, rows = as_upscaler(network), []
        with evaluating(network):
            for sample in self.samples:
                sr = upscale(to_tensor(sample.lr, device).contiguous(memory_format=torch.channels_last))
                rows.append(scorer(sr, sample.reference, upscale.scale))
        return {name: sum(min(row[name], MOST_DB) for row in rows) / len(rows) for name in rows[0]}

    def worth(self, scores: Mapping[str, float]) -> float:
        """The score that decides, signed so that more is better; NaN where there is none."""
        value = scores.get(self.by, math.nan)
        return -value if self.by == "lpips" else value


@exact_arithmetic()
@torch.inference_mode()
def upscaled(network: nn.Module, sample: Sample) -> Image:
    """SR of one sample, uint8 `(h, w, 3)`; the network is put into evaluation mode and back."""
    device = next(network.parameters()).device
    with evaluating(network):
        return to_image(quantise(as_upscaler(network)(to_tensor(sample.lr, device))))
