"""A data set made of image files: HR alone, or HR with the LR files that came with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.errors import InputError
from srbench.datasets.digests import FileDigest, file_digests
from srbench.datasets.pairing import RULE, pair
from srbench.datasets.sample import Sample
from srbench.datasets.standard.pixels import pixel_digest
from srbench.images.degrade import FILES, high_resolution, is_given, low_resolution, lr_suffix, mod_crop
from srbench.images.files import list_images, printable, read_image, to_rgb

if TYPE_CHECKING:
    from srbench.images.degrade import LowResolution
    from srbench.images.files import Image


MOST_NAMED = 50
"""Files that one error names."""


@dataclass(frozen=True)
class FileDataset:
    """Images on disk at one scale and one degradation.

    `hr` maps ids to files; so does `lr` where the degradation is `files`. HR is cropped to a multiple of the scale; it
    is empty for LR alone.
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
        """The name of each image, sorted."""
        return tuple(self.hr or self.lr or ())

    @property
    def has_hr(self) -> bool:
        """Whether there is anything to score against."""
        return bool(self.hr)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample:
        id = self.ids[index]
        if not self.hr and self.lr is not None:
            return Sample(id, read_image(self.lr[id]), None)
        hr = high_resolution(mod_crop(read_image(self.hr[id]), self.scale), self.degradation)
        return Sample(id, self._given(id, hr) if self.lr is not None else self._made(id, hr), hr)

    def _made(self, id: str, hr: Image) -> LowResolution:
        try:
            return low_resolution(hr, self.scale, self.degradation)
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
        hr = self.originals or {id: digest.sha256 for id, digest in self._hr_digests.items()}
        lr = self._lr_digests
        lines = (f"{id}:{hr.get(id, '')}\n" + (f"lr:{lr[id].sha256}\n" if lr else "") for id in self.ids)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @cached_property
    def _hr_digests(self) -> dict[str, FileDigest]:
        return _digests(self.hr)

    @cached_property
    def _lr_digests(self) -> dict[str, FileDigest]:
        return _digests(self.lr or {})

    @cached_property
    def lr_pixels(self) -> tuple[int, ...]:
        """How many pixels each LR image has, which is what upscaling it costs; nothing is decoded a second time."""
        digests, scale = (self._hr_digests, self.scale) if self.hr else (self._lr_digests, 1)
        return tuple((digests[id].width // scale) * (digests[id].height // scale) for id in self.ids)


def _digests(files: Mapping[str, Path]) -> dict[str, FileDigest]:
    """The digests of pixels by id; raises `InputError` that names every file which cannot be read."""
    found = dict(zip(files, file_digests(files.values()), strict=True))
    errors = [digest for digest in found.values() if isinstance(digest, Exception)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        shown = [f"  {error}" for error in errors[:MOST_NAMED]]
        rest = [f"  and {len(errors) - MOST_NAMED} more"] * (len(errors) > MOST_NAMED)
        raise InputError("\n".join([f"{len(errors)} of {len(files)} images cannot be used:", *shown, *rest]))
    return {id: digest for id, digest in found.items() if not isinstance(digest, Exception)}


def short_digest(image: LowResolution) -> str:
    """The first 16 hex digits of `pixel_digest`: enough to see that an image has changed."""
    return pixel_digest(image)[:16]


def open_folder(folder: Path, scale: int, degradation: str, name: str = "") -> FileDataset:
    """A folder as a data set: `FOLDER/HR/*.png`, or images straight inside it.

    For the degradation `files`, LR is in `FOLDER/LR_bicubic/X4`, `FOLDER/LR/X4` or `FOLDER/LR`, named as HR or with the
    scale (`ID.png`, `IDx4.png`; the rule is that of `srbench.datasets.pairing`); for `files:_x4` as HR and `_x4`, and
    other files there are left alone. Where there is LR and no HR, images are upscaled and timed, and nothing is scored.

    Raises `InputError` where there are no images, or, for `files`, where an HR has no LR, or an LR no HR.
    """
    name = name or printable(folder.resolve().name)
    lr_home = next((home for home in _lr_homes(folder, scale) if home.is_dir()), None)
    if not (folder / "HR").is_dir() and lr_home:
        return _without_hr(folder, lr_home, scale, degradation, name)
    hr = list_images(folder / "HR" if (folder / "HR").is_dir() else folder)
    if not hr:
        raise InputError(f"{folder}: no images in it. Expected {folder}/HR/*.png, or images straight inside")
    if not is_given(degradation):
        return FileDataset(name, hr, scale, degradation)
    if lr_home is None:
        places = " or ".join(str(home) for home in _lr_homes(folder, scale))
        raise InputError(f"{folder}: no LR files for x{scale}. Expected them in {places}, or use --degradation matlab")
    lr = _paired(list_images(lr_home), hr, scale, lr_home, lr_suffix(degradation))
    return FileDataset(name, hr, scale, degradation, lr)


def _lr_homes(folder: Path, scale: int) -> tuple[Path, ...]:
    return folder / "LR_bicubic" / f"X{scale}", folder / "LR" / f"X{scale}", folder / "LR"


def _without_hr(folder: Path, lr_home: Path, scale: int, degradation: str, name: str) -> FileDataset:
    lr = list_images(lr_home)
    if not is_given(degradation):
        raise InputError(f"{folder}: has LR and no HR. To upscale and time it, without scores: --degradation files")
    if not lr:
        raise InputError(f"{lr_home}: no images in it")
    found: dict[str, Path] = {}
    suffix = lr_suffix(degradation)
    for id, path in lr.items():
        bare = id.removesuffix(f"x{scale}" if suffix is None else suffix)
        if not id.endswith(suffix or ""):
            continue
        if bare in found:
            choice = f"Say which: --degradation {FILES}: or --degradation {FILES}:x{scale}"
            raise InputError(f"{lr_home}: {found[bare].name} and {path.name} both belong to {bare}. {choice}")
        found[bare] = path
    if not found:
        raise InputError(f"{lr_home}: no image in it ends in {suffix!r}; there is {next(iter(lr.values())).name}")
    return FileDataset(name, {}, scale, degradation, found)


def _paired(
    lr: Mapping[str, Path], hr: Mapping[str, Path], scale: int, home: Path, suffix: str | None
) -> dict[str, Path]:
    """LR files by HR id, without those that are marked for another scale; see `srbench.datasets.pairing`.

    Told a `suffix`, only those that have it behind the name of HR, and others are no error.
    """
    mine = {id: path for id, path in lr.items() if suffix or id in hr or (_scale_of(id) or scale) == scale}
    pairs = pair(mine, hr, suffix, f"--degradation {FILES}:")
    if pairs.images_alone:
        missing, there = pairs.images_alone, f"; there is {next(iter(lr.values())).name}" if lr else ""
        expected = f"{missing[0]}{f'x{scale}' if suffix is None else suffix}.png"
        rule = RULE if suffix is None else f"That is what --degradation {FILES}:{suffix} says"
        raise InputError(f"{home}: no LR for {missing[0]} ({len(missing)} missing); expected {expected}{there}. {rule}")
    if suffix is None and (extra := pairs.files_alone):
        raise InputError(f"{home}: LR without HR: {extra[0].name} ({len(extra)} such). {RULE}")
    return dict(pairs.found)


def _scale_of(id: str) -> int:
    """The scale that a file's name ends in, as `babyx4` and `baby_x4` do; 0 for none."""
    found = re.search(r"x(\d+)$", id)
    return int(found[1]) if found else 0


def _size(image: Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
