"""Images as tensors: the two ways in, with grey as one channel or as three equal ones, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from srbench.images.files import to_rgb

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.images.degrade import LowResolution
    from srbench.images.files import Image


def image_tensor(image: Image, device: torch.device | str) -> Tensor:
    """uint8 `(h, w, 3)` or `(h, w)` to uint8 `(1, 3 or 1, h, w)`: grey stays one channel.

    It is a copy, in the order in which the image lies: to sort it by channels takes ten times as long.
    """
    import torch

    pixels = np.array(np.atleast_3d(image), order="C")
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(device)


def to_image(pixels: Tensor) -> Image:
    """uint8 `(1, 3 or 1, h, w)` on any device to uint8 `(h, w, 3)` or `(h, w)`: back from `image_tensor`."""
    image: Image = pixels[0].permute(1, 2, 0).cpu().numpy()
    return image[..., 0] if image.shape[2] == 1 else image


def to_tensor(image: LowResolution, device: torch.device | str = "cpu") -> Tensor:
    """`(h, w, 3)` or `(h, w)` in 0..255 to float32 `(1, 3, h, w)` in [0, 1]; grey becomes three equal channels."""
    import torch

    pixels = np.ascontiguousarray(to_rgb(image).transpose(2, 0, 1))[None]
    return torch.from_numpy(pixels).to(device).float() / 255.0
