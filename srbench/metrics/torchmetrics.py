"""Scores as a torchmetrics `Metric`, for validation inside a training loop.

    from srbench.torchmetrics import Score

    psnr = Score("psnr_y", scale=4).to(device)
    for lr, hr in loader:
        psnr.update(model(lr), hr)
    psnr.compute()  # the mean over images; summed over processes under DDP

torchmetrics is an optional package: pip install 'srbench-sr[torchmetrics]'.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from srbench.base.arithmetic import exact_arithmetic
from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.base.packages import install_hint
from srbench.metrics import resolve
from srbench.metrics.conventions import quantise

try:
    from torchmetrics import Metric as _Metric
except ImportError:
    raise UnavailableError(f"torchmetrics is not installed: {install_hint('torchmetrics')}") from None

if TYPE_CHECKING:
    from srbench.metrics.metric import ScoreFunction


ROUNDING = 1e-3
"""Widths of the range by which HR may lie outside it: a quarter of an 8-bit level, as normalising back leaves."""

OVERSHOOT = (0.5, 0.01)
"""SR is clamped, as overshoots at edges are, with a warning where more than one value in a hundred is outside by more
than half of the width: an untrained network may do that."""

ELSEWHERE = (2.0, 0.5)
"""SR is refused where more than half of its values are outside by more than two widths."""

USUAL = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
FOLLOWS, NEAR = 0.9, 0.25
"""SR is refused, too, where it follows HR (by a correlation above the first number) as it would in another usual range:
the slope and the intercept of the line through both are within the second number, as a part of the slope, of those that
this range would give. A network that is merely bad follows HR less, or nearer to a slope of 1."""


class Score(_Metric):
    """The mean over images of one srbench metric, `NAME` or `NAME@CONVENTION`: what `srbench run` prints.

    `scale` decides how many border pixels most conventions crop. `data_range` is as torchmetrics has it: the values of
    floats go from 0 to a number, or from the one to the other of a pair, (-1, 1) for instance; SR is clamped into it.
    Raises `UsageError` for an unknown name or an empty range, and, at the first update, `UnavailableError` where a
    metric's weights cannot be had.
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(
        self,
        name: str = "psnr_y",
        scale: int = 4,
        data_range: float | tuple[float, float] = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name, self.scale = name, scale
        low, high = data_range if isinstance(data_range, tuple) else (0.0, data_range)
        if not low < high:
            raise UsageError(f"data_range {data_range} is empty; give 1.0, 255.0 or a pair such as (-1.0, 1.0)")
        self.low, self.high = float(low), float(high)
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
        """Score a batch. Both are `(n, 3, h, w)` or `(n, 1, h, w)` of one size, floats in `data_range` or uint8.

        Floats are rounded to 8 bits, as an image file would hold them. Raises `InputError` for other shapes and types,
        for what is not finite, for HR outside the range, and for SR far outside, or in another usual range than HR; SR
        a little outside is clamped.
        """
        if sr.ndim != 4 or sr.shape != hr.shape:
            raise InputError(f"SR is {tuple(sr.shape)} and HR {tuple(hr.shape)}; expected (n, 3, h, w) twice")
        convention, metric = self.bound.convention, self.bound.metric
        given = sr
        sr, hr = self._unit(sr.detach(), "SR"), self._unit(hr.detach(), "HR")
        self._refuse_another_range(sr, hr)
        if sr.dtype != torch.uint8 and _outside(sr, *OVERSHOOT):
            warnings.warn(f"{self._told_outside(given, 'SR')}. It is clamped", stacklevel=2)
        views = convention.views(sr, quantise(hr), scale=self.scale, channel=metric.channel)
        with exact_arithmetic():
            scores = self._function(sr.device)(*views)
        self.total += scores.double().sum().to(self.total.device)
        self.count += len(sr)

    def compute(self) -> Tensor:
        """The mean of all images since the last reset, float64; not a number where there was none."""
        return self.total / self.count

    def _unit(self, image: Tensor, what: Literal["SR", "HR"]) -> Tensor:
        """A batch in [0, 1], or uint8 as it is; what lies too far outside the range is refused."""
        if image.dtype == torch.uint8:
            return image
        if not image.is_floating_point():
            raise InputError(f"{what} is {image.dtype}, expected floats in {self._range}, or uint8")
        unit = (image.float() if image.element_size() < 4 else image) - self.low
        unit = unit / (self.high - self.low)
        if not bool(unit.isfinite().all()):
            raise InputError(f"{what} holds values that are not finite (NaN or infinity); nothing was scored")
        if _outside(unit, ROUNDING, 0.0) if what == "HR" else _outside(unit, *ELSEWHERE):
            raise InputError(self._told_outside(image, what))
        return unit

    def _told_outside(self, image: Tensor, what: str) -> str:
        return (
            f"{what} is from {image.min().item():.4g} to {image.max().item():.4g}, outside {self._range}. If that is "
            f"its range, tell Score, as torchmetrics has it: data_range=255.0, or data_range=(-1.0, 1.0)"
        )

    def _refuse_another_range(self, sr: Tensor, hr: Tensor) -> None:
        """Raise `InputError` where SR is HR's picture in another of the `USUAL` ranges."""
        x, y = (image.double() / (255.0 if image.dtype == torch.uint8 else 1.0) for image in (hr, sr))
        dx, dy = x - x.mean(), y - y.mean()
        together, spread = (dx * dy).sum(), (dx * dx).sum()
        if not bool(together > FOLLOWS * (spread * (dy * dy).sum()).sqrt()):
            return
        slope = (together / spread).item()
        start, width = (y.mean() - slope * x.mean()).item(), self.high - self.low
        for low, high in USUAL:
            wanted, begins = (high - low) / width, (low - self.low) / width
            alike = abs(slope / wanted - 1) < NEAR and abs(start - begins) < NEAR * wanted
            if alike and (low, high) != (self.low, self.high):
                raise InputError(
                    f"SR is HR's picture in {low:g}..{high:g} and not in {self._range}. Bring both into one range, and "
                    f"tell Score which, as torchmetrics has it: data_range=255.0, or data_range=(-1.0, 1.0)"
                )

    @property
    def _range(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"

    def _function(self, device: torch.device) -> ScoreFunction:
        if device not in self._functions:
            self._functions[device] = self.bound.metric.load(self.bound.convention, device)
        return self._functions[device]

    def __getstate__(self) -> dict[str, Any]:
        """Without the loaded functions, which need not survive a copy to another process."""
        return {**super().__getstate__(), "_functions": {}}

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.name, self.scale, self.low, self.high, id(self)))


def _outside(unit: Tensor, slack: float, share: float) -> bool:
    """Whether more than a share of the values is outside [0, 1] by more than `slack`."""
    return ((unit < -slack) | (unit > 1.0 + slack)).double().mean().item() > share
