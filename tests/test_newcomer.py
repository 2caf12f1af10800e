"""What somebody types who has just found the README: its first command in a fresh environment, then each of its paths
in an empty folder. Only a package registry is needed, no other network; settings are small."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil

from tests.documented import ROOT, Command, commands

MOST = 4
"""Commands of a path."""

PATHS = ("…fill the table of a paper", "…find a model for a budget", "…catch regressions in CI", "…train my own",
         "…upscale a photo or a video")  # fmt: skip
LEFT_OUT = {"--set perceptual=vgg54": "fetches VGG19; docs/first-training.md is run whole", "film-x2.mp4": "needs PyAV"}
NETWORK = """
import torch

def make():
    return torch.nn.Upsample(scale_factor=4)
"""


def path_of(title: str) -> list[Command]:
    """The commands under a heading of the README."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(f"### {title}") + 1
    end = next(number for number, line in enumerate(lines[start:], start=start + 1) if line.startswith("#"))
    return [command for command in commands("README.md") if start < command.line < end]


def smaller(text: str) -> str:
    """The same command, for less time."""
    text = re.sub(r"minutes=\d+", "minutes=0.1", text)
    return re.sub(r"^(.*)(srbench run [^#]*)", r"\1\2 --limit 1 ", text)


def typed(line: str, where: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(["bash", "-c", line], cwd=where, env=environment, capture_output=True, text=True)
    busy = (
        "--max-ms" in line and done.returncode == 1 and "ms not steady" in done.stdout
    )  # nothing follows from timings
    assert busy or done.returncode == 0, (
        f"{line}: status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )


def newcomer(venv: Path, home: Path) -> dict[str, str]:
    """The variables of somebody who has set none, and has the environment in use."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "LANG", "LC_"))}
    path = os.pathsep.join([str(venv / "bin"), "/usr/local/bin", "/usr/bin", "/bin"])
    return {**kept, "HOME": str(home), "PATH": path, "SRBENCH_OFFLINE": "1"}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment into which the README's first command has installed srbench, from a copy of the checkout. It takes
    gigabytes, and is gone as soon as the tests are."""
    place = tmp_path_factory.mktemp("newcomer")
    (place / "home").mkdir()
    clone = place / "srbench"
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt"):
        shutil.copy(ROOT / name, clone)
    for package in ("srbench", "baselines", "reference_models", "reports"):
        shutil.copytree(ROOT / package, clone / package, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "venv", str(place / "venv")], check=True)
    try:
        environment = newcomer(place / "venv", place / "home")
        (first,) = [found for found in commands("README.md") if found.text.endswith("&& srbench run --models all")]
        typed(smaller(first.text) + " --no-speed", clone, environment)
        yield environment
    finally:
        shutil.rmtree(place)


def fill(folder: Path) -> None:
    """The files that the paths speak of."""
    (folder / "mynet.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for name in ("photo.jpg", *(f"photos/{number}.png" for number in range(5))):
        coarse = rng.integers(0, 256, (20, 26, 3), dtype=np.uint8)
        pil.fromarray(coarse).resize((208, 160), pil.Resampling.BICUBIC).save(folder / name)


@pytest.mark.slow
@pytest.mark.parametrize("title", PATHS)
def test_a_path_of_the_readme(title: str, fresh: Mapping[str, str], tmp_path: Path) -> None:
    follow(title, fresh, tmp_path)


def follow(title: str, environment: Mapping[str, str], folder: Path) -> None:
    """Type the commands of a path in a folder."""
    fill(folder)
    for command in path_of(title):
        if "--from ~/downloads/benchmark" in command.text:
            data = os.environ.get("SRBENCH_DATA")
            if not data:
                pytest.skip("needs the standard sets: set SRBENCH_DATA")
            benchmark = Path(environment["HOME"]) / "downloads" / "benchmark"
            shutil.copytree(Path(data) / "Set5", benchmark / "Set5", dirs_exist_ok=True)
        if not any(words in command.text for words in LEFT_OUT):
            typed(smaller(command.text), folder, environment)


def test_every_path_is_short_and_none_is_forgotten() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (….*)$", page, re.MULTILINE) == list(PATHS)
    for title in PATHS:
        assert 1 <= len(path_of(title)) <= MOST, title
    texts = [command.text for title in PATHS for command in path_of(title)]
    assert all(any(words in text for text in texts) for words in LEFT_OUT)
