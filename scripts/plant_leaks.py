"""Plant 200 leaks among clean training images and count what `srbench data audit` finds.

python scripts/plant_leaks.py ROOT [SEED]     ROOT holds the test sets, and clean training images in ROOT/train

Every leak is a test image, drawn at random, damaged in one of the ways below and saved as JPEG of quality 40 to 95.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

from srbench.datasets.leaks.audit import audit, pictures_of, test_pictures
from srbench.datasets.leaks.patch_hash import posed
from srbench.images.files import read_image, to_rgb

TWINS = ({"head.png", "face.png"}, {"butterfly.png", "monarch.png"})
"""Test images that are one photograph: Set14 face is Set5 head, and Set5 butterfly is a part of Set14 monarch."""

Random = np.random.Generator
Picture = np.ndarray


def crop(picture: Picture, random: Random, share: tuple[float, float]) -> Picture:
    """A window whose sides are that share of the picture's."""
    sides = [round(side * random.uniform(*share)) for side in picture.shape[:2]]
    y, x = (int(random.integers(0, side - part + 1)) for side, part in zip(picture.shape, sides, strict=False))
    return picture[y : y + sides[0], x : x + sides[1]]


def small_crop(picture: Picture, random: Random) -> Picture:
    """80 to 200 pixels a side, as those of T91."""
    smaller = min(picture.shape[:2])
    return crop(picture, random, (80 / smaller, min(200, smaller) / smaller))


def turn(picture: Picture, random: Random) -> Picture:
    """One of the seven other poses."""
    pose = int(random.integers(1, 8))
    return np.stack([posed(picture[..., channel], pose) for channel in range(3)], -1)


def regrade(picture: Picture, random: Random) -> Picture:
    """Another gamma, exposure, white balance and saturation."""
    x = (picture / 255) ** random.uniform(0.6, 1.6) * random.uniform(0.75, 1.25) * random.uniform(0.85, 1.15, 3)
    grey = x.mean(-1, keepdims=True)
    regraded: Picture = ((grey + (x - grey) * random.uniform(0.3, 1.5)).clip(0, 1) * 255).astype(np.uint8)
    return regraded


def resize(picture: Picture, random: Random) -> Picture:
    """Between 0.6 and 1.6 of the size."""
    factor = random.uniform(0.6, 1.6)
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))


WAYS: dict[str, Callable[[Picture, Random], Picture]] = {
    "whole": lambda x, r: x,
    "whole, turned": turn,
    "whole, regraded": regrade,
    "whole, resized and regraded": lambda x, r: regrade(resize(x, r), r),
    "crop of half to nine tenths": lambda x, r: crop(x, r, (0.5, 0.9)),
    "crop, turned and regraded": lambda x, r: regrade(turn(crop(x, r, (0.4, 0.8)), r), r),
    "crop, resized and regraded": lambda x, r: regrade(resize(crop(x, r, (0.5, 0.9)), r), r),
    "small crop": small_crop,
    "small crop, turned": lambda x, r: turn(small_crop(x, r), r),
    "small crop, regraded": lambda x, r: regrade(small_crop(x, r), r),
}


def plant(tests: list[Path], folder: Path, random: Random, count: int) -> Iterator[tuple[Path, Path, str]]:
    """Write `count` leaks; yields each file, the test image in it and the way."""
    for number in range(count):
        test = tests[int(random.integers(len(tests)))]
        way = list(WAYS)[number % len(WAYS)]
        path = folder / f"leak{number:03}.jpg"
        picture = np.ascontiguousarray(WAYS[way](to_rgb(read_image(test)), random))
        Image.fromarray(picture).save(path, quality=int(random.integers(40, 96)))
        yield path, test, way


def is_right(truth: Path | None, found: Path) -> bool:
    """Whether a found test image is the one that was planted, or its twin."""
    return truth is not None and (truth == found or {truth.name, found.name} in TWINS)


def main(root: Path, seed: int) -> None:
    random, tests = np.random.default_rng(seed), test_pictures(["all"], root)
    with tempfile.TemporaryDirectory() as name:
        planted = list(plant(tests, Path(name), random, 200))
        start = time.perf_counter()
        found = {(leak.train, leak.test) for leak in audit(pictures_of([root / "train", Path(name)]), tests)}
        seconds = time.perf_counter() - start
    hits = [way for path, test, way in planted if (path, test) in found]
    for way, count in Counter(way for *_, way in planted).items():
        click.echo(f"{way:30} {hits.count(way):3} of {count}")
    truth = {path: test for path, test, _ in planted}
    wrong = sorted(pair for pair in found if not is_right(truth.get(pair[0]), pair[1]))
    click.echo(f"recall {len(hits) / len(planted):.3f}, precision {(len(found) - len(wrong)) / max(len(found), 1):.3f}")
    click.echo(f"{seconds:.0f} s; wrong: {[(train.name, test.name) for train, test in wrong]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
