"""Overlap changes nothing but the time, and batches nothing but rounding: rows, order, errors, a stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srbench.base.errors import InputError
from srbench.base.overlap import AHEAD, ahead, behind, pool_of, spare_workers
from srbench.benchmark.plan import Request, plan
from srbench.images.files import read_image, write_image
from srbench.models.spec import ModelSpec
from srbench.results.records import Row
from srbench.results.results import Results
from srbench.results.store import load_results
from tests.conftest import Srbench
from tests.srbench.test_run import Register, Toy, carry_out, request

Photograph = Callable[..., np.ndarray]


def stripped(results: Results) -> list[Row]:
    return [replace(row, seconds=0.0) for run in results for row in run.rows]


class Noisy(Toy):
    """Adds random numbers, so that it matters which were drawn before."""

    def __call__(self, lr: torch.Tensor) -> torch.Tensor:
        return super().__call__(lr) + torch.randn(1) * 0.1


@pytest.mark.numbers
@pytest.mark.parametrize("workers", [1, 3])
def test_rows_are_those_of_a_walk_without_threads(folder: Path, register: Register, workers: int) -> None:
    register("models", "toy", Noisy().spec)
    wanted = request(folder, models=("toy", "bicubic"), save_images=True)
    plain = carry_out(replace(wanted, workers=0, out=folder.parent / "plain"))
    threads = carry_out(replace(wanted, workers=workers, out=folder.parent / "threads"))
    assert stripped(threads) == stripped(plain)
    assert threads.runs[0].environments[0]["workers"] == workers
    for path in (folder.parent / "plain").glob("**/*.png"):
        assert path.read_bytes() == Path(str(path).replace("plain", "threads")).read_bytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_goes_to_its_image(folder: Path, register: Register, workers: int) -> None:
    register("models", "toy", Toy("grey").spec)
    (made,) = carry_out(request(folder, models=("toy",), workers=workers)).runs
    assert [row.error for row in made.rows] == ["", "", "RuntimeError: only colour, please"]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_vanishes_stops_the_run_after_those_before_it(
    folder: Path, register: Register, workers: int
) -> None:
    class Vandal(Toy):
        """Deletes the last picture while it works on the first: too late for those read ahead."""

        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            (folder / "HR" / "f.png").unlink(missing_ok=True)
            return super().__call__(lr)

    for name in ("d", "e", "f"):
        write_image(folder / "HR" / f"{name}.png", read_image(folder / "HR" / "a.png"))
    register("models", "toy", Vandal().spec)
    wanted = request(folder, models=("toy",), workers=workers)
    with pytest.raises(InputError, match="no such image"):
        carry_out(wanted)
    (made,) = load_results(wanted.out).runs
    assert [row.image for row in made.rows] == ["a", "b", "c", "d", "e"]


@pytest.fixture
def alike(tmp_path: Path, photograph: Photograph) -> Path:
    """Seven pictures: three of one size, one of another, three of the first again."""
    for seed in range(7):
        height = 60 if seed == 3 else 48
        write_image(tmp_path / "alike" / "HR" / f"{seed}.png", photograph(height, 64, seed=seed))
    return tmp_path / "alike"


@pytest.mark.numbers
def test_batches_give_the_scores_of_single_images(alike: Path, register: Register) -> None:
    """Within rounding for a network, whose sums a processor orders by the batch; to the bit for a resize."""
    seen: list[int] = []

    def build(scale: int, device: torch.device) -> Toy:
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 48, 3, padding=1), torch.nn.PixelShuffle(4)).requires_grad_(False)

        class Net(Toy):
            def __call__(self, lr: torch.Tensor) -> torch.Tensor:
                seen.append(len(lr))
                return net(lr)

        return Net()

    register("models", "net", ModelSpec("net", (4,), build))
    wanted = request(alike, models=("net", "bicubic"), metrics=("psnr_y", "ssim_y", "psnr_rgb"))
    single = carry_out(replace(wanted, out=alike.parent / "single"))
    assert seen == [1] * 7
    seen.clear()
    together = carry_out(replace(wanted, batch=2, out=alike.parent / "together"))
    assert seen == [2, 1, 1, 2, 1]
    resized = [Results(tuple(run for run in made if run.identity.model == "bicubic")) for made in (single, together)]
    assert stripped(resized[0]) == stripped(resized[1]) and len(stripped(resized[0])) == 7
    for one, other in zip(stripped(together), stripped(single), strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-3)  # some pixels on the other side of a half
        assert replace(one, scores={}, sr="") == replace(other, scores={}, sr="")
    assert together.runs[0].environments[0]["batch"] == 2


def test_a_batch_that_fails_is_walked_one_by_one(alike: Path, register: Register) -> None:
    class Single(Toy):
        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            if len(lr) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            if lr.shape[-2] == 15:
                raise ValueError("too high")
            return super().__call__(lr)

    register("models", "toy", Single().spec)
    (made,) = carry_out(request(alike, models=("toy",), batch=4)).runs
    assert [row.error for row in made.rows] == ["", "", "", "ValueError: too high", "", "", ""]
    assert {row.tile for row in made.rows} == {None}


def test_tiles_and_their_seam_are_recorded_and_told(alike: Path, srbench: Srbench) -> None:
    out = alike.parent / "out"
    options = ["--metrics", "psnr_y", "--no-speed", "--tile", "8", "--out", out]
    assert srbench("run", "--models", "bicubic", "--datasets", alike, *options) == 0
    (made,) = load_results(out).runs
    assert {(row.tile, row.seam) for row in made.rows} == {(8, 0.0)}
    assert "7 images in tiles, which differ by 0 levels at most at a seam" in srbench.err


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_the_maps_keep_order_and_bounds(workers: int) -> None:
    begun, done = [], []

    def read(item: int) -> int:
        begun.append(item)
        return item

    def work(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            assert len(begun) <= item + 1 + AHEAD + 1
            assert item - len(done) <= AHEAD + 1
            yield item

    with pool_of(workers) as pool:
        for result in behind(pool, lambda item: item * item, work(ahead(pool, read, range(20)))):
            done.append(result)
    assert done == [item * item for item in range(20)]


def test_leaving_early_ends_the_threads() -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), pool_of(2) as pool:
        for _ in behind(pool, time.sleep, ahead(pool, abs, [0.001] * 100)):
            raise KeyboardInterrupt
    assert threading.active_count() == before


def test_workers_are_spare_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, threads, expected in ((2, 2, 0), (2, 1, 1), (8, 4, 2), (1, 1, 0), (4, 8, 0)):
        monkeypatch.setattr("srbench.base.overlap._processors", lambda count=processors: count)
        monkeypatch.setattr(torch, "get_num_threads", lambda count=threads: count)
        assert spare_workers(torch.device("cpu")) == expected
    assert spare_workers(torch.device("cuda")) == 2


@pytest.mark.parametrize(("side", "wanted"), [(124, 0), (128, 2)])
def test_small_images_are_not_handed_over(
    side: int, wanted: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srbench.benchmark.plan.spare_workers", lambda device: 2)
    for name, size in (("a", 8), ("b", side)):
        write_image(tmp_path / "set" / "HR" / f"{name}.png", np.zeros((size, size), np.uint8))
    asked = Request(("bicubic",), datasets=(str(tmp_path / "set"),), speed=False, device="cpu", out=tmp_path / "out")
    assert plan(asked).workers == wanted and plan(replace(asked, workers=1)).workers == 1
