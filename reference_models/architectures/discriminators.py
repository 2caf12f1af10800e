"""Discriminators: SRGAN's, plain or with spectral normalisation, and one that judges every patch for itself."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Kind = Literal["batch", "spectral", "patch"]
Norm = Literal["batch", "spectral"]

STAGES = ((64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2))
"""Features and stride of SRGAN's eight convolutions."""
PATCH_STAGES = ((64, 2), (128, 2), (256, 1))
"""Those of the convolutions before the last, which see 34x34 pixels."""


def discriminator(kind: Kind, size: int, features: int) -> nn.Module:
    """A fresh one for images of `size`; `features` are those of its first layer."""
    return PatchDiscriminator(features) if kind == "patch" else VGGDiscriminator(size, kind, features)


class VGGDiscriminator(nn.Module):
    """`(n, 3, size, size)` in [0, 1] to n logits, `(n, 1)`; there is no sigmoid, the losses have it.

    Ledig et al. 2017, figure 4. `norm` is `batch` as in the paper (none on the first layer), or `spectral` on every
    layer in its stead (Miyato et al., ICLR 2018).
    """

    def __init__(self, size: int = 96, norm: Norm = "batch", features: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for index, (width, stride) in enumerate(STAGES):
            outputs = width * features // 64
            layers += _stage(inputs, outputs, stride, norm if index or norm != "batch" else None)
            inputs = outputs
        self.features = nn.Sequential(*layers)
        side = -(-size // 16)
        wrap = spectral_norm if norm == "spectral" else nn.Identity()
        self.classifier = nn.Sequential(
            wrap(nn.Linear(inputs * side**2, 16 * features)), nn.LeakyReLU(0.2), wrap(nn.Linear(16 * features, 1))
        )

    def forward(self, image: Tensor) -> Tensor:
        return torch.as_tensor(self.classifier(self.features(image).flatten(1)))


class PatchDiscriminator(nn.Module):
    """`(n, 3, h, w)` in [0, 1] to a map of logits, `(n, 1, h / 4 - 2, w / 4 - 2)`, each on the 34x34 pixels around it.

    PatchGAN (Isola et al., CVPR 2017, section 3.2.2; with two strided convolutions) with spectral normalisation on
    every layer but the last (Miyato et al., ICLR 2018), which may make its logits as large as they should be. A defect
    of texture is told apart where it stands, not somewhere in the image.
    """

    def __init__(self, features: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width, stride in PATCH_STAGES:
            outputs = width * features // 64
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, padding=1)), nn.LeakyReLU(0.2)]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        return torch.as_tensor(self.layers(image))


def _stage(inputs: int, outputs: int, stride: int, norm: Norm | None) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=norm != "batch")
    if norm == "batch":
        return [conv, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
    return [spectral_norm(conv) if norm == "spectral" else conv, nn.LeakyReLU(0.2)]
