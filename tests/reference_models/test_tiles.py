"""Real architectures in tiles: equal to the whole image where the context covers their reach, told where it cannot."""

from __future__ import annotations

import torch

from reference_models.architectures import build
from srbench.models.tiles import MOST_OVERLAP, in_tiles, overlap_of

CPU = torch.device("cpu")


def test_srresnet_in_tiles_equals_the_whole() -> None:
    """It reaches 4 pixels by its first convolution, 32 by its blocks, and 3 by what follows them."""
    torch.manual_seed(0)
    network = build("srresnet", 4).eval().requires_grad_(False)
    overlap = overlap_of(network, 4, CPU)
    assert 36 < overlap < MOST_OVERLAP
    x = torch.rand(1, 3, 40, 120, generator=torch.Generator().manual_seed(1))
    sr, seam = in_tiles(network, x, 60, 4, overlap)
    torch.testing.assert_close(sr, network(x), rtol=0, atol=1e-6)
    assert seam <= 255 * 1e-6


def test_a_network_that_reaches_further_than_the_context_says_so() -> None:
    torch.manual_seed(0)
    network = build("rrdb", 4, blocks=4).eval().requires_grad_(False)
    assert overlap_of(network, 4, CPU) == MOST_OVERLAP
    x = torch.rand(1, 3, 24, 64, generator=torch.Generator().manual_seed(1))
    sr, seam = in_tiles(network, x, 32, 4, overlap=4)
    assert seam > 0.0
    assert not torch.equal(sr, network(x))
