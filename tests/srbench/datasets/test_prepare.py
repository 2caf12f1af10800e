"""Sets laid out from every layout in circulation, whole or not at all."""

from __future__ import annotations

import errno
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from srbench.base.errors import InputError, SrbenchError, UsageError
from srbench.datasets import open_dataset
from srbench.datasets.standard.match import Picker, bare_name
from srbench.datasets.standard.prepare import prepare
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.datasets.standard.unpack import PictureFile
from srbench.datasets.standard.verify import verify
from srbench.images.degrade import degrade, mod_crop
from srbench.images.files import list_images, read_image, to_rgb, write_image
from tests.srbench.datasets.conftest import Image, Pictures

Layout = Callable[[Pictures, Path, str], None]


def edsr(images: Pictures, home: Path, name: str) -> None:
    for id, image in images.items():
        write_image(home / "benchmark" / name / "HR" / f"{id}.png", image)
        for scale in (2, 3, 4):
            lr = home / "benchmark" / name / "LR_bicubic" / f"X{scale}" / f"{id}x{scale}.png"
            write_image(lr, degrade(image, scale, "matlab"))


def selfexsr(images: Pictures, home: Path, name: str) -> None:
    for number, image in enumerate(images.values(), 1):
        place, stem = home / "data" / name / "image_SRF_4", f"img_{number:03}_SRF_4"
        hr = mod_crop(image, 4)
        write_image(place / f"{stem}_HR.png", hr)
        write_image(place / f"{stem}_LR.png", degrade(hr, 4, "matlab-legacy"))
        write_image(place / f"{stem}_bicubic.png", 255 - hr)


def basicsr(images: Pictures, home: Path, name: str) -> None:
    for id, image in images.items():
        hr = to_rgb(mod_crop(image, 12))
        write_image(home / name / "GTmod12" / f"{id}.png", hr)
        for scale in (2, 3, 4):
            write_image(home / name / f"LRbicx{scale}" / f"{id}.png", degrade(hr, scale, "matlab-double"))


def flat_bitmaps(images: Pictures, home: Path, name: str) -> None:
    for id, image in images.items():
        write_image(home / f"{id}_GT.bmp", image)


def other_names(images: Pictures, home: Path, name: str) -> None:
    for id, image in zip(reversed(list(images)), images.values(), strict=True):
        write_image(home / f"{id}.tif", image)  # each under another's name


LAYOUTS = (edsr, selfexsr, basicsr, flat_bitmaps, other_names)
EXACT = (edsr, flat_bitmaps, other_names)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_recognised_by_pixels(layout: Layout, little: Pictures, tmp_path: Path) -> None:
    layout(little, tmp_path / "from", "Little")
    done = prepare("Little", tmp_path / "root", tmp_path / "from")
    assert set(done.counts()) == ({"exact"} if layout in EXACT else {"cropped"})
    assert done.fits(4) or layout is basicsr
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["Little"]


@pytest.mark.data
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["Set5", pytest.param("Set14", marks=pytest.mark.slow)])
def test_each_layout_made_from_the_real_data_verifies(
    layout: Layout, name: str, data_root: Path, tmp_path: Path
) -> None:
    images = {id: read_image(path) for id, path in list_images(data_root / name / "HR").items()}
    layout(images, tmp_path / "from", name)
    done = prepare(name, tmp_path / "root", tmp_path / "from")
    assert set(done.counts()) <= ({"exact"} if layout in EXACT else {"exact", "cropped"})
    assert done.fits(4) or layout is basicsr


def test_the_best_of_several_copies_is_taken_and_grey_is_restored(little: Pictures, tmp_path: Path) -> None:
    basicsr(little, tmp_path / "from", "Little")
    flat_bitmaps({id: to_rgb(image) for id, image in little.items()}, tmp_path / "from", "Little")
    assert prepare("Little", tmp_path / "root", tmp_path / "from").counts() == {"exact": 3}
    assert read_image(tmp_path / "root/Little/HR/c.png").ndim == 2


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_archives_are_read_as_folders_are(kind: str, little: Pictures, tmp_path: Path) -> None:
    edsr(little, tmp_path / "from", "Little")
    archive = tmp_path / f"x.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in (tmp_path / "from").rglob("*.png"):
                file.write(path, path.relative_to(tmp_path))
    else:
        with tarfile.open(archive, "w:gz" if kind.endswith("gz") else "w") as tar:
            tar.add(tmp_path / "from", "from")
    assert prepare("Little", tmp_path / "root", archive).counts() == {"exact": 3}


@pytest.mark.parametrize(("layout", "flavour"), [(edsr, "matlab"), (selfexsr, "matlab-legacy")])
def test_lr_files_come_along_and_serve_as_a_degradation(
    layout: Layout, flavour: str, little: Pictures, tmp_path: Path
) -> None:
    layout(little, tmp_path / "from", "Little")
    said: list[str] = []
    prepare("Little", tmp_path / "root", tmp_path / "from", with_lr=True, report=said.append)
    assert "3 at x4" in said[0]
    dataset = open_dataset("Little", 4, "files", tmp_path / "root")
    for index, id in enumerate(dataset.ids):
        assert (dataset[index].lr == degrade(little[id], 4, flavour)).all()


