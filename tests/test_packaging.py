"""What is installed without a checkout: every data file of the packages travels in the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

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
