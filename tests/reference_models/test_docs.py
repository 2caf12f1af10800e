"""Every command and Python block of the README and of docs/, run as it is written; see `tests.documented`."""

from __future__ import annotations

import re
import shlex
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click
import numpy as np
import pytest
import torch
from PIL import Image as pil

from scripts.gpu_slot import main as slot
from srbench.apps.study.answers import Answers
from srbench.apps.study.make import read_study
from srbench.cli import cli, main
from srbench.datasets.samples import files
from srbench.images.files import read_image
from srbench.models import find_model
from tests.documented import NOT_RUN, PAGES, ROOT, Command, commands, python
from tests.reference_models.test_weights import small
from tests.srbench.test_upscale_video import write_video

FACTORY = """
import torch

def make():
    return torch.nn.Upsample(scale_factor=2)
"""
Register = Callable[[str, str, object], None]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with the photographs and networks that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)  # LPIPS is n/a then, and the run goes on
    network = small()
    torch.nn.init.dirac_(network.conv_last.weight)  # nearest neighbour: what is random upscales nothing
    torch.save(network.state_dict(), "RRDB_ESRGAN_x4.pth")
    Path("mynet.py").write_text(FACTORY)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for path in ("photo.jpg", "photo.png", "photos/one.png", "my/photographs/one.png", "my/folder/one.png"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        pil.fromarray(pixels).save(path)
    return tmp_path


def run_page(
    page: str, before: dict[str, Callable[[], object]] | None = None, smaller: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Run the commands of a page, in order; `before` is done ahead of the first command that begins so, and `smaller`
    says which words are typed in place of others so that it takes less time."""
    steps = dict(before or {})
    for found in commands(page):
        command = replace(found, text=reduce(lambda text, words: text.replace(*words), smaller.items(), found.text))
        for beginning in [text for text in steps if command.text.startswith(text)]:
            steps.pop(beginning)()
        if command.reason:
            parsed(command)
            if command.words[:3] == ["srbench", "study", "serve"]:
                answer(Path(command.words[3]))
            continue
        program, *words = command.words
        assert program == "srbench", command
        assert main([str(Path(word).expanduser()) if word[0] == "~" else word for word in words]) == 0, command
    assert not steps


def answer(study: Path) -> None:
    """What raters would have done while the study was served."""
    answers = Answers(study)
    rater = answers.new_rater()
    for question in read_study(study).questions:
        answers.add(rater, question.id, max(question.models))


def parsed(command: Command) -> None:
    """Check every srbench command inside a line against the command line's options, without running it.

    Shell variables of the page are put in; `python -m reference_models.cli` is `srbench train`.
    """
    page = (ROOT / command.page).read_text(encoding="utf-8")
    set_there = re.findall(r"\b([A-Z]+)=(?:\"([^\"\n]*)\"|(\S+))", page)
    variables = {name: quoted or plain for name, quoted, plain in set_there}
    text = command.text
    for _ in range(3):
        text = re.sub(r"\$(\w+)", lambda match: variables.get(match[1], "x"), text.replace("\\$", "$"))
    text = text.replace("python -m reference_models.cli", "srbench train").replace("python -m srbench", "srbench")
    if text.startswith("python scripts/gpu_slot.py "):
        check_options(slot, shlex.split(text, comments=True)[2:], command)
    for found in re.findall(r"(?:^|[;&\"] ?|nohup |do |-m |=1 )srbench ([^;&>\"|]+)", text):
        check_options(cli, shlex.split(found, comments=True), command)


def check_options(group: click.Command, words: list[str], command: Command) -> None:
    context = group.make_context("srbench", list(words))
    while isinstance(group, click.Group):
        _, group, words = group.resolve_command(context, words)  # type: ignore[assignment]
    try:
        group.make_context(words[0] if words else "", list(words), parent=context)
    except click.ClickException as error:
        if "does not exist" not in error.format_message():  # the folder of somebody who follows the page
            raise AssertionError(f"{command}: {error.format_message()}") from error


def copy_set(root: Path, target: Path, *names: str) -> None:
    for name in names:
        shutil.copytree(root / name / "HR", target / name / "HR", dirs_exist_ok=True)


def make_results(*models: str, data: str = "samples", images: bool = False) -> None:
    options = ["--datasets", data, "--metrics", "psnr_y,ssim_y", "--limit", "2", "--no-speed"]
    assert main(["run", "--models", ",".join(models), *options, *(["--save-images"] if images else [])]) == 0


@pytest.mark.parametrize(
    "page",
    [
        "docs/command-line.md",
        "docs/upscale.md",
        "docs/study.md",
        pytest.param("docs/models.md", marks=pytest.mark.slow),
    ],
)
def test_models_upscaling_and_studies(page: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page == "docs/models.md":
        pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'srbench-sr[onnx]'")
        monkeypatch.setenv("SRBENCH_TRUST_PROGRAMS", "1")
    if page == "docs/upscale.md":
        write_video(workplace / "film.mp4", 4)
    run_page(page)


def test_continuous_integration(workplace: Path, register: Register) -> None:
    register("models", "mymodel", find_model("nearest"))

    def rerun() -> None:
        for name in ("rerun1", "rerun2"):
            shutil.copytree("results", name)

    run_page("docs/ci.md", {"srbench check results --calibrate": rerun})


@pytest.mark.slow
def test_the_leaderboard_is_rendered(workplace: Path) -> None:
    shutil.copytree(ROOT / "docs" / "leaderboard" / "results", "docs/leaderboard/results")
    run_page("docs/leaderboard/README.md")
    assert Path("docs/leaderboard/report.md").is_file()


@pytest.mark.slow
def test_data_sets(workplace: Path, data_root: Path) -> None:
    copy_set(data_root, workplace, "Set5", "Set14")
    with tarfile.open("benchmark.tar", "w") as archive:
        archive.add("Set5")
        archive.add("Set14")
    run_page("docs/datasets.md")


@pytest.mark.slow
def test_reports(workplace: Path, data_root: Path) -> None:
    copy_set(data_root, workplace / "data", "Set5")
    make_results("bicubic", "lanczos", data="Set5", images=True)
    assert main(["speed", "--models", "bicubic,lanczos", "--sizes", "20x10", "--budget", "0"]) == 0
    run_page("docs/reports.md")


@pytest.mark.slow
def test_the_readme(workplace: Path, data_root: Path) -> None:
    copy_set(data_root, workplace / "downloads" / "benchmark", "Set5")

    Path("mynet.py").write_text(FACTORY.replace("scale_factor=2", "scale_factor=4"))
    write_video(Path("film.mp4"), 4)

    def trained() -> None:
        Path("runs/mine").mkdir(parents=True)
        shutil.copy(ROOT / "reference_models" / "weights" / "srcnn-x4.safetensors", "runs/mine/best.safetensors")

    run_page("README.md", {"srbench run runs/mine": trained})
    for path in ("report/report.tex", "report/report.html", "figure.pdf", "srresnet.pt", "beside.png", "film-x2.mp4"):
        assert Path(path).stat().st_size, path


@pytest.mark.slow
def test_the_path_of_a_first_training(
    workplace: Path,
    weights_folder: Path,
    data_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    photograph: Callable[..., np.ndarray],
) -> None:
    """From twenty photographs to an SRGAN's row in the table, and to one of them made larger."""
    pytest.importorskip("tensorboard", reason="needs tensorboard: pip install 'srbench-sr[tensorboard]'")
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    monkeypatch.setenv("SRBENCH_DATA", str(data_root))
    for number in range(20):
        path = Path("photographs") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        pil.fromarray(photograph(200, 240, seed=number)).save(path)
    (block,) = python("docs/first-training.md")
    exec(block, {})
    smaller = {"minutes=1": "minutes=0.3", "minutes=2": "minutes=0.6", "--save-images": "--save-images --limit 1"}
    run_page("docs/first-training.md", smaller=smaller)
    text = Path("report/report.md").read_text(encoding="utf-8")
    assert all(name in text for name in ("mine-gan-best", "mine-best", "Urban100 PSNR-Y", "crops/Set14-x4.png"))
    assert read_image(Path("large.png")).shape == (800, 960, 3) and Path("beside.png").is_file()
    for folder in ("runs/mine", "runs/mine-gan"):
        assert Path(folder, "validation.png").is_file() and any(Path(folder, "tensorboard").iterdir())


@pytest.mark.parametrize(
    "page",
    [
        "docs/benchmarks.md",
        "docs/install.md",
        "docs/scale-out.md",
        "docs/training.md",
        "docs/training-plan.md",
        "CONTRIBUTING.md",
    ],
)
def test_what_is_not_run_is_parsed(page: str) -> None:
    assert commands(page)
    run_page(page)


def test_no_page_is_forgotten() -> None:
    """Pages with commands are among those above; every reason for not running one is needed."""
    named = set(re.findall(r"\"((?:docs/[\w/-]+|README|CONTRIBUTING)\.md)\"", Path(__file__).read_text()))
    assert {page for page in PAGES if commands(page)} <= named
    lines = [f"{command.page}: {command.text}" for page in PAGES for command in commands(page)]
    for pattern in NOT_RUN:
        assert any(re.fullmatch(pattern, line) for line in lines), pattern


def test_each_page_begins_with_what_it_lets_you_do() -> None:
    for page in PAGES:
        if page.startswith("docs/") and not page.endswith("report.md"):
            title, _, first = (ROOT / page).read_text(encoding="utf-8").partition("\n\n")
            assert title.startswith("# ") and first.startswith("You can "), page


def test_a_wrong_option_is_found() -> None:
    with pytest.raises(AssertionError, match="No such option"):
        parsed(Command("docs/training.md", 1, "srbench train srcnn-quick --data x --vall y"))


def test_python_from_the_api_page(workplace: Path) -> None:
    blocks = python("docs/api.md")
    assert len(blocks) == 3
    for block in blocks:
        if "torchmetrics" in block:
            pytest.importorskip("torchmetrics", reason="needs torchmetrics: pip install 'srbench-sr[torchmetrics]'")
        exec(block, {})


@pytest.mark.filterwarnings("ignore")  # Lightning's own, of few workers and of torch's older names
def test_python_from_the_lightning_page(workplace: Path) -> None:
    pytest.importorskip("pytorch_lightning", reason="needs Lightning: pip install pytorch-lightning")
    pytest.importorskip("torchmetrics", reason="needs torchmetrics: pip install 'srbench-sr[torchmetrics]'")
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in python("docs/lightning.md"):
        exec(block, names)
    metrics = names["trainer"].callback_metrics
    assert set(metrics) == {"val/psnr_y", "val/ssim_y"} and 0.0 < float(metrics["val/psnr_y"]) < 30.0
    assert len(names["results"].runs[0].rows) == 2


def test_python_from_the_readme(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = python("README.md")
    hr = np.asarray(pil.open(files()["coffee"]))[:64, :80]
    names: dict[str, Any] = {"hr": hr, "sr": hr, "my_network": torch.nn.Upsample(scale_factor=4)}
    block = block.replace('"Set5"', '"samples"').replace(', "lpips"', "")  # what not everybody has
    exec(block, names)
    assert names["lr"].shape == (16, 20, 3)


QUOTED = re.compile(r"^\*\*`(.+?)`\*\*$", re.MULTILINE)
ANYTHING = re.compile(
    r"…|another process of this run|LPIPS|--[a-z-]+:|SRBENCH_TRUST_PROGRAMS|\d+x\d+|'\w+'|\bSet5\b|\bx4\b"
    r"|matlab-legacy|matlab|bicubic|degradation|srbench\.models"
)


def test_the_faq_quotes_what_srbench_says() -> None:
    """Each message of the page is in the source, but for what it is about: names, sizes, what `…` leaves out."""
    paths = [path for package in ("srbench", "reports", "reference_models") for path in (ROOT / package).rglob("*.py")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    source = re.sub(r"\"\s*\n\s*f?\"", "", source)  # strings that go on in the next line
    messages = QUOTED.findall((ROOT / "docs" / "faq.md").read_text(encoding="utf-8"))
    assert len(messages) >= 9
    for message in messages:
        for part in filter(None, (part.strip(" .,:;") for part in ANYTHING.split(message))):
            assert part in source, f"docs/faq.md quotes {part!r}, which srbench does not say"
