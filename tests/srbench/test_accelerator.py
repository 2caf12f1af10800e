"""The compiled loops against their twins in torch, and what happens where numba is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.images.tensors import image_tensor
from srbench.metrics import numba_switch as accelerator
from srbench.metrics.conventions import CONVENTIONS, quantise
from srbench.metrics.psnr import fast_psnr, psnr
from srbench.metrics.scorer import Scorer
from srbench.metrics.ssim import fast_ssim, ssim
from srbench.results import environment

pytest.importorskip("numba", reason="the compiled loops need numba, which a plain install brings")

Photograph = Callable[..., np.ndarray]


@pytest.fixture
def no_numba(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "srbench.metrics.numba_loops", None)
    monkeypatch.delattr("srbench.metrics.numba_loops", raising=False)
    accelerator._compiled.cache_clear()
    yield
    accelerator._compiled.cache_clear()


def pair(height: int, width: int, seed: int, n: int, channels: int, whole: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand((n, channels, height, width), generator=generator, dtype=torch.float64) * 255
    sr = (hr + torch.randn(hr.shape, generator=generator, dtype=torch.float64) * 20).clamp(0, 255)
    return (sr.round(), hr.round()) if whole else (sr, hr)


@settings(deadline=None, max_examples=40)
@given(st.integers(11, 150), st.integers(11, 280), st.integers(0, 99), st.integers(1, 2), st.sampled_from([1, 3]))
def test_scores_equal_the_torch_path(height: int, width: int, seed: int, n: int, channels: int) -> None:
    """Sizes from one window to several tiles, and every remainder of a tile."""
    for whole in (True, False):
        sr, hr = pair(height, width, seed, n, channels, whole)
        torch.testing.assert_close(fast_ssim(sr, hr), ssim(sr, hr), rtol=0, atol=1e-12)
        torch.testing.assert_close(fast_psnr(sr, hr), psnr(sr, hr), rtol=0, atol=0 if whole else 1e-10)


def test_laws_hold_on_both_paths() -> None:
    sr, hr = pair(90, 140, 3, 2, 3, whole=True)
    torch.testing.assert_close(fast_ssim(hr, sr), fast_ssim(sr, hr))
    torch.testing.assert_close(fast_ssim(sr.flip(-1).mT, hr.flip(-1).mT), fast_ssim(sr, hr))
    assert fast_ssim(hr, hr).tolist() == [1.0, 1.0]
    assert fast_psnr(hr, hr).tolist() == [float("inf")] * 2
    flat = torch.full((1, 1, 16, 16), 255.0, dtype=torch.float64)
    assert float(fast_ssim(flat, flat)) == 1.0
    assert 0.0 < float(fast_ssim(flat, flat * 0)) < 1e-3


@pytest.mark.numbers
@pytest.mark.parametrize("name", CONVENTIONS)
def test_views_have_the_same_bits(name: str, photograph: Photograph, monkeypatch: pytest.MonkeyPatch) -> None:
    convention = CONVENTIONS[name]
    colour, grey = (image_tensor(photograph(60, 71, grey=grey), "cpu") for grey in (False, True))
    sr = torch.rand(1, 3, 60, 71, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.2
    for channel in convention.channels:
        for one, other in ((sr, colour), (sr, grey), (grey, colour), (colour.repeat(3, 1, 1, 1), colour)):
            one = one if convention.round_sr else one / 255.0
            fast = convention.views(one, other.expand(len(one), -1, -1, -1), scale=4, channel=channel)
            with monkeypatch.context() as patch:
                patch.setenv(accelerator.SWITCH, "0")
                plain = convention.views(one, other.expand(len(one), -1, -1, -1), scale=4, channel=channel)
            assert all(a.dtype == torch.float64 and torch.equal(a, b) for a, b in zip(fast, plain, strict=True))


@pytest.mark.numbers
def test_every_level_and_every_tie_is_rounded_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = torch.arange(-4.0, 260.0, 0.125) / 255.0  # float32: some ties survive the division, some do not
    sr = torch.stack([levels, levels.nextafter(levels + 1), levels.nextafter(levels - 1)])[None, :, None]
    fast = quantise(sr)
    monkeypatch.setenv(accelerator.SWITCH, "0")
    assert torch.equal(fast, quantise(sr))


@pytest.mark.parametrize("height", [11, 75, 500])
def test_scores_do_not_depend_on_the_number_of_threads(height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sr, hr = pair(height, 130, 0, 1, 1, whole=False)
    monkeypatch.setattr(accelerator, "PIXELS_A_THREAD", 1)
    found = set()
    for count in (1, 2, 3, 8):
        monkeypatch.setattr(torch, "get_num_threads", lambda count=count: count)
        found.add(float(fast_ssim(sr, hr)))
    assert len(found) == 1


def test_small_images_wake_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ours nor those of torch's vector library."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(accelerator, "_threads", lambda count: pytest.fail("a thread for 64x64 pixels"))
    monkeypatch.setattr(torch.Tensor, "floor_", lambda values: pytest.fail("torch's floor_"))
    hr = torch.randint(0, 256, (1, 3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    sr = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    views = CONVENTIONS["matlab"].views(sr, hr, scale=4, channel="y")
    assert -1.0 < float(fast_ssim(*views)) < 1.0


def test_threads_do_not_disturb_each_other() -> None:
    pairs = [pair(100, 150, seed, 1, 1, whole=False) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = [float(score) for score in pool.map(lambda item: fast_ssim(*item), pairs)]
    assert together == [float(fast_ssim(*item)) for item in pairs]


def test_the_environment_tells_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.describe("cpu")["metrics"].startswith("numba 0.")
    assert accelerator.describe("cuda:0") == "torch"
    monkeypatch.setenv(accelerator.SWITCH, "0")
    assert environment.describe("cpu")["metrics"] == "torch"


def test_torch_scores_few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the loops all others, in whatever thread; what is outside goes on as before."""
    with accelerator.by_torch(accelerator.FEW):
        assert accelerator.describe("cpu") == "torch"
        with accelerator.by_torch(accelerator.FEW + 1):
            assert accelerator.kernels("cpu") is not None
        assert accelerator.kernels("cpu") is None
    assert accelerator.kernels("cpu") is not None


@pytest.mark.parametrize("numba_dir", ["", "elsewhere"])
def test_compiled_code_is_kept_in_the_cache_folder_or_where_numba_is_told(tmp_path: Path, numba_dir: str) -> None:
    """Never in the package, whose folder would outlive an uninstall and be taken for the package."""
    program = (
        "from srbench.metrics import numba_loops as loops; "
        "print(loops.squared_error.stats.cache_path, loops._across.stats.cache_path)"
    )
    wanted = tmp_path / (numba_dir or "cache/compiled")
    variables = os.environ | {"SRBENCH_CACHE": "cache", "NUMBA_CACHE_DIR": numba_dir and str(wanted)}
    told = subprocess.run([sys.executable, "-c", program], env=variables, cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert {Path(path).parent for path in told.stdout.split()} == {wanted}


@pytest.mark.usefixtures("no_numba")
def test_without_numba_torch_does_the_work(photograph: Photograph) -> None:
    scorer = Scorer(["psnr_y", "ssim_y"])
    sr, hr = image_tensor(photograph(50, 60), "cpu"), photograph(50, 60, seed=1)
    assert accelerator.describe("cpu") == "torch"
    assert not scorer.unavailable
    assert set(scorer(sr, hr, 4)) == {"psnr_y", "ssim_y"}
