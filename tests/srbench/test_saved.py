"""What lies behind a run is found again, however the run was made: another data root, a set that does not verify."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from srbench.base.errors import IncomparableError, InputError
from srbench.images.files import read_image, write_image
from srbench.results.saved import dataset_of, read_sr, sr_path
from srbench.results.store import load_results
from tests.conftest import Srbench


@pytest.fixture
def results(folder: Path, srbench: Srbench) -> Path:
    """Runs on pictures that are called Set5 and are not, under a data root that is given by hand."""
    (folder.parent / "root").mkdir()
    shutil.copytree(folder, folder.parent / "root" / "Set5")
    options = ["--metrics", "psnr_y", "--no-speed", "--save-images", "--out", folder.parent / "results"]
    given = ["--datasets", "Set5", "--unverified", "--data-root", folder.parent / "root"]
    assert srbench("run", "--models", "bicubic,nearest", *given, *options) == 0
    return folder.parent / "results"


def test_a_study_of_an_unverified_set_is_made(results: Path, srbench: Srbench, tmp_path: Path) -> None:
    root = results.parent / "root"
    assert srbench("study", "make", results, tmp_path / "study", "--data-root", root) == 0
    assert "3 questions" in srbench.err


def test_the_page_has_the_pictures_of_another_data_root(results: Path, srbench: Srbench, tmp_path: Path) -> None:
    out = tmp_path / "page"
    assert srbench("report", results, "--format", "html", "--out", out, "--data-root", results.parent / "root") == 0
    hr = sorted(path.name for path in (out / "images" / "Set5" / "x4" / "HR").iterdir())
    assert hr == ["a.png", "b.png", "c.png"]


def test_the_page_says_what_to_give_where_there_are_no_pictures(
    results: Path, srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path / "elsewhere"))
    assert srbench("report", results, "--format", "html", "--out", tmp_path / "page") == 0
    assert "--data-root" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")


def test_changed_pictures_are_refused(results: Path) -> None:
    root = results.parent / "root"
    run = load_results(results).runs[0]
    assert len(dataset_of(run, root)) == 3
    (root / "Set5" / "HR" / "c.png").unlink()
    with pytest.raises(IncomparableError, match="not those that were scored"):
        dataset_of(run, root)


def test_a_picture_that_was_not_saved_is_asked_for(results: Path) -> None:
    run = load_results(results).runs[0]
    assert read_sr(results, run, "a").shape == (40, 48, 3)
    with pytest.raises(InputError, match="srbench run --save-images"):
        read_sr(results, run, "z")


def test_a_picture_that_is_not_the_one_that_was_scored_is_refused(
    results: Path, srbench: Srbench, tmp_path: Path
) -> None:
    run = load_results(results).runs[0]
    path = sr_path(results, run, "a")
    write_image(path, 255 - read_image(path))
    with pytest.raises(InputError, match=r"a.png is not the image that was scored. Make it anew: srbench run --models"):
        read_sr(results, run, "a")
    root = results.parent / "root"
    assert srbench("study", "make", results, tmp_path / "study", "--data-root", root) == 2
    assert "is not the image that was scored" in srbench.err
