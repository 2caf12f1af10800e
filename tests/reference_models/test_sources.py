"""Where training images come from: nothing is dropped without a word, and test sets are known by their pixels."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reference_models import sources as module
from reference_models.recipes import RECIPES
from reference_models.sources import open_sources, split_off
from reference_models.train import Data, open_validation
from srbench.base.errors import InputError, UsageError
from srbench.datasets.standard.pixels import Index, describe
from srbench.images.files import read_image, write_image
from tests.conftest import Srbench

Photograph = Callable[..., np.ndarray]


def counts(*refs: Path | str, scale: int = 4, degradation: str = "matlab", root: Path | None = None) -> dict[str, int]:
    train, _ = open_sources(refs, scale, degradation, root)
    return {source.name: len(source.pairs) for source in train}


def fill(folder: Path, count: int, photograph: Photograph, seed: int = 0, side: int = 40) -> Path:
    for number in range(count):
        write_image(folder / f"{number}.png", photograph(side, side, seed=seed + number))
    return folder


def test_two_folders_of_one_name_are_both_taken(tmp_path: Path, photograph: Photograph) -> None:
    first, second = fill(tmp_path / "A" / "HR", 5, photograph), fill(tmp_path / "B" / "HR", 3, photograph, 9)
    assert counts(first, second) == {"A": 5, "B": 3}
    assert counts(first.parent, second.parent) == {"A": 5, "B": 3}
    shutil.copytree(first, tmp_path / "x" / "A" / "HR")
    assert counts(first, tmp_path / "x" / "A") == {f"{tmp_path.name}/A": 5, "x/A": 5}


def test_no_image_of_a_list_to_validate_on_is_dropped_for_its_name(tmp_path: Path, photograph: Photograph) -> None:
    homes = [fill(tmp_path / name, 2, photograph, seed) for name, seed in (("T1", 0), ("T2", 5), ("x/T2", 9))]
    rows = [f"{path},val" for home in homes for path in sorted(home.iterdir())]
    (tmp_path / "all.csv").write_text("\n".join(["hr,split", f"{homes[0] / '0.png'},train", *rows]))
    data = Data([tmp_path / "all.csv"])
    recipe = replace(RECIPES["srcnn-quick"], scale=4)
    samples = open_validation(data.open(recipe)[1], recipe, data).samples
    assert len({sample.id for sample in samples}) == len(samples) == 6


def test_an_image_that_is_met_exactly_does_not_make_every_mean_infinite(tmp_path: Path, photograph: Photograph) -> None:
    """A plain colour is, by nearest neighbour: nothing would be better than the first validation."""

    class Repeats(torch.nn.Module):
        scale = 4

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.repeat_interleave(4, -1).repeat_interleave(4, -2)

    home = fill(tmp_path / "A", 1, photograph)
    write_image(home / "plain.png", np.full((40, 40, 3), 60, np.uint8))
    recipe = replace(RECIPES["srcnn-quick"], scale=4)
    validation = open_validation(open_sources([home], 4)[0], recipe, Data([home]))
    scores = validation(Repeats(), torch.device("cpu"))
    assert 50.0 < scores["psnr_y"] < 100.0


def test_a_source_given_twice_is_refused(tmp_path: Path, photograph: Photograph) -> None:
    home = fill(tmp_path / "A" / "HR", 2, photograph)
    with pytest.raises(InputError, match="given twice"):
        open_sources([home, home.parent], 4)
    (tmp_path / "same.csv").write_text(f"hr\n{home / '0.png'}\n")
    (tmp_path / "twice.csv").write_text(f"hr\n{home / '0.png'}\n{home / '0.png'}\n")
    for refs in ([home, tmp_path / "same.csv"], [tmp_path / "twice.csv"]):
        with pytest.raises(InputError, match=r"given twice, by a list or by two sources: .*0\.png; they would count"):
            open_sources(refs, 4)


def test_what_is_both_trained_and_validated_on_is_told(
    tmp_path: Path, photograph: Photograph, capsys: pytest.CaptureFixture[str]
) -> None:
    home = fill(tmp_path / "A", 2, photograph)
    Data([home], val=home).open(replace(RECIPES["srcnn-quick"], scale=4))
    assert "2 of the 2 images to validate on are trained on too" in capsys.readouterr().err


def test_all_unreadable_images_are_named_at_once(tmp_path: Path, photograph: Photograph) -> None:
    home = fill(tmp_path / "A", 3, photograph)
    for name in ("1.png", "broken.png"):
        (home / name).write_bytes(b"\x89PNG nothing")
    other = fill(tmp_path / "B", 1, photograph, 9)
    for number in range(5):
        (other / f"x{number}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"7 of 10 images cannot be read: .*1\.png.*broken\.png.*x0\.png.*x4\.png"):
        open_sources([home, other], 4)


def test_what_lies_among_the_images_and_is_not_taken_is_told(tmp_path: Path, photograph: Photograph) -> None:
    home = fill(tmp_path / "A", 2, photograph)
    fill(home / "summer", 1, photograph, 5)
    for name in ("IMG_1.HEIC", "notes.txt", ".hidden"):
        (home / name).write_bytes(b"")
    (source,), _ = open_sources([home], 4)
    assert len(source.pairs) == 2
    assert "images are not looked for in summer/ (give each as --data)" in source.remark
    assert "no images by their names: IMG_1.HEIC, notes.txt" in source.remark


def test_a_standard_set_by_name(tmp_path: Path, photograph: Photograph) -> None:
    fill(tmp_path / "root" / "Kodak24" / "HR", 2, photograph)
    assert counts("Kodak24", root=tmp_path / "root") == {"Kodak24": 2}
    with pytest.raises(InputError, match="srbench data prepare T91"):
        open_sources(["T91"], 4, root=tmp_path / "root")
    fill(tmp_path / "root" / "train" / "BSD400", 3, photograph, 5)
    assert counts("train/BSD400", root=tmp_path / "root") == {"BSD400": 3}
    with pytest.raises(InputError, match="no such folder, and no such set"):
        open_sources(["../root/train/BSD400"], 4, root=tmp_path / "root")
    assert counts("kodak24", root=tmp_path / "root") == {"Kodak24": 2}  # as `srbench run` takes it
    with pytest.raises(InputError, match="no such folder, and no such set"):
        open_sources(["nowhere"], 4, root=tmp_path / "root")


def test_near_names_of_sets_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, srbench: Srbench) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for typed, meant in (("photo", "photos"), ("./photo", "photos"), ("DIV2K", "DIV2K-train or DIV2K-valid")):
        with pytest.raises(InputError, match=rf"Did you mean .*\b{meant}\b.*\?"):
            open_sources([typed], 4, root=tmp_path / "root")
    for typed in ("photo", f"{tmp_path}/photo"):
        assert srbench("run", "bicubic", "--datasets", typed) == 2
        assert re.search(r"Did you mean (/\S+/)?photos\?", srbench.err)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_lists_with_lr_and_split(kind: str, tmp_path: Path, photograph: Photograph) -> None:
    hr, lr = fill(tmp_path / "h", 3, photograph), fill(tmp_path / "l", 3, photograph, side=10)
    rows = [{"hr": f"h/{n}.png", "lr": f"l/{n}.png", "split": split} for n, split in enumerate(("train", "", "val"))]
    table = tmp_path / f"list.{kind}"
    text = "hr,lr,split\n" + "".join(",".join(row.values()) + "\n" for row in rows)
    table.write_text(json.dumps(rows) if kind == "json" else text)
    (train,), (val,) = open_sources([table], 4, "files")
    assert [pair.lr for pair in train.pairs] == [lr / "0.png", lr / "1.png"]
    assert [pair.hr for pair in val.pairs] == [hr / "2.png"]
    (plain,), _ = open_sources([table], 4)
    assert all(pair.lr is None for pair in plain.pairs)
    assert "its LR is not used" in plain.remark


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hr,split\nh/0.png,test\n", "as split train or val"),
        ("hr\nh/0.png\nh/7.png\nh/8.png\n", r"h/7\.png, .*h/8\.png not there; paths are relative"),
        ("image\nh/0.png\n", "no column hr"),
        ("hr,split\nh/0.png,val\n", "no image to train on"),
        ("hr\n", "no image in it"),
    ],
)
def test_lists_that_cannot_be_used(text: str, message: str, tmp_path: Path, photograph: Photograph) -> None:
    fill(tmp_path / "h", 1, photograph)
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        open_sources([tmp_path / "list.csv"], 4)


@pytest.mark.parametrize("text", ['{"hr": ["h/0.png"]}', '"h/0.png"', "7", "[7]", '[["h/0.png"]]', '[{"hr": 3}]'])
def test_json_of_another_shape_is_no_list(text: str, tmp_path: Path, photograph: Photograph) -> None:
    fill(tmp_path / "h", 1, photograph)
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(InputError, match="not a list of images|expected hr, and as split"):
        open_sources([tmp_path / "list.json"], 4)


def test_a_list_of_nothing_but_images_to_validate_on(tmp_path: Path, photograph: Photograph) -> None:
    home = fill(tmp_path / "h", 2, photograph)
    (tmp_path / "val.csv").write_text("hr,split\nh/1.png,val\n")
    assert open_sources([tmp_path / "val.csv"], 4, to_train=False)[1][0].pairs[0].hr == home / "1.png"
    train, val = open_sources([home, tmp_path / "val.csv"], 4)
    assert [len(source.pairs) for source in (*train, *val)] == [2, 1]


def test_the_two_parts_of_a_list_bear_its_name(tmp_path: Path, photograph: Photograph) -> None:
    """The record of the weights had the whole path on the user's disk."""
    fill(tmp_path / "h", 2, photograph)
    (tmp_path / "list.csv").write_text("hr,split\nh/0.png,train\nh/1.png,val\n")
    assert [part[0].name for part in open_sources([tmp_path / "list.csv"], 4)] == ["list.csv", "list.csv"]


