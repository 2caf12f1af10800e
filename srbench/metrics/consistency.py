"""Does SR agree with what it was made from? PSNR of SR degraded again against LR, and the shift of the mean colour.

`lr_psnr` is taken on RGB, without a crop, of SR rounded to 8 bits and degraded as HR was (Lugmayr et al., "NTIRE 2021
learning the super-resolution space", section 3.2, asks for 45 dB). `shift_red`, `shift_green` and `shift_blue` are the
mean of SR minus HR in 8-bit levels; none is better for being larger.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from srbench.metrics.metric import Metric, ScoreFunction
from srbench.metrics.psnr import psnr

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.metrics.conventions import Convention


def mean_shift(sr: Tensor, hr: Tensor, *, channel: int) -> Tensor:
    """Mean of SR minus HR in one channel of `(n, 3, h, w)` views, in 8-bit levels; n values."""
    return (sr[:, channel] - hr[:, channel]).mean(dim=(1, 2))


def _psnr(convention: Convention, device: torch.device) -> ScoreFunction:
    return psnr


def _shift(convention: Convention, device: torch.device, *, channel: int) -> ScoreFunction:
    return partial(mean_shift, channel=channel)


LR_PSNR = Metric(
    "lr_psnr",
    "rgb",
    _psnr,
    convention="nocrop",
    bounds=(0.0, math.inf),
    label="LR-PSNR",
    of_lr=True,
    summary="PSNR of SR degraded again against LR, in dB",
    citation="Lugmayr et al., NTIRE 2021",
)
SHIFT_RED, SHIFT_GREEN, SHIFT_BLUE = (
    Metric(
        f"shift_{name}",
        "rgb",
        partial(_shift, channel=channel),
        "nocrop",
        None,
        digits=2,
        bounds=(-255.0, 255.0),
        label=f"shift {name}",
        summary=f"mean of SR minus HR in {name}, in 8-bit levels",
    )
    for channel, name in enumerate(("red", "green", "blue"))
)
