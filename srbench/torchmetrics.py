"""The documented import path of `srbench.metrics.torchmetrics`."""

from srbench.metrics.torchmetrics import Score

__all__ = ["Score"]
