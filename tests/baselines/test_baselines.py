"""Every registered baseline: shapes, the 8-bit grid, and what each kernel is known for."""

from __future__ import annotations

import pytest
import torch

import baselines
from srbench.models.spec import ModelSpec

SPECS = [spec for spec in vars(baselines).values() if isinstance(spec, ModelSpec)]
CPU = torch.device("cpu")


def noise(height: int = 7, width: int = 9) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, height, width), generator=torch.Generator().manual_seed(0)) / 255.0


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_size_and_grid(spec: ModelSpec, scale: int) -> None:
    sr = spec.build(scale, CPU)(noise())
    assert sr.shape == (2, 3, 7 * scale, 9 * scale)
    torch.testing.assert_close(sr * 255, (sr * 255).round(), rtol=0, atol=1e-9)
    assert 0 <= sr.min() <= sr.max() <= 1


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_flat_stays_flat(spec: ModelSpec) -> None:
    sr = spec.build(4, CPU)(torch.full((1, 3, 5, 5), 0.2))
    assert (sr * 255).round().unique().tolist() == [51]


def test_nearest_repeats() -> None:
    x = noise()
    sr = baselines.NEAREST.build(3, CPU)(x)
    torch.testing.assert_close(sr.float(), x.repeat_interleave(3, -1).repeat_interleave(3, -2))


def test_names_are_those_registered() -> None:
    from importlib.metadata import entry_points

    registered = {entry.name for entry in entry_points(group="srbench.models") if entry.value.startswith("baselines:")}
    assert registered == {spec.name for spec in SPECS}
