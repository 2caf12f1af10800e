"""Training curves, from where the trainers leave them: the metadata of a weights file, under `curve`.

A curve is rows of step, seconds, mean loss since the last row, and validation PSNR in dB, which may be NaN.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.assets import digest, locate
from srbench.base.errors import SrbenchError
from srbench.models import find_model

if TYPE_CHECKING:
    from srbench.results.results import Results


@dataclass(frozen=True)
class TrainingCurve:
    """How one model was trained: step, mean loss and validation PSNR of each validation."""

    model: str
    steps: tuple[float, ...]
    losses: tuple[float, ...]
    psnr: tuple[float, ...]

    @property
    def validated(self) -> bool:
        """Whether there is any validation score to show."""
        return any(map(math.isfinite, self.psnr))


def curves_of(results: Results, scale: int) -> list[TrainingCurve]:
    """The curves of the models at a scale whose weights are on this disk, are those of the results, and hold one."""
    weights = {run.identity.model: run.identity.weights for run in results if run.identity.scale == scale}
    found = (_curve(model, scale, sha256) for model, sha256 in weights.items() if sha256)
    return [curve for curve in found if curve is not None]


def _curve(model: str, scale: int, sha256: str) -> TrainingCurve | None:
    try:
        path = locate(find_model(model).weights[scale])
    except (SrbenchError, KeyError):  # a report needs no weights: without them there is one figure less
        return None
    return read_curve(path, model) if digest(path) == sha256 else None


def read_curve(path: Path, model: str) -> TrainingCurve | None:
    """The curve in a `.safetensors` file; None where there is none."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            rows = json.loads((file.metadata() or {}).get("curve", "[]"))
        steps, _, losses, psnr = zip(*rows, strict=True)
    except (SafetensorError, ValueError, TypeError):
        return None
    return TrainingCurve(model, steps, losses, tuple(math.nan if value is None else value for value in psnr))
