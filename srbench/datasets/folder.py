"""A data set made of image files: HR alone, or HR with the LR files that came with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.datasets.digests import file_digests
from srbench.datasets.pixels import pixel_digest
from srbench.degradations import FILES, degrade, mod_crop
from srbench.errors import InputError
from srbench.images import list_images, read_image, to_rgb
from srbench.types import Sample

if TYPE_CHECKING:
    from srbench.types import Image


@dataclass(frozen=True)
class FileDataset:
    """Images on disk at one scale and one degradation.

    `hr` maps ids to files; so does `lr` where the degradation is `files`. HR is cropped to a multiple of the scale.
    `originals` holds the digests of a standard set's images, where the files give their HR pixel for pixel; a
    standard set whose files do not is `unverified`.
    Indexing raises `InputError` for unreadable images and for pairs whose sizes do not fit the scale.
    """

    name: str
    hr: Mapping[str, Path]
    scale: int
    degradation: str = "matlab"
    lr: Mapping[str, Path] | None = None
    originals: Mapping[str, str] | None = None
    unverified: bool = False

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return tuple(self.hr)

    def __len__(self) -> int:
        return len(self.hr)

    def __getitem__(self, index: int) -> Sample:
        id = self.ids[index]
        hr = mod_crop(read_image(self.hr[id]), self.scale)
        return Sample(id, self._given(id, hr) if self.lr is not None else self._made(id, hr), hr)

    def _made(self, id: str, hr: Image) -> Image:
        try:
            return degrade(hr, self.scale, self.degradation)
        except InputError as error:
            raise InputError(f"{self.hr[id]}: {error}") from None

    def _given(self, id: str, hr: Image) -> Image:
        assert self.lr is not None
        lr = read_image(self.lr[id])
        if tuple(side * self.scale for side in lr.shape[:2]) != hr.shape[:2]:
            raise InputError(
                f"{self.lr[id]}: {_size(lr)} times {self.scale} is not the {_size(hr)} of {self.hr[id].name}. "
                f"Is this the LR for another scale?"
            )
        return lr if lr.ndim == hr.ndim else to_rgb(lr)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) over ids and decoded pixels, of LR too where LR is given; reads every image once, ever."""
        hr = self.originals or _digests(self.hr)
        lr = _digests(self.lr or {})
        lines = (f"{id}:{hr[id]}\n" + (f"lr:{lr[id]}\n" if lr else "") for id in self.ids)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _digests(files: Mapping[str, Path]) -> dict[str, str]:
    """The digests of pixels by id; raises `InputError` for the first file that cannot be read."""
    digests = {}
    for id, digest in zip(files, file_digests(files.values()), strict=True):
        if isinstance(digest, Exception):
            raise digest
        digests[id] = digest.sha256
    return digests


def short_digest(image: Image) -> str:
    """The first 16 hex digits of `pixel_digest`: enough to see that an image has changed."""
    return pixel_digest(image)[:16]


def open_folder(folder: Path, scale: int, degradation: str, name: str = "") -> FileDataset:
    """A folder as a data set: `FOLDER/HR/*.png` (with `FOLDER/LR_bicubic/X4/*`), or images straight inside it.

    Raises `InputError` where there are no images, or, for the degradation `files`, where an HR has no LR.
    """
    hr = list_images(folder / "HR" if (folder / "HR").is_dir() else folder)
    if not hr:
        raise InputError(f"{folder}: no images in it. Expected {folder}/HR/*.png, or images straight inside")
    lr = _shipped_lr(folder, hr, scale) if degradation == FILES else None
    return FileDataset(name or folder.resolve().name, hr, scale, degradation, lr)


def _shipped_lr(folder: Path, hr: Mapping[str, Path], scale: int) -> dict[str, Path]:
    """LR files named `ID.png` or `IDx4.png`, by HR id."""
    home = folder / "LR_bicubic" / f"X{scale}"
    found = {id.removesuffix(f"x{scale}") if id not in hr else id: path for id, path in list_images(home).items()}
    if missing := sorted(set(hr) - set(found)):
        raise InputError(f"{home}: no LR for {missing[0]} ({len(missing)} missing); expected {missing[0]}x{scale}.png")
    if extra := sorted(set(found) - set(hr)):
        raise InputError(f"{home}: LR without HR: {found[extra[0]].name} ({len(extra)} such)")
    return {id: found[id] for id in hr}


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
