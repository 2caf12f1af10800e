"""Images known by their decoded pixels, whatever their file name, format or folder.

`pixels.tsv` has one line for each image of a standard set: its size, sha256 of its pixels, sha256 of the copies cropped
to multiples of 2, 3, 4 and 12 that circulate, and a sketch (see `srbench.datasets.standard.sketch`).
`scripts/make_pixels.py` writes it from a data root. The same format is written beside a set whose pixels
are trusted on first use.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import InputError
from srbench.images.degrade import mod_crop

if TYPE_CHECKING:
    from srbench.images.degrade import LowResolution
    from srbench.images.files import Image

CROPS = (2, 3, 4, 12)
"""The multiples to which the copies in circulation are cropped: by scale, or by 12 to serve all of 2, 3 and 4."""

TABLE = "pixels.tsv"
HEADER = "#set\tid\twidth\theight\tmode\tsha256\t" + "\t".join(f"mod{crop}" for crop in CROPS) + "\tsketch"
_ABBREVIATED = 32
_SAME = "="


@dataclass(frozen=True)
class Known:
    """One image of a standard set. `crops` maps a multiple to the first 32 hex digits of the cropped copy's sha256."""

    set: str
    id: str
    width: int
    height: int
    grey: bool
    sha256: str
    crops: Mapping[int, str]
    sketch: str

    def size(self, multiple: int = 1) -> tuple[int, int]:
        """Width and height, cropped to a multiple."""
        return self.width - self.width % multiple, self.height - self.height % multiple


@dataclass(frozen=True)
class Match:
    """What a picture turned out to be: `known`, cropped to multiples of `crop`, `as_rgb` if grey was stored as RGB."""

    known: Known
    crop: int = 1
    as_rgb: bool = False

    @property
    def variant(self) -> str:
        """In words, how the copy differs from the original; empty where it does not."""
        parts = [f"cropped to multiples of {self.crop}"] * (self.crop > 1) + ["grey stored as RGB"] * self.as_rgb
        return ", ".join(parts)


def pixel_digest(image: LowResolution) -> str:
    """sha256 (hex) of the size and the raw pixels of an image, row-major, RGB interleaved."""
    total = hashlib.sha256(f"{image.shape}".encode())
    total.update(np.ascontiguousarray(image).data)
    return total.hexdigest()


def grey_of(image: Image) -> Image | None:
    """The one plane of an RGB image whose channels are all equal, else None; uint8 `(h, w, 3)` to `(h, w)`."""
    if image.ndim == 2 or not all(np.array_equal(image[..., 0], image[..., channel]) for channel in (1, 2)):
        return None
    return np.ascontiguousarray(image[..., 0])


class Index:
    """Known images, found by digest. A picture may belong to two sets, so a look-up yields every match."""

    def __init__(self, images: Iterable[Known]) -> None:
        self.sets: dict[str, dict[str, Known]] = defaultdict(dict)
        self._matches: dict[str, list[Match]] = defaultdict(list)
        for known in images:
            self.sets[known.set][known.id] = known
            self._matches[known.sha256[:_ABBREVIATED]].append(Match(known))
            for crop, digest in known.crops.items():
                if digest not in {known.sha256[:_ABBREVIATED], *(known.crops[less] for less in CROPS if less < crop)}:
                    self._matches[digest].append(Match(known, crop))

    def find(self, digest: str, grey_digest: str = "") -> list[Match]:
        """Every known image with these pixels; `grey_digest` is that of the one plane of a grey picture kept as RGB."""
        found = list(self._matches.get(digest[:_ABBREVIATED], ()))
        as_grey = self._matches.get(grey_digest[:_ABBREVIATED], ()) if grey_digest else ()
        return found + [Match(match.known, match.crop, as_rgb=True) for match in as_grey]


def describe(set_name: str, id: str, image: Image) -> Known:
    """The table's line for an image."""
    from srbench.datasets.standard.sketch import sketch

    height, width = image.shape[:2]
    crops = {crop: pixel_digest(mod_crop(image, crop))[:_ABBREVIATED] for crop in CROPS}
    return Known(set_name, id, width, height, image.ndim == 2, pixel_digest(image), crops, sketch(image))


def to_line(known: Known) -> str:
    """One line of the table; a crop that cuts nothing, or no more than the crop before it, is written `=`."""
    cells = [known.set, known.id, str(known.width), str(known.height), "L" if known.grey else "RGB", known.sha256]
    before = known.sha256[:_ABBREVIATED]
    for crop in CROPS:
        cells.append(_SAME if known.crops[crop] == before else known.crops[crop])
        before = known.crops[crop]
    return "\t".join([*cells, known.sketch])


def parse(text: str, where: str) -> list[Known]:
    """The images of a table; raises `InputError` for one that is damaged."""
    try:
        return [_from_line(line) for line in text.splitlines() if line and not line.startswith("#")]
    except (ValueError, IndexError) as error:
        raise InputError(f"{where}: not a table of pixels ({error})") from error


def _from_line(line: str) -> Known:
    set_name, id, width, height, mode, sha256, *crops, sketch = line.split("\t")
    digests, before = {}, sha256[:_ABBREVIATED]
    for crop, digest in zip(CROPS, crops, strict=True):
        before = digests[crop] = before if digest == _SAME else digest
    return Known(set_name, id, int(width), int(height), mode == "L", sha256, digests, sketch)


def to_table(images: Iterable[Known], note: str = "") -> str:
    """The text of a table."""
    head = [f"# {line}" for line in note.splitlines()]
    return "\n".join([*head, HEADER, *map(to_line, images)]) + "\n"


@cache
def published() -> Index:
    """The images that srbench knows by itself."""
    return Index(parse(table_text(), TABLE))


def table_text() -> str:
    """What scripts/make_pixels.py has written."""
    return resources.files("srbench.datasets").joinpath(TABLE).read_text(encoding="utf-8")
