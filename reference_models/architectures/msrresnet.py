"""MSRResNet, the PSNR network of BasicSR and mmsr: SRResNet without batch norm, on top of bilinear upscaling.

Wang et al., "ESRGAN", ECCV Workshops 2018, section 4.4, call it SRResNet; the layout is that of `srresnet_arch.py` in
BasicSR, whose tensor names these are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_models.architectures.srresnet import shuffles


class PlainBlock(nn.Module):
    """Convolution, ReLU, convolution, sum."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(x + self.conv2(self.conv1(x).relu()))


class MSRResNet(nn.Module):
    """`(n, 3, h, w)` in [0, 1] to `(n, 3, h * scale, w * scale)`, with LeakyReLU of slope 0.1 around the blocks."""

    def __init__(self, scale: int = 4, blocks: int = 16, features: int = 64) -> None:
        super().__init__()
        self.scale = scale
        self.conv_first = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(*(PlainBlock(features) for _ in range(blocks)))
        for stage, step in enumerate(shuffles(scale), start=1):
            self.add_module(f"upconv{stage}", nn.Conv2d(features, features * step**2, 3, padding=1))
        self.conv_hr = nn.Conv2d(features, features, 3, padding=1)
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    @staticmethod
    def make_identity(block: nn.Module) -> None:
        """Let a block hand on its input: its last convolution is zero."""
        assert isinstance(block, PlainBlock)
        nn.init.zeros_(block.conv2.weight)
        nn.init.zeros_(torch.as_tensor(block.conv2.bias))

    def forward(self, lr: Tensor) -> Tensor:
        x = self.body(_lrelu(self.conv_first(lr)))
        return self.reconstruct(lr, x)

    def reconstruct(self, lr: Tensor, x: Tensor) -> Tensor:
        """What is behind the body, in a method of its own so that it can be compiled apart from the blocks."""
        for stage, step in enumerate(shuffles(self.scale), start=1):
            x = _lrelu(functional.pixel_shuffle(self.get_submodule(f"upconv{stage}")(x), step))
        base = functional.interpolate(lr, scale_factor=self.scale, mode="bilinear", align_corners=False)
        return torch.as_tensor(base + self.conv_last(_lrelu(self.conv_hr(x))))


def _lrelu(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.1)
