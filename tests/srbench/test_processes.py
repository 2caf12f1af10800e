"""What needs a process of its own: imports at start, plugins installed by pip, kills."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srbench.cli import main
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


@pytest.mark.parametrize("speed", ["--no-speed", "--speed"])
def test_a_run_of_few_images_imports_what_it_needs(folder: Path, tmp_path: Path, speed: str) -> None:
    """Numba alone takes a quarter as long as torch; whatever else is here, this run has no use for it."""
    script = (
        "import sys; from srbench.cli import main; status = main(sys.argv[1:]);"
        "heavy = {'numba', 'pandas', 'matplotlib', 'skimage', 'lpips', 'torchvision', 'onnx', 'onnxruntime', 'jinja2',"
        " 'scipy.stats', 'scipy.ndimage', 'openvino', 'spandrel', 'lightning_fabric', 'torch._dynamo'};"
        "print(sorted(heavy & set(sys.modules))); sys.exit(status)"
    )
    words = ["run", "bicubic", "--datasets", folder, "--limit", 1, speed, "--metrics", "psnr_y,ssim_y"]
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
    few = ("--no-speed", "--limit", "2", "--out", tmp_path / "results")
    done = call(*SRBENCH, *line.split(), *few, PYTHONPATH=str(site))
    assert done.returncode == 0, done.stderr
    means = {run.identity.model: sum(run.values("psnr_y")) / 2 for run in load_results(tmp_path / "results")}
    assert means["sharp"] > means["bicubic"]


def test_two_packages_of_one_name_are_refused(plugin: Path, tmp_path: Path) -> None:
    source = shutil.copytree(HERE / "plugin", tmp_path / "rival")
    text = (source / "pyproject.toml").read_text().replace("srbench-example-plugin", "rival-plugin")
    (source / "pyproject.toml").write_text(text.replace("blurry", "bicubic"))
    rival = install(source, tmp_path / "site")
    done = call(*SRBENCH, "list", "models", PYTHONPATH=str(rival))
    assert done.returncode == 2
    assert "two packages register 'bicubic' among srbench.models: rival-plugin 1.2.3 and srbench" in done.stderr


def test_a_killed_run_goes_on_where_it_was(many: Path) -> None:
    """Killed once some rows are written, and then once more; what stands in the end equals an uninterrupted run."""
    run = Killed(many)
    for rows in (2, 5):
        process = run.start()
        while run.rows() < rows and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        assert process.wait() != 0, "it had ended before the kill"
        assert rows <= run.rows() < IMAGES
    run.ends_as_if_never_killed()


@pytest.mark.slow
def test_twenty_kills_at_random_moments(many: Path) -> None:
    run = Killed(many)
    start = time.monotonic()
    run.start(out="timed").wait()
    length = time.monotonic() - start
    moments = random.Random(1)
    for _ in range(20):
        process = run.start()
        time.sleep(moments.uniform(0.3, 1.0) * length)
        process.kill()
        process.wait()
    run.ends_as_if_never_killed()


IMAGES = 30  # so that kills fall between them


class Killed:
    """A run that is started anew, in a process of its own, until it may end."""

    def __init__(self, dataset: Path) -> None:
        self.home = dataset.parent
        self.words = [
            "run",
            "--models",
            "bicubic",
            "--datasets",
            str(dataset),
            "--metrics",
            "psnr_y,ssim_y",
            "--no-speed",
        ]

    def start(self, out: str = "broken") -> subprocess.Popen[bytes]:
        command = [*SRBENCH, *self.words, "--workers", "2", "--out", str(self.home / out)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def rows(self) -> int:
        """Whole lines of the journal, less the one that says what the run is."""
        return max(sum(path.read_bytes().count(b"\n") for path in self.home.glob("broken/**/*.journal")) - 1, 0)

    def ends_as_if_never_killed(self) -> None:
        for out in ("whole", "broken"):
            assert main([*self.words, "--out", str(self.home / out)]) == 0
        whole, broken = (
            [((run.identity, row.image), row.scores) for run in load_results(self.home / out) for row in run.rows]
            for out in ("whole", "broken")
        )
        assert len(whole) == IMAGES
        assert sorted(broken, key=str) == sorted(whole, key=str)
        assert not list(self.home.glob("broken/**/*.journal"))


@pytest.fixture
def many(tmp_path: Path, photograph) -> Path:  # type: ignore[no-untyped-def]
    """A data set of `IMAGES` pictures."""
    from srbench.images.files import write_image

    for seed in range(IMAGES):
        write_image(tmp_path / "many" / "HR" / f"{seed:02}.png", photograph(240, 240, seed=seed))
    return tmp_path / "many"
