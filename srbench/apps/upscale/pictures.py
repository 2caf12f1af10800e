"""Pictures with what belongs to them: alpha, colour profile, EXIF, 16 bits.

| stored as                       | what happens                                                              |
|---------------------------------|---------------------------------------------------------------------------|
| 8-bit RGB, grey, palette        | upscaled; grey stays grey, a palette becomes RGB                          |
| alpha, or a transparent colour  | upscaled by itself, bicubic, rounded once; a plane of one value keeps it  |
| ICC profile                     | copied as it is; the model sees the stored values                         |
| EXIF                            | kept; orientation is applied to the pixels and its tag dropped            |
| 16-bit grey PNG, 16-bit TIFF    | upscaled in 16 bits (baselines compute on the 8-bit grid, as MATLAB does) |
| TIFF in which white is zero     | turned round: what is written says that black is zero                     |
| 16-bit RGB PNG                  | refused: Pillow would cut it to 8 bits without a word                     |
| CMYK with an embedded profile   | converted by it to sRGB, whose profile the result then has                |
| several frames, other CMYK,     |                                                                           |
| floats                          | refused                                                                   |
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as pil
from PIL import ImageCms, ImageOps

from srbench.apps.upscale.pixels import Enlarger, Pixels, Progress
from srbench.base.errors import InputError
from srbench.base.temporary import atomic_file, write_file
from srbench.images.files import (
    SUFFIXES,
    bits_per_sample,
    open_file,
    open_picture,
    readable,
    refuse_size_and_frames,
)

JPEG_OPTIONS: Mapping[str, Any] = {"quality": 95, "subsampling": 0}
MOST_PIXELS = {".webp": 16383, ".jpg": 65500, ".jpeg": 65500}
"""What a format holds along a side; the others hold more than memory does."""

EXIF_IFD, EXIF_WIDTH, EXIF_HEIGHT = 0x8769, 0xA002, 0xA003
ORIENTATION, TIFF_ICC = 0x0112, 34675
PHOTOMETRIC, WHITE_IS_ZERO, READ = 262, 0, (1, 2)
EXTRA_SAMPLES, PREMULTIPLIED = 338, 1
DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 33432, EXIF_IFD, 0x8825)
"""Description, make, model, software, date, artist, copyright, EXIF and GPS."""


@dataclass(frozen=True)
class Picture:
    """`colour` is `(h, w, 3)` or `(h, w)`, uint8 or uint16; `alpha` `(h, w)` of the same type, where there is one."""

    colour: Pixels
    alpha: Pixels | None = None
    icc: bytes = b""
    exif: pil.Exif = field(default_factory=pil.Exif)


def read_picture(path: Path) -> Picture:
    """Decode a picture; raises `InputError` for what the table above refuses, and for damaged files."""
    with open_file(path) as file, readable(path), open_picture(file) as picture:
        refuse_size_and_frames(picture, path)
        if bits_per_sample(picture) > 8:
            return _read_16_bits(path, picture)
        return _from_pillow(path, picture)


def _from_pillow(path: Path, picture: pil.Image) -> Picture:
    if picture.mode == "CMYK" and picture.info.get("icc_profile"):
        picture = _by_its_profile(path, picture)
    if picture.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX"):
        raise InputError(
            f"{path}: colour mode {picture.mode}; convert it to RGB first, by the profile that you mean: "
            f"magick IN -profile CMYK.icc -profile sRGB.icc OUT.png"
        )
    grey = picture.mode in ("1", "L", "LA")
    icc, turned = picture.info.get("icc_profile") or b"", ImageOps.exif_transpose(picture)
    exif, alpha, picture = _kept_exif(picture), None, turned
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = np.asarray(picture.getchannel("A"))
    return Picture(np.asarray(picture.convert("L" if grey else "RGB")), alpha, icc, exif)


def _by_its_profile(path: Path, picture: pil.Image) -> pil.Image:
    """CMYK as sRGB by the profile that the file holds (relative colorimetric); EXIF and orientation stay."""
    srgb = ImageCms.createProfile("sRGB")
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        converted = ImageCms.profileToProfile(picture, own, srgb, renderingIntent=intent, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise InputError(f"{path}: its colour profile cannot be used ({error}); convert it to RGB first") from error
    assert converted is not None
    converted.info["icc_profile"] = ImageCms.ImageCmsProfile(srgb).tobytes()
    return converted


def _kept_exif(picture: pil.Image) -> pil.Exif:
    """EXIF without orientation; of a TIFF's tags those that describe the picture, not its storage."""
    exif = picture.getexif()
    for tag in list(exif):
        if tag == ORIENTATION or (picture.format == "TIFF" and tag not in DESCRIPTIVE):
            del exif[tag]
    return exif


