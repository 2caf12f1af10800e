"""imresize against an outside oracle (Pillow, away from the borders) and against its laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from srbench.images.resize import (
    BOX,
    CUBIC,
    LANCZOS3,
    TRIANGLE,
    Border,
    Kernel,
    halves_up,
    imresize,
    matrix,
    round_to_uint8,
)

KERNELS = [BOX, TRIANGLE, CUBIC, LANCZOS3]
PILLOW = {"box": Image.BOX, "triangle": Image.BILINEAR, "cubic": Image.BICUBIC, "lanczos3": Image.LANCZOS}
BORDERS: list[Border] = ["symmetric", "replicate"]


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
def test_interior_equals_pillow(kernel: Kernel, scale: float) -> None:
    """Pillow (float mode) has the same kernels and the same antialiasing, and other borders."""
    x = noise(48, 60)
    ours = imresize(x, scale, kernel=kernel, as_uint8=False).numpy()
    height, width = ours.shape
    picture = Image.fromarray(x.numpy().astype(np.float32))
    theirs = np.asarray(picture.resize((width, height), PILLOW[kernel.name]))
    border = int(np.ceil(kernel.width / 2 * max(scale, 1))) + 1
    inside = (slice(border, -border), slice(border, -border))
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=2e-4)


@pytest.mark.parametrize("border", BORDERS)
@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KERNELS), st.integers(2, 40), st.sampled_from([1 / 8, 1 / 4, 1 / 3, 1 / 2, 2.0, 3.0, 4.0, 8.0]))
def test_rows_of_the_matrix_sum_to_one(border: Border, kernel: Kernel, size: int, scale: float) -> None:
    banded = matrix(size, scale, kernel, border)
    assert banded.shape == (np.ceil(size * scale), size)
    np.testing.assert_allclose(banded.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kernel", [TRIANGLE, CUBIC, LANCZOS3], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2, 3, 4])
def test_flips_commute(border: Border, kernel: Kernel, scale: float) -> None:
    x = noise(3, 24, 36)
    flipped = imresize(x.flip(-1, -2), scale, kernel=kernel, border=border)
    torch.testing.assert_close(flipped, imresize(x, scale, kernel=kernel, border=border).flip(-1, -2))


def test_constant_stays_constant() -> None:
    for scale in (1 / 3, 3):
        assert imresize(torch.full((9, 12), 77.0, dtype=torch.float64), scale).unique().tolist() == [77.0]


def test_nearest_repeats_pixels() -> None:
    x = noise(5, 7)
    torch.testing.assert_close(imresize(x, 3, kernel=BOX), x.repeat_interleave(3, 0).repeat_interleave(3, 1))


@pytest.mark.numbers
def test_images_of_a_batch_are_independent() -> None:
    x = noise(2, 3, 16, 20)
    torch.testing.assert_close(imresize(x, 0.25)[1], imresize(x[1], 0.25), rtol=0, atol=0)


@pytest.mark.numbers
def test_the_dense_product_gives_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an accelerator computes, checked on the CPU: a dense product rounds to the same 8-bit values."""
    x = noise(3, 48, 60)
    expected = {scale: imresize(x, scale) for scale in (1 / 4, 1 / 3, 1 / 2, 2, 3, 4)}
    monkeypatch.setattr("srbench.images.resize._multiply", lambda banded, x: torch.from_numpy(banded.toarray()) @ x)
    for scale, result in expected.items():
        torch.testing.assert_close(imresize(x, scale), result, rtol=0, atol=0)


def test_halves_round_up_and_values_are_clamped() -> None:
    values = torch.tensor([-3.0, 0.5, 1.5, 2.4999, 254.5, 300.0], dtype=torch.float64)
    assert round_to_uint8(values).tolist() == [0, 1, 2, 2, 255, 255]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_halves_up_is_torchs_floor_whatever_the_layout(dtype: torch.dtype) -> None:
    values = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=dtype).mul_(50).mT
    before = values.clone()
    assert torch.equal(halves_up(values), (values + 0.5).floor())
    assert torch.equal(values, before)


def test_weights_are_made_once_for_a_size() -> None:
    matrix.cache_clear()
    for _ in range(3):
        imresize(noise(3, 20, 30), 0.5)
    assert (matrix.cache_info().misses, matrix.cache_info().hits) == (2, 4)
