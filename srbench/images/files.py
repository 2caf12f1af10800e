"""Images in and out: what is read as it stands, what is converted by a stated rule, what is refused.

| stored as                            | what happens                                                       |
|--------------------------------------|--------------------------------------------------------------------|
| 8-bit RGB                            | as it is; an ICC profile is ignored, values are what is stored     |
| 8-bit grey, 1/2/4-bit grey           | stays grey, `(h, w)`, scaled to 0..255                             |
| palette                              | its RGB colours, which is lossless                                 |
| alpha (RGBA, LA, PA, PNG tRNS)       | opaque everywhere: dropped; otherwise refused                      |
| EXIF orientation                     | applied                                                            |
| 16-bit, 32-bit, float                | refused: scores are defined on 8 bits, and truncation would be silent |
| CMYK, Lab, HSV, YCbCr                | refused: there is no one conversion to RGB                         |
| several frames or pages              | refused; of an MPO (stereo JPEG) the first picture is taken        |
| truncated or damaged                 | refused                                                            |
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image as pil
from PIL import ImageOps, UnidentifiedImageError

from srbench.base.errors import InputError, first_line
from srbench.base.temporary import atomic_file

if TYPE_CHECKING:
    from typing import TypeVar

    import numpy.typing as npt

    Pixel = TypeVar("Pixel", bound=np.generic)

    Image = npt.NDArray[np.uint8]
    """uint8, `(h, w, 3)` RGB or `(h, w)` grey, 0 to 255."""

FORMATS = ("PNG", "WEBP", "JPEG", "BMP", "TIFF")
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".webp")

MAX_PIXELS = 1 << 27
"""A picture that claims more is refused before a byte of it is decoded; `$SRBENCH_MAX_MEGAPIXELS` allows more. What
`srbench run` takes to score one is in `srbench.benchmark.memory`."""

_TIFF_BITS_PER_SAMPLE = 258
_TIFF_SAMPLE_FORMAT = 339
_UNSIGNED = 1


def read_image(path: Path | str) -> Image:
    """Decode an image file to uint8: `(h, w, 3)` RGB, or `(h, w)` where it is stored grey.

    Raises `InputError` for everything that the table above refuses, and for a missing or damaged file.
    """
    path = Path(path)
    with open_file(path) as file:
        return decode_image(file, path)


def open_file(path: Path) -> IO[bytes]:
    """An image's file, open; raises `InputError` for one that is missing, cannot be read, or is no regular file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for ever, a device has no end
            raise InputError(f"{path}: not a regular file")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def decode_image(file: IO[bytes], path: Path) -> Image:
    """As `read_image`, from an open file; `path` is what errors call it. Raises `InputError`."""
    with readable(path), open_picture(file) as picture:
        refuse_size_and_frames(picture, path)
        if (bits := bits_per_sample(picture)) > 8:  # which Pillow would convert without a word
            raise InputError(f"{path}: {bits} bits a sample, scores need 8. Convert it: magick IN -depth 8 OUT.png")
        picture.load()
        return np.ascontiguousarray(_to_grey_or_rgb(ImageOps.exif_transpose(picture), path))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What a decoder raises, as an `InputError` that names the file: for a damaged one that may be anything."""
    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image that srbench reads ({', '.join(SUFFIXES)})") from None
    except MemoryError:
        raise InputError(f"{path}: cannot be decoded: it needs more memory than there is") from None
    except Exception as error:
        told = f"cannot be decoded ({first_line(error)}). Replace the file; it may be truncated."
        raise InputError(f"{path}: {told}") from error


def open_picture(file: IO[bytes]) -> pil.Image:
    """Pillow's `open` without its limit, which would warn at a large photograph times 4; ours is `MAX_PIXELS`."""
    ceiling = pil.MAX_IMAGE_PIXELS
    pil.MAX_IMAGE_PIXELS = None
    try:
        return pil.open(file, formats=FORMATS)
    finally:
        pil.MAX_IMAGE_PIXELS = ceiling


def refuse_size_and_frames(picture: pil.Image, path: Path) -> None:
    """Raise `InputError` for more than `MAX_PIXELS`, and for animations."""
    width, height = picture.size
    most = max_pixels()
    if width * height > most:
        remedy = "Cut it up, or set SRBENCH_MAX_MEGAPIXELS where there is memory for it"
        raise InputError(f"{path}: {width}x{height} pixels; srbench reads up to {most / 1e6:.0f} megapixels. {remedy}")
    if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
        raise InputError(f"{path}: holds several frames; save the one that you mean as a PNG")


