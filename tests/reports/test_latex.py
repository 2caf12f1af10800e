from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reports import latex, published, terminal
from srbench.analysis.claims import read_claims
from srbench.cli import main
from srbench.images.degrade import check_degradation
from srbench.results.records import Run
from srbench.results.results import Results
from srbench.results.summary import summarise
from tests.made_results import failed_run, made_run, made_speed, saved

SCORES = {"bicubic": 28.4, "srcnn": 30.4, "srgan_x": 29.1}


def runs() -> list[Run]:
    return [
        made_run(model, {"psnr_y": [mean + i for i in range(9)], "ssim_y": [mean / 40] * 9}, dataset)
        for model, mean in SCORES.items()
        for dataset in ("Set5", "Set14")
    ]


def tex(results: Results, out: Path) -> str:
    (path,) = latex.write(results, out)
    return path.read_text()


def test_best_is_bold_and_second_underlined(tmp_path: Path) -> None:
    text = tex(Results(tuple(runs())), tmp_path)
    assert r"srcnn & \textbf{34.400} & \textbf{0.7600} & \textbf{34.400} & \textbf{0.7600} \\" in text
    assert r"srgan\_x & \underline{33.100}" in text
    assert r" & \multicolumn{2}{c}{Set5} & \multicolumn{2}{c}{Set14} \\" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}" in text


def test_every_line_of_a_table_has_as_many_cells(tmp_path: Path) -> None:
    text = tex(Results((*runs(), failed_run("100%_&_broken")), (made_speed("srcnn"),)), tmp_path)
    for body in re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end", text, re.DOTALL):
        lines = [line for line in body[1].splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {len(body[0])}
    assert r"100\%\_\&\_broken" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_latex_compiles_and_no_table_leaves_the_page(tmp_path: Path) -> None:
    wide = [made_run("bicubic", {"psnr_y": [28.0, 29.0], "ssim_y": [0.8, 0.9]}, f"set{n}") for n in range(9)]
    body = tex(Results((*runs(), *wide, failed_run("100%_&_broken")), (made_speed("srcnn"),)), tmp_path)
    document = rf"\documentclass{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    subprocess.run(["pdflatex", "-halt-on-error", "paper.tex"], cwd=tmp_path, check=True, capture_output=True)
    assert r"Overfull \hbox" not in (tmp_path / "paper.log").read_text("latin-1")


def test_nothing_but_comments_ends_a_line(tmp_path: Path) -> None:
    """A `%` in a caption hides its brace: `spread 18%` of timings that are not steady."""
    times = tuple(replace(made_speed(model), repeats=7, spread=0.18) for model in SCORES)
    text = tex(Results(tuple(runs()), times), tmp_path)
    assert r"spread 18\%" in text or r"spread 18~\%" in text or r"spread 18 \%" in text
    bare = re.compile(r"(?<!\\)%")
    assert not [line for line in text.splitlines() if bare.search(line.removesuffix("{%")) and line[:1] != "%"]


def test_published_numbers_stand_beside_ours_with_the_gap() -> None:
    results = Results((made_run("bicubic", {"psnr_y": [28.416], "ssim_y": [0.8101], "lpips": [0.3]}),))
    cells = [pair.cells for pair in published.pairs(results, summarise(results))]
    assert cells == [
        ("bicubic", "Set5", "×4", "PSNR-Y", "28.42", "28.416", "-0.004", "Huang et al., CVPR 2015"),
        ("bicubic", "Set5", "×4", "SSIM-Y", "0.8101", "0.81010", "+0.00000", "Huang et al., CVPR 2015"),
    ]


def test_a_number_under_another_convention_does_not_stand_beside_ours() -> None:
    run = made_run("bicubic", {"psnr_y@basicsr": [28.43]})
    results = Results((replace(run, metrics={"psnr_y@basicsr": "basicsr"}),))
    assert published.pairs(results, summarise(results)) == []


@pytest.mark.parametrize(
    ("degradation", "scale", "value"),
    [("matlab", 4, "0.8101"), ("matlab-legacy", 4, "0.8101"), ("files:_x4", 4, "0.8101"), ("matlab-y", 4, "0.8104"),
     ("bd", 3, "0.8308")],
)  # fmt: skip
def test_a_published_row_stands_beside_runs_on_its_own_kind_of_lr(degradation: str, scale: int, value: str) -> None:
    run = made_run("bicubic", {"ssim_y": [0.81037]}, scale=scale, degradation=degradation)
    results = Results((run,))
    assert [pair.claim.text for pair in published.pairs(results, summarise(results))] == [value]


@pytest.mark.parametrize("identity", [{"degradation": "jpeg10"}, {"degradation": "bd"}, {"self_ensemble": True}])
def test_a_number_of_other_images_does_not_stand_beside_ours(identity: dict[str, object]) -> None:
    results = Results((made_run("bicubic", {"psnr_y": [23.961]}, **identity),))
    assert published.pairs(results, summarise(results)) == []


def test_every_published_number_has_source_and_metric() -> None:
    claims = read_claims(published.DATA)
    assert all(claim.source and claim.metric for claim in claims)
    for claim in claims:
        check_degradation(claim.degradation, claim.scale)
    keys = [
        (claim.model, claim.dataset, claim.scale, claim.metric, claim.degradation, claim.source) for claim in claims
    ]
    assert len(set(keys)) == len(keys)


def test_terminal_prints_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = Results((*runs(), made_run("[bold]", {"psnr_y": [1.0]})), (made_speed("srcnn"),))
    assert terminal.write(results, tmp_path / "out") == []
    out = capsys.readouterr().out
    assert "[bold]" in out and "34.400" in out and "srbench:0.1|psnr_y" in out
    assert not (tmp_path / "out").exists()
    folder = saved(tmp_path / "results", Results(tuple(runs())))
    assert main(["report", str(folder), "--format", "terminal", "--rows", "dataset", "--columns", "model"]) == 0
    assert "srgan_x" in capsys.readouterr().out


def test_intervals_stand_in_a_table_of_their_own(tmp_path: Path) -> None:
    several = [made_run(model, {"psnr_y": [mean, mean + 2.0]}, "Set5") for model, mean in SCORES.items()]
    text = tex(Results(tuple(several)), tmp_path)
    assert r"\label{tab:srbench-x4-set5-intervals}" in text
    assert re.search(r"srcnn & \[18\.694, 44\.106\] \\\\", text)
    assert r"95 \% intervals of the means" in text
