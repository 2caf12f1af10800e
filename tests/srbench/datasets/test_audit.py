"""Leaks planted among photographs that scikit-image brings along, and the real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from srbench.base.errors import InputError
from srbench.datasets.leaks.alignment import COMPOSED, Alignment, detail, likeness
from srbench.datasets.leaks.audit import Leak, audit, pictures_of
from srbench.datasets.leaks.audit import test_pictures as find_tests
from srbench.datasets.leaks.contact_sheet import write_contact_sheet
from srbench.datasets.leaks.patch_hash import POSES, posed
from srbench.datasets.samples import open_samples
from srbench.images.files import read_image, write_image
from tests.conftest import Srbench

Picture = np.ndarray


def regraded(picture: Picture) -> Picture:
    """A darker, warmer, paler picture."""
    x = (picture / 255) ** 1.4 * np.array([1.1, 1.0, 0.85])
    return ((0.4 * x.mean(-1, keepdims=True) + 0.6 * x).clip(0, 1) * 255).astype(np.uint8)


def turned(picture: Picture) -> Picture:
    return np.ascontiguousarray(picture[::-1].transpose(1, 0, 2))


def resized(picture: Picture, factor: float) -> Picture:
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


DAMAGES: dict[str, Callable[[Picture], Picture]] = {
    "whole": lambda x: x,
    "turned": turned,
    "regraded": regraded,
    "larger and regraded": lambda x: regraded(resized(x, 1.4)),
    "crop": lambda x: x[31:231, 57:307],
    "crop, turned, regraded": lambda x: regraded(turned(x[31:231, 57:307])),
    "crop, smaller": lambda x: resized(x[20:290, 30:390], 0.75),
    "small crop": lambda x: x[101:201, 151:271],
}


@pytest.fixture(scope="module")
def photographs() -> dict[str, Path]:
    return dict(open_samples(4, "matlab").hr)


def _saved(path: Path, picture: Picture, quality: int = 70) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(picture)).save(path, quality=quality)
    return path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_leak_is_found_however_it_is_damaged(damage: str, photographs: dict[str, Path], tmp_path: Path) -> None:
    leak = _saved(tmp_path / "leak.jpg", DAMAGES[damage](read_image(photographs["coffee"])))
    tests = [photographs[name] for name in ("astronaut", "coffee", "rocket")]
    (found,) = audit([photographs["chelsea"], leak, photographs["motorcycle"]], tests)
    assert (found.train, found.test) == (leak, photographs["coffee"])
    assert found.how == ("crop" if "crop" in damage else found.how)


def test_a_test_image_that_is_a_crop_of_a_training_image_is_found(photographs: dict[str, Path], tmp_path: Path) -> None:
    small = _saved(tmp_path / "small.png", read_image(photographs["astronaut"])[100:350, 150:400])
    (found,) = audit([photographs["astronaut"]], [small])
    assert found.how == "crop"


def test_different_photographs_and_stripes_are_no_leaks(photographs: dict[str, Path], tmp_path: Path) -> None:
    y, x = np.mgrid[:256, :256]
    stripes = [_saved(tmp_path / f"{k}.png", np.uint8(127 + 100 * np.sign(np.sin((x + k * y) / 5)))) for k in (1, 2)]
    grey = _saved(tmp_path / "flat.png", np.full((200, 200, 3), 128, np.uint8))
    half = list(photographs.values())
    assert audit([*half[:3], stripes[0], grey], [*half[3:], stripes[1], grey]) == []


def test_tiny_pictures_are_no_reason_to_fail(tmp_path: Path) -> None:
    tiny = [_saved(tmp_path / f"{side}.png", np.zeros((side, side, 3), np.uint8)) for side in (2, 9, 40)]
    assert audit(tiny, tiny) == []


@given(st.integers(0, 7), st.integers(2, 5), st.integers(2, 5))
def test_a_pose_moves_pixels_as_its_matrix_says(pose: int, height: int, width: int) -> None:
    picture = np.arange(height * width, dtype=np.float32).reshape(height, width)
    moved = posed(picture, pose)
    centre = (np.array([width, height]) - 1) / 2
    there = (np.array(moved.shape[::-1]) - 1) / 2
    for y in range(height):
        for x in range(width):
            column, row = (POSES[pose] @ (np.array([x, y]) - centre) + there).round().astype(int)
            assert moved[row, column] == picture[y, x]


@given(st.integers(0, 7), st.integers(0, 7))
def test_the_pose_between_two_kept_ones(one: int, other: int) -> None:
    assert (POSES[one] @ POSES[COMPOSED[one, other]] == POSES[other]).all()


@pytest.mark.parametrize("pose", range(8))
def test_likeness_sees_a_picture_in_another_at_its_place(pose: int) -> None:
    test = detail(np.random.default_rng(pose).uniform(0, 255, (70, 90)).astype(np.float32))
    turned_test = posed(test, pose)
    train = np.zeros((160, 170), np.float32)
    train[20 : 20 + turned_test.shape[0], 31 : 31 + turned_test.shape[1]] = turned_test
    place = POSES[pose] @ ((np.array([90, 70]) - 1) / 2)
    shift = (np.array(turned_test.shape[::-1]) - 1) / 2 + (31, 20) - place
    value, deviations = likeness(train, test, Alignment(0, 0, pose, 1.0, (shift[0], shift[1]), 9))
    assert value > 0.999
    assert deviations > 100
    value, deviations = likeness(train, test, Alignment(0, 0, pose, 1.0, (shift[0] + 3, shift[1]), 9))
    assert abs(value) < 0.5


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no images in it or below"):
        pictures_of([tmp_path])
    with pytest.raises(InputError, match="no test set is under"):
        find_tests(["all"], tmp_path)


def test_the_contact_sheet_shows_both_pictures(photographs: dict[str, Path], tmp_path: Path) -> None:
    leak = Leak(photographs["coffee"], photographs["rocket"], "crop", 0.9)
    write_contact_sheet(tmp_path / "sheet.png", [leak] * 2)
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape == (2 * 268 + 10, 510, 3)
    assert sheet[10:250, 10:250].std() > 10
    assert sheet[10:200, 260:500].std() > 10


def test_the_command_lists_leaks_and_fails(srbench: Srbench, photographs: dict[str, Path], tmp_path: Path) -> None:
    coffee, train = tmp_path / "test" / "coffee.png", tmp_path / "train"
    write_image(coffee, read_image(photographs["coffee"]))
    _saved(train / "deep" / "x.jpg", regraded(read_image(photographs["coffee"])))
    sheet = tmp_path / "sheet.png"
    assert srbench("data", "audit", "--train", train, "--against", coffee.parent, "--sheet", sheet) == 1
    assert f"{train / 'deep' / 'x.jpg'} holds {coffee} (whole, correlation" in srbench.out
    assert "1 training images against 1 test images: 1 leaks" in srbench.out
    assert sheet.is_file()
    (train / "deep" / "x.jpg").unlink()
    _saved(train / "y.jpg", read_image(photographs["chelsea"]))
    sheet.unlink()
    assert srbench("data", "audit", "--train", train, "--against", coffee.parent, "--sheet", sheet) == 0
    assert "no leaks" in srbench.out
    assert not sheet.exists()


@pytest.mark.data
@pytest.mark.parametrize("quality", [40, 90])
def test_set5_woman_regraded_cropped_enlarged_and_compressed_is_found(
    quality: int, data_root: Path, tmp_path: Path
) -> None:
    """BSDS500 train/302003 is this photograph at 1.4 times the size, in other colours."""
    woman = read_image(data_root / "Set5/HR/woman.png")[6:-9, 5:-7]
    leak = _saved(tmp_path / "302003.jpg", regraded(resized(woman, 1.4)), quality)
    (found,) = audit([leak], find_tests(["Set5", "Set14"], data_root))
    assert found.test == data_root / "Set5/HR/woman.png"


@pytest.mark.data
def test_what_is_known_of_the_test_sets_is_found(data_root: Path) -> None:
    """Set14 face is Set5 head; Set5 butterfly is a part of Set14 monarch."""
    found = audit(find_tests(["Set14"], data_root), find_tests(["Set5"], data_root))
    assert {(leak.train.stem, leak.test.stem) for leak in found} == {("face", "head"), ("monarch", "butterfly")}


@pytest.mark.data
@pytest.mark.slow
def test_the_training_pack_is_clean(data_root: Path) -> None:
    training, tests = pictures_of([data_root / "train"]), find_tests(["all"], data_root)
    assert len(training) == 457
    assert audit(training, tests) == []
