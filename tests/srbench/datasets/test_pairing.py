"""Names as the field writes them, and which image they belong to."""

from __future__ import annotations

from pathlib import Path

import pytest

from srbench.base.errors import InputError
from srbench.datasets.pairing import pair


def files(*ids: str) -> dict[str, Path]:
    return {id: Path(f"{id}.png") for id in ids}


@pytest.mark.parametrize(
    ("made", "image"),
    [
        ("baby", "baby"), ("baby_SRF_4", "baby"), ("baby_SRF_4_SR", "baby_SRF_4_HR"), ("babyx4", "baby"),
        ("img_001_SRF_4_SR", "img_001_SRF_4_HR"), ("img_001_SRF_4_SwinIR", "img_001_SRF_4_HR"),
        ("0801x4", "0801"), ("0801", "0801x4"), ("0801x4", "0801x4"), ("0801_x4_out", "0801x4"),
        ("0801_rlt", "0801"), ("comic_SwinIR", "comic"), ("comic_HAT_SRx4", "comic"), ("comic_4x", "comic"),
        ("comic_out", "comic"), ("comic-real-esrgan", "comic"), ("comic.x4", "comic"), ("comicX4", "comic"),
        ("img_1_rlt", "img_1"), ("img_12_rlt", "img_12"), ("8023_x2", "8023"), ("box2_x4", "box2"),
        ("0001_HR_x4", "0001_HR"), ("baby_GT", "baby_HR"), ("img_003x2_SwinIR", "img_003"),
    ],
)  # fmt: skip
def test_names_of_the_field_pair(made: str, image: str) -> None:
    assert pair(files(made), [image]).found == {image: Path(f"{made}.png")}


def test_names_that_begin_alike_are_told_apart() -> None:
    images = ["img_1", "img_12", "a", "a_b", "1", "11"]
    made = files("img_1_rlt", "img_12_rlt", "a_x4", "a_b_x4", "1_x4", "11_x4")
    found = pair(made, images)
    assert {id: path.stem for id, path in found.found.items()} == dict(zip(images, made, strict=True))
    assert found.images_alone == () and found.files_alone == ()


def test_what_does_not_belong_stays_alone() -> None:
    found = pair(files("babylon", "box_x4", "birdie", "1234"), ["baby", "box", "bird", "123"])
    assert dict(found.found) == {"box": Path("box_x4.png")}
    assert found.images_alone == ("baby", "bird", "123")
    assert [path.stem for path in found.files_alone] == ["babylon", "birdie", "1234"]


def test_marks_of_images_are_left_out_only_where_all_have_them() -> None:
    assert pair(files("bo_x4"), ["box2", "cat"]).found == {}
    both = ["img_001_SRF_4_HR", "img_001_SRF_2_HR"]
    assert pair(files("img_001_SRF_4_SR"), both).found == {}


@pytest.mark.parametrize("made", [("a", "a_x4"), ("a_x2", "a_x4"), ("a_x4_bicubic", "a_x4_zero"), ("ax4", "a_x4")])
def test_two_for_one_are_an_error_that_names_both(made: tuple[str, str]) -> None:
    with pytest.raises(InputError, match=f"2 files belong to a: {made[0]}.png, {made[1]}.png. Move all but one"):
        pair(files(*made), ["a", "b"])
    for wanted in made:
        assert pair(files(*made), ["a", "b"], suffix=wanted.removeprefix("a")).found == {"a": Path(f"{wanted}.png")}


def test_a_suffix_counts_behind_names_without_marks_too() -> None:
    made = files("img_001_SRF_4_SR", "img_001_SRF_4_LR")
    assert pair(made, ["img_001_SRF_4_HR"], suffix="_SRF_4_SR").found == {
        "img_001_SRF_4_HR": Path("img_001_SRF_4_SR.png")
    }
