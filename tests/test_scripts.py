"""The scripts that people and CI call say how they are called, and CI calls what the README says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import PROCESSES, pytest_xdist_auto_num_workers

ROOT = Path(__file__).parent.parent


def called(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ROOT / words[0]), *words[1:]], capture_output=True, text=True, cwd=ROOT / "docs")


def test_an_unknown_kind_of_tests_is_answered_with_those_there_are() -> None:
    done = called("scripts/test", "fastest")
    assert (done.returncode, done.stdout) == (2, "")
    for kind in ("slow", "lowest", "python3.13", "capped", "table"):
        assert f"scripts/test {kind} " in done.stderr


def test_a_python_that_is_not_here_is_named() -> None:
    done = called("scripts/test", "python3.0")
    assert done.returncode == 3
    assert done.stderr == "scripts/test: no python3.0 is installed here\n"


@pytest.mark.parametrize(("strict", "status"), [("", 0), ("1", 1)])
def test_a_python_that_the_tests_did_not_run_on_is_told_last(strict: str, status: int, tmp_path: Path) -> None:
    for script, text in (
        (".ci/versions", (ROOT / ".ci" / "versions").read_text()),
        ("scripts/test", '#!/bin/sh\n[ "$*" != "has python3.13" ] && echo passed\n'),
    ):
        (tmp_path / script).parent.mkdir()
        (tmp_path / script).write_text(text)
        (tmp_path / script).chmod(0o755)
    environment = {**os.environ, "SRBENCH_NO_SKIPS": strict}
    done = subprocess.run([tmp_path / ".ci" / "versions"], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (status, "did not run, as it is not here: python3.13 ")


def test_ci_calls_the_scripts_and_the_command_of_the_readme() -> None:
    text = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in text
    assert 'python -m pip install -c constraints.txt -e ".[test]" && pytest\n' in (ROOT / "README.md").read_text()
    order = [text.index(step) for step in ("bash -c", "scripts/check", "scripts/test slow")]
    assert order == sorted(order)
    assert 'scripts/test "$versions"' in (ROOT / ".ci" / "versions").read_text()
    for script in ("scripts/check", "scripts/test", ".ci/run", ".ci/versions"):
        assert subprocess.run(["bash", "-n", script], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("given", "processors", "processes"),
    [
        ({}, 2, 2),
        ({}, 64, PROCESSES),
        ({}, 1, 0),
        ({"args_source": pytest.Config.ArgsSource.ARGS}, 2, 0),
        ({"keyword": "psnr"}, 2, 0),
        ({"markexpr": "slow"}, 2, 0),
    ],
)
def test_only_the_whole_of_the_default_tests_is_shared_out(
    given: dict[str, object], processors: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(processors)), raising=False)
    settings = {"args_source": pytest.Config.ArgsSource.TESTPATHS, "keyword": "", "markexpr": "not slow"} | given
    config = SimpleNamespace(args_source=settings.pop("args_source"), option=SimpleNamespace(**settings))
    assert pytest_xdist_auto_num_workers(config) == processes  # type: ignore[arg-type]


def test_the_default_tests_are_shared_out_where_nothing_is_chosen() -> None:
    assert "-n auto" in (ROOT / "pyproject.toml").read_text()
    assert "pytest-xdist==" in (ROOT / "constraints.txt").read_text()
