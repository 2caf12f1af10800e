"""What a run by many processes costs beside the models: sharing out, journals, merging, by made-up rows.

python scripts/scale_out_costs.py [--rows 10000] [--ranks 64]

Prints one line a step; docs/benchmarks.md has the figures and what follows from them.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from srbench.benchmark.distributed import shares
from srbench.benchmark.plan import Request, plan
from srbench.images.files import write_image
from srbench.results.records import Identity, Row, Run
from srbench.results.statistics import mean_interval
from srbench.results.store import RunWriter, load_results, run_path


@contextmanager
def told(what: str, per: int) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    print(f"{what:<44}{seconds:8.2f} s  {seconds / per * 1e6:8.1f} us a row")  # noqa: T201


def made_rows(count: int) -> list[Row]:
    draw = random.Random(0)
    return [
        Row(
            f"image-{index:07}",
            {"psnr_y": draw.uniform(20, 40), "ssim_y": draw.random(), "lpips": draw.random()},
            round(draw.random(), 6),
            hr=f"{draw.getrandbits(64):016x}",
            lr=f"{draw.getrandbits(64):016x}",
            sr=f"{draw.getrandbits(64):016x}",
        )
        for index in range(count)
    ]


def measure(count: int, ranks: int, out: Path) -> None:
    identity = Identity("model", "", "made-up", "f" * 64, 4, "matlab")
    run = Run(identity, {"psnr_y": "matlab", "ssim_y": "matlab", "lpips": "lpips"}, (), ({"node": "here"},))
    path, rows = run_path(out, identity), made_rows(count)
    with told(f"share out among {ranks} (every rank does)", count):
        parts = shares({index: 10_000 + index * 7919 % 90_000 for index in range(count)}, ranks)
    with told("append to journals (shared by all ranks)", count):
        for rank, part in enumerate(parts):
            with RunWriter(path, run, shard=rank) as writer:
                for index in part:
                    writer.append(rows[index])
    with told("merge on rank 0", count), RunWriter(path, replace(run, environments=())) as writer:
        writer.finish([row.image for row in rows])
    with told("read the result", count):
        (found,) = load_results(out).runs
    assert [row.image for row in found.rows] == [row.image for row in rows]
    with told("mean and interval of one metric", count):
        mean_interval(found.values("psnr_y"))
    print(f"result {path.stat().st_size / count:.0f} bytes a row")  # noqa: T201


def measure_planning(count: int, home: Path) -> None:
    """Planning a run over files: the first time every picture is decoded for its digest, later it is known."""
    import numpy as np

    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        write_image(home / "data" / "HR" / f"{index:07}.png", picture)
    os.environ["SRBENCH_CACHE"] = str(home / "cache")
    plan(Request(("nearest",), metrics=("psnr_y",), datasets=("samples",), out=home / "out"))  # imports torch
    request = Request(("nearest",), datasets=(str(home / "data"),), metrics=("psnr_y",), speed=False, out=home / "out")
    for when in ("first time", "seen before"):
        with told(f"plan, files of 32x32 {when}", count):
            (job,) = plan(request).jobs
    with told("LR sizes, files seen before", count):
        assert sum(job.dataset.lr_pixels) == 64 * count  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--ranks", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments.rows, arguments.ranks, Path(folder))
        measure_planning(arguments.rows // 5, Path(folder))


if __name__ == "__main__":
    main()
