"""`srbench check` against mistakes that people make: each is planted, and must be caught."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image as pil

import srbench
from srbench.analysis.check.baseline import Baseline, baseline_of, read_baseline, write_baseline
from srbench.analysis.check.check import Verdict, check_results
from srbench.analysis.check.crops import side_by_side
from srbench.analysis.check.formats import as_annotations, as_junit, as_markdown
from srbench.analysis.check.tolerances import Tolerances, as_toml, noise_floors, read_tolerances
from srbench.base.errors import IncomparableError, InputError
from srbench.cli import main
from srbench.datasets import folder as dataset_folder
from srbench.datasets import open_dataset
from srbench.images.files import write_image
from srbench.images.resize import CUBIC, imresize
from srbench.metrics.conventions import CONVENTIONS
from srbench.results.results import Results
from tests.made_results import made_run, made_speed, saved

if TYPE_CHECKING:
    from srbench.images.files import Image


class Refiner(torch.nn.Module):
    """Bicubic and a small network on top of it: enough for weights to matter."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 32, 5, padding=2)
        self.last = torch.nn.Conv2d(32, 3, 5, padding=2)
        torch.nn.init.normal_(self.last.weight, std=2e-3)
        torch.nn.init.zeros_(self.last.bias)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        large = imresize(lr.double(), 4, kernel=CUBIC).float()
        return large + self.last(self.first(large).relu())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pieces of three photographs: on noise, a worse model may well be the better one."""
    photographs = open_dataset("samples", 4)
    for place in range(3):
        write_image(tmp_path / "pictures" / f"p{place}.png", photographs[place].hr[100:196, 160:280])
    return tmp_path / "pictures"


def results(pictures: Path, model: torch.nn.Module | None = None) -> Results:
    return srbench.evaluate(model or Refiner(), str(pictures), device="cpu")


def verdict(before: Results, now: Results) -> Verdict:
    return check_results(now, baseline_of(before))


def stages(found: Verdict) -> set[str]:
    return {finding.stage for finding in found.failures}


@pytest.fixture
def matlab(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def change(**fields: object) -> None:
        monkeypatch.setitem(CONVENTIONS, "matlab", replace(CONVENTIONS["matlab"], **fields))  # type: ignore[arg-type]

    return change


def test_y_rounding_dropped(pictures: Path, matlab: Callable[..., None]) -> None:
    before = results(pictures)
    matlab(round_y=False)
    found = verdict(before, results(pictures))
    assert not found.passed and stages(found) == {"metric"}


def test_crop_off_by_one(pictures: Path, matlab: Callable[..., None]) -> None:
    before = results(pictures)
    matlab(crop_more=1)
    found = verdict(before, results(pictures))
    assert not found.passed and stages(found) == {"metric"}


def test_lr_from_pil(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shrunk(hr: Image, scale: int = 4, degradation: str = "matlab") -> Image:
        size = (hr.shape[1] // scale, hr.shape[0] // scale)
        return np.asarray(pil.fromarray(hr).resize(size, pil.Resampling.BICUBIC))

    before = results(pictures)
    monkeypatch.setattr(dataset_folder, "low_resolution", shrunk)
    found = verdict(before, results(pictures))
    assert not found.passed and stages(found) == {"LR"}


def test_one_weight_tensor_perturbed(pictures: Path) -> None:
    before = results(pictures)
    model = Refiner()
    model.last.weight.data += 1e-3
    found = verdict(before, results(pictures, model))
    assert stages(found) == {"SR"}


def test_a_swapped_image(pictures: Path) -> None:
    before = results(pictures)
    one, other = pictures / "p0.png", pictures / "p1.png"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(IncomparableError, match=r"fingerprint .* HR has changed: p0, p1"):
        verdict(before, results(pictures))


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_other_thread_counts_pass(pictures: Path, threads: None) -> None:
    torch.set_num_threads(1)
    before = results(pictures)
    torch.set_num_threads(3)
    again = results(pictures)
    assert verdict(before, again).passed
    assert max(noise_floors(before, [again])["pictures"].values()) < 0.01


def test_calibration_prints_tolerances_that_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = saved(tmp_path / "a", Results((made_run("m", {"psnr_y": [30.0, 31.0], "ssim_y": [0.9, 0.8]}),)))
    rerun = saved(tmp_path / "b", Results((made_run("m", {"psnr_y": [30.0, 31.004], "ssim_y": [0.9, 0.8]}),)))
    assert main(["check", str(first), "--calibrate", str(rerun)]) == 0
    config = tmp_path / "pyproject.toml"
    config.write_text(capsys.readouterr().out)
    read = read_tolerances(config)
    assert read.of("psnr_y", "Set5") == pytest.approx(0.02) and read.of("ssim_y", "Set5") == pytest.approx(2e-6)
    assert read.of("psnr_y", "Set14") == 0.01
    with pytest.raises(InputError, match="no image and metric in common"):
        noise_floors(Results((made_run("m", {"psnr_y": [1.0]}),)), [Results((made_run("n", {"psnr_y": [1.0]}),))])
    assert "inf" in as_toml({"Set5": {"psnr_y": float("inf")}})


def test_tolerances_from_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "tolerance = { psnr = 0.1 }\nspeed = 0.5\n[dataset.Set5]\ntolerance = { psnr_y = 0.2 }\n"
    (tmp_path / "own.toml").write_text(table)
    read = read_tolerances(tmp_path / "own.toml")
    assert (read.of("psnr_y", "Set5"), read.of("psnr_rgb", "Set5"), read.of("lpips"), read.speed) == (
        0.2,
        0.1,
        1e-3,
        0.5,
    )
    assert read.updated({"psnr_y": 0.3}).of("psnr_y", "Set5") == 0.3
    monkeypatch.chdir(tmp_path)
    assert read_tolerances(None) == Tolerances()
    (tmp_path / "pyproject.toml").write_text(
        "[tool.srbench.check]\ntolerance = { ssim = 0.5 }\n[project]\nname = 'x'\n"
    )
    assert read_tolerances(None).of("ssim_y") == 0.5


@pytest.mark.parametrize("text", ["tolerances = {}", "tolerance = { psnr = -1 }", "[dataset.Set5]\npsnr = 1", "x ="])
def test_wrong_tolerances_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(InputError, match=r"own\.toml"):
        read_tolerances(tmp_path / "own.toml")


def test_slower_is_told_on_the_same_machine_and_does_not_fail(tmp_path: Path) -> None:
    run = made_run("m", {"psnr_y": [30.0]})
    before = Results((run,), (made_speed("m", 10.0),))
    write_baseline(tmp_path / "b.json", baseline_of(before))
    expected = read_baseline(tmp_path / "b.json")
    slow = Results((run,), (made_speed("m", 13.0),))
    found = check_results(slow, expected)
    assert found.passed and "slower, 10.00 -> 13.00 ms (+30%" in str(found.findings[0])
    assert check_results(Results((run,), (made_speed("m", 12.0),)), expected).findings == []
    assert check_results(slow, expected, Tolerances(speed=0.5)).findings == []
    assert check_results(slow, replace(expected, machine="another")).findings == []


def broken() -> tuple[Verdict, Baseline]:
    before = Results((made_run("a|b", {"psnr_y": [30.0, 31.0]}), made_run("fine", {"psnr_y": [30.0]})))
    now = Results((made_run("a|b", {"psnr_y": [29.0, 31.0]}), made_run("fine", {"psnr_y": [30.0]})))
    rows = tuple(replace(row, sr="other") for row in now.runs[0].rows)
    return verdict(before, replace(now, runs=(replace(now.runs[0], rows=rows), now.runs[1]))), baseline_of(before)


def test_junit_has_a_case_an_image() -> None:
    root = ElementTree.fromstring(as_junit(*broken()))
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("Set5 x4 a|b", "2", "1"),
        ("Set5 x4 fine", "1", "0"),
    ]
    (failure,) = root.findall(".//failure")
    assert "30.000 -> 29.000" in failure.get("message", "")


def test_github_gets_an_annotation_a_run_and_a_summary() -> None:
    found, _ = broken()
    (line,) = as_annotations(found)
    assert line.startswith("::error title=Set5 x4 a|b::Set5 x4 a|b img000 psnr_y: 30.000 -> 29.000")
    assert "| worse | Set5 x4 a\\|b img000 psnr_y" in as_markdown(found, "baseline.json")


def test_command_writes_junit_summary_and_crops(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models", "nearest", "--datasets", str(pictures), "--metrics", "psnr_y", "--no-speed", "--save-images"]
    assert main(["run", *words, "--out", str(tmp_path / "results")]) == 0
    now = srbench.load_results(tmp_path / "results")
    better = [replace(row, scores={"psnr_y": row.scores["psnr_y"] + 1}, sr="other") for row in now.runs[0].rows]
    write_baseline(tmp_path / "b.json", baseline_of(Results((replace(now.runs[0], rows=tuple(better)),))))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    options = [
        "--baseline",
        str(tmp_path / "b.json"),
        "--junit",
        str(tmp_path / "j.xml"),
        "--crops",
        str(tmp_path / "crops"),
    ]
    capsys.readouterr()
    assert main(["check", str(tmp_path / "results"), *options]) == 1
    out = capsys.readouterr().out
    assert "the first change is in SR: the model" in out and "::error title=pictures x4 nearest::" in out
    assert "3 worse" in (tmp_path / "summary.md").read_text()
    assert len(ElementTree.parse(tmp_path / "j.xml").findall(".//failure")) == 3
    assert sorted(path.name for path in (tmp_path / "crops").glob("*.png"))[0] == "pictures-x4-nearest-p0.png"


def test_crop_shows_the_place_of_the_largest_difference() -> None:
    hr = np.zeros((200, 300, 3), np.uint8)
    sr = hr.copy()
    sr[150:160, 250:260] = 20
    strip = side_by_side(hr, sr)
    assert strip.shape == (3 * 96, 3 * (3 * 96 + 4), 3)
    assert strip.max() == 255 and (strip == 120).any()


TEST_OF_A_MODEL = """
import numpy as np

