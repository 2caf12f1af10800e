"""What a metric or a resize costs beside its best peer. docs/benchmarks.md says how the ratios were taken.

pytest tests/benchmarks -m slow -s      prints the ratios
pytest tests/benchmarks --benchmark-enable      times ours by pytest-benchmark
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.transform import resize as skimage_resize

from srbench.images.resize import imresize
from srbench.images.tensors import image_tensor
from srbench.metrics import numba_switch as accelerator
from srbench.metrics.psnr import psnr
from srbench.metrics.scorer import Scorer, measure
from srbench.metrics.ssim import ssim
from tests.benchmarks.pairs import PAIRS, ratio, tell, wall_ratio
from tests.benchmarks.published_resize import resize as published_resize

MEGAPIXEL = 1000
Y_METRICS = ["psnr_y", "ssim_y"]
CORES = os.cpu_count() or 1
Photograph = Callable[..., np.ndarray]


def pictures(side: int = MEGAPIXEL) -> tuple[np.ndarray, np.ndarray]:
    """SR and HR, uint8 RGB."""
    rng = np.random.default_rng(0)
    hr = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
    return (hr + rng.normal(0, 20, hr.shape)).clip(0, 255).round().astype(np.uint8), hr


def planes(side: int = MEGAPIXEL) -> tuple[torch.Tensor, torch.Tensor]:
    sr, hr = (torch.from_numpy(image[..., 0].astype(np.float64))[None, None] for image in pictures(side))
    return sr, hr


def by_scikit_image(sr: np.ndarray, hr: np.ndarray) -> tuple[float, float]:
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return peak_signal_noise_ratio(hr, sr, data_range=255), structural_similarity(sr, hr, data_range=255, **gaussian)


def cropped_y(image: np.ndarray) -> np.ndarray:
    return np.asarray(rgb2ycbcr(image)[4:-4, 4:-4, 0]).round()


@pytest.mark.slow
@pytest.mark.parametrize(("path", "wanted"), [("numba", 4.0), ("torch", 0.8)])
def test_psnr_and_ssim_from_rgb_beside_scikit_image(path: str, wanted: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours converts to Y; theirs is timed with Y given for nothing, and with its conversion."""
    if path == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv(accelerator.SWITCH, "1" if path == "numba" else "0")
    sr, hr = pictures()
    scorer, tensor = Scorer(Y_METRICS), image_tensor(sr, "cpu")
    y = cropped_y(sr), cropped_y(hr)

    def ours() -> dict[str, float]:
        return scorer(tensor, hr, 4)

    def theirs() -> tuple[float, float]:
        return by_scikit_image(*y)

    assert tuple(ours().values()) == pytest.approx(theirs(), abs=1e-6)
    what = f"PSNR-Y + SSIM-Y of 1 MP, {path}: scikit-image / ours"
    given = ratio(ours, theirs)
    tell(f"{what}, Y given, one thread", given)
    tell(f"{what}, Y given, wall time, {CORES} threads", wall_ratio(ours, theirs, CORES))
    tell(f"{what}, from RGB, one thread", ratio(ours, lambda: by_scikit_image(cropped_y(sr), cropped_y(hr))))
    assert given >= wanted


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "wanted"), [((321, 481), 8.0), ((1000, 1000), 10.0)])
def test_measure_beside_scikit_image(shape: tuple[int, int], wanted: float, photograph: Photograph) -> None:
    """Two uint8 RGB images in, two scores out, by the public function: what it checks, looks up and converts included.

    At B100's size what does not grow with the image counts most. The median of many short pairs.
    """
    pytest.importorskip("numba")
    hr, sr = photograph(*shape), photograph(*shape)
    sr = (sr + np.random.default_rng(0).normal(0, 5, sr.shape)).clip(0, 255).round().astype(np.uint8)

    def y(image: np.ndarray) -> np.ndarray:
        return np.floor(
            rgb2ycbcr(image)[4:-4, 4:-4, 0] + (0.5 + 1e-9)
        )  # its product leaves exact halves below or above

    def ours() -> dict[str, float]:
        return measure(sr, hr, Y_METRICS)

    def theirs() -> tuple[float, float]:
        return by_scikit_image(y(sr), y(hr))

    (psnr_y, ssim_y), (their_psnr, their_ssim) = ours().values(), theirs()
    assert abs(psnr_y - their_psnr) <= 1e-5 and abs(ssim_y - their_ssim) <= 1e-6
    what = f"measure, PSNR-Y + SSIM-Y of {shape[1]}x{shape[0]}: scikit-image / ours, from RGB"
    found = ratio(ours, theirs, pairs=4 * PAIRS)
    tell(f"{what}, one thread", found)
    tell(f"{what}, wall time, {CORES} threads", wall_ratio(ours, theirs, CORES, pairs=4 * PAIRS))
    assert found >= wanted


