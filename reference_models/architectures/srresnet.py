"""SRResNet, the generator of SRGAN: Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a Generative
Adversarial Network", CVPR 2017, figure 4."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from reference_models.architectures.initial import carry
from reference_models.architectures.subpixel import SubpixelConv2d

Activation = Literal["prelu", "relu", "lrelu"]


def activation(name: Activation) -> nn.Module:
    """PReLU with one slope for all channels, ReLU, or LeakyReLU with slope 0.2."""
    match name:
        case "prelu":
            return nn.PReLU()
        case "relu":
            return nn.ReLU()
        case "lrelu":
            return nn.LeakyReLU(0.2)


class ResidualBlock(nn.Module):
    """Convolution, batch norm, activation, convolution, batch norm, sum. The norms bring the bias."""

    def __init__(self, features: int, act: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(features)
        self.act = activation(act)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(features)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(x + self.norm2(self.conv2(self.act(self.norm1(self.conv1(x))))))


class SRResNet(nn.Module):
    """`(n, 3, h, w)` in [0, 1] to `(n, 3, h * scale, w * scale)`: 9x9 ends, 16 blocks, PixelShuffle.

    Scale 4 shuffles by 2 twice, as the paper; 2 and 3 shuffle once. `body_act` and `tail_act` are PReLU in the paper;
    `relu` and `lrelu` make the simplified `esrnet-lite`.
    """

    def __init__(
        self,
        scale: int = 4,
        blocks: int = 16,
        features: int = 64,
        body_act: Activation = "prelu",
        tail_act: Activation = "prelu",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.checkpointing = False
        self.head = nn.Sequential(nn.Conv2d(3, features, 9, padding=4), activation(body_act))
        self.body = nn.Sequential(*(ResidualBlock(features, body_act) for _ in range(blocks)))
        self.join = nn.Sequential(nn.Conv2d(features, features, 3, padding=1, bias=False), nn.BatchNorm2d(features))
        upsample = [part for step in shuffles(scale) for part in _shuffle(features, step, tail_act)]
        self.upsample = nn.Sequential(*upsample[:-1])  # the last shuffle is part of the tail
        self.tail = SubpixelConv2d(features, 3, 9, shuffles(scale)[-1])
        self._begin_as_nearest()

    def _begin_as_nearest(self) -> None:
        """Three features carry RGB past everything; the blocks begin as identity."""
        for block in self.body:
            self.make_identity(block)
        carry(self.head[0], 3)  # type: ignore[arg-type]
        with torch.no_grad():
            torch.as_tensor(self.join[1].weight)[:3] = 0.0
        for conv in (part for part in self.upsample if isinstance(part, nn.Conv2d)):
            carry(conv, 3, copies=conv.out_channels // conv.in_channels)
        carry(self.tail, 3, others=0.1)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.head(lr)
        deep = shallow
        for block in self.body:
            deep = recomputed(block, deep) if self.checkpointing and self.training else block(deep)
        return self.reconstruct(shallow, deep)

    def reconstruct(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """What is behind the body, in a method of its own so that it can be compiled apart from the blocks."""
        return torch.as_tensor(self.tail(self.upsample(shallow + self.join(deep))))

    @staticmethod
    def make_identity(block: nn.Module) -> None:
        """Let a block hand on its input: the gain of its last norm is zero (Goyal et al. 2017), as is its shift."""
        assert isinstance(block, ResidualBlock)
        nn.init.zeros_(block.norm2.weight)
        nn.init.zeros_(block.norm2.bias)


def shuffles(scale: int) -> tuple[int, ...]:
    """The factors of the upsampling stages: 4 is 2 times 2, 8 three times 2."""
    return {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}[scale]


def _shuffle(features: int, step: int, act: Activation) -> tuple[nn.Module, ...]:
    """The activation has one slope for all channels, so that it may as well come before the shuffle."""
    return nn.Conv2d(features, features * step**2, 3, padding=1), activation(act), nn.PixelShuffle(step)


def recomputed(block: nn.Module, x: Tensor) -> Tensor:
    """Gradient checkpointing: the block runs again in the backward pass instead of keeping its activations."""
    return torch.as_tensor(checkpoint(block, x, use_reentrant=False))
