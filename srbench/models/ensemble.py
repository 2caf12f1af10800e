"""`A+B`: the mean of what several models return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from srbench.base.errors import UsageError
from srbench.models.spec import ModelSpec, weights_digest
from srbench.models.wrap import combined, parameters_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.models.spec import Upscaler


class Mean:
    """The mean of the outputs of upscalers of one scale, unrounded."""

    def __init__(self, members: Sequence[Upscaler]) -> None:
        self.members = members
        self.scale = members[0].scale

    def parameters(self) -> Iterable[Any]:
        return chain.from_iterable(map(parameters_of, self.members))

    def __call__(self, lr: Tensor) -> Tensor:
        total = self.members[0](lr)
        for member in self.members[1:]:
            total = total + member(lr)
        return total / len(self.members)


def ensemble(specs: Sequence[ModelSpec]) -> ModelSpec:
    """One model of several. Raises `UsageError` where they have no scale in common."""
    name = "+".join(spec.name for spec in specs)
    scales = tuple(scale for scale in specs[0].scales if all(scale in spec.scales for spec in specs))
    if not scales:
        raise UsageError(f"{name}: these models have no scale in common")

    def build(scale: int, device: torch.device) -> Upscaler:
        return Mean([spec.build(scale, device) for spec in specs])

    def digest(scale: int) -> str:
        return combined(f"{spec.name}@{weights_digest(spec, scale)}" for spec in specs)

    return ModelSpec(name, scales, build, digest=digest, summary=f"mean of {len(specs)} models")
