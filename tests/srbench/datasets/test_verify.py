"""A folder held against the set that it is named after, and what a run does with the answer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from srbench.base.errors import InputError
from srbench.datasets import open_dataset
from srbench.datasets.folder import FileDataset, open_folder
from srbench.datasets.standard.verify import ImageVerdict, verify
from srbench.images.degrade import mod_crop
from srbench.images.files import to_rgb, write_image
from tests.srbench.datasets.conftest import Pictures


def _finding(root: Path, id: str) -> ImageVerdict:
    return next(item for item in verify("Little", root / "Little").findings if item.id == id)


def _put(root: Path, id: str, image: np.ndarray) -> None:
    write_image(root / "Little" / "HR" / f"{id}.png", image)


def test_the_set_itself_is_exact_at_every_scale(at_home: Path) -> None:
    found = verify("Little", at_home / "Little")
    assert [item.status for item in found.findings] == ["exact"] * 3
    assert found.scales() == [2, 3, 4, 8]


def test_a_crop_fits_the_scales_at_which_it_cuts_nothing_more(at_home: Path, little: Pictures) -> None:
    for id, image in little.items():
        _put(at_home, id, mod_crop(image, 4))
    found = verify("Little", at_home / "Little")
    assert found.counts() == {"cropped": 3}
    assert found.scales() == [4, 8]  # 50 is even, so cropping to 4 cuts what x2 would keep
    assert _finding(at_home, "b").detail == "cropped to multiples of 4"


def test_a_flipped_bit_is_the_same_picture_with_other_pixels(at_home: Path, little: Pictures) -> None:
    changed = little["b"].copy()
    changed[10, 11, 0] ^= 1
    _put(at_home, "b", changed)
    finding = _finding(at_home, "b")
    assert finding.status == "different"
    assert finding.detail == "the same picture with other pixels, about 86 dB away"  # 10 log10(255^2 * 36 * 60 * 3)


def test_another_picture_is_foreign(at_home: Path, little: Pictures) -> None:
    _put(at_home, "a", 255 - little["a"])
    assert _finding(at_home, "a").status == "foreign"
    _put(at_home, "a", little["a"][:30])
    assert _finding(at_home, "a") == ImageVerdict("a", "foreign", detail="50x30; the original is 50x64")


def test_exchanged_names_are_named(at_home: Path, little: Pictures) -> None:
    _put(at_home, "a", little["b"])
    _put(at_home, "b", little["a"])
    assert _finding(at_home, "a") == ImageVerdict("a", "renamed", detail="it is Little b")
    assert not verify("Little", at_home / "Little").scales()


def test_grey_as_rgb_is_its_own_status_since_it_is_scored_differently(at_home: Path, little: Pictures) -> None:
    _put(at_home, "c", to_rgb(little["c"]))
    assert _finding(at_home, "c") == ImageVerdict("c", "as-rgb", detail="grey stored as RGB")
    assert not verify("Little", at_home / "Little").fits(4)


def test_missing_and_extra_and_unreadable(at_home: Path, little: Pictures) -> None:
    home = at_home / "Little" / "HR"
    (home / "a.png").rename(home / "z.png")
    (home / "b.png").write_bytes((home / "b.png").read_bytes()[:200])
    found = {item.id: item for item in verify("Little", at_home / "Little").findings}
    assert found["a"].status == "missing"
    assert found["z"] == ImageVerdict("z", "extra", detail="it is Little a")
    assert found["b"].status == "unreadable"
    assert "may be truncated" in found["b"].detail


def test_an_empty_folder_says_how_to_get_the_set(tmp_path: Path) -> None:
    (tmp_path / "HR").mkdir()
    with pytest.raises(InputError, match="no images in it. Get the set: srbench data prepare Set5"):
        verify("Set5", tmp_path)


def test_an_image_that_others_count_in_is_called_a_leak(tmp_path: Path, little: Pictures) -> None:
    write_image(tmp_path / "302003.png", little["a"])
    extra = verify("BSD400", tmp_path).findings[-1]
    assert (extra.id, extra.status) == ("302003", "extra")
    assert "it is the photograph of Set5 woman, a training leak" in extra.detail


def _opened(root: Path, scale: int, *, unverified: bool = False, ref: str = "Little") -> FileDataset:
    dataset = open_dataset(ref, scale, "matlab", root, unverified=unverified)
    assert isinstance(dataset, FileDataset)
    return dataset


def test_the_gate_lets_the_set_pass_with_the_fingerprint_of_its_files(at_home: Path, little: Pictures) -> None:
    dataset = _opened(at_home, 4)
    assert not dataset.unverified
    assert dataset.fingerprint == open_folder(at_home / "Little", 4, "matlab").fingerprint
    assert len(dataset.fingerprint) == hashlib.sha256().digest_size * 2


def test_a_crop_that_gives_the_same_hr_has_the_fingerprint_of_the_original(at_home: Path, little: Pictures) -> None:
    original = _opened(at_home, 4).fingerprint
    for id, image in little.items():
        _put(at_home, id, mod_crop(image, 4))
    assert _opened(at_home, 4).fingerprint == original
    with pytest.raises(InputError, match="is not Little at x3: b is cropped to multiples of 4"):
        _opened(at_home, 3)


def test_the_gate_refuses_what_does_not_verify_unless_told(at_home: Path, little: Pictures) -> None:
    _put(at_home, "a", little["b"])
    with pytest.raises(InputError, match=r"is not Little at x4: a is renamed, it is Little b\.\nSee: .*--unverified"):
        _opened(at_home, 4)
    assert _opened(at_home, 4, unverified=True).unverified


def test_a_folder_by_its_path_is_taken_and_marked(at_home: Path, little: Pictures) -> None:
    assert not _opened(at_home, 4, ref=str(at_home / "Little")).unverified
    (at_home / "Little" / "HR" / "a.png").unlink()
    assert _opened(at_home, 4, ref=str(at_home / "Little")).unverified


@pytest.mark.data
def test_the_sets_here_verify(data_root: Path) -> None:
    for name in ("Set5", "Set14", "B100", "Urban100"):
        assert verify(name, data_root / name).scales() == [2, 3, 4, 8]
