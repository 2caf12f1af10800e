"""A standard set of three made-up pictures, so that what is done to sets can be tested without any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from srbench.datasets.standard import pixels
from srbench.datasets.standard.pixels import describe, published, to_line
from srbench.datasets.standard.table import STANDARD_SETS, StandardSet
from srbench.images.files import write_image

Image = npt.NDArray[np.uint8]
Pictures = dict[str, Image]


@pytest.fixture
def little(photograph: Callable[..., Image], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pictures]:
    """The images of the set `Little` by id; `c` is grey, and no size is a multiple of 12."""
    images = {"a": photograph(64, 50, 1), "b": photograph(47, 61, 2), "c": photograph(58, 40, 3, grey=True)}
    lines = "\n".join(to_line(describe("Little", id, image)) for id, image in images.items())
    text = pixels.table_text() + lines + "\n"
    monkeypatch.setattr(pixels, "table_text", lambda: text)
    monkeypatch.setitem(STANDARD_SETS, "Little", StandardSet("Little", "test", 3, "nobody", "none"))
    published.cache_clear()
    yield images
    published.cache_clear()


@pytest.fixture
def at_home(little: Pictures, tmp_path: Path) -> Path:
    """The set laid out under a data root; returns the root."""
    for id, image in little.items():
        write_image(tmp_path / "root" / "Little" / "HR" / f"{id}.png", image)
    return tmp_path / "root"