def test_a_source_that_lacks_an_image_changes_nothing(little: Pictures, at_home: Path, tmp_path: Path) -> None:
    write_image(tmp_path / "from" / "a.png", little["a"])
    changed = little["b"].copy()
    changed[0, 0, 0] ^= 1
    write_image(tmp_path / "from" / "b.png", changed)
    before = (at_home / "Little/HR/a.png").stat().st_ino
    with pytest.raises(InputError, match=r"1 of 3 images of Little found; no b; b.png is the same picture with"):
        prepare("Little", at_home, tmp_path / "from", force=True)
    assert (at_home / "Little/HR/a.png").stat().st_ino == before
    assert [path.name for path in at_home.iterdir()] == ["Little"]


def test_a_truncated_picture_is_named(little: Pictures, tmp_path: Path) -> None:
    flat_bitmaps(little, tmp_path / "from", "Little")
    path = tmp_path / "from" / "b_GT.bmp"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"2 of 3 images .* no b; b_GT.bmp: cannot be decoded .*truncated"):
        prepare("Little", tmp_path / "root", tmp_path / "from")
    assert not list((tmp_path / "root").iterdir())


def test_what_is_not_of_the_set_is_left_behind(
    little: Pictures, tmp_path: Path, photograph: Callable[..., Image]
) -> None:
    flat_bitmaps({**little, "extra": photograph(64, 50, 99)}, tmp_path / "from", "Little")
    assert prepare("Little", tmp_path / "root", tmp_path / "from").counts() == {"exact": 3}


