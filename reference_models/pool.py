"""The pool of training images: decoded once, HR and LR, into one flat uint8 array each, in memory or in mapped files.

Small sets are decoded into memory at every start. Larger ones, and those that `srbench train --prepare-only` was asked
for, are decoded once by several processes into two files that every later start maps: nothing is read before it is
needed, and the system may take the memory back at any time. A cache is called by the digests of all that decides its
bytes; one that was interrupted goes on with the images that it lacks.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import numpy as np
import torch
from filelock import FileLock

from reference_models.luma import luma_of, resized
from reference_models.patches import Plane, Pool
from reference_models.sources import Pair, Source
from srbench.base.assets import cache_folder
from srbench.base.errors import InputError, SrbenchError
from srbench.base.temporary import write_file
from srbench.images.degrade import degrade, mod_crop
from srbench.images.files import read_image, to_rgb

if TYPE_CHECKING:
    import numpy.typing as npt

    from srbench.images.files import Image

    Bytes = npt.NDArray[np.uint8]

FORMAT = 2
"""Of the cache; raise it when the bytes of one set may come out otherwise."""
IN_MEMORY = 2 << 30
"""Bytes of pixels up to which a set is simply decoded into memory."""
FILES = ("given", "wanted", "done")
BY_PROCESSES = 64
"""Images from which on starting processes is worth it."""

Kind = Literal["rgb", "luma", "bicubic"]
"""What a network sees: LR; Y of bicubic at HR size, and answers Y; or bicubic in RGB."""


@dataclass(frozen=True)
class PoolItem:
    """One image of a pool. `width` and `height` are those of HR in it: resized by `zoom`, cropped to the scale."""

    hr: str
    lr: str
    digest: str
    width: int
    height: int
    zoom: float = 1.0


@dataclass(frozen=True)
class PoolLayout:
    """Which images lie in a pool, in which order, and what is made of them."""

    items: tuple[PoolItem, ...]
    scale: int
    degradation: str
    kind: Kind

    @property
    def ratio(self) -> int:
        """The size of what is wanted over what is given."""
        return self.scale if self.kind == "rgb" else 1

    @property
    def channels(self) -> int:
        """1 for Y, 3 for RGB."""
        return 1 if self.kind == "luma" else 3

    @cached_property
    def wanted_sizes(self) -> list[tuple[int, int]]:
        """Width and height of what the network should answer, an image each."""
        return [(item.width, item.height) for item in self.items]

    @cached_property
    def given_sizes(self) -> list[tuple[int, int]]:
        """Width and height of what it is given."""
        return [(width // self.ratio, height // self.ratio) for width, height in self.wanted_sizes]

    @cached_property
    def starts(self) -> tuple[list[int], list[int]]:
        """Where each image begins among the pixels given, and among those wanted."""
        given, wanted = ([w * h for w, h in sizes] for sizes in (self.given_sizes, self.wanted_sizes))
        return list(accumulate([0, *given[:-1]])), list(accumulate([0, *wanted[:-1]]))

    @property
    def pixels(self) -> tuple[int, int]:
        """How many the network is given, and how many it should answer."""
        given, wanted = (sum(w * h for w, h in sizes) for sizes in (self.given_sizes, self.wanted_sizes))
        return given, wanted

    @property
    def bytes(self) -> int:
        """What both arrays take together."""
        return sum(self.pixels) * self.channels

    @cached_property
    def key(self) -> str:
        """sha256 (hex) of everything that decides the pixels."""
        items = [[item.digest, item.width, item.height, item.zoom] for item in self.items]
        text = json.dumps([FORMAT, self.scale, self.degradation, self.kind, items])
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Taken:
    """What of a source goes into the pool, for the line that says so."""

    name: str
    images: int
    pixels: int
    too_small: int
    remark: str = ""

    def line(self, patch: int, ratio: int) -> str:
        """`BSD400: 399 images, 61.5 MP, 6,684 patches of 24x24`; patches side by side, at the network's input."""
        patches = f"{self.pixels // (patch * ratio) ** 2:,} patches of {patch}x{patch}"
        small = f", {self.too_small} too small for a patch" if self.too_small else ""
        remark = f"; {self.remark}" if self.remark else ""
        return f"{self.name}: {self.images} images, {self.pixels / 1e6:.3g} MP, {patches}{small}{remark}"


