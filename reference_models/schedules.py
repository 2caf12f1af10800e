"""Learning-rate schedules as functions of progress p in [0, 1], so that a resumed training needs no schedule state."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from reference_models.recipes import Recipe

FLOOR = 1e-3
"""What a cosine leaves of the rate at its end: a rate of zero would make the last steps a waste."""


def factor(recipe: Recipe, progress: float) -> float:
    """What the recipe's rate is multiplied with at `progress`; for `plateau` see `Plateau`."""
    warm = min(1.0, progress / recipe.warmup) if recipe.warmup else 1.0
    after = max(0.0, progress - recipe.warmup) / (1.0 - recipe.warmup)
    return max(warm, FLOOR) * _decay(recipe, min(after, 1.0))


def _decay(recipe: Recipe, progress: float) -> float:
    match recipe.schedule:
        case "cosine":
            return FLOOR + (1.0 - FLOOR) * 0.5 * (1.0 + math.cos(math.pi * progress))
        case "exponential":
            return float(recipe.decay**progress)
        case "step" | "multistep":
            return float(recipe.decay ** sum(progress >= milestone for milestone in recipe.milestones))
        case _:
            return 1.0


@dataclass
class Plateau:
    """Multiplies the rate by `decay` after `patience` validations without a gain of 0.01 dB."""

    decay: float
    patience: int = 5
    factor: float = 1.0
    best: float = -math.inf
    waited: int = 0

    def state_dict(self) -> dict[str, float]:
        """All fields, for a checkpoint."""
        return asdict(self)

    def load_state_dict(self, state: dict[str, float]) -> None:
        """The fields as a checkpoint has them."""
        vars(self).update(state)

    def observe(self, psnr: float) -> None:
        """Note a validation, in dB."""
        if psnr > self.best + 0.01:
            self.best, self.waited = psnr, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.factor, self.waited = self.factor * self.decay, 0