def test_a_full_disk_leaves_no_half_set(
    little: Pictures, at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat_bitmaps(little, tmp_path / "from", "Little")
    offer = Picker.offer

    def fill(picker: Picker, picture: PictureFile) -> None:
        if picker.found:
            raise OSError(errno.ENOSPC, "No space left on device")
        offer(picker, picture)

    monkeypatch.setattr(Picker, "offer", fill)
    with pytest.raises(SrbenchError, match="the disk is full: nothing was changed at .*Little"):
        prepare("Little", at_home, tmp_path / "from", force=True)
    assert verify("Little", at_home / "Little").fits(4)
    assert [path.name for path in at_home.iterdir()] == ["Little"]


def test_a_kill_leaves_the_old_set(
    little: Pictures, at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat_bitmaps(little, tmp_path / "from", "Little")

    def interrupt(picker: Picker, picture: PictureFile) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Picker, "offer", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare("Little", at_home, tmp_path / "from", force=True)
    assert verify("Little", at_home / "Little").fits(4)


def test_a_rename_that_fails_puts_the_old_set_back(
    little: Pictures, at_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat_bitmaps(little, tmp_path / "from", "Little")
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if target == at_home / "Little" and ".old." not in str(path):
            raise OSError(errno.EACCES, "no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="no"):
        prepare("Little", at_home, tmp_path / "from", force=True)
    assert verify("Little", at_home / "Little").fits(4)
    assert [path.name for path in at_home.iterdir()] == ["Little"]


def test_a_set_that_a_kill_left_aside_is_put_back(little: Pictures, at_home: Path, tmp_path: Path) -> None:
    (at_home / ".Little.old.x").mkdir()
    (at_home / "Little").rename(at_home / ".Little.old.x" / "Little")
    with pytest.raises(InputError, match="no such folder"):
        prepare("Little", at_home, at_home / ".Little.old.x", force=True)  # by then it is gone
    assert verify("Little", at_home / "Little").fits(4)
    assert [path.name for path in at_home.iterdir()] == ["Little"]


def test_a_set_that_is_there_is_replaced_with_force_alone(little: Pictures, at_home: Path, tmp_path: Path) -> None:
    flat_bitmaps(little, tmp_path / "from", "Little")
    (at_home / "Little" / "notes.txt").write_text("mine", encoding="utf-8")
    said: list[str] = []
    assert prepare("Little", at_home, report=said.append).known  # nothing is fetched
    assert said == ["Little: is there already; --force makes it anew"]
    assert prepare("Little", at_home, tmp_path / "from").known  # what a set is, is known by its pixels
    with pytest.raises(UsageError, match="Little is there already; .*or --force to replace it"):
        prepare("Little", at_home, tmp_path / "from", with_lr=True)
    assert (at_home / "Little" / "notes.txt").exists()
    (at_home / "Little" / "HR" / "a.png").unlink()
    with pytest.raises(UsageError, match="srbench data verify Little says what it holds"):
        prepare("Little", at_home)
    prepare("Little", at_home, tmp_path / "from", force=True)
    assert not (at_home / "Little" / "notes.txt").exists()


def test_two_lr_of_one_image_are_refused(little: Pictures, tmp_path: Path) -> None:
    flat_bitmaps(little, tmp_path / "from", "Little")
    for id in little:
        write_image(tmp_path / "from" / "LR" / f"{id}x4.png", degrade(little[id], 4))
    write_image(tmp_path / "from" / "LR" / "bx4_again.bmp", degrade(little["b"], 4))  # another name, no LR of b
    write_image(tmp_path / "from" / "other" / "bx4.png", degrade(little["b"], 4))  # the same once more
    prepare("Little", tmp_path / "root", tmp_path / "from", with_lr=True)
    write_image(tmp_path / "from" / "other" / "bx4.png", degrade(little["b"], 4) // 2)
    with pytest.raises(InputError, match=r"LR/bx4.png and other/bx4.png are both LR of bx4, and differ. Give --from"):
        prepare("Little", tmp_path / "root", tmp_path / "from", with_lr=True, force=True)
    assert (read_image(tmp_path / "root/Little/LR_bicubic/X4/bx4.png") == degrade(little["b"], 4)).all()


def test_an_unknown_set_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown standard set 'Set15'. Did you mean"):
        prepare("Set15", tmp_path, tmp_path)


@pytest.fixture
def div2k(monkeypatch: pytest.MonkeyPatch) -> None:
    """DIV2K-valid with three ids and 60 pixels on the longer side."""
    row = replace(STANDARD_SETS["DIV2K-valid"], count=3, id_range=("0801", "0803"), long_side=60)
    monkeypatch.setitem(STANDARD_SETS, "DIV2K-valid", row)


def _like_div2k(home: Path, photograph: Callable[..., Image], width: int = 60) -> None:
    for number in range(801, 804):
        write_image(home / "DIV2K_valid_HR" / f"0{number}.png", photograph(40, width, number))


@pytest.mark.usefixtures("div2k")
def test_a_set_without_published_digests_is_trusted_once(tmp_path: Path, photograph: Callable[..., Image]) -> None:
    _like_div2k(tmp_path / "from", photograph)
    said: list[str] = []
    assert prepare("DIV2K-valid", tmp_path, tmp_path / "from", report=said.append).counts() == {"exact": 3}
    assert said == [
        "DIV2K-valid: names and sizes are right; its pixels are trusted on first use and remembered in pixels.tsv"
    ]
    write_image(tmp_path / "DIV2K-valid/HR/0802.png", photograph(40, 60, 7))
    assert verify("DIV2K-valid", tmp_path / "DIV2K-valid").counts() == {"exact": 2, "foreign": 1}
    with pytest.raises(InputError, match="0802 is foreign"):
        open_dataset("DIV2K-valid", 4, root=tmp_path)


@pytest.mark.usefixtures("div2k")
def test_a_set_laid_out_by_hand_is_remembered_when_first_seen(tmp_path: Path, photograph: Callable[..., Image]) -> None:
    _like_div2k(tmp_path / "from", photograph)
    shutil.copytree(tmp_path / "from/DIV2K_valid_HR", tmp_path / "DIV2K-valid/HR")
    assert not open_dataset("DIV2K-valid", 4, root=tmp_path).unverified  # type: ignore[attr-defined]
    assert (tmp_path / "DIV2K-valid/pixels.tsv").read_text().count("DIV2K-valid\t") == 3


@pytest.mark.usefixtures("div2k")
def test_sizes_that_cannot_be_right_are_refused(tmp_path: Path, photograph: Callable[..., Image]) -> None:
    _like_div2k(tmp_path / "from", photograph, width=59)
    with pytest.raises(InputError, match="no 0801; .*0801.png has 59x40, not 60 pixels on its longer side"):
        prepare("DIV2K-valid", tmp_path, tmp_path / "from")
    shutil.copytree(tmp_path / "from/DIV2K_valid_HR", tmp_path / "DIV2K-valid/HR")
    with pytest.raises(InputError, match="every image of DIV2K-valid is 60 pixels on its longer side"):
        verify("DIV2K-valid", tmp_path / "DIV2K-valid")


@pytest.mark.data
def test_crops_of_div2k_are_not_taken_for_it(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it holds DIV2K_valid_crop256 .*not comparable with numbers on DIV2K-valid"):
        prepare("DIV2K-valid", tmp_path, data_root / "DIV2K_valid_crop256")
    shutil.copytree(data_root / "DIV2K_valid_crop256", tmp_path / "DIV2K-valid")
    with pytest.raises(InputError, match="is DIV2K_valid_crop256 0801, not DIV2K-valid"):
        verify("DIV2K-valid", tmp_path / "DIV2K-valid")


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("data/Urban100/image_SRF_4/img_001_SRF_4_HR.png", "img_001"),
        ("img_001_SRF_4_LR.png", "img_001"),
        ("Set5/baby_GT.bmp", "baby"),
        ("LR_bicubic/X4/101085x4.png", "101085"),
        ("t1.bmp", "t1"),
    ],
)
def test_names_without_what_marks_them(label: str, name: str) -> None:
    assert bare_name(label) == name
