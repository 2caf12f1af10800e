"""The degradations of the literature beside bicubic shrinking: blur, noise and JPEG on 8-bit images."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as pil

if TYPE_CHECKING:
    import numpy.typing as npt

    from srbench.images.files import Image

    Floats = npt.NDArray[np.float64]

BLUR_TAPS, BLUR_SIGMA = 7, 1.6


def gaussian(taps: int, sigma: float) -> Floats:
    """The kernel `(taps, taps)` of MATLAB's `fspecial("gaussian", taps, sigma)`; it sums to one."""
    x = np.arange(taps) - (taps - 1) / 2
    kernel = np.exp(-(x[:, None] ** 2 + x**2) / (2.0 * sigma**2))
    return np.asarray(kernel / kernel.sum())


def filtered(image: npt.NDArray[np.generic], kernel: Floats) -> Floats:
    """`imfilter(image, kernel, "replicate")` in float64, each channel alone; `(h, w)` or `(h, w, 3)`."""
    from scipy.ndimage import correlate

    shaped = kernel if image.ndim == 2 else kernel[..., None]
    return np.asarray(correlate(image.astype(np.float64), shaped, mode="nearest"))


def as_bytes(values: npt.NDArray[np.floating]) -> Image:
    """Rounded, halves up, and clipped to 0..255."""
    return np.asarray(np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8))


def blur_and_pick(hr: Image, scale: int) -> Image:
    """`BD` of Zhang et al. (SRMD, CVPR 2018; RDN, CVPR 2018): HR blurred and rounded, the middle pixel of a block."""
    blurred = as_bytes(filtered(hr, gaussian(BLUR_TAPS, BLUR_SIGMA)))
    return np.ascontiguousarray(blurred[scale // 2 :: scale, scale // 2 :: scale])


def noisy(image: npt.NDArray[np.generic], sigma: float, random: np.random.Generator) -> Image:
    """Gaussian noise of a standard deviation in 8-bit levels, each value its own; rounded and clipped."""
    return as_bytes(image.astype(np.float64) + sigma * random.standard_normal(image.shape))


def jpeg(image: Image, quality: int) -> Image:
    """What comes back from a JPEG file of a quality from 1 to 100, as Pillow writes it (colour at half the size)."""
    file = io.BytesIO()
    pil.fromarray(image).save(file, "JPEG", quality=quality)
    file.seek(0)
    return np.asarray(pil.open(file))
