"""Y, crops and grey against outside figures: MATLAB's documented rgb2ycbcr, Pillow's luma, hand-counted borders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image as pil

from srbench.base.errors import InputError, UsageError
from srbench.images.tensors import image_tensor
from srbench.metrics.conventions import CONVENTIONS, convention, quantise
from srbench.metrics.scorer import Scorer, measure

Photograph = Callable[..., np.ndarray]


def luma(rgb: tuple[int, int, int], name: str = "matlab") -> float:
    pixel = torch.tensor(rgb, dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 9, 9)
    return float(convention(name).views(pixel, pixel, scale=4, channel="y")[1])


# BT.601 studio swing: black, white and the six 100 % colour bars, as broadcast tables print them.
COLOUR_BARS = {
    (0, 0, 0): 16,
    (255, 255, 255): 235,
    (255, 255, 0): 210,
    (0, 255, 255): 170,
    (0, 255, 0): 145,
    (255, 0, 255): 106,
    (255, 0, 0): 81,
    (0, 0, 255): 41,
}


@pytest.mark.parametrize(("rgb", "y"), COLOUR_BARS.items())
def test_y_is_bt601_studio_swing(rgb: tuple[int, int, int], y: int) -> None:
    assert luma(rgb) == y
    assert luma(rgb, "basicsr") == pytest.approx(y, abs=0.5)


def test_full_swing_is_what_pillow_has(photograph: Photograph) -> None:
    image = photograph(20, 20)
    tensor = image_tensor(image, "cpu")
    ours = convention("full-swing").views(tensor, tensor, scale=2, channel="y")[1][0, 0].numpy()
    theirs = np.asarray(pil.fromarray(image).convert("L"), dtype=float)[2:-2, 2:-2]
    assert np.abs(ours - theirs).max() <= 1  # Pillow truncates in 16-bit fixed point


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_crop(name: str, scale: int, photograph: Photograph) -> None:
    border = {"nocrop": 0, "edsr-div2k": scale + 6}.get(name, scale)
    chosen = convention(name)
    image = image_tensor(photograph(40, 50), "cpu")
    sr = image if chosen.round_sr else image / 255.0
    for view in chosen.views(sr, image, scale=scale, channel=chosen.channels[-1]):
        assert view.shape == (1, 3, 40 - 2 * border, 50 - 2 * border)
        assert view.dtype == torch.float64


def test_sr_is_clamped_and_rounded_once() -> None:
    sr = torch.tensor([-0.2, 0.0, 0.5 / 255, 1.49 / 255, 1.0, 1.7]).reshape(1, 1, 1, 6)
    assert quantise(sr).flatten().tolist() == [0, 0, 1, 1, 255, 255]
    levels = torch.arange(256) / 255.0  # float32: every 8-bit value survives the way to [0, 1] and back
    assert quantise(levels).tolist() == list(range(256))


@pytest.mark.numbers
def test_float_and_uint8_sr_give_the_same_views(photograph: Photograph) -> None:
    sr, hr = image_tensor(photograph(20, 20), "cpu"), image_tensor(photograph(20, 20, seed=1), "cpu")
    for name, chosen in CONVENTIONS.items():
        if not chosen.round_sr:
            continue
        a, _ = chosen.views(sr, hr, scale=2, channel=chosen.channels[0])
        b, _ = chosen.views(sr.float() / 255.0, hr, scale=2, channel=chosen.channels[0])
        assert torch.equal(a, b), name


def test_grey_values_are_y_as_they_are(photograph: Photograph) -> None:
    grey = photograph(96, 96, grey=True)
    noisy = (grey.astype(int) + np.random.default_rng(0).integers(-9, 10, grey.shape)).clip(0, 255).astype(np.uint8)
    error = (noisy[4:-4, 4:-4].astype(float) - grey[4:-4, 4:-4]) ** 2
    expected = 10 * np.log10(255**2 / error.mean())
    for sr in (noisy, np.stack([noisy] * 3, -1)):  # models answer with three equal channels
        assert measure(sr, grey, ["psnr_y"])["psnr_y"] == pytest.approx(expected, abs=1e-9)
    studio = measure(noisy, grey, ["psnr_y@grey-as-rgb"])["psnr_y@grey-as-rgb"]
    assert studio - expected == pytest.approx(1.32, abs=0.06)  # 20 log10(255 / 219), less the rounding of Y


def test_full_swing_rounds_every_colour_as_whole_numbers_do() -> None:
    """All 16.8 million colours against 299 R + 587 G + 114 B thousandths; floats put 3,150 ties on the wrong side."""
    blue = torch.arange(256, dtype=torch.int64)
    for red in range(256):
        planes = [torch.full((256, 256), red), blue[:, None].expand(256, 256), blue[None].expand(256, 256)]
        pixels = torch.stack(planes).to(torch.uint8)[None]
        ours = convention("full-swing").views(pixels, pixels, scale=0, channel="y")[1]
        exact = (299 * planes[0] + 587 * planes[1] + 114 * planes[2] + 500) // 1000
        assert torch.equal(ours[0, 0].long(), exact)


def test_edsr_pytorch_is_what_its_code_computes(photograph: Photograph) -> None:
    """EDSR-PyTorch, utility.py, calc_psnr: the difference, weighed, squared, its mean, without the border."""
    sr, hr = photograph(40, 50), photograph(40, 50, seed=1)
    difference = (sr.astype(float) - hr) / 255.0
    y = (difference @ np.array([65.738, 129.057, 25.064]) / 256.0)[4:-4, 4:-4]
    expected = -10 * np.log10((y**2).mean())
    assert measure(sr, hr, ["psnr_y@edsr-pytorch"])["psnr_y@edsr-pytorch"] == pytest.approx(expected, abs=1e-9)


def test_unrounded_sr_is_scored_as_it_is(photograph: Photograph) -> None:
    hr = photograph(30, 30)
    sr = image_tensor(photograph(30, 30, seed=1), "cpu").double() / 255.0 + 0.3 / 255.0
    scores = Scorer(["psnr_y@unrounded", "psnr_y@basicsr"])(sr, hr, 3)
    weights = np.array([65.481, 128.553, 24.966]) / 255.0
    difference = sr[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255.0 - hr
    expected = 10 * np.log10(255**2 / ((difference @ weights)[3:-3, 3:-3] ** 2).mean())
    assert scores["psnr_y@unrounded"] == pytest.approx(expected, abs=1e-9)
    assert scores["psnr_y@unrounded"] != pytest.approx(scores["psnr_y@basicsr"], abs=1e-6)
    with pytest.raises(InputError, match="scores SR before it is rounded"):
        measure(hr, hr, ["psnr_y@unrounded"])


def test_errors(photograph: Photograph) -> None:
    a, b = image_tensor(photograph(20, 20), "cpu"), image_tensor(photograph(20, 24), "cpu")
    with pytest.raises(InputError, match="SR is 20x20 but HR is 24x20"):
        convention("matlab").views(a, b, scale=4, channel="y")
    with pytest.raises(InputError, match="nothing is left of an image of 20x20 after cropping 10"):
        convention("matlab").views(a, a, scale=10, channel="y")
    with pytest.raises(UsageError, match="convention 'rgb' is not defined on channel 'y'"):
        convention("rgb").views(a, a, scale=4, channel="y")
