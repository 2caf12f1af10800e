from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest

from reports import csv as csv_report
from reports import html, latex, markdown, terminal
from reports.tables import build
from srbench.analysis.compare import compare, rank
from srbench.base.errors import IncomparableError, UsageError
from srbench.cli import main
from srbench.results.records import Row, Run
from srbench.results.results import Results
from srbench.results.statistics import mean_p
from srbench.results.store import load_results
from tests.made_results import failed_run, made_run, made_speed, saved

GOOD = {"psnr_y": [30.0, 32.0], "ssim_y": [0.90, 0.92], "lpips": [0.2, 0.3]}
POOR = {"psnr_y": [28.0, 29.0], "ssim_y": [0.80, 0.82], "lpips": [0.1, 0.2]}


def runs() -> list[Run]:
    return [made_run("good", GOOD), made_run("poor", POOR), made_run("good", GOOD, "Set14")]


def lines(results: Results, out: Path, **layout: tuple[str, ...]) -> list[str]:
    (path,) = markdown.write(results, out, **layout)
    return path.read_text().splitlines()


def row(results: Results, out: Path, label: str) -> list[str]:
    line = next(line for line in lines(results, out) if line.startswith(f"| {label}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def table(path: Path) -> list[list[str]]:
    return list(csv.reader(path.read_text().splitlines()))


def test_markdown_has_a_row_a_model(tmp_path: Path) -> None:
    results = Results(tuple(runs()))
    assert row(results, tmp_path, "model")[1:5] == ["Set5 PSNR-Y ↑", "Set5 SSIM-Y ↑", "Set5 LPIPS ↓", "Set14 PSNR-Y ↑"]
    assert row(results, tmp_path, "good")[1:5] == ["31.000", "0.9100", "0.2500", "31.000"]
    assert row(results, tmp_path, "poor")[1:5] == ["28.500", "0.8100", "0.1500", "–"]


def test_where_no_model_is_told_from_another_nothing_is_bold_and_every_format_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = Results((*runs(), *(made_run(name, {"psnr_y": [30.0, 31.0, 32.0]}, "B100") for name in ("good", "poor"))))
    for report in (markdown, latex, html):
        report.write(both, tmp_path)
    terminal.write(both, tmp_path)
    texts = [(tmp_path / f"report.{ending}").read_text() for ending in ("md", "tex", "html")]
    few = "Nothing is bold in PSNR-Y, SSIM-Y, LPIPS of Set5 {}4: 2 images are too few to tell the models apart"
    tie = "Nothing is bold in PSNR-Y of B100 {}4: all models tie"
    for text, times in zip((*texts, capsys.readouterr().out), ("×", r"$\times$", "×", "×"), strict=True):
        assert few.format(times) in text and tie.format(times) in text
    assert "**3" not in texts[0] and r"\textbf" not in texts[1] and '"rank":1' not in texts[2]
    assert "Set14" not in "".join(note for table in build(both) for note in table.notes)  # of one model
    a_model_each = build(both, ("dataset",), ("metric",))
    assert all(any(note.startswith("Nothing is bold") for note in table.notes) for table in a_model_each)


def test_a_report_of_a_model_that_came_to_no_image_says_so(tmp_path: Path) -> None:
    never = replace(made_run("broken", {"psnr_y": []}), error="RuntimeError: no", of=5)
    home, out = saved(tmp_path / "results", Results((never,))), tmp_path / "report"
    assert main(["report", str(home), "--format", "all", "--out", str(out)]) == 0
    assert "- broken on Set5 ×4 failed: RuntimeError: no" in (out / "report.md").read_text()


def test_scores_equal_as_printed_are_both_best(tmp_path: Path) -> None:
    means = {"a": 30.0001, "b": 30.0002, "c": 29.0}
    noise = {"a": 0.0, "b": 0.0, "c": 0.1}
    values = {model: [mean + noise[model] * (-1) ** n for n in range(30)] for model, mean in means.items()}
    results = Results(tuple(made_run(model, {"psnr_y": scores}) for model, scores in values.items()))
    assert row(results, tmp_path, "c")[1] == "29.000"
    assert row(results, tmp_path, "a")[1] == row(results, tmp_path, "b")[1] == "**30.000**"


def test_bold_is_what_the_images_do_not_tell_from_the_best(tmp_path: Path) -> None:
    """Eight images, differences of 0.5 and 0.01 dB under noise of 0.05 dB: by hand t = 28 and 0.6 with 7 degrees."""
    base, noise = [28.0 + index for index in range(8)], [0.05 * (-1) ** index for index in range(8)]
    values = {"best": base, "ties": [a - 0.01 + b for a, b in zip(base, noise, strict=True)]}
    values["next"] = [a - 0.5 + b for a, b in zip(base, noise, strict=True)]
    values["last"] = [a - 1.0 + b for a, b in zip(base, noise, strict=True)]
    results = Results(tuple(made_run(model, {"psnr_y": scores}) for model, scores in values.items()))
    assert [row(results, tmp_path, model)[1].startswith("**") for model in values] == [True, True, False, False]
    (built,) = build(results)
    assert {labels[0]: cells[0].rank for labels, cells in built.rows} == {"best": 1, "ties": 1, "next": 2, "last": 0}


def test_none_below_a_model_that_does_not_tie_is_bold_or_ranked_above_it(tmp_path: Path) -> None:
    """The worst by far differs from the best by -1 or 5 dB an image, which no test tells from nothing on eight."""
    base = [28.0 + index for index in range(8)]
    values = {"best": base, "next": [a - 0.5 for a in base]}
    values["worst"] = [a - (5.0 if index % 2 else -1.0) for index, a in enumerate(base)]
    results = Results(tuple(made_run(model, {"psnr_y": scores}) for model, scores in values.items()))
    assert not compare(results, "best", "worst")[0].better and compare(results, "best", "next")[0].better == "best"
    assert [row(results, tmp_path, model)[1].startswith("**") for model in values] == [True, False, False]
    assert [(place.model, place.rank) for place in rank(results)] == [("best", 1), ("next", 2), ("worst", 2)]


def test_what_all_data_sets_together_call_worse_is_not_bold_on_one_of_five_images(
    tmp_path: Path,
) -> None:
    """Differences of 1 to 5 dB on five images (p > 0.05 of the test that a correction is made of) and on fifty more."""
    few, many = [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0] * 10
    assert mean_p(few, among_many=True) > 0.05
    base = {"few": [30.0] * len(few), "many": [30.0] * len(many)}
    worse = {"few": [30.0 - by for by in few], "many": [30.0 - by for by in many]}
    runs = [
        made_run(model, {"psnr_y": scores[name]}, dataset=name)
        for model, scores in (("best", base), ("worse", worse))
        for name in ("few", "many")
    ]
    assert row(Results(tuple(runs)), tmp_path, "worse")[1:3] == ["27.000", "27.000"]
    alone = [run for run in runs if run.identity.dataset == "few"]
    assert [row(Results(tuple(alone)), tmp_path, name)[1] for name in ("best", "worse")] == ["30.000", "27.000"]


def test_caption_and_signatures_say_how_the_numbers_were_made(tmp_path: Path) -> None:
    text = "\n".join(lines(Results(tuple(runs())), tmp_path))
    assert "Set5 n = 2" in text and "95 % intervals" in text
    assert "PSNR-Y and SSIM-Y matlab, LPIPS nocrop. LR by matlab, ×4, fp32 eager. Made with srbench 0.1.0," in text
    signature = "srbench:0.1|lpips|conv:nocrop|x4|lr:matlab|set:Set14@set140|model:good|fp32|eager"
    assert f"- Set14 ×4 LPIPS: `{signature}`" in text
    assert text.count("`srbench:0.1|") == 9


def test_partial_failed_unavailable_and_infinite_scores_are_told(tmp_path: Path) -> None:
    partial = made_run("partial", POOR)
    partial = replace(partial, rows=(partial.rows[0], Row("img001", error="RuntimeError: out of memory")))
    bare = made_run("bare", {"psnr_y": [29.0, math.inf]})
    bare = replace(bare, unavailable={"lpips": "no trunk. Set SRBENCH_WEIGHTS"})
    results = Results((made_run("good", GOOD), partial, bare, failed_run("broken")))
    assert row(results, tmp_path, "partial")[1] == "28.000 (1/2)"
    assert row(results, tmp_path, "bare")[1:] == ["∞", "–", "n/a"]
    assert row(results, tmp_path, "broken")[1:] == ["failed"] * 3
    text = "\n".join(lines(results, tmp_path))
    assert "- LPIPS is n/a: no trunk. Set SRBENCH_WEIGHTS" in text
    assert "- bare on Set5 ×4: 1 of 2 images equal HR, so their PSNR-Y is infinite" in text
    assert "1 of 2 images; img001: RuntimeError: out of memory" in text
    assert "shape \\| mismatch" in text


def test_nothing_but_failures_still_renders(tmp_path: Path) -> None:
    results = Results((failed_run("broken"), replace(made_run("empty", {}), error="UnavailableError: weights")))
    assert row(results, tmp_path, "broken")[1] == "failed"
    assert [len(table(path)) for path in csv_report.write(results, tmp_path)] == [1, 1, 1, 1]


def test_layout_is_chosen_by_the_user(tmp_path: Path) -> None:
    tables = build(Results(tuple(runs())), ("dataset",), ("model",))
    assert [table.title for table in tables] == ["×4 PSNR-Y ↑", "×4 SSIM-Y ↑", "×4 LPIPS ↓"]
    assert tables[0].rows[0][0] == ("Set5",) and [cell.text for cell in tables[0].rows[0][1]] == ["31.000", "28.500"]
    with pytest.raises(UsageError, match="Did you mean model"):
        build(Results(tuple(runs())), ("modle",))
    with pytest.raises(UsageError, match="one side"):
        build(Results(tuple(runs())), ("model", "metric"))


def test_scales_get_a_table_each() -> None:
    results = Results((made_run("good", GOOD), made_run("good", GOOD, scale=2)))
    assert [table.title for table in build(results)] == ["×2", "×4"]


def test_mixtures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IncomparableError, match="precision"):
        markdown.write(Results((made_run("a", GOOD), made_run("b", GOOD, precision="bf16"))), tmp_path)
    other = replace(made_run("b", GOOD), metrics={"psnr_y": "basicsr", "ssim_y": "matlab", "lpips": "nocrop"})
    with pytest.raises(IncomparableError, match="psnr_y is under matlab for a and under basicsr for b"):
        markdown.write(Results((made_run("a", GOOD), other)), tmp_path)


def test_csv_files_have_the_columns_of_the_contract(tmp_path: Path) -> None:
    results = Results((made_run("good", {"psnr_y": [30.0, math.inf]}),), (made_speed("good"),))
    summary, images, speed, signatures = map(table, csv_report.write(results, tmp_path))
    assert signatures[1][:4] == ["Set5", "4", "good", "psnr_y"] and signatures[1][4].startswith("srbench:0.1|psnr_y|")
    assert summary[0] == ["dataset", "scale", "model", "metric", "mean", "ci_low", "ci_high", "n"]
    assert summary[1] == ["Set5", "4", "good", "psnr_y", "inf", "30.0", "inf", "2"]
    assert images == [
        ["dataset", "scale", "model", "image", "metric", "value"],
        ["Set5", "4", "good", "img000", "psnr_y", "30.0"],
        ["Set5", "4", "good", "img001", "psnr_y", "inf"],
    ]
    assert ",".join(speed[0]) == (
        "model,scale,device,precision,backend,width,height,batch,"
        "p50_ms,p95_ms,output_mp_per_s,peak_memory_mib,gmacs,params,"
        "first_ms,repeats,energy_j,threads,other_work,uncounted,processor,spread,clock_moved,throttled,not_steady"
    )
    assert speed[1][:9] == ["good", "4", "cpu", "fp32", "eager", "120", "80", "1", "10.0"]


def test_command_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    results = saved(tmp_path / "results", Results(tuple(runs()), (made_speed("good"),)))
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        assert main(["report", str(results), "--out", str(out)]) == 0
    names = sorted(path.name for path in outs[0].glob("[!.]*"))
    assert names == ["images.csv", "report.md", "signatures.csv", "speed.csv", "summary.csv"]
    assert all((outs[0] / name).read_bytes() == (outs[1] / name).read_bytes() for name in names)


def test_command_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = saved(tmp_path / "results", Results(tuple(runs())))
    assert main(["report", str(results), "--format", "cvs"]) == 2
    assert "Did you mean csv?" in capsys.readouterr().err
    assert main(["report", str(results), "--format", "csv", "--rows", "dataset"]) == 2
    assert "--rows is for reports with tables" in capsys.readouterr().err
    assert main(["report", str(tmp_path), "--format", "csv"]) == 2


def test_markdown_shows_crops_where_images_were_saved(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--datasets", str(folder), "--metrics", "psnr_y", "--no-speed", "--out", str(tmp_path / "results")]
    report = ["report", str(tmp_path / "results"), "--format", "md", "--out", str(tmp_path / "report")]
    assert main(["run", "bicubic", *words]) == main(report) == 0
    assert "Crops" not in (tmp_path / "report" / "report.md").read_text()
    assert main(["run", "bicubic", "nearest", *words, "--save-images", "--force"]) == 0
    pictures = []
    for _ in range(2):
        capsys.readouterr()
        assert main(report) == 0
        written = capsys.readouterr().out.split()
        assert written == [str(tmp_path / "report" / name) for name in ("report.md", "crops/tiny-x4.png")]
        pictures.append(Path(written[1]).read_bytes())
    assert pictures[0] == pictures[1] and pictures[0].startswith(b"\x89PNG")
    results = load_results(tmp_path / "results")
    scores = {run.identity.model: {row.image: row.scores["psnr_y"] for row in run.rows} for run in results}
    image = max("abc", key=lambda image: abs(scores["bicubic"][image] - scores["nearest"][image]))
    text = (tmp_path / "report" / "report.md").read_text()
    assert f"![tiny ×4: {image}](crops/tiny-x4.png)" in text
    folder.rename(tmp_path / "away")
    assert main(report) == 0
    assert "is not shown: " in (tmp_path / "report" / "report.md").read_text()
