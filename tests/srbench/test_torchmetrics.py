"""Scores as a torchmetrics Metric: the same numbers as `srbench.measure`, in loops, copies and processes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from srbench import measure
from srbench.base.errors import InputError, UsageError

pytest.importorskip("torchmetrics", reason="needs torchmetrics: pip install 'srbench-sr[torchmetrics]'")

from srbench.torchmetrics import Score

Photograph = Callable[..., np.ndarray]


@pytest.fixture
def pairs(photograph: Photograph) -> tuple[torch.Tensor, torch.Tensor]:
    """SR and HR of four images, `(4, 3, 40, 48)` float in [0, 1]; SR is off the 8-bit grid, and partly outside."""
    hr = torch.stack([torch.from_numpy(photograph(40, 48, seed=seed)).permute(2, 0, 1) for seed in range(4)]) / 255.0
    noise = torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    return hr + 0.05 * noise, hr


def expected(sr: torch.Tensor, hr: torch.Tensor, name: str) -> float:
    images = [(255.0 * x).add(0.5).floor().clamp(0, 255).byte().permute(0, 2, 3, 1) for x in (sr, hr)]
    return float(np.mean([measure(a, b, metrics=[name], scale=4)[name] for a, b in zip(*images, strict=True)]))


@pytest.mark.parametrize("name", ["psnr_y", "ssim_y", "psnr_rgb", "psnr_y@basicsr"])
def test_a_score_is_what_measure_says(name: str, pairs: Any) -> None:
    sr, hr = pairs
    score = Score(name, scale=4)
    for start in (0, 3):  # uneven batches: the mean is over images
        score.update(sr[start : start + 3], hr[start : start + 3])
    assert float(score.compute()) == pytest.approx(expected(sr, hr, name), abs=1e-9)
    assert score.higher_is_better
    score.reset()
    score.update(sr[:1], hr[:1])
    assert float(score.compute()) == pytest.approx(expected(sr[:1], hr[:1], name), abs=1e-9)


@pytest.mark.filterwarnings("ignore:SR is from")  # of a network that knows nothing yet
def test_inside_a_training_loop(pairs: Any) -> None:
    _, hr = pairs
    lr = torch.nn.functional.interpolate(hr, scale_factor=0.25, mode="area")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 48, 3, padding=1), torch.nn.PixelShuffle(4))
    optimizer, score, seen = torch.optim.Adam(network.parameters(), 1e-2), Score("psnr_rgb"), []
    for _ in range(15):
        sr = network(lr)
        seen.append(float(score(sr, hr)))  # the call gives the batch's value, and adds it up
        optimizer.zero_grad()
        (sr - hr).square().mean().backward()
        optimizer.step()
    assert seen[-1] > seen[0] + 3.0
    assert float(score.compute()) == pytest.approx(np.mean(seen), abs=1e-9)


def test_copies_and_uint8(pairs: Any) -> None:
    sr, hr = pairs
    score = Score("ssim_y")
    score.update(sr, hr)
    for copied in (copy.deepcopy(score), pickle.loads(pickle.dumps(score))):
        copied.update((sr * 255.0).add(0.5).floor().clamp(0, 255).byte(), (hr * 255.0).round().byte())
        assert float(copied.compute()) == pytest.approx(float(score.compute()), abs=1e-12)


RANGES: dict[str, tuple[Any, Callable[[torch.Tensor], torch.Tensor]]] = {
    "0..255": (255.0, lambda x: 255.0 * x),
    "-1..1": ((-1.0, 1.0), lambda x: 2.0 * x - 1.0),
    "half": (1.0, lambda x: x.half()),
    "double": (1, lambda x: x.double()),
}


@pytest.mark.parametrize("name", RANGES)
def test_the_range_of_values_is_told_as_torchmetrics_has_it(name: str, pairs: Any) -> None:
    given, convert = RANGES[name]
    score = Score("psnr_y", data_range=given)
    score.update(*map(convert, pairs))
    assert float(score.compute()) == pytest.approx(expected(*pairs, "psnr_y"), abs=0.02 if name == "half" else 1e-3)


@pytest.mark.parametrize("metric", ["psnr_y", "ssim_y"])
def test_values_of_another_range_are_refused_and_not_scored(metric: str, pairs: Any) -> None:
    sr, hr = (x.clamp(0.0, 1.0) for x in pairs)
    wrong: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        r"SR is from -1 to .*, outside \[0, 1\].*data_range=\(-1.0, 1.0\)": lambda x: 2.0 * x - 1.0,
        r"SR is from 0 to 255, outside \[0, 1\].*data_range=255.0": lambda x: 255.0 * x,
        "SR is torch.int64, expected floats": lambda x: (255.0 * x).long(),
        "SR is torch.bool, expected floats": lambda x: x > 0.5,
        "SR holds values that are not finite": lambda x: x.where(x < 0.9, torch.nan),
    }
    score = Score(metric)
    for message, convert in wrong.items():
        with pytest.raises(InputError, match=message.replace("SR", "HR", 1)):
            score.update(sr, convert(hr))
        if "-1" not in message:
            with pytest.raises(InputError, match=message):
                score.update(convert(sr), hr)
    assert int(score.count) == 0
    with pytest.raises(UsageError, match="data_range 0 is empty"):
        Score(data_range=0)


USUAL: dict[Any, Callable[[torch.Tensor], torch.Tensor]] = {
    1.0: lambda x: x,
    (-1.0, 1.0): lambda x: 2.0 * x - 1.0,
    255.0: lambda x: 255.0 * x,
}


@pytest.mark.parametrize("of_hr", USUAL)
@pytest.mark.parametrize("of_sr", USUAL)
@pytest.mark.parametrize("bright", [False, True])
def test_sr_in_another_usual_range_than_hr_is_refused(
    of_hr: Any, of_sr: Any, bright: bool, photograph: Callable[..., np.ndarray]
) -> None:
    """Also where no value of SR lies outside the range of HR, as of a bright picture in -1..1."""
    hr = torch.from_numpy(photograph(48, 64)).permute(2, 0, 1)[None] / 255.0
    hr = 0.6 + 0.4 * hr if bright else hr
    sr = torch.nn.functional.avg_pool2d(hr, 3, 1, 1, count_include_pad=False) + 0.02  # blurred, and a little too bright
    score = Score("psnr_y", data_range=of_hr)
    if of_sr == of_hr:
        score.update(USUAL[of_sr](sr), USUAL[of_hr](hr))
        return
    with pytest.raises(InputError, match=r"SR is (HR's picture in|from .* outside)"):
        score.update(USUAL[of_sr](sr), USUAL[of_hr](hr))
    assert int(score.count) == 0


@pytest.mark.parametrize("contrast", [0.0, 0.2, 0.8, 1.2])
def test_a_network_that_is_merely_bad_is_scored(contrast: float, photograph: Callable[..., np.ndarray]) -> None:
    hr = torch.from_numpy(photograph(48, 64)).permute(2, 0, 1)[None] / 255.0
    score = Score("psnr_y")
    score.update(contrast * hr + 0.1 - 0.2 * contrast, hr)
    assert int(score.count) == 1


def test_a_network_that_overshoots_is_clamped(pairs: Any) -> None:
    sr, hr = pairs
    far = sr.clone()
    far[0, 0, 0, 0] = 40.0
    score = Score("psnr_y")
    score.update(far, hr)
    assert float(score.compute()) == pytest.approx(expected(far, hr, "psnr_y"), abs=1e-9)


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean psnr_y"):
        Score("psnr_z")
    with pytest.raises(InputError, match=r"SR is \(1, 3, 8, 8\) and HR \(1, 3, 8, 9\)"):
        Score().update(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))


def _worker(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    sr, hr = torch.load(f"{folder}/pairs.pt")
    part = slice(0, 1) if rank == 0 else slice(1, 4)  # uneven shares
    score = Score("psnr_y")
    score.update(sr[part], hr[part])
    torch.save(score.compute(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_processes_agree_on_the_mean_of_all(pairs: Any, tmp_path: Path) -> None:
    torch.save(pairs, tmp_path / "pairs.pt")
    torch.multiprocessing.spawn(_worker, args=(str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    values = [float(torch.load(tmp_path / f"{rank}.pt")) for rank in (0, 1)]
    assert values == pytest.approx([expected(*pairs, "psnr_y")] * 2, abs=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(pairs: Any) -> None:
    sr, hr = (x.cuda() for x in pairs)
    score = Score("psnr_y").cuda()
    score.update(sr, hr)
    assert score.compute().is_cuda
    assert float(score.compute()) == pytest.approx(expected(*pairs, "psnr_y"), abs=1e-6)
