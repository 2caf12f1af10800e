"""LR against MATLAB's own files, by the sha256 of their raw bytes, and against the laws of each flavour."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pil

from srbench.base.errors import InputError, UsageError
from srbench.images.degrade import DEGRADATIONS, degrade, high_resolution, low_resolution, mod_crop
from srbench.images.files import read_image
from srbench.images.second_order import second_order
from srbench.images.tensors import image_tensor
from srbench.metrics.conventions import convention
from srbench.results.store import load_results
from tests.conftest import Srbench

Photograph = Callable[..., np.ndarray]

# sha256 prefixes of SelfExSR's LR files (image_SRF_4), raw bytes, row-major, RGB interleaved.
SELFEXSR_X4 = {
    "Set5/HR/baby.png": "08155c10a5fb0925",
    "Set5/HR/bird.png": "41763f1c1ab0238c",
    "Set5/HR/butterfly.png": "44964b84fa42882e",
    "Set5/HR/head.png": "701b5b1c01f0450f",
    "Set5/HR/woman.png": "5309aa740cc2c8d5",
    "Set14/HR/bridge.png": "34044d7ca8a8be27",
}


@pytest.mark.data
@pytest.mark.numbers
@pytest.mark.parametrize("name", SELFEXSR_X4)
def test_legacy_is_bit_exact(data_root: Path, name: str) -> None:
    lr = degrade(read_image(data_root / name), 4, "matlab-legacy")
    assert hashlib.sha256(lr.tobytes()).hexdigest()[:16] == SELFEXSR_X4[name]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("flavour", DEGRADATIONS)
@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
def test_size_dtype_and_channels(photograph: Photograph, scale: int, flavour: str, grey: bool) -> None:
    row = DEGRADATIONS[flavour]
    if row.scales and scale not in row.scales:
        with pytest.raises(UsageError, match="is defined at x3 alone"):
            degrade(photograph(50, 67, grey=grey), scale, flavour)
        return
    lr = low_resolution(photograph(50, 67, grey=grey), scale, flavour)
    assert lr.dtype == (np.uint8 if row.rounded else np.float64)
    assert lr.shape == (50 // scale, 67 // scale) + (() if grey or row.y_first else (3,))


def test_symmetric_and_replicated_borders_differ_only_there(photograph: Photograph) -> None:
    hr = photograph(64, 64)
    different = degrade(hr, 4, "matlab") != degrade(hr, 4, "matlab-legacy")
    assert different.any()
    assert not different[2:-2, 2:-2].any()


def test_rounding_between_axes_moves_values_by_one(photograph: Photograph) -> None:
    hr = photograph(64, 64)
    difference = degrade(hr, 4, "matlab").astype(int) - degrade(hr, 4, "matlab-double")
    assert set(np.unique(difference)) == {-1, 0, 1}


def test_grey_equals_each_channel_of_its_rgb(photograph: Photograph) -> None:
    grey = photograph(40, 40, grey=True)
    np.testing.assert_array_equal(degrade(np.stack([grey] * 3, -1), 3)[..., 1], degrade(grey, 3))


def test_mod_crop_cuts_at_the_bottom_and_right(photograph: Photograph) -> None:
    hr = photograph(11, 14)
    np.testing.assert_array_equal(mod_crop(hr, 4), hr[:8, :12])


def test_matlab_y_is_the_y_of_hr_shrunk_without_rounding(photograph: Photograph) -> None:
    hr = photograph(40, 60)
    y = high_resolution(hr, "matlab-y")
    assert y.dtype == np.uint8 and y.shape == (40, 60)
    tensor = image_tensor(hr, "cpu")
    theirs = convention("nocrop").views(tensor, tensor, scale=1, channel="y")[1][0, 0].numpy()
    np.testing.assert_array_equal(y, theirs)
    lr = low_resolution(hr, 4, "matlab-y")
    assert abs(lr - low_resolution(y, 4, "matlab-double")).max() <= 0.5 and (lr != np.round(lr)).any()
    with pytest.raises(UsageError, match="does not round LR, so no 8-bit image holds it"):
        degrade(hr, 4, "matlab-y")


def test_bd_blurs_a_point_into_the_published_kernel() -> None:
    """fspecial("gaussian", 7, 1.6), as MATLAB prints its middle row, at the pixels 1, 4, 7, … that are kept."""
    hr = np.zeros((27, 27), np.uint8)
    hr[13, 13] = 255
    lr = degrade(hr, 3, "bd")
    weights = np.exp(-(np.arange(-3, 4)[:, None] ** 2 + np.arange(-3, 4) ** 2) / (2 * 1.6**2))
    weights /= weights.sum()
    kept = np.floor(255 * weights[::3, ::3] + 0.5)
    np.testing.assert_array_equal(lr[3:6, 3:6], kept)
    assert lr.sum() == kept.sum()
    assert (degrade(np.full((9, 12, 3), 201, np.uint8), 3, "bd") == 201).all()  # borders are replicated


def test_dn_is_noise_of_sigma_30_on_lr_clipped() -> None:
    hr = np.full((600, 600), 128, np.uint8)
    noise = degrade(hr, 3, "dn").astype(float) - 128
    assert abs(noise.mean()) < 0.5 and noise.std() == pytest.approx(30, rel=0.01)
    assert set(np.unique(degrade(np.zeros((30, 30), np.uint8), 3, "dn") == 0)) == {False, True}


def test_random_degradations_depend_on_image_and_seed_alone(photograph: Photograph) -> None:
    hr, other = photograph(48, 64), photograph(48, 64, seed=1)
    for name in ("dn", "second-order"):
        lr = degrade(hr, 4, name)
        degrade(other, 4, name)
        np.testing.assert_array_equal(degrade(hr.copy(), 4, name), lr)
        assert (degrade(hr, 4, name + "@1") != lr).any()
    for wrong in ("matlab@1", "dn@x", "dn@", "dn@²", "dn@٣", "dn@0", "dn@007", "second-order@03", "dn@" + "9" * 5000):
        # One LR has one name, or its scores would have two signatures.
        with pytest.raises(UsageError, match="a seed, as in dn@7, is 1, 2, … for dn and second-order alone"):
            degrade(hr, 4, wrong)
    with pytest.raises(UsageError, match="unknown degradation 'jpeg075'"):
        degrade(hr, 4, "jpeg075")


def test_jpeg_is_that_of_the_file(photograph: Photograph, tmp_path: Path) -> None:
    hr = photograph(64, 64)
    for quality in (10, 90):
        pil.fromarray(degrade(hr, 4)).save(tmp_path / "lr.jpg", quality=quality)
        np.testing.assert_array_equal(degrade(hr, 4, f"jpeg{quality}"), read_image(tmp_path / "lr.jpg"))
    for wrong in ("jpeg0", "jpeg101", "jpeg"):
        with pytest.raises(UsageError, match="unknown degradation"):
            degrade(hr, 4, wrong)


def test_second_order_is_like_its_description(photograph: Photograph) -> None:
    """Grey levels stay near themselves, noise and JPEG leave their own detail, blur takes away what was there."""
    random = np.random.default_rng(0)
    ramp = np.repeat(np.linspace(60, 200, 128).round()[None], 128, axis=0).astype(np.uint8)
    made = np.array([second_order(ramp, 4, random).astype(float) for _ in range(40)])
    assert made.mean() == pytest.approx(ramp.mean(), abs=3)
    noise = (made - made.mean(axis=(0, 1))).std(axis=(1, 2))
    assert noise.min() < 8 < np.median(noise) < 40
    fine = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    assert np.mean([second_order(fine, 2, random).std() for _ in range(20)]) < 0.5 * fine.std()


def test_sinc_rings_and_kernels_sum_to_one() -> None:
    from srbench.images.second_order import FIRST, _kernel, _sinc

    random = np.random.default_rng(0)
    for _ in range(50):
        assert _kernel(FIRST, random).sum() == pytest.approx(1)
    assert min(_sinc(random).min() for _ in range(20)) < -0.001


@pytest.mark.data
@pytest.mark.parametrize(
    ("degradation", "scale", "row"),
    [
        ("matlab-y", 2, (33.66, 0.9299)),  # VDSR, LapSRN, EDSR, RCAN
        ("matlab-y", 3, (30.39, 0.8682)),
        ("matlab-y", 4, (28.42, 0.8104)),
        ("bd", 3, (28.78, 0.8308)),  # RDN, RCAN
    ],
)
def test_published_rows_of_bicubic_on_set5(
    srbench: Srbench, data_root: Path, tmp_path: Path, degradation: str, scale: int, row: tuple[float, float]
) -> None:
    command = ["run", "--models", "bicubic", "--datasets", "Set5", "--scale", scale, "--metrics", "psnr_y,ssim_y"]
    where = ["--degradation", degradation, "--data-root", data_root, "--no-speed", "--out", tmp_path]
    assert srbench(*command, *where) == 0, srbench.err
    (run,) = load_results(tmp_path).runs
    found = np.mean(run.values("psnr_y")), np.mean(run.values("ssim_y"))
    assert (f"{found[0]:.2f}", f"{found[1]:.4f}") == (f"{row[0]:.2f}", f"{row[1]:.4f}")
    assert f"|lr:{degradation}|" in run.signature("psnr_y")


def test_bad_input(photograph: Photograph) -> None:
    with pytest.raises(UsageError, match="unknown degradation 'matlb'. Did you mean matlab"):
        degrade(photograph(8, 8), 4, "matlb")
    with pytest.raises(InputError, match="cannot shrink an image of 3x8 by 4"):
        degrade(photograph(8, 3), 4)
    with pytest.raises(InputError, match=r"expected a uint8 image .* got float64 \(8, 8, 3\)"):
        degrade(np.zeros((8, 8, 3)))  # type: ignore[arg-type]