def test_no_worse(srbench_check):
    verdict = srbench_check("bicubic", "baseline.json", datasets="pictures", device="cpu")
    assert verdict.compared == 6

def test_worse(srbench_check):
    def bicubic(lr):
        return lr.repeat_interleave(4, -1).repeat_interleave(4, -2) * 0.9
    srbench_check(bicubic, "baseline.json", datasets="pictures", device="cpu")
"""

BASELINES_THAT_ARE_NONE = """
import pytest

@pytest.mark.parametrize("baseline", ["missing.json", "damaged.json"])
def test_told_before_the_model_runs(srbench_check, baseline):
    srbench_check("bicubic", baseline, datasets="nowhere")
"""


IN_ONE_PROCESS = """
import sys, pytest
for words in sys.argv[1:]:
    print("=== a run of pytest", flush=True)
    pytest.main(["-q", "-p", "no:cacheprovider", *words.split()])
"""


def test_fixture_reads_the_baseline_before_the_model_runs(tmp_path: Path) -> None:
    (tmp_path / "test_model.py").write_text(BASELINES_THAT_ARE_NONE)
    (tmp_path / "damaged.json").write_text("{")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "missing.json: no such baseline" in done.stdout and "Traceback" not in done.stdout
    assert "damaged.json: not a baseline of srbench" in done.stdout and "nowhere:" not in done.stdout


def test_fixture_in_the_test_suite_of_a_model(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "test_model.py").write_text(TEST_OF_A_MODEL)

    runs = ("-k no_worse", "-k no_worse --srbench-update", "")
    command = [sys.executable, "-c", IN_ONE_PROCESS, *runs]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    before, update, after = done.stdout.split("=== a run of pytest")[1:]
    assert "baseline.json: no such baseline. Make it from results that you trust: pytest --srbench-update" in before
    assert "Traceback" not in before and "InputError" not in before
    assert "add --update" not in before and "During handling" not in before
    assert "1 passed" in update
    assert "1 failed, 1 passed" in after and "Worse than the baseline:" in after
    assert "If this is meant, make it the baseline: pytest --srbench-update" in after
