"""The tables of a terminal of 80 columns: nothing is cut, and what is too wide is split or folded."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reports import terminal
from srbench.results.results import Results
from tests.made_results import made_run, made_speed

Shown = Callable[[Results, int], list[str]]
SETS = ("Set5", "Set14", "B100", "Urban100")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shown:
    """What is printed of results on a terminal of so many columns."""

    def show(results: Results, columns: int) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        terminal.write(results, tmp_path)
        return re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()

    return show


def results() -> Results:
    scores = {"psnr_y": [30.4, 31.0], "ssim_y": [0.8, 0.9], "lpips": [0.1, 0.2]}
    runs = [made_run(model, scores, dataset) for model in ("bicubic", "a-longer-name") for dataset in SETS]
    times = [replace(made_speed(model), repeats=7) for model in ("bicubic", "a-longer-name")]
    return Results(tuple(runs), tuple(times))


def test_four_sets_are_printed_one_after_the_other(shown: Shown) -> None:
    lines = shown(results(), 80)
    text = "\n".join(lines)
    assert "…" not in text and text.count("│ a-longer-name │") == 5  # a table for each set, and the times
    assert [title for title in lines if title.endswith(SETS)] == [f"×4 {name}" for name in SETS]
    signed = [line for line in lines if line.startswith("srbench:")]
    assert [line for line in lines if len(line) > 80 and line not in signed] == []
    assert len(signed) == 12 and all(line.count("|") >= 7 for line in signed)  # whole, so that they can be copied


def test_on_a_wide_terminal_they_stand_side_by_side(shown: Shown) -> None:
    lines = shown(results(), 200)
    assert sum(line.startswith("│ a-longer-name") for line in lines) == 2
    assert sum("Urban100" in line and "Set5" in line for line in lines) >= 1


def test_a_table_that_cannot_be_split_is_folded(shown: Shown) -> None:
    text = "".join(shown(results(), 30))
    assert "…" not in text and "a-longer-name" not in text  # folded: all of its letters are there
