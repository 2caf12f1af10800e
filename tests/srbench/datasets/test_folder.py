"""Custom data sets: HR alone, pairs, LR alone, and what is said where they do not fit together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srbench.base.errors import InputError
from srbench.datasets.folder import open_folder
from srbench.images.degrade import degrade
from srbench.images.files import write_image
from tests.conftest import Srbench
from tests.srbench.datasets.conftest import Pictures


@pytest.fixture
def pairs(little: Pictures, tmp_path: Path) -> Path:
    """HR, and LR of scale 2 in `LR/X2`."""
    home = tmp_path / "mine"
    for id, image in little.items():
        write_image(home / "HR" / f"{id}.png", image)
        write_image(home / "LR" / "X2" / f"{id}x2.png", degrade(image, 2))
    return home


@pytest.mark.parametrize("place", ["LR_bicubic/X2", "LR/X2", "LR"])
@pytest.mark.parametrize("mark", ["x2", ""])
def test_lr_is_found_where_people_keep_it(place: str, mark: str, pairs: Path, little: Pictures, tmp_path: Path) -> None:
    home = tmp_path / "other"
    (home / place).parent.mkdir(parents=True)
    (pairs / "HR").rename(home / "HR")
    (pairs / "LR/X2").rename(home / place)
    for path in (home / place).iterdir():
        path.rename(path.with_name(path.name.replace("x2", mark)))
    dataset = open_folder(home, 2, "files")
    assert dataset.ids == ("a", "b", "c")
    assert all((dataset[index].lr == degrade(little[id], 2)).all() for index, id in enumerate(dataset.ids))


def test_a_missing_or_lonely_lr_is_named(pairs: Path) -> None:
    (pairs / "LR/X2/bx2.png").rename(pairs / "LR/X2/zx2.png")
    with pytest.raises(InputError, match=r"no LR for b \(1 missing\); expected bx2.png"):
        open_folder(pairs, 2, "files")
    (pairs / "HR/b.png").unlink()
    with pytest.raises(InputError, match=r"LR without HR: zx2.png \(1 such\)"):
        open_folder(pairs, 2, "files")


def test_two_lr_for_one_hr_are_an_error(pairs: Path, little: Pictures) -> None:
    write_image(pairs / "LR/X2/b.png", degrade(little["b"], 2) // 2)
    with pytest.raises(
        InputError,
        match=r"2 files belong to b: b.png, bx2.png. Say which: --degradation files: or --degradation files:x2",
    ):
        open_folder(pairs, 2, "files")
    chosen = open_folder(pairs, 2, "files:x2")
    assert {path.name for path in (chosen.lr or {}).values()} == {"ax2.png", "bx2.png", "cx2.png"}
    assert np.array_equal(chosen[1].lr, degrade(little["b"], 2)) and chosen.degradation == "files:x2"
    with pytest.raises(InputError, match=r"no LR for a \(2 missing\); expected a.png; there is ax2.png"):
        open_folder(pairs, 2, "files:")
    for path in (pairs / "HR").iterdir():
        path.unlink()
    (pairs / "HR").rmdir()
    with pytest.raises(InputError, match=r"b.png and bx2.png both belong to b. Say which: --degradation files: or"):
        open_folder(pairs, 2, "files")
    assert open_folder(pairs, 2, "files:x2").ids == ("a", "b", "c")
    assert open_folder(pairs, 2, "files:").ids == ("ax2", "b", "bx2", "cx2")
    with pytest.raises(InputError, match="no image in it ends in '_y'; there is ax2.png"):
        open_folder(pairs, 2, "files:_y")


def test_lr_of_several_scales_in_one_folder(little: Pictures, tmp_path: Path) -> None:
    for id, image in little.items():
        write_image(tmp_path / "HR" / f"{id}_HR.png", image)
        for scale in (2, 3):
            write_image(tmp_path / "LR" / f"{id}_x{scale}.png", degrade(image, scale))
    dataset = open_folder(tmp_path, 3, "files")
    assert [path.name for path in (dataset.lr or {}).values()] == ["a_x3.png", "b_x3.png", "c_x3.png"]


def test_lr_of_another_scale_is_refused(pairs: Path, little: Pictures) -> None:
    write_image(pairs / "LR/X2/ax2.png", degrade(little["a"], 3))
    dataset = open_folder(pairs, 2, "files")
    with pytest.raises(InputError, match=r"16x21 times 2 is not the 50x64 of a.png. Is this the LR for another"):
        dataset[0]


def test_without_lr_the_places_are_named(little: Pictures, tmp_path: Path) -> None:
    write_image(tmp_path / "HR/a.png", little["a"])
    with pytest.raises(InputError, match=r"no LR files for x4. Expected .*LR_bicubic/X4 or .*LR/X4 or .*LR, or"):
        open_folder(tmp_path, 4, "files")


def test_lr_alone_has_no_reference(pairs: Path) -> None:
    for path in (pairs / "HR").iterdir():
        path.unlink()
    (pairs / "HR").rmdir()
    with pytest.raises(InputError, match="has LR and no HR. To upscale and time it, .*--degradation files"):
        open_folder(pairs, 2, "matlab")
    dataset = open_folder(pairs, 2, "files")
    assert (len(dataset), dataset.has_hr, dataset[0].hr) == (3, False, None)
    assert len(dataset.fingerprint) == 64
    with pytest.raises(InputError, match="a: there is LR alone, and no HR to compare with"):
        _ = dataset[0].reference


def test_lr_alone_is_upscaled_saved_and_not_scored(pairs: Path, srbench: Srbench, tmp_path: Path) -> None:
    for path in (pairs / "HR").iterdir():
        path.unlink()
    (pairs / "HR").rmdir()
    arguments = ["--models", "bicubic", "--datasets", pairs, "--scale", 2, "--metrics", "psnr_y", "--no-speed"]
    arguments += ["--degradation", "files", "--save-images", "--out", tmp_path / "results"]
    for _ in range(2):
        assert srbench("run", *arguments) == 0
        assert "PSNR-Y is n/a: the data set has LR alone, and no HR to score against" in srbench.out
    assert sorted(path.name for path in tmp_path.glob("results/mine/x2/bicubic/*.png")) == ["a.png", "b.png", "c.png"]
    assert srbench("score", tmp_path / "results", "--metrics", "psnr_y") == 1
    assert "no HR to compare with" in srbench.err
