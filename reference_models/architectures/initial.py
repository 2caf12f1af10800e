"""Initial weights with which a network begins as plain upscaling, so that no step is spent on learning to copy."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def carry(conv: nn.Conv2d, channels: int, copies: int = 1, others: float = 1.0) -> None:
    """Let a convolution hand on its first `channels` inputs: output `c * copies + k` is input c, for each k < copies.

    With `copies` the square of a PixelShuffle's factor that is nearest-neighbour upsampling. The weights of all further
    inputs and outputs stay random, times `others`.
    """
    middle = conv.kernel_size[0] // 2
    conv.weight.mul_(others)
    outputs = torch.arange(channels * copies)
    if conv.out_channels > channels * copies:
        conv.weight[: channels * copies] = 0.0
    conv.weight[outputs, outputs // copies, middle, middle] = 1.0
    if conv.bias is not None:
        conv.bias[: channels * copies] = 0.0