def test_lr_by_its_suffix(tmp_path: Path, photograph: Photograph) -> None:
    home = fill(tmp_path / "set" / "HR", 2, photograph).parent
    for number in range(2):
        for mark in ("_x4", "_noisy"):
            write_image(home / "LR" / f"{number}{mark}.png", photograph(10, 10, seed=number))
    (found,), _ = open_sources([home], 4, "files:_noisy")
    assert [pair.lr for pair in found.pairs] == [home / "LR" / f"{number}_noisy.png" for number in range(2)]
    assert not found.remark


def test_lr_of_ones_own(tmp_path: Path, photograph: Photograph) -> None:
    home = tmp_path / "set"
    fill(home / "HR", 2, photograph), fill(home / "LR", 2, photograph, side=10)
    (with_lr,), _ = open_sources([home], 4, "files")
    assert [pair.lr for pair in with_lr.pairs] == [home / "LR" / "0.png", home / "LR" / "1.png"]
    (without,), _ = open_sources([home], 4)
    assert without.remark == "its LR is not used (--degradation files)"
    with pytest.raises(InputError, match="10x10 times 2 is not the 40x40"):
        open_sources([home], 2, "files")
    with pytest.raises(UsageError, match="degradation"):
        open_sources([home], 4, "bicubik")


