"""SRCNN: Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 38(2), 2016."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_models.architectures.initial import carry
from srbench.images.luma import STUDIO


class SRCNN(nn.Module):
    """Three convolutions, 64 and 32 features, on bicubic at HR size: of its Y, or with 3 channels of RGB.

    `(n, channels, h, w)` in [0, 1] to the same. It begins as bicubic, or with the weights of the `paper`. In training
    nothing is padded, so the output lacks half of each kernel on each side (section 4.1 of the paper); in evaluation
    each layer repeats its border, as the authors' test code does.
    """

    def __init__(
        self,
        scale: int = 4,
        kernels: Literal["9-1-5", "9-3-5", "9-5-5"] = "9-5-5",
        channels: Literal[1, 3] = 1,
        initial: Literal["bicubic", "paper"] = "bicubic",
    ) -> None:
        super().__init__()
        self.scale, self.channels = scale, channels
        first, second, third = map(int, kernels.split("-"))
        self.patches = nn.Conv2d(channels, 64, first)
        self.mapping = nn.Conv2d(64, 32, second)
        self.reconstruction = nn.Conv2d(32, channels, third)
        layers = (self.patches, self.mapping, self.reconstruction)
        if initial == "paper":  # section 3.3: zero mean, deviation 0.001, which wants 1e8 steps
            for layer in layers:
                nn.init.normal_(layer.weight, 0.0, 1e-3)
                nn.init.zeros_(torch.as_tensor(layer.bias))
            return
        for layer, others in zip(layers, (1.0, 1.0, 0.1), strict=True):
            carry(layer, channels, others=others)

    def forward(self, y: Tensor) -> Tensor:
        features = self._layer(self.patches, y).relu()
        features = self._layer(self.mapping, features).relu()
        return self._layer(self.reconstruction, features)

    def _layer(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        if not self.training:
            x = functional.pad(x, [layer.kernel_size[0] // 2] * 4, mode="replicate")
        return torch.as_tensor(layer(x))


class BicubicUpscaler(nn.Module):
    """Makes an upscaler of a network on RGB at HR size: bicubic first, then the network."""

    def __init__(self, network: SRCNN) -> None:
        super().__init__()
        self.network = network
        self.scale = network.scale

    def forward(self, lr: Tensor) -> Tensor:
        """`(n, 3, h, w)` in [0, 1] to `(n, 3, h * scale, w * scale)`."""
        return torch.as_tensor(self.network(_bicubic(lr, self.scale)))


def _bicubic(lr: Tensor, scale: int) -> Tensor:
    """As the training saw it: by way of uint8."""
    from srbench.images.resize import imresize, round_to_uint8

    return imresize(round_to_uint8(lr.double() * 255.0), scale).to(lr.dtype) / 255.0


class LumaUpscaler(BicubicUpscaler):
    """The same of a network on Y: bicubic to HR size, the network on Y, chroma as bicubic left it."""

    def forward(self, lr: Tensor) -> Tensor:
        """`(n, 3, h, w)` in [0, 1] to `(n, 3, h * scale, w * scale)`.

        In studio-swing YCbCr R, G and B all carry Y with the factor 255 / 219, so that a new Y moves the three alike.
        """
        bicubic = _bicubic(lr, self.scale)
        weights = torch.tensor(STUDIO[:3], dtype=lr.dtype, device=lr.device).view(1, 3, 1, 1)
        y = ((bicubic * weights).sum(dim=1, keepdim=True) + STUDIO.offset) / 255.0
        return torch.as_tensor(bicubic + (self.network(y) - y) * (255.0 / 219.0))
