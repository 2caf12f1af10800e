"""What a metric is: a pure function of two views, and what is to be known about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.metrics.conventions import Channel, Convention


ScoreFunction = Callable[["Tensor", "Tensor"], "Tensor"]
"""`(sr, hr) -> scores`: two float64 `(n, c, h, w)` views in [0, 255] to n scores, on the device of the inputs."""


@dataclass(frozen=True)
class Metric:
    """What an entry point of the group `srbench.metrics` yields.

    `load(convention, device)` returns the pure function that scores a batch of views; it may raise
    `UnavailableError` where weights are missing. `channel` and `convention` say which views the plain name
    means; `NAME@CONVENTION` replaces the convention and keeps the channel. `variant()`, asked once it is loaded, says
    what else its scores depend on that is not the usual, such as other weights or a package's version, for signatures.
    `higher_is_better` is None where neither is. `bounds` are the least and the largest score there can be, which no
    interval of a mean passes. `of_lr` metrics are given SR and HR degraded again, as HR was.
    """

    name: str
    channel: Channel
    load: Callable[[Convention, torch.device], ScoreFunction]
    convention: str = "matlab"
    higher_is_better: bool | None = True
    digits: int = 3
    bounds: tuple[float, float] = (-math.inf, math.inf)
    label: str = ""
    citation: str = ""
    summary: str = ""
    of_lr: bool = False
    variant: Callable[[], str] = field(default=str, compare=False)  # str() is empty; a lambda would not be pickled
