"""Which pictures of a heap belong to a set: by their pixels, whatever they are called, and the best copy of each."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from PIL import Image as pil

from srbench.base.errors import InputError
from srbench.datasets.standard.pixels import CROPS, Known, Match, grey_of, pixel_digest, published
from srbench.datasets.standard.sketch import psnr_from, sketch
from srbench.datasets.standard.table import STANDARD_SETS, StandardSet
from srbench.datasets.standard.verify import SAME_PICTURE_DB
from srbench.images.files import FORMATS, decode_image, write_image

if TYPE_CHECKING:
    from srbench.datasets.standard.unpack import PictureFile
    from srbench.images.files import Image

Size = tuple[int, int]
_PNG = b"\x89PNG\r\n\x1a\n"
_SUFFIXES_OF_NAMES = re.compile(r"(_SRF_\d)?(_?(HR|LR|GT))?(x\d)?$")


@dataclass
class Picker:
    """Writes the best copy of each image of a set into `folder` as `ID.png` while it goes through a heap of pictures.

    `names` maps the name of a picture, without what marks it as HR or LR, to the id that its pixels have.
    """

    row: StandardSet
    folder: Path
    found: dict[str, Match] = field(default_factory=dict)
    near: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known = {} if self.row.first_use else published().sets[self.row.name]
        self._sizes = {known.size(crop) for known in self._known.values() for crop in (1, *CROPS)}

    @property
    def missing(self) -> list[str]:
        """The ids of which there is no copy yet."""
        return [id for id in self.row.ids if id not in self.found]

    def offer(self, picture: PictureFile) -> None:
        """Take a picture if it is one of the set and better than the copy at hand. What cannot be decoded is noted."""
        label, content = picture
        try:
            if self.row.first_use:
                self._take_by_name(label, content)
            elif header_of(content)[0] in self._sizes:
                self._take_by_pixels(label, content)
        except InputError as error:
            self.unreadable[label] = str(error)

    def _take_by_pixels(self, label: str, content: bytes) -> None:
        image = decode_image(io.BytesIO(content), Path(label))
        plane = grey_of(image)
        matches = published().find(pixel_digest(image), "" if plane is None else pixel_digest(plane))
        own = [match for match in matches if match.known.set == self.row.name]
        own = [match for match in own if match.known.id == bare_name(label)] or own  # T91 has a picture twice
        if not own:
            self.others |= {match.known.set for match in matches}
            self._note_near_miss(label, image)
        for match in own:
            self.names[bare_name(label)] = match.known.id
            before = self.found.get(match.known.id)
            if before is None or match.crop < before.crop:
                self.found[match.known.id] = Match(match.known, match.crop)
                self._write(match.known.id, content, plane if plane is not None and match.as_rgb else image)

    def _write(self, id: str, content: bytes, image: Image) -> None:
        path = self.folder / f"{id}.png"
        if content.startswith(_PNG) and header_of(content)[1] == ("L" if image.ndim == 2 else "RGB"):
            path.write_bytes(content)  # as it is: encoding takes most of the time
        else:
            write_image(path, image)

    def _note_near_miss(self, label: str, image: Image) -> None:
        height, width = image.shape[:2]
        here = sketch(image)
        for known in self._known.values():
            if known.size(12) == (width - width % 12, height - height % 12):
                psnr = psnr_from(here, known.sketch, width, height)
                if psnr >= SAME_PICTURE_DB:
                    self.near[known.id] = f"{label} is the same picture with other pixels, about {psnr:.0f} dB away"

    def _take_by_name(self, label: str, content: bytes) -> None:
        id = PurePosixPath(label).stem
        if id not in self.row.ids or id in self.found:
            return
        image = decode_image(io.BytesIO(content), Path(label))
        if matches := published().find(pixel_digest(image)):
            self.others.add(matches[0].known.set)
        elif image.ndim == 3 and max(image.shape[:2]) == self.row.long_side:
            height, width = image.shape[:2]
            self.found[id] = Match(Known(self.row.name, id, width, height, False, "", {}, ""))
            self.names[bare_name(label)] = id
            self._write(id, content, image)
        else:
            size = f"{image.shape[1]}x{image.shape[0]}"
            self.near[id] = f"{label} has {size}, not {self.row.long_side} pixels on its longer side"

    def complaint(self, source: str) -> str:
        """Why the set is not complete: what is missing, and what there was instead."""
        missing = self.missing
        words = [f"{source}: {len(self.found)} of {self.row.count} images of {self.row.name} found; no {missing[0]}"]
        words += [self.near[id] for id in missing[:1] if id in self.near]
        words += list(self.unreadable.values())[:1]
        words += [f"it holds {name}{_remark(name)}" for name in sorted(self.others)]
        return "; ".join(words) + ". Nothing was changed"


def _remark(name: str) -> str:
    return f" ({STANDARD_SETS[name].note})" if STANDARD_SETS[name].note else ""


def bare_name(label: str) -> str:
    """A file's name without folder, suffix and the marks of HR, LR and scale."""
    return _SUFFIXES_OF_NAMES.sub("", PurePosixPath(label).stem)


def header_of(content: bytes) -> tuple[Size | None, str]:
    """Width and height, and Pillow's name for the channels; None and an empty name for no image.

    By the header alone, so that what cannot belong to the set is not decoded.
    """
    try:
        with warnings.catch_warnings(action="ignore"), pil.open(io.BytesIO(content), formats=FORMATS) as picture:
            return picture.size, picture.mode
    except Exception:  # damaged headers raise anything
        return None, ""
