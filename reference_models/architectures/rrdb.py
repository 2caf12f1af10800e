"""RRDBNet, the generator of ESRGAN: Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks",
ECCV Workshops 2018, figure 4. Tensor names are those of BasicSR, so that its checkpoints load as they are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_models.architectures.initial import carry
from reference_models.architectures.srresnet import recomputed, shuffles

RESIDUAL_SCALE = 0.2


class DenseBlock(nn.Module):
    """Five convolutions, each on the input and all earlier outputs; the residual is scaled by 0.2."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.conv1 = _conv(features, growth)
        self.conv2 = _conv(features + growth, growth)
        self.conv3 = _conv(features + 2 * growth, growth)
        self.conv4 = _conv(features + 3 * growth, growth)
        self.conv5 = _conv(features + 4 * growth, features)

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            seen = torch.cat((seen, _lrelu(conv(seen))), dim=1)
        return torch.as_tensor(x + RESIDUAL_SCALE * self.conv5(seen))


class RRDB(nn.Module):
    """Residual in residual: three dense blocks, and a residual scaled by 0.2 around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth)
        self.rdb2 = DenseBlock(features, growth)
        self.rdb3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(x + RESIDUAL_SCALE * self.rdb3(self.rdb2(self.rdb1(x))))


class RRDBNet(nn.Module):
    """`(n, 3, h, w)` in [0, 1] to `(n, 3, h * scale, w * scale)`; no normalisation; upsampling is nearest, then 3x3."""

    def __init__(self, scale: int = 4, blocks: int = 23, features: int = 64, growth: int = 32) -> None:
        super().__init__()
        self.scale = scale
        self.checkpointing = False
        self.conv_first = _conv(3, features)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = _conv(features, features)
        for stage, _ in enumerate(shuffles(scale), start=1):
            self.add_module(f"conv_up{stage}", _conv(features, features))
        self.conv_hr = _conv(features, features)
        self.conv_last = _conv(features, 3)
        self._begin_as_nearest()

    def _begin_as_nearest(self) -> None:
        """Three features carry RGB past the trunk, almost untouched by its small weights."""
        for name, conv in self.named_children():
            if isinstance(conv, nn.Conv2d) and name != "conv_body":
                carry(conv, 3)
        with torch.no_grad():
            self.conv_body.weight[:3] = 0.0

    @staticmethod
    @torch.no_grad()
    def make_identity(block: nn.Module) -> None:
        """Let a block hand on its input, but for rounding.

        Zero weights would not do: a dense block hands on its input, and the sum of the block and a fifth of that is
        1.2 of it. So the last convolution takes away what its dense block hands on.
        """
        assert isinstance(block, RRDB)
        last = block.rdb3.conv5
        last.weight.zero_()
        torch.as_tensor(last.bias).zero_()
        features = torch.arange(last.out_channels)
        last.weight[features, features, 1, 1] = -1.0 / RESIDUAL_SCALE

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.conv_first(lr)
        deep = shallow
        for block in self.body:
            deep = recomputed(block, deep) if self.checkpointing and self.training else block(deep)
        return self.reconstruct(shallow, deep)

    def reconstruct(self, shallow: Tensor, deep: Tensor) -> Tensor:
        """What is behind the body, in a method of its own so that it can be compiled apart from the blocks."""
        x = shallow + self.conv_body(deep)
        for stage, step in enumerate(shuffles(self.scale), start=1):
            x = _lrelu(
                self.get_submodule(f"conv_up{stage}")(functional.interpolate(x, scale_factor=step, mode="nearest"))
            )
        return torch.as_tensor(self.conv_last(_lrelu(self.conv_hr(x))))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3x3, with the small initial weights of the paper's section 4.1 ("smaller initialization")."""
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.kaiming_normal_(conv.weight)
    with torch.no_grad():
        conv.weight.mul_(0.1)
        torch.as_tensor(conv.bias).zero_()
    return conv


def _lrelu(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, 0.2)
