"""Fixtures that several packages' tests share. What needs data that is not here is skipped, saying what to set."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from srbench.types import Image


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads the user's cache or data, or reaches for the network."""
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SRBENCH_OFFLINE", "1")
    monkeypatch.delenv("SRBENCH_DEBUG", raising=False)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The standard sets, where `SRBENCH_DATA` says; resolved once, since some tests leave the current folder."""
    return _folder("SRBENCH_DATA", "the standard sets")


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """The ImageNet trunks, where `SRBENCH_WEIGHTS` says."""
    return _folder("SRBENCH_WEIGHTS", "alexnet_features.safetensors")


def _folder(variable: str, what: str) -> Path:
    given = os.environ.get(variable)
    if not given or not Path(given).is_dir():
        pytest.skip(f"needs {what}: set {variable}")
    return Path(given).resolve()


@pytest.fixture
def photograph() -> Callable[..., Image]:
    """Make a smooth random picture, reproducible by its seed: `photograph(height, width, seed=0, grey=False)`."""

    def make(height: int, width: int, seed: int = 0, grey: bool = False) -> Image:
        rng = np.random.default_rng(seed)
        coarse = rng.uniform(0, 255, (height // 8 + 2, width // 8 + 2, 1 if grey else 3))
        smooth = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width] + rng.normal(0, 8, (height, width, 1))
        image = smooth.clip(0, 255).round().astype(np.uint8)
        return image[..., 0] if grey else image

    return make