@dataclass(frozen=True)
class PoolRequest:
    """What a recipe asks of the pool."""

    scale: int
    patch: int
    kind: Kind = "rgb"
    degradation: str = "matlab"
    zooms: tuple[float, ...] = (1.0,)
    flips: bool = True
    turns: bool = True
    cache: Path | None = None
    prepare: bool = False
    """Map the pixels whatever their size."""
    tell: Callable[[str], None] = field(default=lambda line: click.echo(line, err=True))


def open_pool(sources: Sequence[Source], request: PoolRequest, device: torch.device) -> Pool:
    """The pool over some sources: on the device where its pixels fit, else in memory or mapped, see `Feed`.

    Images smaller than a patch are left out. Raises `InputError` where none is left.
    """
    layout, taken = _laid_out(sources, request)
    for part in taken:
        request.tell(part.line(request.patch, layout.ratio))
    place = device if fits(layout.bytes, device) else "cpu"
    sizes = layout.given_sizes, layout.wanted_sizes
    arrays = (torch.from_numpy(array).to(place) for array in _arrays(layout, request))
    given, wanted = map(Plane.over, arrays, sizes)
    counts = {part.name: part.images for part in taken}
    return Pool(given, wanted, layout.ratio, counts, layout.key, request.flips, request.turns, request.degradation)


def fits(size: int, device: torch.device) -> bool:
    """Whether a pool may lie on a GPU: half of what is free is for the training."""
    if device.type != "cuda":
        return device.type == "cpu"
    return size < torch.cuda.mem_get_info(device)[0] / 2


def _laid_out(sources: Sequence[Source], request: PoolRequest) -> tuple[PoolLayout, list[Taken]]:
    smallest = request.patch * (request.scale if request.kind == "rgb" else 1)
    items: list[PoolItem] = []
    taken = []
    for source in sources:
        found = [item for pair in source.pairs for item in _items(pair, request)]
        large = [item for item in found if min(item.width, item.height) >= smallest]
        pixels = sum(item.width * item.height for item in large)
        taken.append(Taken(source.name, len(large), pixels, len(found) - len(large), source.remark))
        items += large
    if not items:
        raise InputError(f"no training image is as large as a patch, {smallest} pixels; use --set patch=…")
    return PoolLayout(tuple(items), request.scale, request.degradation, request.kind), taken


def _items(pair: Pair, request: PoolRequest) -> Iterator[PoolItem]:
    for zoom in request.zooms:
        width, height = (int(np.ceil(side * zoom)) for side in (pair.digest.width, pair.digest.height))
        digest = pair.digest.sha256 + (pair.lr_digest.sha256 if pair.lr_digest else "")
        lr = str(pair.lr.absolute()) if pair.lr else ""
        scale = request.scale
        yield PoolItem(str(pair.hr.absolute()), lr, digest, width - width % scale, height - height % scale, zoom)


def _arrays(layout: PoolLayout, request: PoolRequest) -> tuple[Bytes, Bytes]:
    cache = Cache(layout, request.cache or cache_folder() / "training")
    if request.prepare or cache.is_complete or layout.bytes > IN_MEMORY:
        cache.complete(request.tell)
        return cache.mapped("c")
    given, wanted = (np.empty((count, layout.channels), np.uint8) for count in layout.pixels)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda index: fill(layout, index, given, wanted), range(len(layout.items))))
    return given, wanted


def fill(layout: PoolLayout, index: int, given: Bytes, wanted: Bytes) -> None:
    """Decode one image into its place in both arrays. Raises `InputError` where it is no longer what it was."""
    item = layout.items[index]
    lr, hr = _pair(item, layout)
    for array, sizes, image in ((given, layout.given_sizes, lr), (wanted, layout.wanted_sizes, hr)):
        width, height = sizes[index]
        if image.shape[:2] != (height, width):
            raise InputError(f"{item.hr}: has changed while it was read; start again")
        start = layout.starts[array is wanted][index]
        array[start : start + width * height] = np.atleast_3d(image).reshape(width * height, -1)


def _pair(item: PoolItem, layout: PoolLayout) -> tuple[Image, Image]:
    hr = read_image(item.hr)
    if item.zoom != 1.0:
        hr = resized(to_rgb(hr), item.zoom)
    hr = mod_crop(hr, layout.scale)
    lr = read_image(item.lr) if item.lr else degrade(hr, layout.scale, layout.degradation)  # of grey HR: grey noise
    lr, hr = to_rgb(lr), to_rgb(hr)
    if layout.kind == "rgb":
        return lr, hr
    large = resized(lr, layout.scale)
    return (luma_of(large), luma_of(hr)) if layout.kind == "luma" else (large, hr)


