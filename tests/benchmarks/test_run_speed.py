"""What a run costs beyond the model's forward passes. docs/benchmarks.md says how the ratios were taken.

pytest tests/benchmarks/test_run_speed.py -m slow -s      prints the ratios
"""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reference_models.architectures import build
from srbench.degradations import degrade
from srbench.images import write_image
from srbench.inference import to_tensor
from srbench.metrics.lpips import TRUNK
from srbench.plan import Request, plan
from srbench.results import Results
from srbench.runner import run
from srbench.walk import Walk
from tests.benchmarks.pairs import seconds, tell
from tests.srbench.test_run import Silent

SIZES = ((480, 500), (288, 352), (360, 248), (276, 276), (360, 500))
"""Height and width of five images of Set14: baboon, coastguard, comic, face, flowers, cut to multiples of 4."""

PAIRS = 3
CORES = os.cpu_count() or 1
Y_METRICS = ("psnr_y", "ssim_y")


def srresnet(scale: int) -> torch.nn.Module:
    """As in the paper, untrained: time does not depend on the weights."""
    torch.manual_seed(0)
    return build("srresnet", scale)


class Clock:
    """Adds up the seconds spent inside functions; what an inner one takes is not counted for the outer."""

    def __init__(self) -> None:
        self.spent: Counter[str] = Counter()
        self._inner = 0.0

    def around(self, name: str, function: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object) -> object:
            before, self._inner, start = self._inner, 0.0, time.perf_counter()
            try:
                return function(*arguments)
            finally:
                took = time.perf_counter() - start
                self.spent[name] += took - self._inner
                self._inner = before + took

        return timed


@pytest.mark.slow
def test_where_the_time_of_a_run_goes(
    data_root: Path, weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All registered models on Set14 x4 with the default metrics, one stage after the other."""
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    wish = Request(datasets=("Set14",), data_root=data_root, workers=0, speed=False, save_images=True, out=tmp_path)
    made, clock = plan(wish), Clock()
    for stage, name in (("_read", "read"), ("_alone", "model"), ("_score", "convert"), ("_keep", "save")):
        monkeypatch.setattr(Walk, stage, clock.around(name, getattr(Walk, stage)))
    for name, function in made.scorer._functions.items():
        made.scorer._functions[name] = clock.around(name, function)
    for job in made.jobs:
        clock.spent.clear()
        whole = clock.around("else", run)
        whole(replace(made, jobs=[job]), Silent())
        total = sum(clock.spent.values())
        shares = ", ".join(f"{name} {100 * spent / total:.1f} %" for name, spent in clock.spent.most_common())
        print(f"\n{job.spec.name}: {total:.2f} s: {shares}")  # noqa: T201
        assert clock.spent["model"] > 0


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "workers", "metrics", "wanted"),
    [
        (1, 0, Y_METRICS, 1.10),
        pytest.param(1, 1, Y_METRICS, 1.05, marks=pytest.mark.skipif(CORES < 2, reason="no processor to spare")),
        (CORES, 0, Y_METRICS, 1.10),
        (CORES, 1, Y_METRICS, 1.10),
        (CORES, 0, (*Y_METRICS, "lpips"), 1.30),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)
def test_a_run_beside_bare_forward_passes(
    tmp_path: Path,
    photograph: Callable[..., np.ndarray],
    threads: Callable[[int], None],
    count: int,
    workers: int,
    metrics: Sequence[str],
    wanted: float,
) -> None:
    """SRResNet x4: planning, reading, degrading, scoring and writing down, against the same passes in a plain loop."""
    if "lpips" in metrics and not (Path(os.environ.get("SRBENCH_WEIGHTS", "")) / TRUNK).is_file():
        pytest.skip(f"needs {TRUNK}: set SRBENCH_WEIGHTS")
    threads(count)
    for index, size in enumerate(SIZES):
        write_image(tmp_path / "set" / "HR" / f"{index}.png", photograph(*size, seed=index))
    network = srresnet(4).eval()
    inputs = [to_tensor(degrade(photograph(*size, seed=index))) for index, size in enumerate(SIZES)]
    made: list[Results] = []

    def bare() -> None:
        with torch.inference_mode():
            for x in inputs:
                network(x)

    def whole() -> None:
        model = f"{__name__}:srresnet"
        wish = {"models": (model,), "model_scale": 4, "datasets": (str(tmp_path / "set"),), "metrics": tuple(metrics)}
        out = tmp_path / f"results-{len(made)}"
        made.append(run(plan(Request(**wish, workers=workers, speed=False, out=out)), Silent()))  # type: ignore[arg-type]

    bare(), whole()
    pairs = [(seconds(bare), seconds(whole)) for _ in range(PAIRS)]
    found = statistics.median(ours / theirs for theirs, ours in pairs)
    recorded = statistics.median(
        sum(row.seconds for row in results.runs[0].rows) / theirs
        for results, (theirs, _) in zip(made[1:], pairs, strict=True)
    )
    what = f"SRResNet, {'+'.join(metrics)}, {count} threads, {workers} workers"
    tell(f"{what}: run / bare forward passes, wall time", found)
    tell(f"{what}: recorded seconds / bare forward passes", recorded)
    assert found <= wanted
