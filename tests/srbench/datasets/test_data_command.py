"""`srbench data` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from srbench.images.degrade import mod_crop
from srbench.images.files import to_rgb, write_image
from tests.conftest import Srbench
from tests.srbench.datasets.conftest import Pictures


def test_list_says_what_is_here_and_how_to_get_the_rest(srbench: Srbench, at_home: Path) -> None:
    assert srbench("data", "list", "--data-root", at_home) == 0
    lines = srbench.out.splitlines()
    assert lines[0] == f"Under {at_home}:"
    assert "Little               test           3 images  verifies (3 exact)" in lines
    assert "Set5                 test           5 images  not here: srbench data prepare Set5" in lines
    assert any("Terms: academic research only." in line for line in lines)


def test_list_and_verify_name_what_is_wrong(srbench: Srbench, at_home: Path, little: Pictures) -> None:
    write_image(at_home / "Little/HR/c.png", to_rgb(little["c"]))
    (at_home / "Little/HR/a.png").unlink()
    assert srbench("data", "list", "--data-root", at_home) == 0
    assert "does not verify (1 as-rgb, 1 exact, 1 missing)" in srbench.out
    assert srbench("data", "verify", "--data-root", at_home) == 1
    assert srbench.out.splitlines()[1:] == ["  a: missing", "  c: as-rgb: grey stored as RGB"]


def test_verify_takes_any_folder(srbench: Srbench, at_home: Path, little: Pictures, tmp_path: Path) -> None:
    for id, image in little.items():
        write_image(tmp_path / "mine" / f"{id}.bmp", image[:47, :36] if id == "c" else image)
    assert srbench("data", "verify", "Little", "--at", tmp_path / "mine") == 1
    assert "c: foreign: 36x47; the original is 40x58" in srbench.out
    assert srbench("data", "verify", "--at", tmp_path / "mine") == 2
    assert "--at takes one set" in srbench.err


def test_prepare_from_a_folder(srbench: Srbench, little: Pictures, tmp_path: Path) -> None:
    for id, image in little.items():
        write_image(tmp_path / "from" / f"{id}_GT.bmp", image)
    root = tmp_path / "root"
    assert srbench("data", "prepare", "Little", "--from", tmp_path / "from", "--data-root", root) == 0
    assert srbench.out == f"Little: verifies (3 exact); in {root / 'Little'}\n"


def test_copies_cropped_too_far_are_known_and_said_to_be_so(srbench: Srbench, at_home: Path, little: Pictures) -> None:
    for id, image in little.items():
        write_image(at_home / "Little/HR" / f"{id}.png", mod_crop(image, 12))
    assert srbench("data", "verify", "--data-root", at_home) == 0
    assert "cropped copies, whose HR is right at no scale (3 cropped)" in srbench.out


def test_one_set_that_cannot_be_had_leaves_the_others(srbench: Srbench, little: Pictures, tmp_path: Path) -> None:
    for id, image in little.items():
        write_image(tmp_path / "from" / f"{id}.bmp", image)
    arguments = ("--from", tmp_path / "from", "--data-root", tmp_path / "root")
    assert srbench("data", "prepare", "Set5", "Little", *arguments) == 1
    assert "0 of 5 images of Set5 found; no baby. Nothing was changed" in srbench.err
    assert "Little: verifies" in srbench.out


@pytest.mark.parametrize("words", [("prepare", "Set6"), ("verify", "Set6")])
def test_an_unknown_set_is_refused_with_a_guess(words: tuple[str, str], srbench: Srbench, tmp_path: Path) -> None:
    assert srbench("data", *words, "--data-root", tmp_path) == 2
    assert "unknown standard set 'Set6'. Did you mean Set5" in srbench.err


def test_prepare_offline_says_what_to_type(srbench: Srbench, tmp_path: Path) -> None:
    assert srbench("data", "prepare", "Set5", "--offline", "--data-root", tmp_path) == 2
    assert "offline mode forbids fetching it" in srbench.err
    assert "srbench data prepare Set5 --from PATH" in srbench.err


def test_verify_without_any_set_says_what_to_type(srbench: Srbench, tmp_path: Path) -> None:
    assert srbench("data", "verify", "--data-root", tmp_path) == 2
    assert f"no standard set is under {tmp_path}. Get one: srbench data prepare Set5" in srbench.err


def test_run_refuses_a_set_that_does_not_verify_and_marks_it_when_told(
    srbench: Srbench, at_home: Path, little: Pictures, tmp_path: Path
) -> None:
    write_image(at_home / "Little/HR/a.png", little["b"])
    arguments = ["--models", "bicubic", "--datasets", "Little", "--scale", 2, "--metrics", "psnr_y", "--no-speed"]
    arguments += ["--data-root", at_home, "--out", tmp_path / "results"]
    assert srbench("run", *arguments) == 2
    assert "is not Little at x2: a is renamed, it is Little b" in srbench.err
    assert "To score it as it is: --unverified" in srbench.err
    assert srbench("run", *arguments, "--unverified") == 0
    assert "!unverified|" in srbench.out
