"""PSNR from sketches, against PSNR from pixels."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable

import numpy as np
import pytest

from srbench.datasets.standard.sketch import psnr_from, sketch
from srbench.images.degrade import mod_crop
from tests.srbench.datasets.conftest import Image


def _psnr(one: Image, other: Image) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("deviation", [0.5, 2, 8, 20])
def test_the_estimate_is_within_three_deviations(deviation: float, photograph: Callable[..., Image]) -> None:
    image = photograph(144, 120)
    noise = np.random.default_rng(0).normal(0, deviation, image.shape)
    other = (image + noise).round().clip(0, 255).astype(np.uint8)
    assert psnr_from(sketch(image), sketch(other), 120, 144) == pytest.approx(_psnr(image, other), abs=2.3)


def test_one_step_of_one_value_is_seen_exactly(photograph: Callable[..., Image]) -> None:
    image = photograph(48, 48)
    other = image.copy()
    other[20, 30, 1] ^= 1
    assert psnr_from(sketch(image), sketch(other), 48, 48) == pytest.approx(_psnr(image, other))


def test_a_crop_has_the_sketch_of_the_whole(photograph: Callable[..., Image]) -> None:
    image = photograph(59, 71)
    assert {sketch(mod_crop(image, multiple)) for multiple in (1, 2, 3, 4, 12)} == {sketch(image)}
    assert math.isinf(psnr_from(sketch(image), sketch(mod_crop(image, 4)), 71, 59))


def test_the_hash_of_places_has_not_changed() -> None:
    """The published table depends on it."""
    image = np.zeros((12, 12, 3), np.uint8)
    image[3, 7, 2] = 200
    sums = np.frombuffer(base64.b64decode(sketch(image)), "<i2")
    assert np.flatnonzero(sums).tolist() == [29]
    assert sums.sum() == 200
