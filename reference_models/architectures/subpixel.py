"""A convolution behind a PixelShuffle, computed before it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SubpixelConv2d(nn.Conv2d):
    """`PixelShuffle(factor)`, then this convolution: the same sums, taken on the small grid.

    Its input is `(n, in_channels * factor**2, h, w)`, its output `(n, out_channels, h * factor, w * factor)`; weight
    and bias are those of an ordinary convolution with odd kernel and zero padding on the large grid. Convolutions with
    three outputs leave most of a processor's lanes idle (and a GPU's); with three times factor**2 outputs, and no
    shuffled features in memory, the step of an SRResNet is a fifth shorter.
    """

    taps: Tensor

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, factor: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.factor = factor
        self.register_buffer("taps", _taps(kernel_size, factor), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self._on_the_small_grid()
        small = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
        large = functional.pixel_shuffle(small, self.factor)
        return large if self.bias is None else large + self.bias.view(-1, 1, 1)  # torch 2.11 compiles no computed bias

    def multiply_adds(self, out: Tensor) -> int:
        """Of the convolution as it is defined: on the small grid a part of the products are with zeros."""
        return out.numel() * self.weight[0].numel()

    def _on_the_small_grid(self) -> Tensor:
        """`(outputs * f * f, inputs * f * f, k', k')`: channels are ordered as PixelShuffle has them."""
        f, k = self.factor, self.taps.shape[-1]
        padded = functional.pad(self.weight, (0, 1, 0, 1))  # the last row and column are the taps outside the kernel
        rows = padded[:, :, self.taps]  # out, in, (out phase, in phase, tap), column
        both = rows[..., self.taps].permute(0, 2, 5, 1, 3, 6, 4, 7)
        weight = both.reshape(self.out_channels * f * f, self.in_channels * f * f, k, k)
        return weight.contiguous(memory_format=torch.channels_last)


def _taps(kernel: int, factor: int) -> Tensor:
    """`(factor, factor, k')` int64: which tap of the kernel joins an output's phase to an input's, k' pixels apart.

    An input at phase c of small pixel u lies `u * factor + c - a` from an output at phase a of pixel 0. Distances that
    the kernel does not reach are given tap number `kernel`.
    """
    reach = -(-(kernel // 2) // factor)
    phase = torch.arange(factor)
    pixel = torch.arange(-reach, reach + 1)
    distance = pixel * factor + phase[None, :, None] - phase[:, None, None]
    return torch.where(distance.abs() <= kernel // 2, distance + kernel // 2, kernel)
