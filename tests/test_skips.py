"""A skip that nobody sees is a test that nobody runs: what `SRBENCH_NO_SKIPS` makes of skips, in a run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
def test_cuda():
    pytest.skip("needs a CUDA device")

def test_browser():
    pytest.skip("needs Chromium: apt install chromium")

def test_sets(data_root):
    pass

@pytest.mark.xfail(strict=False)
def test_known():
    raise ValueError
"""


CUDA, BROWSER = "1 × needs a CUDA device", "1 × needs Chromium: apt install chromium"
SETS = "1 × needs the standard sets: set SRBENCH_DATA"


@pytest.mark.parametrize(
    ("settings", "status", "counts", "last"),
    [
        ({}, 0, "3 skipped, 1 xfailed", f"skipped: {BROWSER}; {CUDA}; {SETS}"),
        ({"SRBENCH_NO_SKIPS": "1"}, 1, "1 failed, 2 skipped, 1 xfailed", f"skipped: {CUDA}; {SETS}"),
        (
            {"SRBENCH_NO_SKIPS": "1", "SRBENCH_DATA": "/nowhere"},
            1,
            "1 failed, 1 skipped, 1 xfailed, 1 error",
            f"skipped: {CUDA}",
        ),
    ],
)
def test_a_skip_for_what_could_be_installed_fails(
    settings: dict[str, str], status: int, counts: str, last: str, tmp_path: Path
) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    kept = {name: value for name, value in os.environ.items() if name not in ("SRBENCH_DATA", "SRBENCH_NO_SKIPS")}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull]
    root = Path(__file__).parent.parent
    done = subprocess.run([*words, tmp_path], env={**kept, **settings}, cwd=root, capture_output=True, text=True)
    *_, counted, told = done.stdout.splitlines()
    assert told == last, done.stdout + done.stderr
    assert (done.returncode, counted.rpartition(" in ")[0]) == (status, counts)
