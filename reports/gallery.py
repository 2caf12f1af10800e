"""The pictures of the page: HR and saved SR in a folder beside it, thumbnails, and where models disagree most."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import SrbenchError
from srbench.base.temporary import atomic_file
from srbench.base.text import as_file_name
from srbench.images.files import read_image, to_rgb, write_image
from srbench.images.windows import largest_window
from srbench.results.saved import dataset_of, sr_path
from srbench.results.store import run_path
from srbench.results.summary import in_order

if TYPE_CHECKING:
    import numpy.typing as npt

    from srbench.datasets.sample import Dataset
    from srbench.images.files import Image
    from srbench.results.records import Run
    from srbench.results.results import Results

FOLDER = "images"
THUMBNAIL = 112
"""Pixels of a thumbnail's shorter side."""

WINDOW = 72
"""Side of the crops, in HR pixels, among which the one with the most disagreement is shown first."""


@dataclass(frozen=True)
class GalleryImage:
    """One image of a data set. Paths are relative to the page; `crop` is the middle of the crop shown first, in pixels.

    `disagreement` is the standard deviation over models, averaged over that crop, in grey levels.
    """

    dataset: str
    scale: int
    image: str
    width: int
    height: int
    hr: str
    thumbnail: str
    sr: dict[str, str]
    crop: tuple[int, int]
    disagreement: float


@dataclass
class Gallery:
    """The pictures, and why there are none for a data set that has none."""

    pictures: list[GalleryImage] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def make_gallery(results: Results, out: Path) -> Gallery:
    """Put HR, thumbnails and saved SR images into `out/images`; SR files are linked where the file system can.

    A data set that is not here, or a run without saved images, is left out with the reason.
    """
    gallery = Gallery()
    for (name, scale), runs in groupby(in_order(results), key=lambda run: run.identity.setting):
        saved = [run for run in runs if _has_images(results, run)]
        if not saved:
            gallery.missing.append(f"{name} ×{scale}: no saved images. Make them: srbench run --save-images")
            continue
        try:
            gallery.pictures += _pictures(results, saved, dataset_of(saved[0], results.data_root), out)
        except SrbenchError as error:
            gallery.missing.append(f"{name} ×{scale}: {error}")
    return gallery


def _has_images(results: Results, run: Run) -> bool:
    folder = results.folder
    if folder is None or not run_path(folder, run.identity).with_suffix("").is_dir():
        return False
    return any(sr_path(folder, run, row.image).is_file() for row in run.rows)


def _pictures(results: Results, runs: Sequence[Run], dataset: Dataset, out: Path) -> list[GalleryImage]:
    folder = results.folder
    assert folder is not None  # or there would be no saved images
    scored = {row.image for run in runs for row in run.rows}
    wanted = [index for index, image in enumerate(dataset.ids) if image in scored]

    def make(index: int) -> GalleryImage:
        image = dataset.ids[index]
        paths = {run.identity.model: sr_path(folder, run, image) for run in runs}
        there = {model: path for model, path in paths.items() if path.is_file()}
        return _picture(runs[0], image, dataset[index].reference, there, out)

    with ThreadPoolExecutor() as pool:  # Pillow decodes and encodes without holding the interpreter
        return list(pool.map(make, wanted))


def _picture(run: Run, image: str, hr: Image, paths: dict[str, Path], out: Path) -> GalleryImage:
    identity = run.identity
    home = Path(FOLDER) / identity.dataset / f"x{identity.scale}"
    write_image(out / home / "HR" / f"{image}.png", hr)
    thumbnail = home / "thumbnails" / f"{as_file_name(image)}.webp"
    _write_thumbnail(out / thumbnail, hr)
    for model, path in paths.items():
        _put(path, out / home / _folder(model) / f"{image}.png")
    crop, disagreement = most_disagreement([read_image(path) for path in paths.values()], hr)
    return GalleryImage(
        dataset=identity.dataset,
        scale=identity.scale,
        image=image,
        width=hr.shape[1],
        height=hr.shape[0],
        hr=(home / "HR" / f"{image}.png").as_posix(),
        thumbnail=thumbnail.as_posix(),
        sr={model: (home / _folder(model) / f"{image}.png").as_posix() for model in paths},
        crop=crop,
        disagreement=round(disagreement, 3),
    )


def _folder(model: str) -> str:
    """Where a model's pictures go: never among HR or thumbnails, whatever it is called."""
    return f"{model}-model" if model.casefold() in ("hr", "thumbnails") else model


def _write_thumbnail(path: Path, image: Image) -> None:
    from PIL import Image as pil

    picture = pil.fromarray(to_rgb(image))
    factor = THUMBNAIL / min(picture.size)
    picture = picture.resize((round(picture.width * factor), round(picture.height * factor)), pil.Resampling.LANCZOS)
    with atomic_file(path) as file:
        picture.save(file, format="WEBP", quality=80)


def _put(source: Path, target: Path) -> None:
    """Link a file, or copy it where it cannot be linked: hundreds of images need not lie on the disk twice."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.samefile(source):  # it is linked already, or the report goes where the images lie
        return
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def most_disagreement(images: Iterable[Image], hr: Image) -> tuple[tuple[int, int], float]:
    """The middle `(x, y)` of the crop in which the images differ most, and by how much, in grey levels.

    A single image is compared with HR; images of other sizes than HR are left out.
    """
    greys = [_grey(image) for image in images if image.shape[:2] == hr.shape[:2]]
    spread = np.std([*greys, _grey(hr)] if len(greys) < 2 else greys, axis=0)
    side = min(WINDOW, *spread.shape)
    rows, columns = largest_window(spread, side, side)
    middle = columns.start + side // 2, rows.start + side // 2
    return middle, float(spread[rows, columns].mean(dtype=np.float64))


def _grey(image: Image) -> npt.NDArray[np.float32]:
    return np.asarray(to_rgb(image).mean(axis=2, dtype=np.float32))
