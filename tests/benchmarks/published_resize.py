"""The bicubic resize of SR training code, as a peer to be timed against: plain dense torch, one output row at a time.

MATLAB's `imresize` reached PyTorch through a widely copied function, BasicSR's `matlab_functions.imresize` among its
copies: weights and indices of every output sample, the image padded by mirrored rows, then a Python loop over the rows
of the result, each a small matrix product per channel, and the same over columns. This is that algorithm, written anew
from its description, so that the comparison needs no other package. The weights are made at every call, as there.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def weights_and_indices(size: int, scale: float) -> tuple[Tensor, Tensor, int]:
    """Weights `(out, taps)`, first index `(out,)` into the padded axis, and the padding on either side."""
    stretch = min(scale, 1.0)
    width = 4.0 / stretch
    out = math.ceil(size * scale)
    centre = torch.arange(1, out + 1, dtype=torch.float64) / scale + 0.5 * (1.0 - 1.0 / scale)
    first = (centre - width / 2.0).floor()
    position = first[:, None] + torch.arange(math.ceil(width) + 2, dtype=torch.float64)
    distance = (stretch * (centre[:, None] - position)).abs()
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    weights = torch.where(distance <= 1.0, near, torch.where(distance <= 2.0, far, torch.zeros_like(far)))
    weights /= weights.sum(dim=1, keepdim=True)
    padding = math.ceil(width) + 2
    return weights, first.long() - 1 + padding, padding


def resize(image: Tensor, scale: float) -> Tensor:
    """`(c, h, w)` float64 to `(c, ceil(h * scale), ceil(w * scale))`: rows, then columns."""
    return _rows(_rows(image, scale).mT.contiguous(), scale).mT


def _rows(image: Tensor, scale: float) -> Tensor:
    weights, first, padding = weights_and_indices(image.shape[1], scale)
    padded = torch.cat([image[:, :padding].flip(1), image, image[:, -padding:].flip(1)], dim=1)
    out = image.new_empty(image.shape[0], len(weights), image.shape[2])
    for row in range(len(weights)):
        start = int(first[row])
        for channel in range(image.shape[0]):
            out[channel, row] = padded[channel, start : start + weights.shape[1]].T.mv(weights[row])
    return out
