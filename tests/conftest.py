"""Fixtures that several packages' tests share. What needs data that is not here is skipped, saying what to set."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import settings

from srbench.base import registry
from srbench.cli import main
from srbench.images.files import write_image

PROCESSES = 4

settings.register_profile("srbench", deadline=None)  # a machine that is busy is no error of the code
settings.load_profile("srbench")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_configure(config: pytest.Config) -> None:
    """Loops are compiled once for all tests and their processes, whose cache folders are their own."""
    if cache := getattr(config, "cache", None):  # not with -p no:cacheprovider
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache.mkdir("numba")))
    if "PYTEST_XDIST_WORKER" in os.environ:  # threads that wait for each other's processors cost more than they bring
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes share a run out: 0 is this one alone.

    The default tests take a few, of 2 GB each. What was chosen, by a path, a name or a mark, runs here: to start a
    process costs as much as a file of tests, and what is slow takes times.
    """
    chosen = config.args_source is pytest.Config.ArgsSource.ARGS or config.option.keyword
    whole = not chosen and config.option.markexpr == "not slow"
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(processors, PROCESSES) if whole and processors > 1 else 0


BEYOND_INSTALLING = ("CUDA", "no processor to spare", "Linux's /proc")
"""Words in the reason of a skip that no package helps against: what the machine is, not what is on it."""

GIVEN = {"the standard sets": "SRBENCH_DATA", "alexnet_features": "SRBENCH_WEIGHTS"}
"""What is only looked for where a variable is set, by words in the reason of a skip."""


def may_skip(reason: str) -> bool:
    """Whether a test may be skipped for a reason where `SRBENCH_NO_SKIPS` says that nothing is missing."""
    absent = [what for what, variable in GIVEN.items() if not os.environ.get(variable)]
    return any(words in reason for words in (*BEYOND_INSTALLING, *absent))


def _held_to_account(report: Report) -> Report:
    """A skip for something that could be here, as a failure where `SRBENCH_NO_SKIPS` is set."""
    if os.environ.get("SRBENCH_NO_SKIPS") and report.skipped and not hasattr(report, "wasxfail"):
        reason = _reason(report)
        if not may_skip(reason):
            report.outcome = "failed"
            report.longrepr = f"skipped ({reason}), while SRBENCH_NO_SKIPS says that nothing is missing here"
    return report


def _reason(report: Report) -> str:
    told = report.longrepr
    return (str(told[2]) if isinstance(told, tuple) else str(told)).removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _held_to_account((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _held_to_account((yield))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last line of a run: what was skipped, and why."""
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        reasons = Counter(_reason(report) for report in reporter.stats.get("skipped", ()))
        told = "; ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items()))
        reporter.write_line(f"skipped: {told or 'nothing'}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What only a GPU can show is skipped without one; `SRBENCH_TEST_DEVICE=cpu` tries the tests themselves."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and os.environ.get("SRBENCH_TEST_DEVICE") != "cpu":
        import torch

        for item in marked if not torch.cuda.is_available() else ():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test reads the user's cache, data or terminal width (which pytest-xdist sets), or reaches for the network."""
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SRBENCH_OFFLINE", "1")
    for variable in ("SRBENCH_DEBUG", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The standard sets, where `SRBENCH_DATA` says; resolved once, since some tests leave the current folder."""
    return _folder("SRBENCH_DATA", "the standard sets")


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """The ImageNet trunks, where `SRBENCH_WEIGHTS` says."""
    return _folder("SRBENCH_WEIGHTS", "alexnet_features.safetensors")


def _folder(variable: str, what: str) -> Path:
    given = os.environ.get(variable)
    if not given or not Path(given).is_dir():
        pytest.skip(f"needs {what}: set {variable}")
    return Path(given).resolve()


@pytest.fixture
def photograph() -> Callable[..., np.ndarray]:
    """Make a smooth random picture, reproducible by its seed: `photograph(height, width, seed=0, grey=False)`."""

    def make(height: int, width: int, seed: int = 0, grey: bool = False) -> np.ndarray:
        rng = np.random.default_rng(seed)
        coarse = rng.uniform(0, 255, (height // 8 + 2, width // 8 + 2, 1 if grey else 3))
        smooth = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width] + rng.normal(0, 8, (height, width, 1))
        image = smooth.clip(0, 255).round().astype(np.uint8)
        return image[..., 0] if grey else image

    return make


@pytest.fixture
def folder(tmp_path: Path, photograph: Callable[..., np.ndarray]) -> Path:
    """A small data set on disk: three pictures, one of them grey, none a multiple of 4 in size."""
    home = tmp_path / "tiny" / "HR"
    for seed, (name, height, width) in enumerate([("a", 41, 50), ("b", 48, 45), ("c", 50, 50)]):
        write_image(home / f"{name}.png", photograph(height, width, seed=seed, grey=name == "c"))
    return home.parent


class Srbench:
    """The command line, called in this process: `srbench("run", "--models", "bicubic")`."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture
        self.out = self.err = ""

    def __call__(self, *arguments: object) -> int:
        status = main([str(argument) for argument in arguments])
        self.out, self.err = self._capture.readouterr()
        return status


@pytest.fixture
def srbench(capsys: pytest.CaptureFixture[str]) -> Srbench:
    return Srbench(capsys)


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, object], None]]:
    """Add an entry for the length of a test: `register("models", "broken", ModelSpec(...))`."""

    def add(kind: str, name: str, thing: object) -> None:
        entry = SimpleNamespace(name=name, value=f"tests:{name}", dist=None, load=lambda: thing)
        installed = registry.entry_points

        def with_this_one(group: str) -> list[object]:
            return [*installed(group=group), *([entry] if group == f"srbench.{kind}" else [])]

        monkeypatch.setattr(registry, "entry_points", with_this_one)
        registry.entries.cache_clear()

    yield add
    registry.entries.cache_clear()
