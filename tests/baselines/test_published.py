"""The bicubic baseline against the rows that every paper prints, through `srbench run`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srbench.results.store import load_results
from tests.conftest import Srbench

# psnr_y, ssim_y: computed independently of this package; they equal SelfExSR's table to every digit that it prints,
# but for Urban100 x2, where that table used other files.
ROWS = {
    ("Set5", 2): (33.640, 0.9292),
    ("Set5", 3): (30.385, 0.8678),
    ("Set5", 4): (28.416, 0.8101),
    ("Set14", 2): (30.218, 0.8683),
    ("Set14", 3): (27.530, 0.7737),
    ("Set14", 4): (25.990, 0.7023),
    ("B100", 2): (29.547, 0.8425),
    ("B100", 3): (27.202, 0.7382),
    ("B100", 4): (25.956, 0.6672),
    ("Urban100", 2): (26.870, 0.8397),
    ("Urban100", 3): (24.454, 0.7345),
    ("Urban100", 4): (23.138, 0.6573),
}


def scored(srbench: Srbench, root: Path, out: Path, dataset: str, scale: int, metrics: str) -> dict[str, float]:
    command = ["run", "--models", "bicubic", "--datasets", dataset, "--scale", scale, "--metrics", metrics]
    assert srbench(*command, "--data-root", root, "--no-speed", "--out", out) == 0, srbench.err
    (run,) = load_results(out).runs
    return {name: float(np.mean(run.values(name))) for name in metrics.split(",")}


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "scale"),
    [pytest.param(*key, marks=pytest.mark.slow) if key[0] in ("B100", "Urban100") else key for key in ROWS],
)
def test_published_rows(srbench: Srbench, data_root: Path, tmp_path: Path, dataset: str, scale: int) -> None:
    mean = scored(srbench, data_root, tmp_path, dataset, scale, "psnr_y,ssim_y")
    psnr, ssim = ROWS[dataset, scale]
    assert mean["psnr_y"] == pytest.approx(psnr, abs=0.003)
    assert mean["ssim_y"] == pytest.approx(ssim, abs=1e-4)


@pytest.mark.data
def test_the_price_of_each_convention(srbench: Srbench, data_root: Path, tmp_path: Path) -> None:
    """Set5 x4, bicubic: what one table calls 28.42 another calls 28.43 or 26.69."""
    names = "psnr_y@basicsr,ssim_y@basicsr,psnr_rgb,ssim_y@skimage-default,ssim_y"
    mean = scored(srbench, data_root, tmp_path, "Set5", 4, names)
    assert mean["psnr_y@basicsr"] == pytest.approx(28.429, abs=0.003)
    assert mean["ssim_y@basicsr"] == pytest.approx(0.8111, abs=1e-4)
    assert mean["psnr_rgb"] == pytest.approx(26.692, abs=0.003)
    assert mean["ssim_y@skimage-default"] - mean["ssim_y"] == pytest.approx(0.012, abs=0.002)


@pytest.mark.data
def test_grey_read_as_rgb_raises_set14(srbench: Srbench, data_root: Path, tmp_path: Path) -> None:
    """One grey image of fourteen, `bridge`, moves the mean by 0.094 dB."""
    mean = scored(srbench, data_root, tmp_path, "Set14", 4, "psnr_y,psnr_y@grey-as-rgb")
    assert mean["psnr_y@grey-as-rgb"] - mean["psnr_y"] == pytest.approx(0.094, abs=0.002)
