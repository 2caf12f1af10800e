"""No command writes over what it reads, by whatever name or link it is reached, and `--force` changes nothing."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from srbench.base.errors import UsageError
from srbench.base.outputs import refuse_overwriting, refuse_replacing
from srbench.images.files import write_image
from tests.conftest import Srbench

MODEL = ("--model", "nearest", "--scale", 2)


@pytest.fixture
def home(tmp_path: Path, photograph: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures in `hr`, and other ways to them; the current folder is theirs."""
    write_image(tmp_path / "hr" / "a.png", photograph(48, 48))
    write_image(tmp_path / "hr" / "b.png", photograph(48, 48, seed=1))
    (tmp_path / "link").symlink_to(tmp_path / "hr")
    (tmp_path / "soft.png").symlink_to(tmp_path / "hr" / "a.png")
    (tmp_path / "hard.png").hardlink_to(tmp_path / "hr" / "a.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[str, str]:
    """The digest of every file, so that nothing new goes unnoticed either."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize(
    "command",
    [
        ("degrade", "hr", "hr"),
        ("degrade", "hr", "hr/../hr/"),
        ("degrade", "hr", "link"),
        ("degrade", "link", "hr"),
        ("degrade", "hr/a.png", "hr"),
        ("degrade", "hr/a.png", "hr/a.png"),
        ("degrade", "hr/a.png", "soft.png"),
        ("degrade", "hr/a.png", "hard.png"),
        ("degrade", "soft.png", "hr/a.png"),
        ("upscale", "hr", "hr", *MODEL),
        ("upscale", "hr", "hr", "--force", *MODEL),
        ("upscale", "hr", "link", "--force", *MODEL),
        ("upscale", "link", "hr/.", *MODEL),
        ("upscale", "hr/a.png", "hr", *MODEL),
        ("upscale", "hr/a.png", "hard.png", "--force", *MODEL),
        ("upscale", "hr/a.png", "sr.png", "--compare", "hr/a.png", *MODEL),
        ("upscale", "hr/a.png", "sr.png", "--compare", "soft.png", *MODEL),
        ("data", "audit", "--train", "hr", "--against", "hr", "--sheet", "link/b.png"),
    ],
)
def test_an_output_over_an_input_is_refused(command: tuple[object, ...], home: Path, srbench: Srbench) -> None:
    before = content(home)
    assert srbench(*command) == 2
    assert "would be written over; give another output" in srbench.err
    assert content(home) == before


def test_a_sheet_over_the_result_is_refused(home: Path, srbench: Srbench) -> None:
    before = content(home)
    assert srbench("upscale", "hr/a.png", "sr.png", "--compare", "hr/../sr.png", *MODEL) == 2
    assert "are one file, and would be written twice" in srbench.err
    assert content(home) == before


def test_other_outputs_beside_the_inputs_are_fine(home: Path, srbench: Srbench) -> None:
    assert srbench("upscale", "hr/a.png", "hr/a-x2.png", *MODEL) == 0
    assert srbench("degrade", "hr", "hr/LR") == 0
    assert srbench("upscale", "hr", "hr/SR", *MODEL) == 0


def test_a_model_file_is_not_exported_over(home: Path, srbench: Srbench) -> None:
    Path("net.onnx").write_bytes(b"weights of weeks")
    before = content(home)
    os.link("net.onnx", "other.onnx")
    for ref in ("net.onnx", "mine=net.onnx", "net.onnx+net.onnx"):
        assert srbench("export", ref, "other.onnx") == 2
        assert "other.onnx is an input (it is net.onnx)" in srbench.err
    assert content(home) == before | {"other.onnx": before["net.onnx"]}


def test_results_are_not_written_over(home: Path, srbench: Srbench) -> None:
    run = ("run", "--models", "nearest,bilinear", "--datasets", "hr", "--metrics", "psnr_y", "--no-speed")
    assert srbench(*run, "--save-images", "--out", "res") == 0
    before = content(home / "res")
    record = "res/hr/x4/nearest.json"
    for command in (
        ("check", "res", "--baseline", record, "--update"),
        ("study", "make", "res", "res"),
    ):
        assert srbench(*command) == 2
        assert "would be written over" in srbench.err
    assert content(home / "res") == before
    assert srbench("check", "res", "--baseline", "base.json", "--update") == 0
    kept = Path("base.json").read_bytes()
    for output in ("base.json", record):
        assert srbench("check", "res", "--baseline", "base.json", "--junit", output) == 2
        assert "would be written over" in srbench.err
    assert Path("base.json").read_bytes() == kept and content(home / "res") == before


RUN = ("run", "--models", "nearest,bilinear", "--datasets", "hr", "--metrics", "psnr_y", "--no-speed", "--save-images")


@pytest.fixture
def results(home: Path, srbench: Srbench) -> Path:
    assert srbench(*RUN, "--out", "res") == 0
    return home / "res"


@pytest.mark.parametrize(
    ("command", "outputs"),
    [
        (("degrade", "hr/a.png", "my.png"), ["my.png"]),
        (("degrade", "hr", "mine"), ["mine/b.png"]),
        (("upscale", "hr/a.png", "my.png", *MODEL), ["my.png"]),
        (("upscale", "hr/a.png", "mine", *MODEL), ["mine/a.png"]),
        (("upscale", "hr/a.png", "sr.png", "--compare", "my.png", *MODEL), ["my.png"]),
        (("upscale", "hr", "mine", *MODEL), ["mine/b.png"]),
        (("export", "srresnet", "my.pt", "--format", "torchscript"), ["my.pt"]),
        (("figure", "res", "--image", "a", "-o", "my.png"), ["my.png"]),
        (("figure", "res", "--image", "a", "-o", "my.tex"), ["my/0-0.png"]),
        (("report", "res", "--format", "md,csv", "--out", "mine"), ["mine/report.md"]),
        (("report", "res", "--format", "csv", "--out", "mine"), ["mine/images.csv"]),
        (("report", "res", "--format", "tex,json", "--out", "mine"), ["mine/report.tex"]),
        (("report", "res", "--format", "html", "--out", "mine"), ["mine/images/hr/x4/nearest/a.png"]),
        (("check", "res", "--baseline", "my.json", "--update"), ["my.json"]),
        (("check", "res", "--baseline", "base.json", "--junit", "my.xml"), ["my.xml"]),
        (("data", "audit", "--train", "hr", "--against", "link", "--sheet", "my.png"), ["my.png"]),
        ((*RUN, "--out", "new"), ["new/hr/x4/nearest/a.png"]),
    ],
)  # fmt: skip
def test_nothing_of_the_user_is_written_over_unasked(
    command: tuple[object, ...], outputs: list[str], results: Path, home: Path, srbench: Srbench
) -> None:
    assert srbench("check", "res", "--baseline", "base.json", "--update") == 0
    for output in outputs:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        Path(output).write_bytes(b"the work of weeks")
    before = content(home)
    assert srbench(*command) == 2
    assert "--force" in srbench.err and str(Path(outputs[0]).parts[0]) in srbench.err
    assert content(home) | before == content(home)
    assert srbench(*command, "--force") in (0, 1)  # an audit that finds a leak says 1
    assert b"weeks" not in Path(outputs[0]).read_bytes() if Path(outputs[0]).exists() else True


def test_two_data_sets_of_one_name_do_not_overwrite_each_other(home: Path, srbench: Srbench) -> None:
    write_image(home / "two/hr/a.png", np.full((48, 48, 3), 7, np.uint8))
    for force in ((), ("--force",)):
        assert srbench(*RUN, "--datasets", "hr,two/hr", "--out", "res", *force) == 2
        assert "hr and two/hr are two data sets called hr; rename the folder of one" in srbench.err
    assert not Path("res").exists()
    assert srbench(*RUN, "--datasets", "hr,hr/.,link/../hr", "--scale", "4,x4", "--out", "res") == 0
    assert "hr n = 2" in srbench.out


def test_a_link_to_nothing_is_there_too(home: Path, srbench: Srbench) -> None:
    (home / "my.png").symlink_to(home / "elsewhere.png")
    assert srbench("degrade", "hr/a.png", "my.png") == 2
    assert "my.png is there already; give another output, or --force" in srbench.err


def test_a_report_replaces_its_own_files_and_not_what_was_changed_since(
    results: Path, home: Path, srbench: Srbench
) -> None:
    report = ("report", "res", "--format", "md,html", "--out", "out")
    assert srbench(*report) == 0
    assert srbench.out.split() == ["out/report.md", "out/crops/hr-x4.png", "out/report.html"]
    assert srbench("run", "--models", "bicubic", *RUN[3:], "--out", "res") == 0
    assert srbench(*report) == 0
    assert "bicubic" in Path("out/report.md").read_text(encoding="utf-8")
    Path("out/report.md").write_text("my own words", encoding="utf-8")
    before = content(home)
    assert srbench(*report) == 2
    assert "out/report.md is there, and not as srbench wrote it" in srbench.err
    assert content(home) == before
    Path("out/.srbench-wrote.json").write_text("{", encoding="utf-8")
    assert srbench(*report) == 2 and "not a note of srbench" in srbench.err
    assert srbench(*report, "--force") == 0
    assert "bicubic" in Path("out/report.md").read_text(encoding="utf-8")
    assert not list(home.rglob(".srbench-tmp-*"))


def test_what_ci_makes_each_time_needs_no_force(results: Path, home: Path, srbench: Srbench) -> None:
    assert srbench("check", "res", "--baseline", "base.json", "--update") == 0
    assert srbench("check", "res", "--baseline", "base.json", "--update") == 0
    again = ("check", "res", "--baseline", "base.json", "--junit", "scores.xml", "--crops", "crops")
    assert srbench(*again) == srbench(*again) == 0
    text = Path("base.json").read_text(encoding="utf-8")
    Path("base.json").write_text(re.sub(r'"psnr_y": (?=\d)', '"psnr_y": 9', text), encoding="utf-8")
    assert srbench(*again) == srbench(*again) == 1
    assert len(list(Path("crops").glob("*.png"))) == 4
    Path("crops/hr-x4-nearest-a.png").write_bytes(b"mine")
    assert srbench(*again) == 2 and "crops/hr-x4-nearest-a.png is there, and not as" in srbench.err


def test_a_study_score_table_is_not_written_over(results: Path, home: Path, srbench: Srbench) -> None:
    assert srbench("study", "make", "res", "study", "--limit", 1) == 0
    Path("my.csv").write_text("mine", encoding="utf-8")
    assert srbench("study", "score", "study", "--csv", "my.csv") == 2
    assert Path("my.csv").read_text(encoding="utf-8") == "mine"


def test_a_set_is_not_prepared_from_the_folder_that_it_replaces(home: Path, srbench: Srbench) -> None:
    (home / "root").mkdir()
    (home / "hr").rename(home / "root" / "Set5")
    (home / "way").symlink_to(home / "root" / "Set5")
    before = content(home / "root")
    for source in ("root/Set5", "way", "root/Set5/a.png"):
        assert srbench("data", "prepare", "Set5", "--from", source, "--data-root", "root") == 2
        assert "would be replaced; give a copy that is somewhere else" in srbench.err
    assert content(home / "root") == before


def test_paths_that_are_not_there_yet(tmp_path: Path) -> None:
    for force in (False, True):
        refuse_overwriting([tmp_path / "a", tmp_path / "b"], [tmp_path / "c"], force=force)
        with pytest.raises(UsageError, match="written twice"):
            refuse_overwriting([tmp_path / "a", tmp_path / "x" / ".." / "a"], [], force=force)
        with pytest.raises(UsageError, match="is an input, and would"):
            refuse_overwriting([tmp_path / "a"], [tmp_path / "a"], force=force)
    refuse_replacing(tmp_path / "a", [tmp_path / "ab" / "c"])
