"""The moving average of a network, which is what is validated and shipped."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn


class Average:
    """Exponential moving average of weights and batch-norm statistics, in a copy of the network.

    The tensors of both are listed once: a `state_dict()` of RRDB-23 takes ten times as long as the average itself.
    Neither network may be moved afterwards.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = deepcopy(network).requires_grad_(False)
        theirs, ours = network.state_dict(), self.network.state_dict()
        floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
        counts = [name for name in ours if name not in set(floats)]
        self._ours, self._theirs = ([state[name] for name in floats] for state in (ours, theirs))
        self._our_counts, self._their_counts = ([state[name] for name in counts] for state in (ours, theirs))

    @torch.no_grad()
    def update(self, decay: float, step: int) -> None:
        """Follow the network; early on the decay is `(1 + step) / (10 + step)`."""
        decay = min(decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._ours, self._theirs, 1.0 - decay)
        if self._our_counts:
            torch._foreach_copy_(self._our_counts, self._their_counts)