@pytest.mark.slow
def test_psnr_and_ssim_beside_torchmetrics() -> None:
    functional = pytest.importorskip("torchmetrics.functional.image")
    sr, hr = pictures()
    scorer, tensor = Scorer(Y_METRICS), image_tensor(sr, "cpu")
    y_sr, y_hr = (torch.from_numpy(cropped_y(image)).float()[None, None] for image in (sr, hr))

    def theirs() -> object:
        return (
            functional.peak_signal_noise_ratio(y_sr, y_hr, data_range=255.0),
            functional.structural_similarity_index_measure(y_sr, y_hr, data_range=255.0, sigma=1.5),
        )

    found = ratio(lambda: scorer(tensor, hr, 4), theirs)
    tell(f"PSNR-Y + SSIM-Y of 1 MP, {accelerator.describe('cpu')}: torchmetrics / ours, Y given", found)
    assert found > 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("scale", "wanted"), [(1 / 4, 2.5), (4, 5.0)])
def test_imresize_beside_the_published_algorithm(scale: float, wanted: float) -> None:
    """Three channels, 1 MP on the large side, nothing rounded; both in float64, and equal to rounding."""
    side = MEGAPIXEL if scale < 1 else round(MEGAPIXEL / scale)
    image = torch.from_numpy(pictures(side)[1].transpose(2, 0, 1).astype(np.float64))
    ours = imresize(image, scale, as_uint8=False)
    torch.testing.assert_close(ours, published_resize(image, scale), rtol=0, atol=1e-9)
    found = ratio(lambda: imresize(image, scale, as_uint8=False), lambda: published_resize(image, scale))
    tell(f"imresize by {scale:g}: published algorithm / ours", found)
    assert found >= wanted


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1 / 4, 4])
def test_imresize_beside_scikit_image(scale: float) -> None:
    """Its antialiased cubic resize is another one in the pixels, and does the same work."""
    _, hr = planes(MEGAPIXEL if scale < 1 else round(MEGAPIXEL / scale))
    image = hr[0, 0].numpy()
    shape = tuple(round(side * scale) for side in image.shape)
    found = ratio(lambda: imresize(hr, scale), lambda: skimage_resize(image, shape, order=3, anti_aliasing=scale < 1))
    tell(f"imresize by {scale:g}: scikit-image / ours", found)
    assert found > 1.5


@pytest.mark.slow
def test_lpips_of_four_models_beside_the_package(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four SR of one HR, 0.25 MP: the package called as its page says, and ours with nothing kept beforehand."""
    from srbench.metrics.lpips import KEPT_BYTES, Distance, _network

    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    network = _network("cpu")
    package = copy.deepcopy(network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    _, hr = (torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float64)) for image in pictures(500))
    models = [(hr + torch.randn(hr.shape) * level).clamp(0, 255).round() for level in (5, 10, 20, 40)]

    def theirs() -> list[float]:
        return [float(package(sr.float() / 127.5 - 1.0, hr.float() / 127.5 - 1.0)) for sr in models]

    def ours() -> list[float]:
        distance = Distance(network, KEPT_BYTES)
        return [float(distance(sr, hr)) for sr in models]

    assert ours() == pytest.approx(theirs(), abs=1e-6)
    found = ratio(ours, theirs, pairs=5)
    tell("LPIPS of four models on one image: package / ours", found)
    assert found >= 1.7


@pytest.mark.parametrize("function", [psnr, ssim])
def test_metric(benchmark: Callable[..., object], function: Callable[..., torch.Tensor]) -> None:
    benchmark(function, *planes(400))


def test_scorer(benchmark: Callable[..., object]) -> None:
    sr, hr = pictures(400)
    benchmark(Scorer(Y_METRICS), image_tensor(sr, "cpu"), hr, 4)


@pytest.mark.parametrize("scale", [1 / 4, 4])
def test_imresize(benchmark: Callable[..., object], scale: float) -> None:
    benchmark(imresize, planes(400 if scale < 1 else 100)[0], scale)