def test_a_split_goes_by_pixels_and_keeps_copies_together(tmp_path: Path, photograph: Photograph) -> None:
    home = fill(tmp_path / "A", 10, photograph)
    chosen = {pair.hr.name for source in split_off(open_sources([home], 4)[0], 0.2)[1] for pair in source.pairs}
    assert len(chosen) == 2
    renamed = tmp_path / "B"
    renamed.mkdir()
    for path in home.iterdir():
        shutil.copy(path, renamed / f"x{9 - int(path.stem)}.png")
        shutil.copy(path, renamed / f"copy{path.name}")
    train, val = split_off(open_sources([renamed], 4)[0], 0.2)
    assert len(val[0].pairs) == 4
    assert {9 - int(p.hr.stem[1:]) for p in val[0].pairs if p.hr.stem[0] == "x"} == {int(n[0]) for n in chosen}
    assert not {p.digest.sha256 for p in train[0].pairs} & {p.digest.sha256 for p in val[0].pairs}
    with pytest.raises(InputError, match="leaves none to train on"):
        split_off(open_sources([fill(tmp_path / "one", 1, photograph)], 4)[0], 0.5)


def test_pixels_tell_a_test_set_and_names_do_not(
    tmp_path: Path, photograph: Photograph, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = fill(tmp_path / "holiday", 3, photograph)
    known = Index([describe("Set5", "baby", read_image(home / "1.png"))])
    monkeypatch.setattr(module, "published", lambda: known)
    for to_train in (True, False):
        with pytest.raises(InputError, match=r"1\.png \(Set5\) of a test set"):
            open_sources([home], 4, to_train=to_train)
    (home / "1.png").unlink()
    home.rename(tmp_path / "Set5")
    assert counts(tmp_path / "Set5") == {"Set5": 2}


def test_papers_validate_on_div2k_valid(tmp_path: Path, photograph: Photograph) -> None:
    """Its pixels are not known to srbench; names and sizes of its images are, whatever the folder is called."""
    assert counts(fill(tmp_path / "DIV2K_valid", 2, photograph)) == {"DIV2K_valid": 2}
    home = fill(tmp_path / "DIV2K", 1, photograph)
    write_image(home / "0801.png", photograph(8, 2040))
    assert open_sources([home], 4, to_train=False)[0]
    with pytest.raises(InputError, match=r"0801\.png \(DIV2K-valid\) of a test set"):
        open_sources([home], 4)
    (tmp_path / "list.csv").write_text("hr,split\nDIV2K/0.png,train\nDIV2K/0801.png,val\n")
    assert open_sources([tmp_path / "list.csv"], 4)[1]


@pytest.mark.data
def test_crops_of_a_test_set_are_validated_on_and_not_trained_on(data_root: Path) -> None:
    home = data_root / "DIV2K_valid_crop256"
    assert open_sources([home], 4, to_train=False)[0]
    with pytest.raises(InputError, match=r"\(DIV2K_valid_crop256\) and 96 more of a test set"):
        open_sources([home], 4)


@pytest.mark.data
def test_set5_under_another_name_is_refused(tmp_path: Path, data_root: Path) -> None:
    shutil.copytree(data_root / "Set5" / "HR", tmp_path / "mine")
    with pytest.raises(InputError, match="of a test set"):
        open_sources([tmp_path / "mine"], 4)
