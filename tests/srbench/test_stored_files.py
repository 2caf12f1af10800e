"""What srbench reads back and trusts: damaged, foreign and hostile files of results folders."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srbench.analysis.check.baseline import baseline_of, read_baseline, write_baseline
from srbench.base.errors import InputError
from srbench.images.files import write_image
from srbench.results.records import StudyRow
from srbench.results.results import Results
from srbench.results.store import load_results, run_path, saved_image, write_json, write_study
from tests.conftest import Srbench
from tests.made_results import made_run, made_speed, saved

SCORES = {"psnr_y": [26.25, 40.0]}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two models with scores and timings, and what people said of them."""
    runs = (made_run("nearest", SCORES), made_run("bicubic", {"psnr_y": [28.42, 41.0]}))
    out = saved(tmp_path / "results", Results(runs, (made_speed("nearest"), made_speed("bicubic"))))
    write_study(out, [StudyRow("elo", "Set5", 4, "nearest", -20.0, -40.0, 0.0, 2, 6, 3)])
    return out


Change = Callable[[Any], object]


def edit(path: Path, change: Change) -> None:
    """Change a stored document by hand."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def put(document: Any, *place: Any) -> None:
    """`put(document, "identity", "scale", 2)` sets that field."""
    *steps, last, value = place
    for step in steps:
        document = document[step]
    document[last] = value


@pytest.mark.parametrize("name", ["", ".", "..", "../nearest", "/tmp/x", "a/b", "a\\b", "a\0b"])
@pytest.mark.parametrize("field", ["model", "dataset"])
def test_a_name_in_a_file_is_no_path(results: Path, field: str, name: str) -> None:
    edit(results / "Set5/x4/nearest.json", lambda document: put(document, "identity", field, name))
    (problem,) = load_results(results).damaged
    assert "nearest.json" in problem and f"$.identity.{field}" in problem
    with pytest.raises(InputError, match="would be a path"):
        run_path(results, replace(made_run("x", SCORES).identity, **{field: name}))  # type: ignore[arg-type]


def test_an_image_id_is_no_path(results: Path) -> None:
    edit(results / "Set5/x4/nearest.json", lambda document: put(document, "images", 1, "image", "../../secret"))
    assert "$.images[1].image" in load_results(results).damaged[0]
    with pytest.raises(InputError, match="would be a path"):
        saved_image(results / "Set5/x4/nearest.json", "../../secret")


@pytest.mark.parametrize(("field", "value"), [("model", "bicubic"), ("dataset", "Set14"), ("scale", 2)])
def test_a_run_that_lies_elsewhere_than_it_says_is_refused(results: Path, field: str, value: object) -> None:
    edit(results / "Set5/x4/nearest.json", lambda document: put(document, "identity", field, value))
    (problem,) = load_results(results).damaged
    assert "nearest.json: says that its" in problem


def with_images(folder: Path, srbench: Srbench, models: str) -> Path:
    """A finished run with its SR images."""
    out = folder.parent / "results"
    command = ["run", "--models", models, "--datasets", folder, "--metrics", "psnr_y", "--no-speed"]
    assert srbench(*command, "--save-images", "--out", out) == 0
    return out


def test_a_report_among_the_images_it_shows_keeps_them(folder: Path, srbench: Srbench) -> None:
    out = with_images(folder, srbench, "nearest,bicubic")
    (out / "images").mkdir()
    (out / "images/tiny").symlink_to(out / "tiny")
    before = {path: path.read_bytes() for path in out.glob("tiny/x4/*/*.png")}
    assert len(before) == 6
    assert srbench("report", out, "--format", "html", "--out", out) == 0
    assert {path: path.read_bytes() for path in before} == before


def test_a_model_called_hr_is_not_shown_as_hr(folder: Path, srbench: Srbench) -> None:
    out, report = with_images(folder, srbench, "HR=nearest,bicubic"), folder.parent / "report"
    assert srbench("report", out, "--format", "html", "--out", report) == 0
    sr, hr = (out / "tiny/x4/HR/a.png").read_bytes(), report / "images/tiny/x4/HR/a.png"
    assert hr.read_bytes() != sr and sr in [path.read_bytes() for path in report.rglob("a.png")]


RUN, SPEED, STUDY = "Set5/x4/nearest.json", "_speed/x4/nearest.json", "_study/elo.json"
DAMAGES: dict[str, tuple[str, Change, str]] = {
    "type": (RUN, lambda d: put(d, "images", 0, "made", "x"), "`int`, got `str` - at `$.images[0].made`"),
    "made": (RUN, lambda d: put(d, "images", 0, "made", 7), "environment 7 of 1"),
    "twice": (RUN, lambda d: put(d, "images", 1, "image", "img000"), "'img000' stands in it 2 times"),
    "nan": (RUN, lambda d: put(d, "images", 0, "scores", "psnr_y", "nan"), "$.images[0].scores"),
    "huge": (RUN, lambda d: put(d, "images", 0, "scores", "psnr_y", 1e300), "$.images[0].scores"),
    "unstated": (RUN, lambda d: put(d, "metrics", {}), "convention `$.metrics` does not name"),
    "unknown": (RUN, lambda d: put(d, "identity", "lens", 1), "unknown field `lens` - at `$.identity`"),
    "versions": (RUN, lambda d: put(d, "environments", 0, "versions", 3), "$.environments[0].versions"),
    "later": (RUN, lambda d: put(d, "schema", 2), "schema 2; this srbench reads schema 1. Upgrade"),
    "speed": (SPEED, lambda d: d["speeds"][0].pop("params"), "field `params` - at `$.speeds[0]`"),
    "still": (SPEED, lambda d: put(d, "speeds", 0, "p50_ms", 0), "$.speeds[0].p50_ms"),
    "more": (RUN, lambda d: put(d, "of", 1), "Expected at most 1 images, as `$.of` says, got 2"),
    "timed twice": (SPEED, lambda d: d["speeds"].append(dict(d["speeds"][0])), "stands in it 2 times - at `$.speeds`"),
    "rated twice": (STUDY, lambda d: d["scores"].append(dict(d["scores"][0])), "stands in it 2 times - at `$.scores`"),
    "no study": (STUDY, lambda d: put(d, "scores", 0, "metric", "psnr_y"), "'psnr_y' - at `$.scores[0].metric`"),
    "study": (STUDY, lambda d: put(d, "scores", 0, "value", {}), "got `object` - at `$.scores[0].value`"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["compare", "report", "check", "explain"])
def test_one_damaged_file_does_not_hide_the_others(results: Path, srbench: Srbench, damage: str, command: str) -> None:
    baseline = results.parent / "baseline.json"
    write_baseline(baseline, baseline_of(Results((made_run("bicubic", {"psnr_y": [28.42, 41.0]}),))))
    name, change, message = DAMAGES[damage]
    edit(results / name, change)
    options: dict[str, list[object]] = {
        "report": ["--format", "md,csv,tex", "--out", results.parent / "report"],
        "check": ["--baseline", baseline],
        "explain": [results, "--model", "x", "--dataset", "y"],
        "compare": ["--models", "bicubic,bicubic"],
    }
    first: object = results if command != "explain" else "28.42"
    status = srbench(command, first, *options[command])
    assert status == (1 if command in ("report", "check") else 2)
    assert f"srbench: left out: {results / name}" in srbench.err and message in srbench.err
    assert "bug" not in srbench.err
    if command == "report":
        assert "bicubic" in (results.parent / "report/report.md").read_text()


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"schema":' * 50_000, b"", b"\xff\xfe{", b"null", b"{}"])
@pytest.mark.parametrize("name", ["Set5/x4/nearest.json", "_speed/x4/nearest.json", "_study/elo.json"])
def test_files_that_are_no_documents_are_named(results: Path, srbench: Srbench, name: str, text: bytes) -> None:
    (results / name).write_bytes(text)
    assert srbench("report", results, "--format", "csv", "--out", results.parent / "report") == 1
    assert f"srbench: left out: {results / name}: not" in srbench.err and "bug" not in srbench.err


@pytest.mark.parametrize("name", ["schema", "images", "psnr_y", ""])
def test_a_name_that_stands_twice_in_an_object_is_refused(results: Path, srbench: Srbench, name: str) -> None:
    """Of `"psnr_y": 20, "psnr_y": 40` Python takes the last, other readers the first."""
    file = results / RUN
    text = file.read_text()
    at = text.rindex(f'"{name or "schema"}":')
    file.write_text(f'{text[:at]}"{name}": 1, {"" if name else chr(34) * 2 + ": 1, "}{text[at:]}')
    assert srbench("report", results, "--format", "csv", "--out", results.parent / "report") == 1
    assert f"{file}: not a result of srbench ('{name}' stands in it 2 times in one object)" in srbench.err


def test_a_baseline_of_two_runs_of_one_name_is_refused(results: Path, srbench: Srbench) -> None:
    baseline = results.parent / "baseline.json"
    write_baseline(baseline, baseline_of(Results((made_run("bicubic", SCORES),))))
    edit(baseline, lambda document: document["runs"].append(document["runs"][0]))
    assert srbench("check", results, "--baseline", baseline) == 2
    assert "stands in it 2 times - at `$.runs`" in srbench.err


def test_a_file_that_is_too_large_is_not_read(results: Path) -> None:
    with (results / "Set5/x4/nearest.json").open("r+b") as file:
        file.truncate(1 << 32)
    assert "has 4096 MiB; srbench reads documents up to 64" in load_results(results).damaged[0]


def test_damaged_journals_are_named_with_the_line(results: Path, srbench: Srbench) -> None:
    header = json.loads((results / "Set5/x4/nearest.json").read_text()) | {"images": []}
    journal = results / "Set5/x4/nearest.journal"
    journal.write_text(json.dumps(header) + '\n{"image": "a", "scores": 3}\n')
    assert "nearest.journal: not a journal of srbench: line 2" in load_results(results).damaged[0]


JOURNALS = {
    "another score of an image": ([{"image": "img000", "scores": {"psnr_y": 90.0}}], "psnr_y of 'img000' is 90, and"),
    "an image twice": (
        [{"image": "new", "scores": {"psnr_y": 20.0}}, {"image": "new", "scores": {"psnr_y": 30.0}}],
        "psnr_y of 'new' is 30, and 20 before",
    ),
    "an image that the set has not": ([{"image": "zebra", "scores": {"psnr_y": 90.0}}], "makes 3 images of the 2"),
}


@pytest.mark.parametrize("case", JOURNALS)
def test_a_journal_contradicts_nothing(case: str, results: Path, srbench: Srbench) -> None:
    rows, message = JOURNALS[case]
    edit(results / RUN, lambda document: put(document, "of", 2))
    document = json.loads((results / RUN).read_text()) | {"images": []}
    if case == "an image twice":
        document["of"] = 9
        edit(results / RUN, lambda document: put(document, "of", 9))
    lines = [document, *({"made": 0, **row} for row in rows)]
    journal = (results / RUN).with_suffix(".journal")
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert srbench("report", results, "--format", "csv", "--out", results.parent / "report") == 1
    assert f"left out: {journal}: {message}" in srbench.err


def test_force_makes_a_damaged_run_again(folder: Path, srbench: Srbench) -> None:
    out = folder.parent / "results"
    command = [
        "run",
        "--models",
        "nearest,bicubic",
        "--datasets",
        folder,
        "--metrics",
        "psnr_y",
        "--no-speed",
        "--out",
        out,
    ]
    assert srbench(*command) == 0
    (out / "tiny/x4/nearest.json").write_text("{")
    assert srbench(*command) == 1
    assert "nearest on tiny x4: left out" in srbench.err and "bicubic: done before" in srbench.err
    assert srbench(*command, "--force") == 0
    assert not load_results(out).damaged


@pytest.mark.parametrize("model", ["b.json", "b.journal", "b.journal-2", "b.lock", "b.lock-1"])
def test_no_model_is_called_as_the_files_of_another(model: str, folder: Path, srbench: Srbench) -> None:
    out = folder.parent / "results"
    command = ["run", "--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--save-images", "--out", out]
    assert srbench(*command, "--models", "b=nearest") == 0
    before = sorted(out.rglob("*"))
    assert srbench(*command, "--models", f"{model}=bicubic") in (1, 2)
    assert "is no name for a model: another's files are called so" in srbench.err and "bug" not in srbench.err
    assert sorted(out.rglob("*")) == before
    assert srbench(*command, "--models", "b.jsonx=bicubic") == 0


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_link_to_nothing_in_the_place_of_a_run_is_told(results: Path, srbench: Srbench) -> None:
    (results / "Set5/x4/srcnn.json").symlink_to("nowhere.json")
    assert srbench("report", results, "--format", "csv", "--out", results.parent / "report") == 1
    assert "srcnn.json: cannot be read" in srbench.err


def test_an_image_that_the_data_set_lacks_is_refused(folder: Path, srbench: Srbench) -> None:
    out = folder.parent / "results"
    command = ["--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--save-images", "--out", out]
    assert srbench("run", "--models", "nearest", *command) == 0
    first = load_results(out).runs[0].rows[0].image
    edit(out / "tiny/x4/nearest.json", lambda document: put(document, "images", 0, "image", "stranger"))
    assert srbench("run", "--models", "nearest,bicubic", *command) == 1
    assert (
        "nearest on tiny x4: left out: tiny x4 nearest: image 'stranger' of these results is not in the" in srbench.err
    )
    assert srbench("score", out, "--metrics", "ssim_y") == 1 and "stranger" in srbench.err
    assert [set(run.metrics) for run in load_results(out)] == [{"psnr_y", "ssim_y"}, {"psnr_y"}]
    assert srbench("run", "--models", "nearest", *command, "--force") == 0
    assert {run.rows[0].image for run in load_results(out)} == {first}


def test_all_models_left_out_says_why(folder: Path, srbench: Srbench) -> None:
    out = folder.parent / "results"
    assert srbench("run", "--models", "srcnn", "--scale", "8", "--datasets", folder, "--out", out) == 2
    assert "no model is left: srcnn x8: it is made for --scale" in srbench.err


@pytest.mark.parametrize("name", ["<images>", "<environments>"])
def test_any_folder_name_can_be_a_data_set(tmp_path: Path, srbench: Srbench, name: str) -> None:
    write_image(tmp_path / name / "a.png", np.zeros((32, 32, 3), np.uint8))
    command = ["run", "--models", "nearest", "--datasets", tmp_path / name, "--metrics", "psnr_y", "--no-speed"]
    assert srbench(*command, "--out", tmp_path / "out") == 0
    assert load_results(tmp_path / "out").runs[0].identity.dataset == name


@pytest.mark.parametrize("name", ["_speed", "_study"])
def test_names_of_the_stores_own_folders_are_refused(tmp_path: Path, srbench: Srbench, name: str) -> None:
    write_image(tmp_path / name / "a.png", np.zeros((32, 32, 3), np.uint8))
    assert srbench("run", "--models", "nearest", "--datasets", tmp_path / name, "--out", tmp_path / "out") == 2
    assert f"a data set cannot be called {name}" in srbench.err and not (tmp_path / "out").exists()


def test_documents_are_written_as_they_always_were(tmp_path: Path) -> None:
    document = {"schema": 1, "identity": {"a": 1, "b": {}}, "empty": [], "images": [{"x": 1}, {"y": [2]}], "e": {}}
    write_json(tmp_path / "a.json", document)
    assert (tmp_path / "a.json").read_text() == (
        '{\n "schema": 1,\n "identity": {\n  "a": 1,\n  "b": {}\n },\n "empty": [],\n'
        ' "images": [\n  {"x": 1},\n  {"y": [2]}\n ],\n "e": {}\n}\n'
    )


def test_comparing_nothing_fails(results: Path, srbench: Srbench, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text('{"schema": 1, "runs": []}')
    assert srbench("check", results, "--baseline", baseline) == 2
    assert "baseline.json: holds no runs" in srbench.err
    with pytest.raises(InputError, match="holds no runs"):
        read_baseline(baseline)