def _read_16_bits(path: Path, picture: pil.Image) -> Picture:
    icc = picture.info.get("icc_profile") or b""
    if picture.format == "PNG" and picture.mode.startswith("I"):
        turned = ImageOps.exif_transpose(picture)
        return Picture(np.asarray(turned).astype(np.uint16), None, icc, _kept_exif(picture))
    if picture.format != "TIFF":
        raise InputError(f"{path}: 16 bits a sample in colour can be read from TIFF only; convert it to TIFF")
    import tifffile

    pixels = tifffile.imread(path)
    if pixels.dtype != np.uint16 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)):
        raise InputError(f"{path}: {pixels.dtype} of shape {pixels.shape}; expected 16-bit grey, RGB or RGBA")
    if picture.getexif().get(ORIENTATION, 1) != 1:
        raise InputError(f"{path}: a 16-bit TIFF that is to be turned; save it upright first")
    tags = picture.tag_v2  # type: ignore[attr-defined]
    if (kind := tags.get(PHOTOMETRIC)) not in (WHITE_IS_ZERO, *READ):
        raise InputError(f"{path}: 16-bit TIFF of photometric interpretation {kind}; convert it to grey or RGB first")
    if PREMULTIPLIED in tags.get(EXTRA_SAMPLES, ()):
        raise InputError(f"{path}: its colours are multiplied by alpha; save it with straight alpha first")
    if kind == WHITE_IS_ZERO:
        pixels = np.iinfo(np.uint16).max - pixels  # as Pillow does for 8 bits; what is written says that black is zero
    alpha = pixels[..., 3] if pixels.ndim == 3 and pixels.shape[2] == 4 else None
    return Picture(pixels if pixels.ndim == 2 else pixels[..., :3], alpha, icc)


def enlarge(picture: Picture, enlarger: Enlarger, progress: Progress | None = None) -> Picture:
    """The picture, larger; EXIF's own record of the size, where there is one, follows."""
    colour = enlarger(picture.colour, progress)
    alpha = None if picture.alpha is None else enlarger.plane(picture.alpha)
    sizes = picture.exif.get_ifd(EXIF_IFD)
    if EXIF_WIDTH in sizes:
        sizes[EXIF_WIDTH], sizes[EXIF_HEIGHT] = colour.shape[1], colour.shape[0]
    return Picture(colour, alpha, picture.icc, picture.exif)


def check_target(path: Path) -> None:
    """Raise `InputError` for a suffix that no picture can be written to."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: {path.suffix or 'no suffix'} is no image format; write one of {', '.join(SUFFIXES)}")


def refuse_unwritable(path: Path, picture: Picture, scale: float = 1.0) -> None:
    """Raise `InputError` where the format of a path cannot hold a picture that is `scale` times as large.

    Asked before anything is computed, and again when it is written.
    """
    check_target(path)
    suffix = path.suffix.lower()
    height, width = (round(side * scale) for side in picture.colour.shape[:2])
    if max(height, width) > (most := MOST_PIXELS.get(suffix, height + width)):
        raise InputError(
            f"{path}: would be {width}x{height} pixels, and {suffix} holds {most} a side; write {path.stem}.png"
        )
    if picture.alpha is not None and suffix in (".jpg", ".jpeg", ".bmp"):
        raise InputError(f"{path}: {suffix} cannot hold transparency; write {path.stem}.png")
    sixteen = picture.colour.dtype == np.uint16
    if sixteen and suffix not in (".tif", ".tiff") and not (suffix == ".png" and picture.colour.ndim == 2):
        raise InputError(f"{path}: 16 bits a sample in colour can be written to TIFF only; write {path.stem}.tif")


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture, whole or not at all; without loss but for JPEG (quality 95, no chroma subsampling).

    Raises `InputError` where the format cannot hold it: alpha in JPEG or BMP, 16 bits elsewhere than in TIFF and grey
    PNG, more pixels a side than WebP and JPEG count.
    """
    refuse_unwritable(path, picture)
    suffix = path.suffix.lower()
    if picture.colour.dtype == np.uint16 and not (suffix == ".png" and picture.colour.ndim == 2):
        _write_16_bits(path, picture)
        return
    options: dict[str, Any] = {"icc_profile": picture.icc} if picture.icc else {}
    if len(picture.exif) and suffix != ".bmp":
        options["exif"] = picture.exif
    options |= {".webp": {"lossless": True, "exact": True}, ".jpg": JPEG_OPTIONS, ".jpeg": JPEG_OPTIONS}.get(suffix, {})
    with atomic_file(path) as file:
        _as_pillow(picture).save(file, format=pil.registered_extensions()[suffix], **options)


def _as_pillow(picture: Picture) -> pil.Image:
    image = pil.fromarray(picture.colour)
    if picture.alpha is not None:
        image.putalpha(pil.fromarray(picture.alpha))
    return image


def _write_16_bits(path: Path, picture: Picture) -> None:
    import tifffile

    grey, alpha = picture.colour.ndim == 2, picture.alpha
    pixels = picture.colour if alpha is None else np.dstack([picture.colour, alpha])
    buffer = io.BytesIO()  # tifffile wants files to have a name
    tifffile.imwrite(
        buffer,
        pixels,
        photometric="minisblack" if grey else "rgb",
        extrasamples=None if alpha is None else ["unassalpha"],
        compression="zlib",
        extratags=[(TIFF_ICC, 7, len(picture.icc), picture.icc, True)] if picture.icc else [],
    )
    write_file(path, buffer.getvalue())
