"""Is a folder the standard set that it is named after? Image by image, by pixels.

| status      | meaning                                                                                         |
|-------------|-------------------------------------------------------------------------------------------------|
| `exact`     | the pixels of the original                                                                        |
| `cropped`   | the original, cropped to multiples of 2, 3, 4 or 12: right at the scales where this cuts nothing more |
| `as-rgb`    | a grey original stored as RGB: the same picture, but it is scored by another rule                 |
| `renamed`   | the pixels of another image of the set, or of another set                                          |
| `different` | the same picture with other pixels, and by how many dB                                              |
| `foreign`   | another picture                                                                                     |
| `missing`   | no file of this id                                                                                  |
| `extra`     | a file of an id that is not in the set                                                              |
| `unreadable`| a damaged file, or one that srbench does not read                                                   |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from srbench.base.errors import InputError
from srbench.datasets.digests import FileDigest, file_digests
from srbench.datasets.folder import FileDataset
from srbench.datasets.standard.pixels import Index, Known, Match
from srbench.datasets.standard.sketch import psnr_from, sketch
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.datasets.standard.trust_on_first_use import known_set
from srbench.images.degrade import SCALES
from srbench.images.files import list_images, read_image

Status = Literal["exact", "cropped", "as-rgb", "renamed", "different", "foreign", "missing", "extra", "unreadable"]

SAME_PICTURE_DB = 18.0
"""Unrelated photographs of one size are 7 to 14 dB apart."""


@dataclass(frozen=True)
class ImageVerdict:
    """What one image is. `crop` is the multiple that it is cropped to (1: not at all); `detail` explains, in words."""

    id: str
    status: Status
    crop: int = 1
    detail: str = ""

    def fits(self, known: Known, scale: int) -> bool:
        """Whether HR at this scale is, pixel for pixel, what the original gives."""
        if self.status == "exact":
            return True
        cropped = known.size(self.crop)
        return self.status == "cropped" and known.size(scale) == tuple(side - side % scale for side in cropped)


@dataclass(frozen=True)
class Verification:
    """A folder held against a standard set; one finding an image, in the order of the set, then what is extra."""

    set: str
    index: Index
    findings: tuple[ImageVerdict, ...]
    tried: tuple[int, ...] = SCALES

    def fits(self, scale: int) -> bool:
        """Whether every image is there, nothing else is, and all give the right HR at this scale."""
        return not self.misfits(scale)

    def misfits(self, scale: int) -> list[ImageVerdict]:
        """What keeps the folder from being the set at a scale."""
        known = self.index.sets[self.set]
        return [item for item in self.findings if item.id not in known or not item.fits(known[item.id], scale)]

    @property
    def known(self) -> bool:
        """Whether every image is the original or a crop of it, and nothing else is there."""
        return all(item.status in ("exact", "cropped") for item in self.findings)

    def scales(self) -> list[int]:
        """The scales at which the folder is the set."""
        return [scale for scale in self.tried if self.fits(scale)]

    def counts(self) -> dict[str, int]:
        """How many images of each status, the most frequent first."""
        names = [item.status for item in self.findings]
        return dict(sorted(((name, names.count(name)) for name in set(names)), key=lambda pair: (-pair[1], pair[0])))


def verify(name: str, folder: Path) -> Verification:
    """Hold the images of `folder` (`folder/HR` where there is one) against the standard set `name`.

    A set that is trusted on first use is remembered beside the data the first time. Raises `InputError` for a folder
    that is missing, or that has two images of one id, or that cannot be the set at all.
    """
    files = list_images(folder / "HR" if (folder / "HR").is_dir() else folder)
    if not files:
        raise InputError(f"{folder}: no images in it. Get the set: srbench data prepare {name}")
    index = known_set(name, folder, files)
    known = index.sets[name]
    found = dict(zip(files, file_digests(files.values()), strict=True))
    findings = [_held_against(known[id], files.get(id), found.get(id), index) for id in known]
    findings += [_extra(name, id, index, found[id]) for id in files if id not in known]
    return Verification(name, index, tuple(findings))


def _held_against(known: Known, path: Path | None, digest: FileDigest | Exception | None, index: Index) -> ImageVerdict:
    if path is None or digest is None:
        return ImageVerdict(known.id, "missing")
    if isinstance(digest, Exception):
        return ImageVerdict(known.id, "unreadable", detail=str(digest))
    matches = index.find(digest.sha256, digest.grey_sha256)
    own = [match for match in matches if match.known == known]
    if own:
        status: Status = "as-rgb" if own[0].as_rgb else "cropped" if own[0].crop > 1 else "exact"
        return ImageVerdict(known.id, status, own[0].crop, own[0].variant)
    if matches:
        return ImageVerdict(known.id, "renamed", detail=f"it is {_names(matches)}")
    return _other_pixels(known, path, digest)


def _other_pixels(known: Known, path: Path, digest: FileDigest) -> ImageVerdict:
    here = f"{digest.width}x{digest.height}"
    if (digest.width - digest.width % 12, digest.height - digest.height % 12) != known.size(12):
        return ImageVerdict(known.id, "foreign", detail=f"{here}; the original is {known.width}x{known.height}")
    psnr = psnr_from(sketch(read_image(path)), known.sketch, known.width, known.height)
    if psnr < SAME_PICTURE_DB:
        return ImageVerdict(known.id, "foreign", detail=f"another picture of that size, {here}")
    return ImageVerdict(known.id, "different", detail=f"the same picture with other pixels, about {psnr:.0f} dB away")


def _extra(name: str, id: str, index: Index, digest: FileDigest | Exception) -> ImageVerdict:
    if id in STANDARD_SETS[name].left_out:
        return ImageVerdict(id, "extra", detail=STANDARD_SETS[name].note)
    if isinstance(digest, Exception):
        return ImageVerdict(id, "extra", detail=str(digest))
    matches = index.find(digest.sha256, digest.grey_sha256)
    return ImageVerdict(id, "extra", detail=f"it is {_names(matches)}" if matches else "")


def _names(matches: Iterable[Match]) -> str:
    return " or ".join(
        f"{match.known.set} {match.known.id}" + (f" ({match.variant})" if match.variant else "") for match in matches
    )


def vouch(dataset: FileDataset, home: Path, *, unverified: bool = False) -> FileDataset:
    """The data set, held against the standard set of its name: with the set's own fingerprint, or marked `unverified`.

    A copy cropped to multiples of 4 gives at x4 the HR of the original, so it has the original's fingerprint there.
    Raises `InputError` for a set that does not verify, unless `unverified` allows it.
    """
    try:
        verification = verify(dataset.name, home)
        if verification.fits(dataset.scale):
            known = verification.index.sets[dataset.name]
            return replace(dataset, originals={id: known[id].sha256 for id in dataset.ids})
        misfits = verification.misfits(dataset.scale)
        more = f" ({len(misfits)} such images)" if len(misfits) > 1 else ""
        problem = f"{home} is not {dataset.name} at x{dataset.scale}: {worded(misfits[0])}{more}"
    except InputError as error:
        problem = str(error).rstrip(".")
    if not unverified:
        raise InputError(f"{problem}.\nSee: srbench data verify {dataset.name}. To score it as it is: --unverified")
    return replace(dataset, unverified=True)


def worded(finding: ImageVerdict) -> str:
    """One finding in a few words, its image first."""
    if finding.status in ("cropped", "as-rgb"):
        return f"{finding.id} is {finding.detail}"
    return f"{finding.id} is {finding.status}" + (f", {finding.detail}" if finding.detail else "")
