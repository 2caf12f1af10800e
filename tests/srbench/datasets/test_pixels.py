"""Pictures known by their pixels, in any format or crop; and the committed table is what the data give."""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.base.errors import InputError
from srbench.datasets.standard.pixels import (
    CROPS,
    Index,
    describe,
    grey_of,
    parse,
    pixel_digest,
    published,
    table_text,
    to_line,
    to_table,
)
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.images.degrade import mod_crop
from srbench.images.files import read_image, to_rgb, write_image
from tests.srbench.datasets.conftest import Image


def test_the_digest_is_sha256_of_shape_and_bytes() -> None:
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pixel_digest(image) == hashlib.sha256(b"(2, 4, 3)" + bytes(range(24))).hexdigest()
    assert pixel_digest(image[:, ::-1][:, ::-1]) == pixel_digest(image)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif"])
def test_the_format_of_a_file_does_not_matter(suffix: str, photograph: Callable[..., Image], tmp_path: Path) -> None:
    image = photograph(33, 21)
    write_image(tmp_path / f"x{suffix}", image)
    assert pixel_digest(read_image(tmp_path / f"x{suffix}")) == pixel_digest(image)


@given(st.integers(12, 60), st.integers(12, 60), st.sampled_from(CROPS), st.booleans())
@settings(deadline=None, max_examples=40)
def test_every_crop_in_circulation_is_recognised(height: int, width: int, multiple: int, grey: bool) -> None:
    shape = (height, width) if grey else (height, width, 3)
    image = np.random.default_rng(height * width).integers(0, 256, shape, dtype=np.uint8)
    known = describe("Set", "x", image)
    copy = mod_crop(image, multiple)
    (match,) = Index([known]).find(pixel_digest(copy))
    assert match.known == known
    assert known.size(match.crop) == copy.shape[1::-1]


def test_grey_stored_as_rgb_is_recognised_and_named(photograph: Callable[..., Image]) -> None:
    grey = photograph(30, 20, grey=True)
    stored = to_rgb(grey)
    plane = grey_of(stored)
    assert plane is not None
    (match,) = Index([describe("Set", "x", grey)]).find(pixel_digest(stored), pixel_digest(plane))
    assert match.as_rgb
    assert match.variant == "grey stored as RGB"
    assert grey_of(photograph(30, 20)) is None


def test_a_table_reads_back_as_it_was_written(photograph: Callable[..., Image]) -> None:
    images = [describe("Set", f"x{seed}", photograph(24 + seed, 31, seed, grey=seed == 1)) for seed in range(3)]
    assert parse(to_table(images, "a note"), "here") == images


def test_a_damaged_table_is_refused() -> None:
    with pytest.raises(InputError, match=r"pixels\.tsv: not a table of pixels"):
        parse("Set5\tbaby\t512", "pixels.tsv")


def test_the_published_table_holds_every_set_whole_and_is_small() -> None:
    assert len(table_text()) < 400_000
    for row in STANDARD_SETS.values():
        if not row.first_use:
            assert len(row.ids) == row.count, row.name
    assert STANDARD_SETS["DIV2K-valid"].ids[0::99] == ("0801", "0900")
    assert len(STANDARD_SETS["DIV2K-train"].ids) == 800


def test_bridge_is_the_one_grey_image_of_the_test_sets() -> None:
    tests = [row.name for row in STANDARD_SETS.values() if row.role == "test" and not row.first_use]
    assert [known.id for name in tests for known in published().sets[name].values() if known.grey] == ["bridge"]


@pytest.mark.data
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_the_committed_lines_are_what_the_script_makes_of_the_data(name: str, data_root: Path) -> None:
    script = runpy.run_path(str(Path(__file__).parents[3] / "scripts/make_pixels.py"))
    lines = [line for line in table_text().splitlines() if line.startswith(f"{name}\t")]
    assert [to_line(known) for known in script["of_set"](data_root, name)] == lines


@pytest.mark.data
@pytest.mark.slow
def test_the_committed_table_is_what_the_script_makes_of_the_data(data_root: Path) -> None:
    script = runpy.run_path(str(Path(__file__).parents[3] / "scripts/make_pixels.py"))
    assert to_table(script["known_images"](data_root), script["NOTE"]) == table_text()
