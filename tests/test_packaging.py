"""What is installed without a checkout: every data file of the packages travels in the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from srbench.base import registry
from srbench.base.errors import UsageError
from srbench.base.packages import DISTRIBUTION, install_hint

ROOT = Path(__file__).parent.parent
PACKAGES = ("srbench", "baselines", "reference_models", "reports")


def test_every_file_of_the_packages_is_in_the_wheel(tmp_path: Path) -> None:
    source = tmp_path / "source"  # a copy: setuptools would reuse an old `build` folder of the checkout
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source]
    done = subprocess.run([str(word) for word in pip], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    present = {path.relative_to(source).as_posix() for name in PACKAGES for path in (source / name).rglob("*.*")}
    folders = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_dir()}
    assert present - folders <= set(zipfile.ZipFile(wheel).namelist())


def texts() -> list[Path]:
    """Every text file of the checkout that somebody may read, or type from."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    kinds = (".py", ".md", ".toml", ".txt", ".html", ".js", ".yml", "")
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).suffix in kinds and path.is_file()]


def test_no_text_advises_the_package_of_a_stranger() -> None:
    """On the public index `srbench` is something else, which `pip install srbench` and `srbench[onnx]` would fetch."""
    stranger = re.compile(r"""(?:pip3? install|uv add|uv pip install)\s(?:[^\n&|;`]*[ \t'"])?srbench(?![-\w/.])""")
    assert stranger.search("pip " + "install srbench ."), "the test cannot fail"
    assert stranger.search("pip " + "install -q 'srbench[onnx]'"), "the test cannot fail"
    found = [f"{path}: {hit[0]}" for path in texts() for hit in stranger.finditer(path.read_text("utf-8", "ignore"))]
    own = str(Path(__file__))
    assert not [line for line in found if not line.startswith(own)]


def test_every_hint_names_an_extra_that_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == DISTRIBUTION
    assert install_hint("onnx") == f"pip install '{DISTRIBUTION}[onnx]'"
    calls = re.compile(r"install_hint\(['\"](\w+)['\"]\)|" + re.escape(DISTRIBUTION) + r"\[(\w+)\]")
    hinted = {hit[1] or hit[2] for path in texts() for hit in calls.finditer(path.read_text("utf-8", "ignore"))}
    assert {"onnx", "video", "spandrel", "study", "torchmetrics"} <= hinted <= set(project["optional-dependencies"])


def test_the_metrics_own_loops_come_with_a_plain_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(line.startswith("numba") for line in project["dependencies"])
    assert project["optional-dependencies"]["fast"] == []  # who types it gets no error


def test_of_two_packages_of_one_name_the_other_is_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier install, made when the distribution was called otherwise, is what users will meet."""

    class Entry:
        def __init__(self, name: str, package: str) -> None:
            self.name, self.dist = name, SimpleNamespace(name=package, version="0.1.0")

    for packages in (("srbench", DISTRIBUTION), (DISTRIBUTION, "zoo"), ("a", "b")):
        pair = [Entry("bicubic", package) for package in packages]
        monkeypatch.setattr(registry, "entry_points", lambda group, pair=pair: pair)
        registry.entries.cache_clear()
        with pytest.raises(UsageError, match="pip uninstall (?!srbench-sr)") as caught:
            registry.entries("models")
        assert str(caught.value).rpartition(" ")[2] in packages
    registry.entries.cache_clear()


def test_a_name_of_another_kind_is_refused_by_its_package() -> None:
    with pytest.raises(UsageError, match=rf"{DISTRIBUTION} \S+ registers 'Bicubic', which is not a pathlib.Path"):
        registry.load_as("models", "Bicubic", Path)
