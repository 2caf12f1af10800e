"""Models by reference: `all`, or the name that a package registered under `srbench.models`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from srbench.assets import digest, locate
from srbench.errors import UsageError
from srbench.registry import entries, load, package_of
from srbench.types import ModelSpec

if TYPE_CHECKING:
    from srbench.types import Upscaler

ALL = "all"


def find_model(ref: str) -> ModelSpec:
    """The spec of a registered name; raises `UsageError` for an unknown one, with the nearest names."""
    spec = load("models", ref)
    if not isinstance(spec, ModelSpec):
        raise UsageError(f"{package_of(entries('models')[ref])} registers {ref!r}, which is not a ModelSpec")
    return spec


def select_models(refs: Iterable[str]) -> list[ModelSpec]:
    """The specs behind `--models`, each once: those without weights first, then by name."""
    names = dict.fromkeys(name for ref in refs for name in (entries("models") if ref == ALL else [ref]))
    return sorted((find_model(name) for name in names), key=lambda spec: (bool(spec.weights), spec.name))


def weights_digest(spec: ModelSpec, scale: int) -> str:
    """sha256 (hex) of the weights file at a scale, fetched if need be; empty for a model without weights.

    Raises `UnavailableError` where the file cannot be had.
    """
    return digest(locate(spec.weights[scale])) if scale in spec.weights else ""


def load_model(ref: str, scale: int = 4, device: str = "auto") -> Upscaler:
    """Build a model: a callable from `(n, 3, h, w)` float in [0, 1] to `(n, 3, h * scale, w * scale)`.

    Raises `UsageError` for an unknown model or a scale that it lacks, `UnavailableError` where its weights cannot be
    had.
    """
    from srbench.inference import select_device

    spec = find_model(ref)
    if scale not in spec.scales:
        raise UsageError(f"{ref} has no scale {scale}; it has {', '.join(map(str, spec.scales))}")
    return spec.build(scale, select_device(device))
