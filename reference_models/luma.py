"""What SRCNN sees and answers, as images: bicubic at HR size, and Y."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from srbench.images.resize import imresize
from srbench.metrics.conventions import CONVENTIONS

if TYPE_CHECKING:
    from srbench.images.files import Image


def luma_of(image: Image) -> Image:
    """Y of a uint8 RGB image as the default convention has it, uint8 `(h, w)`."""
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
    y, _ = CONVENTIONS["nocrop"].views(planes, planes, scale=1, channel="y")
    return y[0, 0].numpy().astype(np.uint8)


def resized(image: Image, scale: float) -> Image:
    """Bicubic, uint8 `(h, w, 3)` to `(h * scale, w * scale, 3)`, rounded up; a scale below 1 makes it smaller."""
    planes = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float64))
    return imresize(planes, scale).numpy().astype(np.uint8).transpose(1, 2, 0)
