"""Patches: aligned, in all poses, from every image, without a word of RNG outside their generator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference_models.patches import Plane, Pool, luma_of, open_pool, refuse_test_set
from srbench.base.errors import InputError
from srbench.images.degrade import degrade, mod_crop
from srbench.images.files import list_images, read_image, to_rgb, write_image
from srbench.images.resize import imresize

if TYPE_CHECKING:
    from srbench.images.files import Image

CPU = torch.device("cpu")


def numbered(sizes: list[tuple[int, int]], ratio: int) -> Pool:
    """A pool in which every pixel holds its image, row and column, at both sizes."""

    def coordinates(image: int, height: int, width: int, step: int) -> Image:
        rows, columns = np.mgrid[:height, :width] // step
        return np.stack([np.full_like(rows, image), rows, columns], axis=-1).astype(np.uint8)

    small = [coordinates(i, h, w, 1) for i, (h, w) in enumerate(sizes)]
    large = [coordinates(i, h * ratio, w * ratio, ratio) for i, (h, w) in enumerate(sizes)]
    return Pool(Plane.of(small, CPU), Plane.of(large, CPU), ratio, {}, "")


@given(
    sizes=st.lists(st.tuples(st.integers(6, 20), st.integers(6, 20)), min_size=1, max_size=4),
    ratio=st.integers(1, 4),
    patch=st.integers(1, 6),
    seed=st.integers(0, 999),
)
def test_both_patches_show_the_same_place_in_the_same_pose(
    sizes: list[tuple[int, int]], ratio: int, patch: int, seed: int
) -> None:
    inner, outer = numbered(sizes, ratio).draw(8, patch, torch.Generator().manual_seed(seed))
    assert inner.shape == (8, 3, patch, patch)
    assert torch.equal(outer, inner.repeat_interleave(ratio, -1).repeat_interleave(ratio, -2))


def test_a_patch_is_a_window_of_one_image() -> None:
    inner, _ = numbered([(9, 12), (10, 7)], 2).draw(64, 5, torch.Generator().manual_seed(0))
    places = (inner * 255).round()
    assert all(len(places[n, 0].unique()) == 1 for n in range(64))
    rows, columns = places[:, 1].flatten(1), places[:, 2].flatten(1)
    assert torch.equal(rows.amax(1) - rows.amin(1), torch.full((64,), 4.0))
    assert torch.equal(columns.amax(1) - columns.amin(1), torch.full((64,), 4.0))


def test_all_eight_poses_and_every_image_occur_by_area() -> None:
    inner, _ = numbered([(8, 8), (8, 24)], 1).draw(4000, 2, torch.Generator().manual_seed(0))
    places = (inner * 255).round()
    share = float((places[:, 0, 0, 0] == 1).float().mean())
    assert share == pytest.approx(0.75, abs=0.03)
    corners = places[:, 1:] - places[:, 1:].amin(dim=(2, 3), keepdim=True)
    assert len({tuple(pose.flatten().tolist()) for pose in corners}) == 8


def test_the_corners_of_an_image_are_reached() -> None:
    inner, _ = numbered([(6, 6)], 1).draw(500, 5, torch.Generator().manual_seed(0))
    places = (inner * 255).round()[:, 1:].flatten(2)
    assert {tuple(place.tolist()) for place in places.amin(2)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_ranks_together_draw_what_one_process_draws() -> None:
    pool = numbered([(16, 16), (20, 9)], 2)
    whole, _ = pool.draw(6, 4, torch.Generator().manual_seed(3))
    parts = [pool.draw(6, 4, torch.Generator().manual_seed(3), slice(rank, None, 2))[0] for rank in (0, 1)]
    assert torch.equal(whole, torch.stack(parts, dim=1).flatten(0, 1))


def test_the_batch_is_channels_last_and_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    inner, _ = numbered([(16, 16)], 1).draw(4, 8, torch.Generator().manual_seed(0))
    assert inner.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(torch.get_rng_state(), before)


def test_lr_is_made_by_the_degradation_of_the_benchmark(pictures: Path) -> None:
    pool = open_pool([pictures], 4, 8, CPU)
    images = [mod_crop(to_rgb(read_image(path)), 4) for path in list_images(pictures).values()]
    assert pool.images == {"pictures": 4}
    assert np.array_equal(pool.wanted.pixels, np.concatenate([image.reshape(-1, 3) for image in images]))
    assert np.array_equal(pool.given.pixels, np.concatenate([degrade(image, 4).reshape(-1, 3) for image in images]))


def test_luma_pools_hold_y_of_bicubic_and_of_hr(pictures: Path) -> None:
    pool = open_pool([pictures], 3, 16, CPU, luma=True)
    first = mod_crop(to_rgb(read_image(pictures / "0.png")), 3)
    lr = torch.from_numpy(degrade(first, 3).transpose(2, 0, 1).astype(float))
    bicubic = imresize(lr, 3).numpy().astype(np.uint8).transpose(1, 2, 0)
    count = first.shape[0] * first.shape[1]
    assert pool.ratio == 1
    assert np.array_equal(pool.wanted.pixels[:count, 0], luma_of(first).ravel())
    assert np.array_equal(pool.given.pixels[:count, 0], luma_of(bicubic).ravel())
    assert luma_of(first).min() >= 16
    assert luma_of(first).max() <= 235


def test_images_smaller_than_a_patch_are_left_out(pictures: Path, photograph: Callable[..., Image]) -> None:
    write_image(pictures / "small.png", photograph(20, 90))
    assert open_pool([pictures], 4, 8, CPU).images == {"pictures": 4}
    with pytest.raises(InputError, match="no training image is as large as a patch, 200 pixels"):
        open_pool([pictures], 4, 50, CPU)


@pytest.mark.parametrize("name", ["Set5", "Set14/HR", "Urban100", "DIV2K-valid"])
def test_test_sets_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="is a test set"):
        refuse_test_set(tmp_path / name)


def test_a_pool_is_of_the_degradation_asked_for(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    pool = open_pool([tmp_path], 3, 8, torch.device("cpu"), degradation="bd")
    assert np.array_equal(pool.given.pixels, degrade(image, 3, "bd").reshape(-1, 3))
