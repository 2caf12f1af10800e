"""SRCNN: Dong et al., "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 38(2), 2016."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_models.architectures.initial import carry

KERNELS = {"9-1-5": (9, 1, 5), "9-5-5": (9, 5, 5)}


class SRCNN(nn.Module):
    """Three convolutions, 64 and 32 features, on a Y channel that bicubic has already brought to HR size.

    `(n, 1, h, w)` in [0, 1] to the same. In training nothing is padded, so the output lacks `margin` pixels on each
    side (section 4.1 of the paper); in evaluation each layer repeats its border, as the authors' test code does.
    """

    def __init__(self, scale: int = 4, kernels: str = "9-5-5") -> None:
        super().__init__()
        self.scale = scale
        first, second, third = KERNELS[kernels]
        self.patches = nn.Conv2d(1, 64, first)
        self.mapping = nn.Conv2d(64, 32, second)
        self.reconstruction = nn.Conv2d(32, 1, third)
        for layer, others in ((self.patches, 1.0), (self.mapping, 1.0), (self.reconstruction, 0.1)):
            carry(layer, 1, others=others)  # begins as bicubic; the paper's initial 1e-3 wants 1e8 steps

    @property
    def margin(self) -> int:
        return sum(layer.kernel_size[0] // 2 for layer in (self.patches, self.mapping, self.reconstruction))

    def forward(self, y: Tensor) -> Tensor:
        features = self._layer(self.patches, y).relu()
        features = self._layer(self.mapping, features).relu()
        return self._layer(self.reconstruction, features)

    def _layer(self, layer: nn.Conv2d, x: Tensor) -> Tensor:
        if not self.training:
            x = functional.pad(x, [layer.kernel_size[0] // 2] * 4, mode="replicate")
        return torch.as_tensor(layer(x))


class LumaUpscaler(nn.Module):
    """Makes an upscaler of a network on Y: bicubic to HR size, the network on Y, chroma as bicubic left it."""

    def __init__(self, network: SRCNN) -> None:
        super().__init__()
        self.network = network
        self.scale = network.scale

    def forward(self, lr: Tensor) -> Tensor:
        """`(n, 3, h, w)` in [0, 1] to `(n, 3, h * scale, w * scale)`.

        In studio-swing YCbCr R, G and B all carry Y with the factor 255 / 219, so that a new Y moves the three alike.
        """
        from srbench.images.resize import imresize, round_to_uint8
        from srbench.metrics.conventions import STUDIO_SWING

        bicubic = imresize(round_to_uint8(lr.double() * 255.0), self.scale).to(lr.dtype) / 255.0
        weights = torch.tensor(STUDIO_SWING, dtype=lr.dtype, device=lr.device).view(1, 3, 1, 1)
        y = ((bicubic * weights).sum(dim=1, keepdim=True) + 16.0) / 255.0
        return torch.as_tensor(bicubic + (self.network(y) - y) * (255.0 / 219.0))
