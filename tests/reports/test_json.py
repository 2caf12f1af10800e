"""`results.json`, and the papers' numbers in tables."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from reports import json as json_report
from reports import markdown, tables
from srbench.base.errors import UsageError
from srbench.cli import main
from srbench.results.results import Results
from tests.made_results import failed_run, made_run, made_speed, saved


def document(results: Results, out: Path) -> dict[str, list[dict[str, object]]]:
    (path,) = json_report.write(results, out)

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is not JSON")

    found: dict[str, list[dict[str, object]]] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return found


def test_a_document_has_means_signatures_images_and_times(tmp_path: Path) -> None:
    run = made_run("bicubic", {"psnr_y": [28.0, 28.5], "lpips": [0.3, 0.4]})
    found = document(Results((run, failed_run("broken")), (made_speed("bicubic"),)), tmp_path)
    mean = next(row for row in found["scores"] if (row["model"], row["metric"]) == ("bicubic", "psnr_y"))
    assert (mean["mean"], mean["images"], mean["status"], mean["higher_is_better"]) == (28.25, 2, "scored", True)
    assert mean["signature"] == run.signature("psnr_y") and mean["ci_low"] < 28.25 < mean["ci_high"]  # type: ignore[operator]
    failed = next(row for row in found["scores"] if row["model"] == "broken")
    assert failed["mean"] is None and failed["status"] == "failed" and "shape" in str(failed["reason"])
    assert {"dataset": "Set5", "scale": 4, "model": "bicubic", "image": "img001",
            "scores": {"psnr_y": 28.5, "lpips": 0.4}} in found["images"]  # fmt: skip
    assert [row["image"] for row in found["failures"]] == ["img000", "img001"]
    assert found["speed"][0]["p50_ms"] == 10.0
    (beside,) = found["published"]
    assert beside["value"] == 28.42 and math.isclose(float(str(beside["gap"])), -0.17, abs_tol=1e-9)


def test_there_is_no_gap_to_a_network_of_another_loss(tmp_path: Path) -> None:
    found = document(Results((made_run("srgan", {"psnr_y": [29.0]}),)), tmp_path)
    (beside,) = found["published"]
    assert (beside["value"], beside["gap"]) == (29.4, None)


def test_infinity_is_a_word(tmp_path: Path) -> None:
    found = document(Results((made_run("same", {"psnr_y": [math.inf, 30.0]}),)), tmp_path)
    assert found["images"][0]["scores"] == {"psnr_y": "inf"}
    assert found["scores"][0]["infinite"] == 1


def results() -> Results:
    return Results(tuple(made_run(name, {"psnr_y": [28.0], "lpips": [0.3]}) for name in ("bicubic", "mine")))


def test_published_numbers_stand_under_their_model_where_asked(tmp_path: Path) -> None:
    (table,) = tables.build(results(), papers=True)
    assert [(labels, [cell.text for cell in cells]) for labels, cells in table.rows] == [
        (("bicubic",), ["28.000", "0.3000"]),
        (("bicubic, published",), ["28.42", "–"]),
        (("mine",), ["28.000", "0.3000"]),
    ]
    assert "Published: Huang et al., CVPR 2015" in table.notes
    assert len(tables.build(results())[0].rows) == 2
    markdown.write(results(), tmp_path, papers=True)
    assert "| bicubic, published | 28.42 | – |" in " ".join((tmp_path / "report.md").read_text().split())


def test_papers_need_models_on_rows_and_a_report_with_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="have model among --rows"):
        tables.build(results(), ("dataset",), ("model", "metric"), papers=True)
    folder = saved(tmp_path / "results", results())
    assert main(["report", str(folder), "--format", "json", "--papers", "--out", str(tmp_path)]) == 2
    assert "--papers is for reports with tables" in capsys.readouterr().err
    assert main(["report", str(folder), "--format", "terminal", "--papers"]) == 0
    assert "bicubic, published" in capsys.readouterr().out
