"""The pool of training images: the same bytes in memory and in mapped files, made once, by whoever asks first."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from reference_models import pool as module
from reference_models.fit import fit
from reference_models.luma import luma_of, resized
from reference_models.patches import Feed
from reference_models.pool import Cache, PoolRequest, _laid_out, open_pool, read_layout
from reference_models.recipes import RECIPES
from reference_models.sources import open_sources
from reference_models.validation import Validation
from reference_models.watch import Watch
from reference_models.weights import read_weights
from srbench.base.errors import InputError
from srbench.base.temporary import write_file
from srbench.images.degrade import degrade, mod_crop
from srbench.images.files import list_images, read_image, to_rgb, write_image
from srbench.images.resize import imresize
from tests.reference_models.conftest import pool_for, tiny

CPU = torch.device("cpu")
SRRESNET, SRCNN = tiny(RECIPES["srresnet-quick"]), tiny(RECIPES["srcnn-quick"])


def test_lr_is_made_by_the_degradation_of_the_benchmark(pictures: Path) -> None:
    images = [mod_crop(read_image(path), 4) for path in list_images(pictures).values()]
    for name in ("matlab", "matlab-legacy", "matlab-double", "jpeg40", "dn@3", "second-order"):
        pool = pool_for(SRRESNET, pictures, degradation=name)
        assert pool.images == {"pictures": 4}
        lr = [to_rgb(degrade(image, 4, name)).reshape(-1, 3) for image in images]
        assert np.array_equal(pool.wanted.pixels, np.concatenate([to_rgb(image).reshape(-1, 3) for image in images]))
        assert np.array_equal(pool.given.pixels, np.concatenate(lr))


@pytest.mark.parametrize("name", ["matlab", "dn", "second-order", "jpeg40"])
def test_grey_hr_is_degraded_as_the_benchmark_does_it(name: str, tmp_path: Path) -> None:
    """Noise on a grey image is grey; of three equal channels, it would be coloured."""
    grey = np.random.default_rng(0).integers(0, 256, (48, 52), np.uint8)
    write_image(tmp_path / "grey" / "a.png", grey)
    pool = pool_for(SRRESNET, tmp_path / "grey", degradation=name)
    assert np.array_equal(pool.given.pixels, to_rgb(degrade(grey, 4, name)).reshape(-1, 3))


def test_luma_pools_hold_y_of_bicubic_and_of_hr(pictures: Path) -> None:
    pool = pool_for(replace(SRCNN, scale=3), pictures)
    first = mod_crop(to_rgb(read_image(pictures / "0.png")), 3)
    lr = torch.from_numpy(degrade(first, 3).transpose(2, 0, 1).astype(float))
    bicubic = imresize(lr, 3).numpy().astype(np.uint8).transpose(1, 2, 0)
    count = first.shape[0] * first.shape[1]
    assert pool.ratio == 1
    assert np.array_equal(pool.wanted.pixels[:count, 0], luma_of(first).ravel())
    assert np.array_equal(pool.given.pixels[:count, 0], luma_of(bicubic).ravel())
    assert 16 <= luma_of(first).min() <= luma_of(first).max() <= 235


def test_lr_files_are_what_the_network_sees(pictures: Path, tmp_path: Path) -> None:
    home = tmp_path / "own"
    shutil.copytree(pictures, home / "HR")
    for path in sorted(pictures.iterdir()):
        write_image(home / "LR" / path.name, np.zeros_like(degrade(read_image(path), 4)))
    assert int(pool_for(SRRESNET, home, degradation="files").given.pixels.max()) == 0
    assert int(pool_for(SRRESNET, home).given.pixels.max()) > 0
    for path in (home / "LR").iterdir():
        path.rename(path.with_stem(f"{path.stem}_dark"))
    assert int(pool_for(SRRESNET, home, degradation="files:_dark").given.pixels.max()) == 0


def test_what_is_taken_is_said(pictures: Path, photograph: Callable[..., np.ndarray]) -> None:
    write_image(pictures / "small.png", photograph(20, 90))
    said: list[str] = []
    request = PoolRequest(4, 8, tell=said.append)
    sources, _ = open_sources([pictures], 4)
    assert open_pool(sources, request, CPU).images == {"pictures": 4}
    assert said == ["pictures: 4 images, 0.02 MP, 19 patches of 8x8, 1 too small for a patch"]
    with pytest.raises(InputError, match="no training image is as large as a patch, 200 pixels"):
        open_pool(sources, replace(request, patch=50), CPU)


@pytest.mark.parametrize("recipe", [SRRESNET, SRCNN], ids=["srresnet", "srcnn"])
def test_two_folders_lists_lr_pairs_and_the_mapped_cache_train_the_same_weights(
    recipe: object, pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(recipe, steps=3)  # type: ignore[type-var]
    (tmp_path / "list.json").write_text(json.dumps([str(path) for path in sorted(pictures.iterdir())]))
    shutil.copytree(pictures, tmp_path / "pairs" / "HR")
    for path in pictures.iterdir():
        write_image(tmp_path / "pairs" / "LR" / path.name, degrade(read_image(path), 4))
    halves = [tmp_path / name / "HR" for name in "AB"]
    for number, path in enumerate(sorted(pictures.iterdir())):
        write_image(halves[number // 2] / path.name, read_image(path))
    pools = {
        "folder": pool_for(recipe, pictures),
        "two of one name": pool_for(recipe, *halves),
        "list": pool_for(recipe, tmp_path / "list.json"),
        "pairs": pool_for(recipe, tmp_path / "pairs", degradation="files"),
        "mapped": pool_for(recipe, pictures, cache=tmp_path / "cache", prepare=True),
    }
    assert len({pool.fingerprint for name, pool in pools.items() if name != "pairs"}) == 1
    assert pools["two of one name"].images == {"A": 2, "B": 2}
    states = {}
    for name, pool in pools.items():
        fit(recipe, pool, Validation(), tmp_path / name / "out", fabric, Watch())
        states[name] = read_weights(tmp_path / name / "out" / "last.safetensors").tensors
    for name in pools:
        assert all(torch.equal(states["folder"][key], tensor) for key, tensor in states[name].items()), name


def test_a_cache_goes_on_with_what_it_lacks_and_is_then_left_alone(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, _ = _laid_out(open_sources([pictures], 4)[0], PoolRequest(4, 8))
    cache = Cache(layout, tmp_path)
    real, done = module.fill, []

    def third_fails(layout: module.PoolLayout, index: int, *arrays: np.ndarray) -> None:
        done.append(index)
        if len(done) == 3:
            raise KeyboardInterrupt
        real(layout, index, *arrays)

    monkeypatch.setattr(module, "fill", third_fails)
    with pytest.raises(KeyboardInterrupt):
        cache.complete(lambda line: None)
    assert cache.missing() == [2, 3]
    cache.complete(lambda line: None)
    assert done == [0, 1, 2, 2, 3]
    cache.complete(lambda line: pytest.fail(line))
    given, _ = cache.mapped("c")
    assert np.array_equal(given, pool_for(SRRESNET, pictures).given.pixels)


def test_an_unfinished_cache_goes_on_where_the_images_have_moved(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "old")
    layout, _ = _laid_out(open_sources([tmp_path / "old"], 4)[0], PoolRequest(4, 8))
    begun = Cache(layout, tmp_path / "cache")
    begun.folder.mkdir(parents=True)
    begun._begin()
    (tmp_path / "old").rename(tmp_path / "new")
    pool_for(SRRESNET, tmp_path / "new", cache=tmp_path / "cache", prepare=True)
    assert {Path(item.hr).parent.name for item in read_layout(begun.folder).items} == {"new"}
    assert not begun.missing()


@pytest.mark.parametrize("name", ["given.u8", "wanted.u8", "done.u8"])
def test_a_cache_that_lost_or_cut_a_file_is_made_anew(name: str, pictures: Path, tmp_path: Path) -> None:
    """One that was cut was a bug of srbench; one that was gone, a file not found."""
    whole = pool_for(SRRESNET, pictures, cache=tmp_path, prepare=True)
    (path,) = tmp_path.glob(f"*/{name}")
    for damage in (lambda: path.write_bytes(path.read_bytes()[:3]), path.unlink):
        damage()
        again = pool_for(SRRESNET, pictures, cache=tmp_path, prepare=True)
        assert np.array_equal(again.given.pixels, whole.given.pixels)
        assert np.array_equal(again.wanted.pixels, whole.wanted.pixels)


def test_processes_share_the_work(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BY_PROCESSES", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    mapped = pool_for(SRRESNET, pictures, cache=tmp_path / "cache", prepare=True)
    assert np.array_equal(mapped.wanted.pixels, pool_for(SRRESNET, pictures).wanted.pixels)


def test_a_helper_names_the_file_at_fault(pictures: Path, tmp_path: Path) -> None:
    layout, _ = _laid_out(open_sources([pictures], 4)[0], PoolRequest(4, 8))
    cache = Cache(layout, tmp_path / "cache")
    cache.folder.mkdir(parents=True)
    cache._begin()
    write_file(cache.folder / "layout.json", json.dumps(asdict(layout)))
    (pictures / "2.png").write_bytes(b"gone")
    line = [sys.executable, "-m", "reference_models.pool", str(cache.folder), "0", "1"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.returncode == 2
    assert "2.png" in done.stderr


def test_the_key_is_of_all_that_decides_the_bytes(pictures: Path) -> None:
    sources, _ = open_sources([pictures], 4)
    keys = {
        _laid_out(sources, request)[0].key
        for request in (
            PoolRequest(4, 8), PoolRequest(2, 8), PoolRequest(4, 8, "luma"), PoolRequest(4, 8, "bicubic"),
            PoolRequest(4, 8, "rgb", "matlab-legacy"), PoolRequest(4, 8, zooms=(1.0, 0.8)),
        )
    }  # fmt: skip
    assert len(keys) == 6


def test_a_disk_without_room_is_said_before_anything_is_written(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(InputError, match="--cache DIR"):
        pool_for(SRRESNET, pictures, cache=tmp_path / "cache", prepare=True)


def test_reading_ahead_gives_the_same_batches_and_resumes_behind_the_last_taken(pictures: Path) -> None:
    pool = pool_for(SRRESNET, pictures)
    plain, ahead = (Feed(pool, 4, 8, 3, CPU, slice(None), ahead=far) for far in (False, True))
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(plain(), ahead(), strict=True))
    again = Feed(pool, 4, 8, 99, CPU, slice(None), ahead=True)
    again()
    again.load_state_dict(ahead.state_dict())
    assert torch.equal(again()[0], plain()[0])


def test_bicubic_in_rgb(pictures: Path) -> None:
    pool = pool_for(replace(SRCNN, options={"channels": 3}), pictures)
    first = mod_crop(to_rgb(read_image(pictures / "0.png")), 4)
    count = first.shape[0] * first.shape[1]
    assert np.array_equal(pool.given.pixels[:count], resized(degrade(first, 4), 4).reshape(-1, 3))


def test_zoomed_copies_lie_beside_the_whole(pictures: Path) -> None:
    pool = pool_for(SRRESNET, pictures, zooms=(1.0, 0.5))
    assert pool.images == {"pictures": 8}
    assert pool.wanted.width.tolist()[:2] == [80, 40]


@pytest.mark.parametrize(
    ("flips", "turns", "count"), [(True, True, 8), (False, True, 4), (True, False, 4), (False, False, 1)]
)
def test_flips_and_turns_can_be_switched_off(flips: bool, turns: bool, count: int, pictures: Path) -> None:
    pool = pool_for(SRRESNET, pictures, flips=flips, turns=turns)
    *_, pose = pool.places(400, 4, torch.Generator().manual_seed(0))
    found = {tuple(column.tolist()) for column in pose.T}
    assert len(found) == count
    assert flips or all(sum(column) % 2 == 0 for column in found)
    assert turns or not any(column[2] for column in found)
