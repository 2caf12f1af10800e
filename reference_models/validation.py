"""Validation while training: srbench's own PSNR, default convention, on a folder that is no test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from reference_models.patches import refuse_test_set
from reference_models.weights import as_upscaler
from srbench.datasets.folder import open_folder
from srbench.datasets.sample import Sample
from srbench.images.tensors import to_tensor
from srbench.metrics.conventions import convention, quantise
from srbench.metrics.psnr import psnr

if TYPE_CHECKING:
    from srbench.images.files import Image


def validation_samples(folder: Path, scale: int, limit: int = 0, degradation: str = "matlab") -> list[Sample]:
    """Decoded once. Raises `InputError` for a standard test set, and for a folder without images."""
    refuse_test_set(folder)
    dataset = open_folder(folder, scale, degradation)
    return [dataset[index] for index in range(min(limit or len(dataset), len(dataset)))]


@torch.inference_mode()
def mean_psnr_y(network: nn.Module, samples: Sequence[Sample], device: torch.device) -> float:
    """Mean PSNR-Y in dB over the samples, convention `matlab`; the network is put into evaluation mode and back."""
    was_training = network.training
    upscale = as_upscaler(network.eval())
    scores = []
    for sample in samples:
        sr = upscale(to_tensor(sample.lr, device).contiguous(memory_format=torch.channels_last))
        hr = (to_tensor(sample.reference, device) * 255.0).round().to(torch.uint8)
        scores.append(float(psnr(*convention("matlab").views(sr, hr, scale=upscale.scale, channel="y"))))
    network.train(was_training)
    return sum(scores) / len(scores)


@torch.inference_mode()
def upscaled(network: nn.Module, sample: Sample) -> Image:
    """SR of one sample, uint8 `(h, w, 3)`, from a network in evaluation mode."""
    device = next(network.parameters()).device
    sr = quantise(as_upscaler(network)(to_tensor(sample.lr, device)))
    image: Image = sr[0].permute(1, 2, 0).cpu().numpy()
    return image
