"""Every kind of image file is read by the stated rule, or refused with the next step."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srbench.base.errors import InputError
from srbench.images import files as images
from srbench.images.files import list_images, read_image, write_image

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", images.LOSSLESS)
@pytest.mark.parametrize("image", [RGB, GREY], ids=["rgb", "grey"])
def test_lossless_formats_round_trip(tmp_path: Path, suffix: str, image: np.ndarray) -> None:
    write_image(tmp_path / f"a{suffix}", image)
    read = read_image(tmp_path / f"a{suffix}")
    expected = images.to_rgb(image) if suffix == ".webp" else image  # WebP has no grey
    np.testing.assert_array_equal(read, expected)


def test_jpeg_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(RGB), quality=95)
    assert read_image(path).shape == RGB.shape


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise to view
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), exif=exif)
    np.testing.assert_array_equal(read_image(path), np.rot90(RGB, -1))


def test_palette_becomes_its_colours(tmp_path: Path) -> None:
    few = (RGB // 128) * 255
    path = saved(tmp_path / "a.png", Image.fromarray(few).convert("P", palette=Image.Palette.ADAPTIVE, colors=8))
    np.testing.assert_array_equal(read_image(path), few)


def test_bilevel_is_grey_at_full_range(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(GREY > 127))
    np.testing.assert_array_equal(read_image(path), (GREY > 127) * np.uint8(255))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_is_dropped(tmp_path: Path, mode: str) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(RGB).convert(mode))
    assert read_image(path).ndim == (3 if mode == "RGBA" else 2)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_refused(tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(RGB)
    if mode == "P":
        path = saved(tmp_path / "a.png", picture.convert("P"), transparency=int(np.asarray(picture.convert("P"))[0, 0]))
    else:
        picture = picture.convert(mode)
        picture.putalpha(128)
        path = saved(tmp_path / "a.png", picture)
    with pytest.raises(InputError, match="transparent pixels; flatten"):
        read_image(path)


def png_16_bit_rgb() -> bytes:
    """A 1x1 RGB PNG of 16 bits a channel, by hand: Pillow cannot write one, but decodes it to 8 bits silently."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0" + b"\x12\x34" * 3)), chunk(b"IEND", b"")]
    )


def test_16_bit_rgb_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_16_bit_rgb())
    assert np.asarray(Image.open(tmp_path / "a.png")).dtype == np.uint8  # the trap
    with pytest.raises(InputError, match="16 bits a sample"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_grey_is_refused(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(GREY.astype(np.uint16) * 257))
    with pytest.raises(InputError, match="16 bits a sample"):
        read_image(path)


def test_float_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.fromarray(GREY.astype(np.float32)))
    with pytest.raises(InputError, match="32 bits a sample"):
        read_image(path)


def test_cmyk_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(RGB).convert("CMYK"))
    with pytest.raises(InputError, match="colour mode CMYK; convert it to RGB"):
        read_image(path)


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frame = Image.fromarray(RGB)
    path = saved(tmp_path / "a.tif", frame, save_all=True, append_images=[Image.fromarray(RGB[::-1].copy())])
    with pytest.raises(InputError, match="several frames"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
@pytest.mark.parametrize("share", [0.2, 0.7])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format=Image.registered_extensions()[suffix])
    path = tmp_path / f"a{suffix}"
    path.write_bytes(buffer.getvalue()[: int(len(buffer.getvalue()) * share)])
    with pytest.raises(InputError, match="a" + suffix):
        read_image(path)


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(InputError, match="not an image that srbench reads"):
        read_image(tmp_path / "a.png")
    with pytest.raises(InputError, match="no such image"):
        read_image(tmp_path / "b.png")


def test_a_picture_that_claims_too_much_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 10)
    write_image(tmp_path / "a.png", RGB)
    with pytest.raises(InputError, match="9x6 pixels"):
        read_image(tmp_path / "a.png")


def test_lossy_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not a lossless format; write a\.png"):
        write_image(tmp_path / "a.jpg", RGB)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", RGB)
    with pytest.raises(TypeError):
        write_image(tmp_path / "a.png", RGB.astype(np.complex128))  # type: ignore[arg-type]
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_images_are_listed_by_id(tmp_path: Path) -> None:
    for name in ("b.png", "a.bmp"):
        write_image(tmp_path / name, RGB)
    (tmp_path / "notes.txt").write_text("")
    assert list(list_images(tmp_path)) == ["a", "b"]
    write_image(tmp_path / "a.png", RGB)
    with pytest.raises(InputError, match=r"two images are called a: a\.bmp and a\.png"):
        list_images(tmp_path)
