"""A second-order degradation after Wang et al., "Real-ESRGAN", ICCV Workshops 2021, section 3, and its options file.

Blur, resize, noise and JPEG, each with values drawn for the image, twice; then a sinc filter, that rings, and JPEG, in
either order. What differs from their code is said where it does: resizing is ours (antialiased), JPEG is Pillow's, and
blur is of whole images. It gives LR of the same kind, not of the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from srbench.images.literature import as_bytes, filtered, jpeg
from srbench.images.resize import BOX, CUBIC, TRIANGLE, Kernel, resize_to

if TYPE_CHECKING:
    import numpy.typing as npt

    from srbench.images.files import Image

    Floats = npt.NDArray[np.float64]

SIZES = tuple(range(7, 22, 2))
SHAPES = ("gaussian", "generalized", "plateau")
SHAPE_ODDS = (0.70, 0.15, 0.15)
ISOTROPIC = {"gaussian": 0.45 / 0.70, "generalized": 0.12 / 0.15, "plateau": 0.12 / 0.15}
SINC_ODDS, FINAL_SINC_ODDS, GREY_NOISE_ODDS = 0.1, 0.8, 0.4
KERNELS: tuple[Kernel, ...] = (BOX, TRIANGLE, CUBIC)
JPEG_QUALITY = (30, 95)


@dataclass(frozen=True)
class Stage:
    """One of the two rounds: odds of a blur; of growing, shrinking and keeping the size; and what is drawn from."""

    blur: float
    sigma: tuple[float, float]
    resize: tuple[float, float, float]
    factor: tuple[float, float]
    noise: tuple[float, float]
    poisson: tuple[float, float]


FIRST = Stage(1.0, (0.2, 3.0), (0.2, 0.7, 0.1), (0.15, 1.5), (1.0, 30.0), (0.05, 3.0))
SECOND = Stage(0.8, (0.2, 1.5), (0.3, 0.4, 0.3), (0.3, 1.2), (1.0, 25.0), (0.05, 2.5))


def second_order(hr: Image, scale: int, random: np.random.Generator) -> Image:
    """LR `(h // scale, w // scale)` of uint8 HR, `(h, w, 3)` or `(h, w)`, which stays grey."""
    target = hr.shape[0] // scale, hr.shape[1] // scale
    first = _stage(hr, FIRST, _factor(FIRST, random), hr.shape[:2], random)
    first = jpeg(first, _quality(random))
    second = _stage(first, SECOND, _factor(SECOND, random), target, random)
    sinc = _sinc(random) if random.random() < FINAL_SINC_ODDS else np.ones((1, 1))
    quality, kernel = _quality(random), KERNELS[random.integers(len(KERNELS))]
    if random.random() < 0.5:
        ringing = filtered(resize_to(second, target, kernel), sinc)
        return jpeg(as_bytes(ringing), quality)
    return as_bytes(filtered(resize_to(jpeg(second, quality), target, kernel), sinc))


def _stage(image: Image, stage: Stage, factor: float, base: tuple[int, ...], random: np.random.Generator) -> Image:
    values: Floats = image.astype(np.float64)
    if random.random() < stage.blur:
        values = filtered(values, _kernel(stage, random))
    size = max(1, round(base[0] * factor)), max(1, round(base[1] * factor))
    values = resize_to(values, size, KERNELS[random.integers(len(KERNELS))])
    return as_bytes(_noise(values, stage, random))


def _factor(stage: Stage, random: np.random.Generator) -> float:
    up, down, _ = np.cumsum(stage.resize)
    drawn = random.random()
    if drawn < up:
        return float(random.uniform(1.0, stage.factor[1]))
    return float(random.uniform(stage.factor[0], 1.0)) if drawn < down else 1.0


def _noise(values: Floats, stage: Stage, random: np.random.Generator) -> Floats:
    """Gaussian or Poisson with equal odds, in colour or the same in all channels."""
    grey = values.ndim == 2 or random.random() < GREY_NOISE_ODDS
    gaussian = random.random() < 0.5
    strength = random.uniform(*(stage.noise if gaussian else stage.poisson))
    shape = values.shape[:2] if grey else values.shape
    if gaussian:
        added = strength * random.standard_normal(shape)
    else:  # as many photons as the values have levels, a power of two
        light = np.clip(values if values.ndim == 2 or not grey else values.mean(-1), 0, 255) / 255.0
        photons = 2.0 ** np.ceil(np.log2(len(np.unique(np.round(light * 255.0)))))
        added = 255.0 * strength * (random.poisson(light * photons) / photons - light)
    return values + (added[..., None] if grey and values.ndim == 3 else added)


def _kernel(stage: Stage, random: np.random.Generator) -> Floats:
    """A blur kernel: sinc, or a Gaussian, generalized Gaussian or plateau, turned and stretched or not."""
    if random.random() < SINC_ODDS:
        return _sinc(random)
    shape = str(random.choice(SHAPES, p=SHAPE_ODDS))
    one, other = random.uniform(*stage.sigma, 2)
    angle = random.uniform(-np.pi, np.pi)
    if random.random() < ISOTROPIC[shape]:
        other, angle = one, 0.0
    beta = {"gaussian": 1.0, "generalized": _beta(0.5, 4.0, random), "plateau": _beta(1.0, 2.0, random)}[shape]
    y, x = _grid(random)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance = (u / one) ** 2 + (v / other) ** 2
    kernel = 1.0 / (distance**beta + 1.0) if shape == "plateau" else np.exp(-0.5 * distance**beta)
    return np.asarray(kernel / kernel.sum())


def _beta(low: float, high: float, random: np.random.Generator) -> float:
    """Below one and above it with equal odds."""
    if low < 1.0 and random.random() < 0.5:
        return float(random.uniform(low, 1.0))
    return float(random.uniform(1.0, high))


def _sinc(random: np.random.Generator) -> Floats:
    """A circular low-pass filter `(n, n)`: `w / (2 pi r) * J1(w r)`, normalised; w is drawn from pi / 3 to pi."""
    from scipy.special import j1

    cutoff = random.uniform(np.pi / 3, np.pi)
    radius = np.hypot(*_grid(random))
    radius[radius == 0] = 1e-9
    kernel = cutoff * j1(cutoff * radius) / (2.0 * np.pi * radius)
    return np.asarray(kernel / kernel.sum())


def _grid(random: np.random.Generator) -> tuple[Floats, Floats]:
    half = int(random.choice(SIZES)) // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    return y, x


def _quality(random: np.random.Generator) -> int:
    return int(random.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1))
