"""A third-party package: one model and one metric, added as srbench adds its own."""

from __future__ import annotations

from srbench.metrics.metric import Metric
from srbench.models.spec import ModelSpec


class Blurry:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, lr):
        from torch.nn.functional import interpolate

        return interpolate(lr, scale_factor=self.scale, mode="bilinear")


def mean_absolute_error(sr, hr):
    return (sr - hr).abs().mean(dim=(1, 2, 3))


BLURRY = ModelSpec("blurry", (2, 4), lambda scale, device: Blurry(scale), licence="MIT")
MAE_Y = Metric("mae_y", "y", lambda convention, device: mean_absolute_error, higher_is_better=False, label="MAE-Y")
