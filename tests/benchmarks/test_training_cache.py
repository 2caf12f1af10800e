"""Training from mapped files beside training from memory, and how long a second start takes for a set like DIV2K.

Run it with: pytest tests/benchmarks/test_training_cache.py -m slow -s
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reference_models.architectures import build
from reference_models.patches import Feed, Plane, Pool
from reference_models.pool import Cache, PoolItem, PoolLayout, PoolRequest, _laid_out, open_pool
from reference_models.sources import open_sources
from srbench.images.files import write_image
from tests.benchmarks.pairs import ratio, tell

CPU = torch.device("cpu")
SIDE, COUNT = 2040, 800
"""About DIV2K: 800 images of 2040x1356."""


def written(tmp_path: Path, count: int, width: int, height: int) -> Cache:
    """A complete cache of random images."""
    items = tuple(PoolItem("", "", str(number), width, height) for number in range(count))
    cache = Cache(PoolLayout(items, 4, "matlab", "rgb"), tmp_path)
    cache.folder.parent.mkdir(exist_ok=True)
    cache._begin()
    for array in cache.mapped("r+"):
        array[:] = np.random.default_rng(0).integers(0, 256, array.shape, dtype=np.uint8)
    (cache.folder / "done.u8").write_bytes(b"\1" * count)
    return cache


def pool_over(cache: Cache, *, mapped: bool) -> Pool:
    layout = cache.layout
    given, wanted = (array if mapped else np.array(array) for array in cache.mapped("c"))
    planes = [
        Plane.over(torch.from_numpy(array), sizes)
        for array, sizes in ((given, layout.given_sizes), (wanted, layout.wanted_sizes))
    ]
    return Pool(planes[0], planes[1], 4, {}, "")


@pytest.mark.slow
def test_a_step_from_mapped_files_costs_what_one_from_memory_does(tmp_path: Path) -> None:
    cache = written(tmp_path, 40, 1020, 680)
    network = build("srresnet", 4).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    feeds = {
        kind: Feed(pool_over(cache, mapped=kind == "mapped"), 8, 24, 0, CPU, slice(None))
        for kind in ("mapped", "memory")
    }

    def step(kind: str) -> None:
        lr, hr = feeds[kind]()
        (network(lr) - hr).abs().mean().backward()

    found = 1.0 / ratio(lambda: step("mapped"), lambda: step("memory"))
    tell("a step from mapped files over one from memory", found)
    assert found <= 1.05


@pytest.mark.slow
def test_the_second_start_of_a_set_like_div2k_takes_three_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """800 files whose digests are known, and their cache, sparse but of full size; until the first batch is drawn."""
    for number in range(COUNT):
        write_image(tmp_path / "set" / f"{number:04}.png", np.full((8, 8, 3), number % 256, np.uint8))
    request = PoolRequest(4, 48, cache=tmp_path / "cache", tell=lambda line: None)

    def sources() -> list:  # type: ignore[type-arg]
        (found,), _ = open_sources([tmp_path / "set"], 4)
        pairs = tuple(replace(p, digest=replace(p.digest, width=SIDE, height=1356)) for p in found.pairs)
        return [replace(found, pairs=pairs)]

    cache = Cache(_laid_out(sources(), request)[0], tmp_path / "cache")
    cache.folder.mkdir(parents=True)
    for name, count in zip(("given", "wanted"), cache.layout.pixels, strict=True):
        with (cache.folder / f"{name}.u8").open("wb") as file:
            file.truncate(count * 3)
    (cache.folder / "done.u8").write_bytes(b"\1" * COUNT)
    start, resident = time.perf_counter(), anonymous_memory()
    pool = open_pool(sources(), request, CPU)
    Feed(pool, 16, 48, 0, CPU, slice(None))()
    took, grown = time.perf_counter() - start, anonymous_memory() - resident
    tell("seconds of a second start", took)
    tell("MiB of memory beside the mapped files", grown / 2**20)
    assert cache.layout.bytes > 6 << 30
    assert took <= 3.0
    assert grown < 200 << 20


def anonymous_memory() -> int:
    """Bytes of this process that are no page of a file, which the system could not take back."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024
    pytest.skip("/proc/self/status tells no RssAnon here")
