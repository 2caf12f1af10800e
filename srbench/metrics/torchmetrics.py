"""Scores as a torchmetrics `Metric`, for validation inside a training loop.

    from srbench.torchmetrics import Score

    psnr = Score("psnr_y", scale=4).to(device)
    for lr, hr in loader:
        psnr.update(model(lr), hr)
    psnr.compute()  # the mean over images; summed over processes under DDP

torchmetrics is an optional package: pip install 'srbench[torchmetrics]'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.metrics import resolve
from srbench.metrics.conventions import quantise

try:
    from torchmetrics import Metric as _Metric
except ImportError:
    raise UnavailableError("torchmetrics is not installed: pip install 'srbench[torchmetrics]'") from None

if TYPE_CHECKING:
    from srbench.metrics.metric import ScoreFunction


class Score(_Metric):
    """The mean over images of one srbench metric, `NAME` or `NAME@CONVENTION`: what `srbench run` prints.

    `scale` decides how many border pixels most conventions crop. Raises `UsageError` for an unknown name, and, at the
    first update, `UnavailableError` where a metric's weights cannot be had.
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, name: str = "psnr_y", scale: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name, self.scale = name, scale
        self.bound = resolve(name)
        if self.bound.metric.of_lr:
            raise UsageError(f"{name} takes SR degraded again, which a training loop does not: score a run")
        self._functions: dict[torch.device, ScoreFunction] = {}
        self.add_state("total", default=torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", default=torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        return self.bound.metric.higher_is_better

    def update(self, sr: Tensor, hr: Tensor) -> None:
        """Score a batch. Both are `(n, 3, h, w)` or `(n, 1, h, w)` of one size, floats in [0, 1] or uint8.

        Floats are rounded to 8 bits, as an image file would hold them. Raises `InputError` for other shapes.
        """
        if sr.ndim != 4 or sr.shape != hr.shape:
            raise InputError(f"SR is {tuple(sr.shape)} and HR {tuple(hr.shape)}; expected (n, 3, h, w) twice")
        convention, metric = self.bound.convention, self.bound.metric
        views = convention.views(sr.detach(), quantise(hr.detach()), scale=self.scale, channel=metric.channel)
        scores = self._function(sr.device)(*views)
        self.total += scores.double().sum().to(self.total.device)
        self.count += len(sr)

    def compute(self) -> Tensor:
        """The mean of all images since the last reset, float64; not a number where there was none."""
        return self.total / self.count

    def _function(self, device: torch.device) -> ScoreFunction:
        if device not in self._functions:
            self._functions[device] = self.bound.metric.load(self.bound.convention, device)
        return self._functions[device]

    def __getstate__(self) -> dict[str, Any]:
        """Without the loaded functions, which need not survive a copy to another process."""
        return {**super().__getstate__(), "_functions": {}}

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.name, self.scale, id(self)))
