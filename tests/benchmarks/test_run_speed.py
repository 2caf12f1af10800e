"""What a run costs beyond the model's forward passes. docs/benchmarks.md says how the ratios were taken.

pytest tests/benchmarks/test_run_speed.py -m slow -s      prints the ratios
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reference_models.architectures import build
from srbench.benchmark.plan import Request, plan
from srbench.benchmark.run import run, run_jobs
from srbench.images.degrade import degrade
from srbench.images.files import write_image
from srbench.images.tensors import to_tensor
from srbench.metrics.lpips import TRUNK
from srbench.metrics.scorer import Scorer
from srbench.models.values import Hints
from srbench.results.results import Results
from tests.benchmarks.pairs import quickest, tell
from tests.srbench.test_run import Silent

SIZES = ((480, 500), (288, 352), (360, 248), (276, 276), (360, 500)) * 3
"""Height and width of five images of Set14, thrice: baboon, coastguard, comic, face, flowers, cut to multiples of 4.

As many as Set14 has: planning and building the network cost 0.4 s a model, once, which is a tenth of five images."""

PAIRS = 12
CORES = os.cpu_count() or 1
Y_METRICS = ("psnr_y", "ssim_y")


def srresnet(scale: int) -> torch.nn.Module:
    """As in the paper, untrained: time does not depend on the weights."""
    torch.manual_seed(0)
    return build("srresnet", scale)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "workers", "metrics", "wanted"),
    [
        (1, 0, Y_METRICS, 1.05),
        pytest.param(1, 1, Y_METRICS, 1.05, marks=pytest.mark.skipif(CORES < 2, reason="no processor to spare")),
        (CORES, 0, Y_METRICS, 1.15),  # with no processor idle, reading and scoring come on top
        (CORES, 1, Y_METRICS, 1.15),
        (CORES, 0, (*Y_METRICS, "lpips"), 1.25),
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
    """SRResNet x4: planning, reading, degrading, scoring and writing down, against the same passes in a plain loop.

    LPIPS knows the references, as it does from the second model of a run on.
    """
    if "lpips" in metrics and not (Path(os.environ.get("SRBENCH_WEIGHTS", "")) / TRUNK).is_file():
        pytest.skip(f"needs {TRUNK}: set SRBENCH_WEIGHTS")
    threads(count)
    for index, size in enumerate(SIZES):
        write_image(tmp_path / "set" / "HR" / f"{index}.png", photograph(*size, seed=index))
    network = srresnet(4).eval()
    inputs = [to_tensor(degrade(photograph(*size, seed=index))) for index, size in enumerate(SIZES)]
    made: list[Results] = []
    scorer = Scorer(metrics)

    def bare() -> None:
        with torch.inference_mode():
            for x in inputs:
                network(x)

    def whole() -> None:
        model = f"{__name__}:srresnet"
        request = Request(
            models=(model,),
            hints=Hints(scale=4),
            datasets=(str(tmp_path / "set"),),
            metrics=tuple(metrics),
            workers=workers,
            speed=False,
            out=tmp_path / f"results-{len(made)}",
        )
        made.append(run(replace(plan(request), scorer=scorer), Silent()))

    run_seconds, bare_seconds = quickest(whole, bare, wanted, PAIRS)
    recorded = min(sum(row.seconds for row in results.runs[0].rows) for results in made)
    what = f"SRResNet, {'+'.join(metrics)}, {count} threads, {workers} workers"
    tell(f"{what}: run / bare forward passes, wall time", run_seconds / bare_seconds)
    tell(f"{what}: recorded seconds / bare forward passes", recorded / bare_seconds)
    assert run_seconds <= wanted * bare_seconds


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_what_a_small_image_costs(tmp_path: Path, threads: Callable[[int], None], count: int) -> None:
    """At most 3 ms of processor time for bicubic on 64x64, PSNR and SSIM included, however many threads torch has.

    The best of many short runs: other work on the machine makes each dearer, and none cheaper.
    """
    threads(count)
    random = np.random.default_rng(0)
    for index in range(60):
        write_image(tmp_path / "set" / "HR" / f"{index}.png", random.integers(0, 256, (64, 64, 3), np.uint8))
    spent = []
    for turn in range(20):
        request = Request(
            ("bicubic",), datasets=(str(tmp_path / "set"),), metrics=Y_METRICS, speed=False, out=tmp_path / f"{turn}"
        )
        made = plan(request)
        start = time.process_time()
        run_jobs(made, Silent())
        spent.append((time.process_time() - start) / 60 * 1e3)
    tell(f"bicubic on 64x64, {count} threads: ms of processor time an image", min(spent))
    assert min(spent) <= 3.0