def max_pixels() -> int:
    """`MAX_PIXELS`, or what `$SRBENCH_MAX_MEGAPIXELS` says. Raises `InputError` where that is no number."""
    text = os.environ.get("SRBENCH_MAX_MEGAPIXELS", "")
    try:
        return int(float(text) * 1e6) if text else MAX_PIXELS
    except (ValueError, OverflowError):
        raise InputError(f"SRBENCH_MAX_MEGAPIXELS={text!r} is not a number of megapixels") from None


def bits_per_sample(picture: pil.Image) -> int:
    """Bits a sample as stored; Pillow decodes 16-bit RGB to 8 bits without a word."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return 16 if "16" in picture.mode or picture.format == "PNG" else 32
    if picture.format == "PNG":
        rawmode = str(getattr(picture, "tile", ""))
        return 16 if ";16" in rawmode else 8
    if picture.format == "TIFF":
        tags = picture.tag_v2  # type: ignore[attr-defined]
        if any(kind != _UNSIGNED for kind in tags.get(_TIFF_SAMPLE_FORMAT, (_UNSIGNED,))):
            return 32
        return int(max(tags.get(_TIFF_BITS_PER_SAMPLE, (1,))))
    return 8


def _to_grey_or_rgb(picture: pil.Image, path: Path) -> Image:
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        if rgba.getchannel("A").getextrema() != (255, 255):
            raise InputError(f"{path}: has transparent pixels; flatten it on a background of your choice first")
        picture = picture.convert("L" if picture.mode in ("L", "LA") else "RGB")
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode in ("P", "RGBX"):
        picture = picture.convert("RGB")
    if picture.mode not in ("L", "RGB"):
        raise InputError(f"{path}: colour mode {picture.mode}; convert it to RGB first, by the profile that you mean")
    return np.asarray(picture)


def to_rgb(image: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
    """`(h, w, 3)`: grey values repeated in three channels, colour as it is."""
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image


def write_image(path: Path | str, image: Image) -> None:
    """Write uint8 `(h, w)` or `(h, w, 3)` without loss, in the format of the suffix, whole or not at all.

    Raises `InputError` for a lossy or unknown suffix.
    """
    path = Path(path)
    if path.suffix.lower() not in LOSSLESS:
        raise InputError(f"{path}: {path.suffix or 'no suffix'} is not a lossless format; write {path.stem}.png")
    options = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    with atomic_file(path) as file:
        pil.fromarray(image).save(file, format=pil.registered_extensions()[path.suffix.lower()], **options)


def list_images(folder: Path) -> dict[str, Path]:
    """The images straight inside a folder, by id (the file name without its suffix, as `printable`), sorted by id.

    Raises `InputError` where the folder is missing or two files have one id.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    try:
        with os.scandir(folder) as entries:  # which says of each whether it is a file, without asking again
            named = [(folder / entry.name, entry.is_file()) for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error})") from error
    images = [(path, is_file) for path, is_file in named if path.suffix.lower() in SUFFIXES]
    found: dict[str, Path] = {}
    for path, is_file in sorted(images, key=lambda image: (image[0].stem, image[0].suffix)):
        if not is_file:
            raise InputError(
                f"{path}: not a regular file, but a folder, a pipe, a device or a link to nothing. Remove it"
            )
        id = printable(path.stem)
        if id in found:
            raise InputError(f"{folder}: two images are called {id}: {found[id].name} and {path.name}")
        found[id] = path
    return found


def printable(name: str) -> str:
    """A file's name as text that can be stored and shown anywhere: bytes that are not UTF-8 become `%E9`."""
    return "".join(f"%{ord(letter) - 0xDC00:02X}" if "\udc80" <= letter <= "\udcff" else letter for letter in name)


def as_named(text: str) -> str:
    """The name of which `printable` made a text, where it is there under that alone; else the text itself."""
    found = re.sub("%([89A-F][0-9A-F])", lambda match: chr(0xDC00 + int(match[1], 16)), text)
    return found if not os.path.lexists(text) and os.path.lexists(found) else text
