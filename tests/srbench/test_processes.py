"""What needs a process of its own: imports at start, plugins installed by pip, kills."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srbench.results.store import load_results

HERE = Path(__file__).parent
SRBENCH = [sys.executable, "-m", "srbench"]


def call(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=300)


@pytest.mark.parametrize(
    "command",
    ["--help", "list models", "list datasets", "list metrics", "list conventions", "list degradations", "list recipes",
     "list reports"],
)  # fmt: skip
def test_help_and_lists_import_nothing_heavy(command: str) -> None:
    """What models, recipes and commands of packages say of themselves costs no torch."""
    script = (
        "import sys; from srbench.cli import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'pandas', 'scipy', 'matplotlib', 'skimage', 'reports'};"
        "print(sorted(heavy & set(sys.modules))); sys.exit(status)"
    )
    done = call(sys.executable, "-c", script, *command.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_of_few_images_imports_what_it_needs(folder: Path, tmp_path: Path) -> None:
    """Numba alone takes a quarter as long as torch; whatever else is here, this run has no use for it."""
    script = (
        "import sys; from srbench.cli import main; status = main(sys.argv[1:]);"
        "heavy = {'numba', 'pandas', 'matplotlib', 'skimage', 'lpips', 'torchvision', 'onnx', 'onnxruntime', 'jinja2',"
        " 'scipy.stats', 'scipy.ndimage', 'openvino', 'spandrel', 'lightning_fabric', 'torch._dynamo'};"
        "print(sorted(heavy & set(sys.modules))); sys.exit(status)"
    )
    words = ["run", "bicubic", "--datasets", folder, "--limit", 1, "--no-speed", "--metrics", "psnr_y,ssim_y"]
    done = call(sys.executable, "-c", script, *words, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    (run,) = load_results(tmp_path).runs
    assert run.environments[0]["metrics"] == "torch"


def test_help_is_instant() -> None:
    """Less than 15 times an empty interpreter; pairs, and the best of each, since machines are noisy."""

    def seconds(*words: str) -> float:
        start = time.perf_counter()
        assert call(*words).returncode == 0
        return time.perf_counter() - start

    pairs = [(seconds(*SRBENCH, "--help"), seconds(sys.executable, "-c", "pass")) for _ in range(5)]
    assert min(help for help, _ in pairs) < 15 * min(empty for _, empty in pairs)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A third-party package, installed by pip into a folder of its own."""
    source = shutil.copytree(HERE / "plugin", tmp_path_factory.mktemp("source") / "plugin")
    return install(source, tmp_path_factory.mktemp("site"))


def install(source: Path, target: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--target", target, source]
    done = call(*pip)
    assert done.returncode == 0, done.stderr
    return target


def test_a_plugin_adds_a_model_and_a_metric(folder: Path, plugin: Path) -> None:
    out = folder.parent / "results"
    run = [*SRBENCH, "run", "--models", "blurry", "--datasets", folder, "--metrics", "psnr_y,mae_y", "--out", out]
    done = call(*run, "--no-speed", PYTHONPATH=str(plugin))
    assert done.returncode == 0, done.stderr
    assert "MAE-Y" in done.stdout
    (scored,) = load_results(out).runs
    assert all(0 < value < 255 for value in scored.values("mae_y"))
    listed = call(*SRBENCH, "list", "models", PYTHONPATH=str(plugin))
    assert re.search(r"^blurry +2 4 .*From srbench-example-plugin 1\.2\.3$", listed.stdout, re.MULTILINE)


def test_the_worked_example_gets_its_row(tmp_path: Path) -> None:
    """CONTRIBUTING's model, from an empty file to a row in the table, as it is written there."""
    text = (HERE.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (source := tmp_path / "sharp").mkdir()
    for name, language in (("sharp.py", "python"), ("pyproject.toml", "toml")):
        (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        (source / name).write_text(block)
    (line,) = re.findall(r"^srbench (run --models sharp.*)$", text, re.MULTILINE)
    site = install(source, tmp_path / "site")
    done = call(*SRBENCH, *line.split(), "--no-speed", "--out", tmp_path / "results", PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    means = {run.identity.model: sum(run.values("psnr_y")) / 6 for run in load_results(tmp_path / "results")}
    assert means["sharp"] > means["bicubic"]


def test_two_packages_of_one_name_are_refused(plugin: Path, tmp_path: Path) -> None:
    source = shutil.copytree(HERE / "plugin", tmp_path / "rival")
    text = (source / "pyproject.toml").read_text().replace("srbench-example-plugin", "rival-plugin")
    (source / "pyproject.toml").write_text(text.replace("blurry", "bicubic"))
    rival = install(source, tmp_path / "site")
    done = call(*SRBENCH, "list", "models", PYTHONPATH=str(rival))
    assert done.returncode == 2
    assert "two packages register 'bicubic' among srbench.models: rival-plugin 1.2.3 and srbench" in done.stderr


def kill_at_random_moments(kills: int, folder: Path, seed: int) -> None:
    """Kill runs at random moments until enough were killed; what then stands equals an uninterrupted run."""
    run = [*SRBENCH, "run", "--models", "nearest,bicubic", "--datasets", folder, "--metrics", "psnr_y,ssim_y"]
    whole, broken = folder.parent / "whole", folder.parent / "broken"
    start = time.monotonic()
    assert call(*run, "--out", whole).returncode == 0
    length = time.monotonic() - start
    rng = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen(
            [str(word) for word in [*run, "--workers", "2", "--out", broken]], stderr=subprocess.DEVNULL, stdout=-3
        )
        time.sleep(rng.uniform(0.3, 1.0) * length)
        process.kill()
        process.wait()
    assert call(*run, "--out", broken).returncode == 0
    expected = {(run.identity, row.image): row.scores for run in load_results(whole) for row in run.rows}
    found = [((run.identity, row.image), row.scores) for run in load_results(broken) for row in run.rows]
    assert dict(found) == expected
    assert len(found) == len(expected)
    assert not list(broken.glob("**/*.journal"))
    for path in broken.glob("*/x*/*.json"):
        json.loads(path.read_text())


def test_a_killed_run_goes_on_where_it_was(many: Path) -> None:
    kill_at_random_moments(2, many, seed=0)


@pytest.mark.slow
def test_twenty_kills(many: Path) -> None:
    kill_at_random_moments(20, many, seed=1)


@pytest.fixture
def many(tmp_path: Path, photograph) -> Path:  # type: ignore[no-untyped-def]
    """A data set of 30 pictures, so that kills fall between them."""
    from srbench.images.files import write_image

    for seed in range(30):
        write_image(tmp_path / "many" / "HR" / f"{seed:02}.png", photograph(240, 240, seed=seed))
    return tmp_path / "many"