class Cache:
    """A layout's pixels in a folder: `given.u8`, `wanted.u8`, `layout.json`, and a byte for each image done."""

    def __init__(self, layout: PoolLayout, home: Path) -> None:
        self.layout, self.folder = layout, home / layout.key[:32]
        sizes = (*(count * layout.channels for count in layout.pixels), len(layout.items))
        self.sizes = {self.folder / f"{name}.u8": size for name, size in zip(FILES, sizes, strict=True)}

    @property
    def is_begun(self) -> bool:
        """Whether its files are there, each of its size."""
        return all(path.is_file() and path.stat().st_size == size for path, size in self.sizes.items())

    @property
    def is_complete(self) -> bool:
        """Whether every image has been decoded."""
        return self.is_begun and not self.missing()

    def mapped(self, mode: Literal["c", "r+"]) -> tuple[Bytes, Bytes]:
        """Both arrays; `c` is for reading: what were written into them would stay in this process."""
        given, wanted, _ = (np.memmap(path, np.uint8, mode) for path in self.sizes)
        return given.reshape(-1, self.layout.channels), wanted.reshape(-1, self.layout.channels)

    def complete(self, tell: Callable[[str], None]) -> None:
        """Decode what is not there yet. One process does it, with helpers, and others that want the same set wait."""
        if self.is_complete:
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder.with_suffix(".lock")):
            if self.is_complete:
                return
            if not self.is_begun:
                self._begin()
            write_file(self.folder / "layout.json", json.dumps(asdict(self.layout)))  # where the images are today
            missing, workers = len(self.missing()), os.cpu_count() or 1
            what = f"{missing} of {len(self.layout.items)} images, once, into {self.folder}"
            tell(f"decoding {what} ({self.layout.bytes / 2**30:.2f} GiB on disk, none of it resident)")
            if missing < BY_PROCESSES or workers == 1:
                self.work(0, 1)
            else:
                self._work_in_processes(workers)

    def _begin(self) -> None:
        self.folder.mkdir(exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < self.layout.bytes * 1.02:
            raise InputError(
                f"{self.folder.parent}: {free / 2**30:.1f} GiB free, the decoded images take "
                f"{self.layout.bytes / 2**30:.1f}. Give a folder with more room: --cache DIR"
            )
        (self.folder / "done.u8").unlink(missing_ok=True)  # before the pixels that it speaks of
        for path, size in self.sizes.items():
            with path.open("wb") as file:
                if hasattr(os, "posix_fallocate"):  # a disk that fills up later would kill whoever writes the map
                    os.posix_fallocate(file.fileno(), 0, size)
                file.truncate(size)

    def missing(self) -> list[int]:
        """The numbers of the images that are still to be decoded."""
        return np.flatnonzero(np.fromfile(self.folder / "done.u8", np.uint8) == 0).tolist()

    def work(self, worker: int, of: int) -> None:
        """Decode every image that is missing and falls to this worker."""
        given, wanted = self.mapped("r+")
        done = np.memmap(self.folder / "done.u8", np.uint8, "r+")
        for index in (index for index in self.missing() if index % of == worker):
            fill(self.layout, index, given, wanted)
            done[index] = 1

    def _work_in_processes(self, workers: int) -> None:
        line = [sys.executable, "-m", "reference_models.pool", str(self.folder)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen([*line, str(worker), str(workers)], env=environment, stderr=subprocess.PIPE, text=True)
            for worker in range(workers)
        ]
        try:
            complaints = [(process.communicate()[1], process.returncode) for process in started]
        except BaseException:
            for process in started:
                process.terminate()
            raise
        for complaint, status in complaints:
            if status:
                raise SrbenchError(f"the images could not be decoded: {complaint.strip().splitlines()[-1:]}")


def read_layout(folder: Path) -> PoolLayout:
    """The layout that a cache folder was begun with."""
    content = json.loads((folder / "layout.json").read_bytes())
    items = tuple(PoolItem(**item) for item in content.pop("items"))
    return PoolLayout(items, **content)


def main(arguments: Sequence[str]) -> int:
    """One helper: `FOLDER WORKER OF`."""
    folder, worker, of = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    torch.set_num_threads(1)
    try:
        Cache(read_layout(folder), folder.parent).work(worker, of)
    except SrbenchError as error:
        click.echo(error, err=True)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
