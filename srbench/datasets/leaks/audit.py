"""Test images inside training folders: whole, turned, resized, regraded, compressed or cropped, in either direction.

Perceptual hashes find candidates (`whole`: of the picture; `patches`: around its corners, for crops), the correlation
of the pixels decides. Pictures are compared at half their size. What is not found: crops below about 64 pixels a side,
pictures without corners, and photographs of the same thing that are not the same photograph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import InputError
from srbench.datasets import present, usual_name
from srbench.datasets.leaks.alignment import Alignment, alignments, detail, likeness
from srbench.datasets.leaks.patch_hash import Patches, matches, patches_of
from srbench.datasets.leaks.picture_hash import thumbnail, whole_matches
from srbench.images.files import SUFFIXES, list_images, read_image

if TYPE_CHECKING:
    from srbench.datasets.leaks.patch_hash import Floats

MIN_WHOLE = 0.85
MIN_CROP = 0.5
"""Correlation of detail from which two pictures are one photograph; measured by scripts/plant_leaks.py."""

MIN_DEVIATIONS = 8.0
"""How far from chance it must be: stripes correlate with other stripes, and a few pixels with anything."""

LEVELS = tuple(2 ** (-step / 3) for step in range(4))
"""Sizes at which pictures are compared, so that a leak at any size from half to double is found."""


@dataclass(frozen=True)
class Leak:
    """A test picture inside a training picture. `how` is `whole` or `crop`; `likeness` is a correlation, up to 1."""

    train: Path
    test: Path
    how: str
    likeness: float

    def __str__(self) -> str:
        return f"{self.train} holds {self.test} ({self.how}, correlation {self.likeness:.2f})"


def test_pictures(against: Sequence[str], root: Path) -> list[Path]:
    """The pictures of test sets by name, or of folders; `all` is every test set under the root."""
    names = [name for item in against for name in (present(root) if item == "all" else [usual_name(item)])]
    if not names:
        raise InputError(f"no test set is under {root}. Get one: srbench data prepare Set5; or set SRBENCH_DATA")
    homes = [root / name / "HR" if (root / name / "HR").is_dir() else Path(name) for name in names]
    return [path for home in homes for path in list_images(home).values()]


def pictures_of(folders: Iterable[Path]) -> list[Path]:
    """Every picture in the folders, at any depth, sorted; raises `InputError` for a folder without any."""
    found = []
    for folder in folders:
        here = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
        if not here:
            raise InputError(f"{folder}: no images in it or below")
        found += here
    return found


def audit(
    training: Sequence[Path], tests: Sequence[Path], report: Callable[[str], None] = lambda text: None
) -> list[Leak]:
    """Every leak, the surest first, one for each pair; `report` hears how far it is.

    Raises `InputError` for a picture that cannot be read.
    """
    with ThreadPoolExecutor() as pool:
        report(f"reading {len(training)} training and {len(tests)} test images")
        train, test = list(pool.map(half_luma, training)), list(pool.map(half_luma, tests))
        best: dict[tuple[int, int], Leak] = {}
        for i, j, how, value in [*_wholes(train, test), *_crops(train, test, pool, report)]:
            if value > (best[i, j].likeness if (i, j) in best else 0):
                best[i, j] = Leak(training[i], tests[j], how, value)
    return sorted(best.values(), key=lambda leak: -leak.likeness)


def half_luma(path: Path) -> Floats:
    """A picture's luma at half its size, float32 in 0..255; each pixel the mean of four."""
    image = read_image(path)
    grey = image if image.ndim == 2 else image @ np.array([0.25, 0.5, 0.25], np.float32)
    height, width = (side // 2 * 2 for side in grey.shape)
    quads = grey[:height, :width].reshape(height // 2, 2, width // 2, 2)
    luma: Floats = quads.mean((1, 3), dtype=np.float32)
    return luma


def _wholes(train: Sequence[Floats], test: Sequence[Floats]) -> Iterator[tuple[int, int, str, float]]:
    small = [[thumbnail(luma) for luma in side] for side in (train, test)]
    for i, j, _, value in whole_matches(*small):
        if value >= MIN_WHOLE:
            yield i, j, "whole", value


@dataclass(frozen=True)
class _Side:
    """Pictures at one size, and the patches of all of them."""

    pictures: list[Floats]
    patches: Patches

    @staticmethod
    def at(level: float, pictures: Sequence[Floats], pool: ThreadPoolExecutor, *, both: bool) -> _Side:
        shrunk = list(pool.map(lambda luma: resized(luma, level), pictures))
        found = pool.map(lambda luma, number: patches_of(luma, number, both=both), shrunk, range(len(shrunk)))
        return _Side(shrunk, Patches.joined(list(found)))


def _crops(
    train: Sequence[Floats], test: Sequence[Floats], pool: ThreadPoolExecutor, report: Callable[[str], None]
) -> Iterator[tuple[int, int, str, float]]:
    """The pictures as they are, then each smaller size of one side against the other as it is."""
    report("comparing patches at the same size")
    mine, theirs = _Side.at(1, train, pool, both=False), _Side.at(1, test, pool, both=True)
    yield from _inside(mine, theirs, pool)
    for level in LEVELS[1:]:
        report(f"comparing patches at {level:.2f} of the size, both ways")
        yield from _inside(_Side.at(level, train, pool, both=False), theirs, pool)
        yield from _inside(mine, _Side.at(level, test, pool, both=True), pool)


def _inside(mine: _Side, theirs: _Side, pool: ThreadPoolExecutor) -> Iterator[tuple[int, int, str, float]]:
    found = alignments(mine.patches, theirs.patches, matches(mine.patches, theirs.patches))
    for item, (value, deviations) in zip(found, _likenesses(found, mine, theirs, pool), strict=True):
        if value >= MIN_CROP and deviations >= MIN_DEVIATIONS:
            yield item.train, item.test, "crop", value


def _likenesses(
    found: Sequence[Alignment], mine: _Side, theirs: _Side, pool: ThreadPoolExecutor
) -> list[tuple[float, float]]:
    """The correlation of each alignment and its distance from chance; the detail of a picture is made once."""
    train = sorted({item.train for item in found})
    test = sorted({item.test for item in found})
    fine = dict(zip(train, pool.map(detail, (mine.pictures[i] for i in train)), strict=True))
    other = dict(zip(test, pool.map(detail, (theirs.pictures[i] for i in test)), strict=True))
    return list(pool.map(lambda item: likeness(fine[item.train], other[item.test], item), found))


def resized(luma: Floats, level: float) -> Floats:
    """A smaller copy, antialiased."""
    from PIL import Image

    if level == 1:
        return luma
    size = (max(round(luma.shape[1] * level), 1), max(round(luma.shape[0] * level), 1))
    return np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BICUBIC), np.float32)
