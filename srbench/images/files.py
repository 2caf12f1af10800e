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
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image as pil
from PIL import ImageOps, UnidentifiedImageError

from srbench.base.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]
    """uint8, `(h, w, 3)` RGB or `(h, w)` grey, 0 to 255."""

FORMATS = ("PNG", "WEBP", "JPEG", "BMP", "TIFF")
SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
LOSSLESS = (".png", ".bmp", ".tif", ".tiff", ".webp")

MAX_PIXELS = 1 << 30
"""A picture that claims more is refused before a byte of it is decoded."""

_TIFF_BITS_PER_SAMPLE = 258
_TIFF_SAMPLE_FORMAT = 339
_UNSIGNED = 1


def read_image(path: Path | str) -> Image:
    """Decode an image file to uint8: `(h, w, 3)` RGB, or `(h, w)` where it is stored grey.

    Raises `InputError` for everything that the table above refuses, and for a missing or damaged file.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return decode_image(file, path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such image") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def decode_image(file: IO[bytes], path: Path) -> Image:
    """As `read_image`, from an open file; `path` is what errors call it. Raises `InputError`."""
    try:
        return _decode(file, path)
    except UnidentifiedImageError:
        raise InputError(f"{path}: not an image that srbench reads ({', '.join(SUFFIXES)})") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # what Pillow raises for damaged files
        raise InputError(f"{path}: cannot be decoded ({error}). Replace the file; it may be truncated.") from error


def open_picture(file: IO[bytes], formats: tuple[str, ...] = FORMATS) -> pil.Image:
    """Pillow's `open` without its limit, which would warn at a large photograph times 4; ours is `MAX_PIXELS`."""
    ceiling = pil.MAX_IMAGE_PIXELS
    pil.MAX_IMAGE_PIXELS = None
    try:
        return pil.open(file, formats=formats)
    finally:
        pil.MAX_IMAGE_PIXELS = ceiling


def _decode(file: IO[bytes], path: Path) -> Image:
    with open_picture(file) as picture:
        _refuse_what_would_be_converted_silently(picture, path)
        picture.load()
        return np.ascontiguousarray(_to_grey_or_rgb(ImageOps.exif_transpose(picture), path))


def refuse_size_and_frames(picture: pil.Image, path: Path) -> None:
    """Raise `InputError` for more than `MAX_PIXELS`, and for animations."""
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise InputError(f"{path}: {width}x{height} pixels; srbench reads up to {MAX_PIXELS >> 20} megapixels")
    if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
        raise InputError(f"{path}: holds several frames; save the one that you mean as a PNG")


def _refuse_what_would_be_converted_silently(picture: pil.Image, path: Path) -> None:
    refuse_size_and_frames(picture, path)
    if (bits := bits_per_sample(picture)) > 8:
        raise InputError(f"{path}: {bits} bits a sample, scores need 8. Convert it: magick IN -depth 8 OUT.png")


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


def to_rgb(image: Image) -> Image:
    """`(h, w, 3)`: grey values repeated in three channels, colour as it is."""
    return np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image


def write_image(path: Path | str, image: Image) -> None:
    """Write uint8 `(h, w)` or `(h, w, 3)` without loss, in the format of the suffix, whole or not at all.

    Raises `InputError` for a lossy or unknown suffix.
    """
    path = Path(path)
    if path.suffix.lower() not in LOSSLESS:
        raise InputError(f"{path}: {path.suffix or 'no suffix'} is not a lossless format; write {path.stem}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    with atomic_file(path) as file:
        pil.fromarray(image).save(file, format=pil.registered_extensions()[path.suffix.lower()], **options)


class atomic_file:  # noqa: N801 - used as a function, as tempfile's are
    """Context manager: a binary file that replaces `path` on success and vanishes on failure."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> IO[bytes]:
        handle, self._temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        self._file = os.fdopen(handle, "wb")
        return self._file

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            self._file.close()
            if kind is None:
                Path(self._temporary).chmod(0o666 & ~_umask())
                os.replace(self._temporary, self.path)
        finally:
            Path(self._temporary).unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def list_images(folder: Path) -> dict[str, Path]:
    """The images straight inside a folder, by id (the file name without its suffix, as `printable`), sorted by id.

    Raises `InputError` where the folder is missing or two files have one id.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(_image_files(folder), key=lambda path: (path.stem, path.suffix)):
        id = printable(path.stem)
        if id in found:
            raise InputError(f"{folder}: two images are called {id}: {found[id].name} and {path.name}")
        found[id] = path
    return found


def printable(name: str) -> str:
    """A file's name as text that can be stored and shown anywhere: bytes that are not UTF-8 become `%E9`."""
    return "".join(f"%{ord(letter) - 0xDC00:02X}" if "\udc80" <= letter <= "\udcff" else letter for letter in name)


def _image_files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))
