"""LR: made bit for bit as the published files were, and shipped files told apart by what made them."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from srbench.base.errors import InputError
from srbench.datasets.folder import FileDataset, open_folder
from srbench.datasets.standard.lr_files import origins, worded
from srbench.images.degrade import DEGRADATIONS, degrade, repeatable
from srbench.images.files import list_images, read_image, write_image
from tests.conftest import Srbench
from tests.srbench.datasets.conftest import Pictures

LEGACY_X4 = {
    ("Set5", "baby"): "08155c10a5fb0925",
    ("Set5", "bird"): "41763f1c1ab0238c",
    ("Set5", "butterfly"): "44964b84fa42882e",
    ("Set5", "head"): "701b5b1c01f0450f",
    ("Set5", "woman"): "5309aa740cc2c8d5",
    ("Set14", "bridge"): "34044d7ca8a8be27",
}
"""sha256 prefixes of the raw bytes of SelfExSR's LR files."""


def _with_lr(root: Path, flavour: str, scale: int = 4) -> FileDataset:
    for id, path in list_images(root / "Little/HR").items():
        lr = root / "Little/LR_bicubic" / f"X{scale}" / f"{id}x{scale}.png"
        write_image(lr, degrade(read_image(path), scale, flavour))
    return open_folder(root / "Little", scale, "files")


@pytest.mark.data
@pytest.mark.parametrize(("name", "id"), LEGACY_X4)
def test_legacy_lr_is_that_of_the_published_files(name: str, id: str, data_root: Path) -> None:
    lr = degrade(read_image(data_root / name / "HR" / f"{id}.png"), 4, "matlab-legacy")
    assert hashlib.sha256(lr.tobytes()).hexdigest().startswith(LEGACY_X4[name, id])


@pytest.mark.parametrize("flavour", [row.name for row in DEGRADATIONS.values() if row.rounded])
def test_making_lr_twice_gives_the_same_bytes(flavour: str, little: Pictures) -> None:
    for image in little.values():
        assert degrade(image, 3, flavour).tobytes() == degrade(image.copy(), 3, flavour).tobytes()


@pytest.mark.parametrize("flavour", repeatable(4, rounded=True))
def test_the_degradation_behind_lr_files_is_named(flavour: str, at_home: Path) -> None:
    found = origins(_with_lr(at_home, flavour))
    assert (found[0].degradation, found[0].exact, found[0].worst_db) == (flavour, True, math.inf)
    assert not found[1].exact
    assert worded(found, 4) == f"the LR files at x4 are `{flavour}`, bit for bit, in all 3 images"


def test_lr_files_of_another_make_are_called_so(at_home: Path) -> None:
    dataset = _with_lr(at_home, "matlab")
    assert dataset.lr is not None
    lr = read_image(dataset.lr["a"])
    write_image(dataset.lr["a"], np.clip(lr.astype(int) + 3, 0, 255).astype(np.uint8))
    found = origins(dataset)
    assert worded(found, 4).startswith(
        "the LR files at x4 are none of ours: nearest is `matlab`, equal in 2 of 3 images, "
    )
    assert found[0].worst_db == pytest.approx(20 * math.log10(255 / 3), abs=0.5)


def test_without_lr_files_there_is_nothing_to_tell(at_home: Path) -> None:
    with pytest.raises(InputError, match="was opened without LR files"):
        origins(open_folder(at_home / "Little", 4, "matlab"))


def test_verify_says_what_made_the_lr_files(at_home: Path, srbench: Srbench) -> None:
    _with_lr(at_home, "matlab-legacy")
    _with_lr(at_home, "matlab", scale=2)
    assert srbench("data", "verify", "Little", "--data-root", at_home) == 0
    assert srbench.out.splitlines() == [
        f"Little: verifies (3 exact); in {at_home / 'Little'}",
        "  the LR files at x2 are `matlab`, bit for bit, in all 3 images",
        "  the LR files at x4 are `matlab-legacy`, bit for bit, in all 3 images",
    ]
