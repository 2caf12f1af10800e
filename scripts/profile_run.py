"""Where the time of a whole run goes: decoding, degradation, forward passes, views, metrics, LPIPS, saving, the store.

python scripts/profile_run.py --datasets Set14 [--models all] [--metrics psnr_y,ssim_y,lpips] [--save-images]

Each stage is timed around the function that does it, in whatever thread; where stages overlap, they add up to more than
the whole.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

import srbench.benchmark.run
import srbench.datasets.folder
from srbench.benchmark.plan import Plan, Request, plan
from srbench.benchmark.progress import Progress
from srbench.metrics.conventions import Convention
from srbench.metrics.scorer import Scorer
from srbench.models.inference import Inference
from srbench.results.store import RunWriter


class Stages:
    """Seconds and calls by stage; a stage inside another is taken from it, so that nothing counts twice."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inner = threading.local()
        self._lock = threading.Lock()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            outer, self._inner.spent = getattr(self._inner, "spent", 0.0), 0.0
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                whole = time.perf_counter() - start
                with self._lock:
                    self.seconds[stage] += whole - self._inner.spent
                    self.calls[stage] += 1
                self._inner.spent = outer + whole

        return wrapper

    def watch(self, stage: str, owner: Any, name: str) -> None:
        setattr(owner, name, self.timed(stage, getattr(owner, name)))


def watched(made: Plan) -> Stages:
    """Put a clock around each stage of this process."""
    stages = Stages()
    stages.watch("decode", srbench.datasets.folder, "read_image")
    stages.watch("degrade", srbench.datasets.folder, "degrade")
    stages.watch("build models", srbench.benchmark.run, "prepare")
    stages.watch("forward", Inference, "upscale")
    stages.watch("forward", Inference, "upscale_together")
    stages.watch("views", Convention, "views")
    stages.watch("other scoring", Scorer, "__call__")
    stages.watch("save images", srbench.benchmark.run, "write_image")
    for name in ("__enter__", "append", "finish"):
        stages.watch("store", RunWriter, name)
    for name, function in made.scorer._functions.items():
        made.scorer._functions[name] = stages.timed(f"metric {name}", function)
    return stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default="samples")
    parser.add_argument("--models", default="all")
    parser.add_argument("--metrics", default="psnr_y,ssim_y,lpips")
    parser.add_argument("--save-images", action="store_true")
    given = parser.parse_args()
    models, datasets, metrics = (tuple(text.split(",")) for text in (given.models, given.datasets, given.metrics))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        made = plan(
            Request(
                models, datasets=datasets, metrics=metrics, speed=False, save_images=given.save_images, out=Path(folder)
            )
        )
        planned = time.perf_counter()
        stages = watched(made)
        results = srbench.benchmark.run.run(made, Progress())
        whole = time.perf_counter() - planned
    stages.seconds["everything else"] = max(whole - sum(stages.seconds.values()), 0.0)
    images = sum(len(run.rows) for run in results.runs)
    body = [
        (stage, f"{seconds:.2f}", f"{seconds / whole:.1%}", f"{seconds / images * 1e3:.1f}", stages.calls[stage] or "")
        for stage, seconds in sorted(stages.seconds.items(), key=lambda item: -item[1])
    ]
    headings = ["stage", "s", "of the run", "ms an image", "calls"]
    print(tabulate(body, headings, tablefmt="github", disable_numparse=True))  # noqa: T201
    print(f"{len(results.runs)} runs, {images} rows: {whole:.1f} s, and {planned - start:.1f} s to plan")  # noqa: T201


if __name__ == "__main__":
    main()
