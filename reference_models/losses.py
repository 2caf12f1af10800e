"""Losses on pixels, and the adversarial ones. All are means over the batch, and all but `sse` over the pixels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

CHARBONNIER_EPSILON = 1e-3


def charbonnier(sr: Tensor, hr: Tensor) -> Tensor:
    """`mean(sqrt((sr - hr)² + ε²))`, ε = 1e-3 (Lai et al., "LapSRN", CVPR 2017, section 3.2)."""
    return ((sr - hr).square() + CHARBONNIER_EPSILON**2).sqrt().mean()


def sum_of_squares(sr: Tensor, hr: Tensor) -> Tensor:
    """The squared error of a whole patch, mean over the batch (Dong et al. 2016, equation 4)."""
    return (sr - hr).square().sum() / len(sr)


PIXEL: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": functional.l1_loss,
    "mse": functional.mse_loss,
    "sse": sum_of_squares,
    "charbonnier": charbonnier,
}


def generator_loss(kind: str, real: Tensor | None, fake: Tensor) -> Tensor:
    """What the generator minimises. `real` and `fake` are logits of any shape; only `relativistic` looks at `real`.

    `vanilla`: -log D(fake), the non-saturating loss of Goodfellow et al. 2014, equation in section 3; `lsgan`: Mao et
    al. 2017, equation 9; `relativistic`: the relativistic average GAN, ESRGAN equation 2.
    """
    if kind == "relativistic":
        assert real is not None
        return 0.5 * (_bce(real - fake.mean(), False) + _bce(fake - real.mean(), True))
    return _squares(fake, True) if kind == "lsgan" else _bce(fake, True)


def discriminator_loss(kind: str, real: Tensor, fake: Tensor) -> Tensor:
    """What the discriminator minimises, on logits of any shape; for `relativistic` ESRGAN's equation 1."""
    if kind == "relativistic":
        return 0.5 * (_bce(real - fake.mean(), True) + _bce(fake - real.mean(), False))
    score = _squares if kind == "lsgan" else _bce
    return 0.5 * (score(real, True) + score(fake, False))


def _bce(logits: Tensor, real: bool) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def _squares(scores: Tensor, real: bool) -> Tensor:
    return functional.mse_loss(scores, torch.full_like(scores, float(real)))
