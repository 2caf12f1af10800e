"""What a metric or a resize costs beside its best peer: interleaved pairs, one thread, processor time.

pytest tests/benchmarks -m slow -s      prints the ratios
pytest tests/benchmarks --benchmark-enable      times ours by pytest-benchmark
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from skimage.metrics import structural_similarity
from skimage.transform import resize

from srbench.metrics.psnr import psnr
from srbench.metrics.ssim import ssim
from srbench.resize import imresize

PAIRS = 7


def pictures(side: int = 1000) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hr = torch.randint(0, 256, (1, 1, side, side), generator=generator).double()
    return (hr + torch.randn(hr.shape, generator=generator) * 20).clamp(0, 255).round(), hr


def ratio(ours: Callable[[], object], theirs: Callable[[], object]) -> float:
    """How many times longer theirs takes: the median of pairs, each measured back to back."""
    torch.set_num_threads(1)
    ours(), theirs()
    return statistics.median(_seconds(theirs) / _seconds(ours) for _ in range(PAIRS))


def _seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


@pytest.mark.slow
def test_ssim_beside_scikit_image() -> None:
    sr, hr = pictures()

    def theirs() -> object:
        return structural_similarity(
            sr[0, 0].numpy(), hr[0, 0].numpy(), data_range=255, gaussian_weights=True, use_sample_covariance=False
        )

    found = ratio(lambda: ssim(sr, hr), theirs)
    print(f"\nSSIM: scikit-image / ours {found:.2f}")  # noqa: T201
    assert found > 1.3


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1 / 4, 4])
def test_imresize_beside_scikit_image(scale: float) -> None:
    """Its antialiased cubic resize is another one in the pixels, and does the same work."""
    _, hr = pictures(1000 if scale < 1 else 250)
    image = hr[0, 0].numpy()
    shape = tuple(round(side * scale) for side in image.shape)
    found = ratio(lambda: imresize(hr, scale), lambda: resize(image, shape, order=3, anti_aliasing=scale < 1))
    print(f"\nimresize by {scale:g}: scikit-image / ours {found:.2f}")  # noqa: T201
    assert found > 1.5


@pytest.mark.parametrize("function", [psnr, ssim])
def test_metric(benchmark: Callable[..., object], function: Callable[..., torch.Tensor]) -> None:
    benchmark(function, *pictures(400))


@pytest.mark.parametrize("scale", [1 / 4, 4])
def test_imresize(benchmark: Callable[..., object], scale: float) -> None:
    benchmark(imresize, pictures(400 if scale < 1 else 100)[0], scale)
