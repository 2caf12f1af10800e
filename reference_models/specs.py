"""The reference models as the harness sees them: one line for each that has weights.

A model without weights is not registered, since `srbench run --models all` would stumble over it; its recipe and its
architecture are there for `srbench train`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from srbench.types import Asset, ModelSpec

if TYPE_CHECKING:
    import torch

    from srbench.types import Upscaler

PACKAGED = "package:reference_models/weights/"


def _spec(name: str, scales: Iterable[int], citation: str, summary: str) -> ModelSpec:
    weights = {scale: Asset(f"{PACKAGED}{name}-x{scale}.safetensors") for scale in scales}

    def build(scale: int, device: torch.device) -> Upscaler:
        from reference_models.weights import as_upscaler, load_network
        from srbench.assets import locate

        return as_upscaler(load_network(locate(weights[scale]), device))

    return ModelSpec(name, tuple(weights), build, weights, licence="MIT", citation=citation, summary=summary)


SRCNN = _spec("srcnn", (4,), "Dong et al., TPAMI 38(2), 2016", "three convolutions (9-5-5) on Y")
