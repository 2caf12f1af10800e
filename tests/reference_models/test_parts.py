"""What both loops are made of, and what they ask of a machine: arithmetic, precision, compilation, a start."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from reference_models.validation import Validation
from srbench.datasets.sample import Sample

CPU = torch.device("cpu")


class Witness(nn.Module):
    """Nearest-neighbour upscaling that remembers under which arithmetic it ran."""

    scale = 2

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_validation_amid_a_training_uses_no_tf32(photograph: Callable[..., np.ndarray]) -> None:
    witness, lr = Witness(), photograph(24, 28)
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    try:
        Validation([Sample("a", lr, lr.repeat(2, axis=0).repeat(2, axis=1))])(witness, CPU)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert witness.seen == [("highest", False)]
