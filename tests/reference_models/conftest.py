"""Small folders of pictures, and a tiny version of every recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from lightning_fabric import Fabric

from reference_models.patches import Pool
from reference_models.pool import PoolRequest, open_pool
from reference_models.recipes import GanRecipe, Recipe
from reference_models.sources import open_sources
from reference_models.train import Data, make_fabric, open_validation
from reference_models.validation import Validation
from srbench.images.files import write_image

if TYPE_CHECKING:
    from srbench.images.files import Image


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # sums in one order: what "bit for bit" needs


@pytest.fixture
def pictures(tmp_path: Path, photograph: Callable[..., Image]) -> Path:
    """A folder of four pictures of different sizes, one of them grey."""
    folder = tmp_path / "pictures"
    for seed, (height, width) in enumerate([(64, 80), (72, 64), (96, 65), (66, 67)]):
        write_image(folder / f"{seed}.png", photograph(height, width, seed=seed, grey=seed == 3))
    return folder


@pytest.fixture
def fabric() -> Fabric:
    return make_fabric(torch.device("cpu"), 1, "32-true")


def tiny(recipe: Recipe, **changes: object) -> Recipe:
    """The recipe, shrunk to a network and patches of a few pixels; the parts of the loop that run stay the same."""
    options = {"blocks": 1, "features": 8} if recipe.architecture != "srcnn" else dict(recipe.options)
    options |= {"growth": 4} if recipe.architecture == "rrdb" else {}
    kept = {key: value for key, value in recipe.options.items() if key not in options}
    small = replace(
        recipe, options={**kept, **options}, batch=4, patch=8, minutes=0.0, steps=20,
        validate_every=10, precision="32-true", compile="", warmup=0.0, start="",
    )  # fmt: skip
    if recipe.architecture == "srcnn":
        small = replace(small, patch=24)
    if isinstance(small, GanRecipe):
        small = replace(small, discriminator_features=8)
    return replace(small, **changes)  # type: ignore[arg-type]


def pool_for(recipe: Recipe, *folders: Path, device: str = "cpu", **request: Any) -> Pool:
    sources, _ = open_sources(folders, recipe.scale, request.get("degradation", "matlab"))
    wanted = PoolRequest(recipe.scale, recipe.patch, recipe.kind, tell=lambda line: None, **request)
    return open_pool(sources, wanted, torch.device(device))


def validation_on(folder: Path, recipe: Recipe, limit: int = 0) -> Validation:
    return open_validation(open_sources([folder], recipe.scale)[0], recipe, Data([folder], val_limit=limit))
