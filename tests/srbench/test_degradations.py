"""LR against MATLAB's own files, by the sha256 of their raw bytes, and against the laws of each flavour."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from srbench.base.errors import InputError, UsageError
from srbench.images.degrade import DEGRADATIONS, degrade, mod_crop
from srbench.images.files import read_image

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
    lr = degrade(photograph(50, 67, grey=grey), scale, flavour)
    assert lr.dtype == np.uint8
    assert lr.shape == (50 // scale, 67 // scale) + (() if grey else (3,))


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


def test_bad_input(photograph: Photograph) -> None:
    with pytest.raises(UsageError, match="unknown degradation 'matlb'. Did you mean matlab"):
        degrade(photograph(8, 8), 4, "matlb")
    with pytest.raises(InputError, match="cannot shrink an image of 3x8 by 4"):
        degrade(photograph(8, 3), 4)
    with pytest.raises(InputError, match=r"expected a uint8 image .* got float64 \(8, 8, 3\)"):
        degrade(np.zeros((8, 8, 3)))  # type: ignore[arg-type]
