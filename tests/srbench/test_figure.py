"""The figure of a paper: what it shows, that no name is cut, and what it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from srbench.analysis.figure import strips
from srbench.analysis.figure_page import draw
from srbench.images.files import read_image, write_image
from srbench.images.windows import largest_window
from srbench.results.store import load_results
from tests.conftest import Srbench

Photograph = Callable[..., np.ndarray]
LONG = "bicubic-trained-for-half-a-million-steps"


@pytest.fixture
def results(srbench: Srbench, tmp_path: Path, photograph: Photograph) -> Path:
    """Two images of 160x120 by two models, one with a long name."""
    for seed, name in enumerate(("0005", "0006")):
        write_image(tmp_path / "tiny" / "HR" / f"{name}.png", photograph(120, 160, seed=seed))
    words = ["--datasets", tmp_path / "tiny", "--metrics", "psnr_y,ssim_y", "--no-speed", "--save-images"]
    assert srbench("run", "nearest", f"{LONG}=bicubic", *words, "--out", tmp_path / "results") == 0
    return tmp_path / "results"


def test_png_and_pdf(srbench: Srbench, results: Path, tmp_path: Path) -> None:
    for name, start in (("figure.png", b"\x89PNG"), ("figure.pdf", b"%PDF")):
        words = ["--image", "0005", "--crop", "40,30,80,60", "--models", f"{LONG},nearest", "-o", tmp_path / name]
        assert srbench("figure", results, *words) == 0, srbench.err
        assert srbench.out == f"{tmp_path / name}\n"
        assert (tmp_path / name).read_bytes().startswith(start)
    pixels = (tmp_path / "figure.png").read_bytes()
    assert srbench("figure", results, "--image", "0005", "--crop", "40,30,80,60", "--models", f"{LONG},nearest",
                   "-o", tmp_path / "again.png") == 0  # fmt: skip
    assert (tmp_path / "again.png").read_bytes() == pixels


def test_what_is_shown(results: Path) -> None:
    (strip,) = strips(load_results(results), ["0005"], [(40, 30, 80, 60)], [LONG, "nearest"], ["psnr_y"])
    assert [panel.name for panel in strip.panels] == ["HR", LONG, "nearest"]
    saved = read_image(results / "tiny" / "x4" / "nearest" / "0005.png")
    np.testing.assert_array_equal(strip.panels[2].crop, saved[30:90, 40:120])
    np.testing.assert_array_equal(strip.panels[0].crop, strip.whole[30:90, 40:120])
    (run,) = [run for run in load_results(results) if run.identity.model == "nearest"]
    assert strip.panels[2].scores == f"{run.rows[0].scores['psnr_y']:.3f}"


@pytest.mark.parametrize("crop", [(40, 30, 80, 60), (0, 0, 16, 12), (0, 0, 160, 20)])
def test_no_name_is_cut_and_none_overlap(results: Path, crop: tuple[int, int, int, int]) -> None:
    figure = draw(strips(load_results(results), ["0005", "0006"], [crop]))
    figure.canvas.draw()
    page = figure.bbox
    boxes = {text: text.get_window_extent() for text in figure.texts if text.get_text()}
    assert {text.get_text() for text in boxes} >= {LONG, "nearest", "HR", "0006 (tiny ×4)"}
    for text, box in boxes.items():
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1, text
    for one, other in combinations(boxes, 2):
        assert not boxes[one].overlaps(boxes[other]), (one, other)
    for axes in figure.axes:
        assert not [text for text, box in boxes.items() if box.overlaps(axes.get_window_extent())]


def test_tex_reads_its_pictures_whatever_the_file_is_called(srbench: Srbench, results: Path, tmp_path: Path) -> None:
    target = tmp_path / "50 % of #1_a.tex"
    assert srbench("figure", results, "--image", "0005", "--crop", "40,30,80,60", "-o", target) == 0, srbench.err
    files = re.findall(r"\\includegraphics\[.*?\]\{\\srbenchpath (.*?)\}", target.read_text())
    assert len(files) == 3 and all((tmp_path / file).is_file() for file in files)
    assert not re.search(r"[^\w./+-]", "".join(files))


def test_what_cannot_be_written_is_refused_before_anything_is_read(srbench: Srbench, tmp_path: Path) -> None:
    (tmp_path / "there.pdf").touch()
    (tmp_path / "empty").mkdir()
    for name, told in (("figure.jpg", "a figure ends in .png, .pdf, .tex"), ("there.pdf", "is there already")):
        assert srbench("figure", tmp_path / "empty", "--image", "0005", "-o", tmp_path / name) == 2
        assert told in srbench.err and "no results" not in srbench.err


def test_tex(srbench: Srbench, results: Path, tmp_path: Path) -> None:
    target = tmp_path / "paper" / "figure.tex"
    assert srbench("figure", results, "--image", "0005,0006", "-o", target) == 0, srbench.err
    text = target.read_text()
    for file in re.findall(r"\\includegraphics\[.*?\]\{\\srbenchpath (.*?)\}", text):
        assert (target.parent / file).is_file()
    assert text.count(r"\includegraphics") == 6 and text.count(LONG) == 2
    if not shutil.which("pdflatex"):
        return
    (tmp_path / "beside").mkdir()
    for home, given in (("paper", "figure"), (".", "paper/figure.tex"), ("beside", "../paper/figure")):
        page = (
            f"\\documentclass{{article}}\\usepackage{{graphicx}}\\begin{{document}}\\input{{{given}}}\\end{{document}}"
        )
        (tmp_path / home / "paper.tex").write_text(page)
        latex = ["pdflatex", "-halt-on-error", "paper.tex"]
        subprocess.run(latex, cwd=tmp_path / home, check=True, capture_output=True)
        assert r"Overfull \hbox" not in (tmp_path / home / "paper.log").read_text("latin-1")


def test_without_a_crop_the_place_where_models_differ(results: Path) -> None:
    (strip,) = strips(load_results(results), ["0005"])
    left, top, width, height = strip.crop
    assert 0 <= left <= 160 - width and 0 <= top <= 120 - height
    spot = np.zeros((50, 60))
    spot[40:45, 10:14] = 1.0
    rows, columns = largest_window(spot, 10, 8)
    assert rows.start <= 40 and rows.stop >= 45 and columns.start <= 10 and columns.stop >= 14


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--image", "0007"], "unknown image '0007'. Did you mean"),
        (["--image", "0005", "--models", "srgan"], "unknown model 'srgan'"),
        (["--image", "0005", "--crop", "100,100,80,60"], "reaches out of 0005, 160x120 pixels"),
        (["--image", "0005", "--crop", "1,2,3"], "write left,top,width,height in pixels of HR"),
        (["--image", "0005", "-o", "figure.bmp"], "a figure ends in .png, .pdf, .tex"),
        (["--image", "0005", "--metrics", "lpips"], "unknown metric 'lpips'"),
        (["--image", "0005", "--scale", "2"], "image 0005 is in no such results"),
    ],
)
def test_what_is_refused(srbench: Srbench, results: Path, words: list[str], message: str) -> None:
    assert srbench("figure", results, *words) == 2
    assert message in srbench.err and srbench.err.count("\n") <= 2


def test_hr_is_not_written_over(srbench: Srbench, results: Path, tmp_path: Path) -> None:
    hr = tmp_path / "tiny" / "HR" / "0005.png"
    before = hr.read_bytes()
    assert srbench("figure", results, "--image", "0005", "-o", hr, "--force") == 2
    assert "0005.png is an input, and would be written over; give another output" in srbench.err
    assert hr.read_bytes() == before


def test_only_the_image_that_was_scored_is_shown(srbench: Srbench, results: Path) -> None:
    path = results / "tiny" / "x4" / "nearest" / "0005.png"
    write_image(path, 255 - read_image(path))
    assert srbench("figure", results, "--image", "0005") == 2
    assert "nearest/0005.png is not the image that was scored. Make it anew: srbench run" in srbench.err
    path.unlink()
    assert srbench("figure", results, "--image", "0005") == 2
    assert "nearest has no saved image of 0005. Make it: srbench run --models nearest" in srbench.err
