"""`srbench upscale`: pictures with what belongs to them, folders, bounded memory."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as pil
from PIL import ImageCms

from srbench.apps.upscale import forecast
from srbench.apps.upscale.pixels import Enlarger, resized, upscaled
from srbench.apps.upscale.sheet import detailed, views
from srbench.images.files import read_image, write_image
from srbench.images.resize import imresize
from srbench.images.tensors import to_tensor
from srbench.models import load_model
from srbench.models.inference import Inference
from srbench.models.spec import ModelSpec
from tests.conftest import Srbench

Photograph = Callable[..., np.ndarray]
CPU = torch.device("cpu")
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def bicubic(image: np.ndarray, scale: int = 4) -> np.ndarray:
    """What the model called bicubic makes of a picture, as uint8."""
    sr = load_model("bicubic", scale, "cpu")(to_tensor(image))[0].permute(1, 2, 0)
    return (sr * 255.0).round().byte().numpy()


def test_an_image_is_what_the_model_makes_of_it(srbench: Srbench, photograph: Photograph, tmp_path: Path) -> None:
    lr = photograph(300, 41)  # more than one tile
    write_image(tmp_path / "lr.png", lr)
    assert srbench("upscale", tmp_path / "lr.png", tmp_path / "sr.png", "--model", "bicubic") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "sr.png"), bicubic(lr))
    assert "sr.png: 164x1200" in srbench.err
    (tmp_path / "out").mkdir()
    assert srbench("upscale", tmp_path / "lr.png", tmp_path / "out", "--model", "bicubic", "--scale", 2) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "lr.png"), bicubic(lr, 2))


def test_alpha_profile_and_exif_are_kept(srbench: Srbench, photograph: Photograph, tmp_path: Path) -> None:
    lr, alpha = photograph(20, 30), photograph(20, 30, seed=1, grey=True)
    image = pil.fromarray(np.dstack([lr, alpha]))
    exif = pil.Exif()
    exif[0x0112], exif[0x013B] = 6, "A. Photographer"  # to be turned by a quarter, artist
    exif.get_ifd(0x8769)[0xA002] = 30
    image.save(tmp_path / "lr.png", icc_profile=SRGB, exif=exif)
    for suffix in ("png", "webp", "tif"):
        assert srbench("upscale", tmp_path / "lr.png", tmp_path / f"sr.{suffix}", "--model", "bicubic") == 0
        with pil.open(tmp_path / f"sr.{suffix}") as made:
            assert (made.mode, made.size, made.info["icc_profile"]) == ("RGBA", (80, 120), SRGB)
            assert made.getexif()[0x013B] == "A. Photographer"
            assert made.getexif().get(0x0112, 1) == 1
            assert made.getexif().get_ifd(0x8769)[0xA002] == 80
            pixels = np.asarray(made)
        np.testing.assert_array_equal(pixels[..., :3], bicubic(np.rot90(lr, -1).copy()))
        turned = torch.from_numpy(np.rot90(alpha, -1).copy()).double()
        expected = (imresize(turned, 4, as_uint8=False) + 0.5).floor().clamp(0, 255).byte().numpy()
        np.testing.assert_array_equal(pixels[..., 3], expected)
    assert srbench("upscale", tmp_path / "lr.png", tmp_path / "sr.jpg", "--model", "bicubic") == 2
    assert ".jpg cannot hold transparency; write sr.png" in srbench.err


def test_grey_stays_grey_and_palettes_become_rgb(srbench: Srbench, photograph: Photograph, tmp_path: Path) -> None:
    grey = photograph(20, 30, grey=True)
    write_image(tmp_path / "grey.png", grey)
    assert srbench("upscale", tmp_path / "grey.png", tmp_path / "sr.png", "--model", "bicubic") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "sr.png"), bicubic(grey)[..., 0])
    pil.fromarray(photograph(20, 30)).quantize(8).save(tmp_path / "palette.png")
    assert srbench("upscale", tmp_path / "palette.png", tmp_path / "sr.jpg", "--model", "nearest") == 0
    assert read_image(tmp_path / "sr.jpg").shape == (80, 120, 3)


@pytest.mark.parametrize(
    ("shape", "suffix"), [((9, 12), "png"), ((9, 12), "tif"), ((9, 12, 3), "tif"), ((9, 12, 4), "tif")]
)
def test_16_bits_in_and_out(
    shape: tuple[int, ...], suffix: str, srbench: Srbench, register: Callable[..., None], tmp_path: Path
) -> None:
    def double(lr: torch.Tensor) -> torch.Tensor:
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)

    double.scale = 2  # type: ignore[attr-defined]
    register("models", "double", ModelSpec("double", (2,), lambda scale, device: double))  # type: ignore[arg-type,return-value]
    lr = np.random.default_rng(0).integers(0, 1 << 16, shape, dtype=np.uint16)
    if suffix == "png":
        pil.fromarray(lr).save(tmp_path / "lr.png")
    else:
        tifffile.imwrite(tmp_path / "lr.tif", lr, photometric="rgb" if lr.ndim == 3 else "minisblack")
    assert srbench("upscale", tmp_path / f"lr.{suffix}", tmp_path / f"sr.{suffix}", "--model", "double") == 0
    sr = np.asarray(pil.open(tmp_path / "sr.png")) if suffix == "png" else tifffile.imread(tmp_path / "sr.tif")
    assert sr.dtype == np.uint16
    colours = slice(0, 3) if lr.ndim == 3 else slice(None)
    expected = lr[..., colours].repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_allclose(sr[..., colours].astype(int), expected.astype(int), atol=1 if lr.ndim == 2 else 0)
    assert sr.shape[2:] == lr.shape[2:]
    if lr.ndim == 3:
        assert srbench("upscale", tmp_path / "lr.tif", tmp_path / "sr.png", "--model", "double") == 2
        assert "can be written to TIFF only; write sr.tif" in srbench.err


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_in_which_white_is_zero_is_no_negative(dtype: type, srbench: Srbench, tmp_path: Path) -> None:
    ramp = (np.linspace(0, np.iinfo(dtype).max, 24 * 24).reshape(24, 24)).astype(dtype)
    tifffile.imwrite(tmp_path / "lr.tif", np.iinfo(dtype).max - ramp, photometric="miniswhite")
    assert srbench("upscale", tmp_path / "lr.tif", tmp_path / "sr.tif", "--model", "nearest", "--scale", 2) == 0
    with pil.open(tmp_path / "sr.tif") as picture:
        assert picture.tag_v2[262] == 1  # type: ignore[attr-defined]
        expected = ramp.repeat(2, 0).repeat(2, 1).astype(float)  # to 8 bits: baselines compute on that grid
        np.testing.assert_allclose(np.asarray(picture), expected, atol=np.iinfo(dtype).max / 255 / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"photometric": "separated"}, "photometric interpretation 5"),
        ({"photometric": "rgb", "extrasamples": ["assocalpha"]}, "multiplied by alpha"),
    ],
)
def test_16_bits_that_are_not_grey_or_rgb(options: Any, message: str, srbench: Srbench, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "lr.tif", np.zeros((16, 16, 4), np.uint16), **options)
    assert srbench("upscale", tmp_path / "lr.tif", tmp_path / "sr.tif", "--model", "nearest") == 2
    assert message in srbench.err


def test_any_scale_by_a_final_resize(srbench: Srbench, photograph: Photograph, tmp_path: Path) -> None:
    lr = photograph(30, 41)
    write_image(tmp_path / "lr.png", lr)
    assert srbench("upscale", tmp_path / "lr.png", tmp_path / "sr.png", "--model", "bicubic", "--scale", "2.5") == 0
    sr = read_image(tmp_path / "sr.png")
    assert sr.shape == (75, 102, 3)
    x3 = torch.from_numpy(bicubic(lr, 3).transpose(2, 0, 1).copy()).double()
    whole = (imresize(x3, 2.5 / 3, as_uint8=False) + 0.5).floor().clamp(0, 255)[:, :75, :102]
    np.testing.assert_array_equal(sr, whole.permute(1, 2, 0).byte().numpy())


@given(st.integers(1, 300), st.integers(1, 40), st.floats(0.3, 4), st.sampled_from([(), (3,)]), st.integers(0, 1 << 31))
@settings(max_examples=30, deadline=None)
def test_resizing_by_strips_equals_the_whole(
    height: int, width: int, scale: float, channels: tuple[int, ...], seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, *channels), dtype=np.uint8)
    planes = torch.from_numpy(np.moveaxis(image.reshape(height, width, -1), -1, 0).copy()).double()
    whole = (imresize(planes, scale, as_uint8=False) + 0.5).floor().clamp(0, 255).permute(1, 2, 0).numpy()
    made = resized(image, scale, whole.shape[:2]).reshape(whole.shape)
    assert np.abs(made - whole).max() <= 1  # a tie may fall to either side
    assert (made == whole).mean() > 0.99


@pytest.mark.parametrize(("height", "width", "scale"), [(150, 110, 4), (50, 60, 2.5), (20, 30, 3)])
def test_a_comparison_sheet(
    height: int, width: int, scale: float, srbench: Srbench, photograph: Photograph, tmp_path: Path
) -> None:
    lr = photograph(height, width, grey=scale == 3)
    write_image(tmp_path / "lr.png", lr)
    sheet = tmp_path / "sheets" / "sheet.png"
    words = ["upscale", tmp_path / "lr.png", tmp_path / "sr.png", "--model", "bicubic", "--scale", scale]
    assert srbench(*words, "--compare", sheet) == 0
    pieces = detailed(lr)
    assert len({box[:2] for box in pieces}) == len(pieces) == min(3, max(1, (height // 48)) * max(1, (width // 48)))
    whole_height = round(320 * height / max(height, width))
    assert read_image(sheet).shape == (12 + whole_height + len(pieces) * 358 + 12, 3 * 332 + 12, 3)
    for box in pieces:
        nearest, by_bicubic, sr = views(lr, read_image(tmp_path / "sr.png"), box)
        assert nearest.shape == by_bicubic.shape == sr.shape
        near = np.abs(by_bicubic.astype(int) - sr) <= 1  # not all: MATLAB rounds and clamps between the axes
        assert near.mean() > 0.97 or scale == 2.5
    assert srbench(*words, "--compare", tmp_path / "sheet.jpg") == 2
    assert "it ends in .png" in srbench.err


def test_progress_is_told_tile_by_tile(photograph: Photograph) -> None:
    told: list[tuple[int, int]] = []
    inference = Inference(load_model("nearest", 2, "cpu"), CPU, tile="64")
    upscaled(inference, photograph(70, 130), lambda done, expected: told.append((done, expected)))
    assert told == [(index, 6) for index in range(1, 7)]


def test_tiles_halve_when_memory_runs_out(photograph: Photograph) -> None:
    plain = load_model("nearest", 2, "cpu")

    class Small:
        scale = 2

        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            if lr.shape[-1] * lr.shape[-2] > 200 * 200:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return plain(lr)

    lr = photograph(300, 310)
    np.testing.assert_array_equal(upscaled(Inference(Small(), CPU), lr), lr.repeat(2, axis=0).repeat(2, axis=1))


def test_a_folder_keeps_its_tree_and_skips_what_is_done(
    srbench: Srbench, photograph: Photograph, tmp_path: Path
) -> None:
    source, target = tmp_path / "in", tmp_path / "in" / "out"
    write_image(source / "a.png", photograph(10, 12))
    write_image(source / "deep" / "er" / "b.bmp", photograph(11, 12))
    (source / "deep" / "c.jpg").write_bytes(b"not an image")
    (source / "notes.txt").write_text("not an image either")
    options = ["upscale", source, target, "--model", "nearest"]
    assert srbench(*options) == 1
    assert "c.jpg: not an image that srbench reads" in srbench.err
    assert "2 images done, 1 failed" in srbench.err
    np.testing.assert_array_equal(
        read_image(target / "deep" / "er" / "b.png"), photograph(11, 12).repeat(4, axis=0).repeat(4, axis=1)
    )
    (source / "deep" / "c.jpg").unlink()
    before = (target / "a.png").stat().st_mtime_ns
    write_image(source / "d.png", photograph(5, 6))
    assert srbench(*options) == 0
    assert "1 image done, 0 failed" in srbench.err
    assert (target / "a.png").stat().st_mtime_ns == before
    assert srbench("upscale", source, target, "--model", "bicubic") == 2
    assert "made by nearest x4, and not by bicubic x4" in srbench.err
    write_image(source / "a.bmp", photograph(5, 6))
    assert srbench(*options) == 2
    assert "would both become" in srbench.err


def test_what_is_refused(srbench: Srbench, photograph: Photograph, tmp_path: Path) -> None:
    write_image(tmp_path / "lr.png", photograph(10, 12))
    for arguments, message in {
        (tmp_path / "lr.png", tmp_path / "sr.gif"): ".gif is no image format; write one of .png",
        (tmp_path / "lr.png", tmp_path / "lr.png"): "is an input, and would be written over; give another output",
        (tmp_path / "lr.png", tmp_path / "sr.png", "--tile", "0"): "--tile '0' is neither auto, none, nor a number",
        (tmp_path / "lr.png", tmp_path / "sr.png", "--tile", "²"): "--tile '²' is neither auto, none, nor a number",
        (tmp_path / "lr.png", tmp_path / "sr.png", "--model-range", "255"): "--model-range: write a range of values",
    }.items():
        assert srbench("upscale", *arguments, "--model", "nearest") == 2
        assert message in srbench.err
    pil.fromarray(photograph(9, 9)).convert("CMYK").save(tmp_path / "cmyk.jpg")
    assert srbench("upscale", tmp_path / "cmyk.jpg", tmp_path / "sr.png", "--model", "nearest") == 2
    assert "colour mode CMYK" in srbench.err


# VmHWM: getrusage would answer with what pytest held when it started this process, if that is more.
MEASURED = """
import re, sys
from pathlib import Path
from srbench.cli import main
status = main(["upscale", sys.argv[1], sys.argv[2], "--model", "bicubic", "--device", "cpu"])
peak = re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())
print(status, int(peak[1]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_twelve_megapixels_in_bounded_memory(tmp_path: Path) -> None:
    """4000x3000 by 4: SR is 549 MiB and Pillow holds it a second time, at four bytes a pixel; see docs/upscale.md."""
    ramp = np.add.outer(np.arange(3000), np.arange(4000))
    pil.fromarray(np.dstack([ramp % 251, ramp % 241, ramp % 239]).astype(np.uint8)).save(tmp_path / "lr.jpg")
    paths = [str(tmp_path / "lr.jpg"), str(tmp_path / "sr.png")]
    done = subprocess.run([sys.executable, "-c", MEASURED, *paths], capture_output=True, text=True, check=True)
    status, peak_mib = done.stdout.split()
    assert status == "0"
    assert int(peak_mib) < 2500


def test_cmyk_by_its_embedded_profile(srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow makes no CMYK profile, so a stand-in is read in its place: what counts is that the file's own is used."""
    used: list[bytes] = []

    def convert(picture: pil.Image, own: Any, to: object, **options: object) -> pil.Image:
        used.append(own.tobytes())
        assert options == {"renderingIntent": ImageCms.Intent.RELATIVE_COLORIMETRIC, "outputMode": "RGB"}
        return pil.new("RGB", picture.size, (10, 20, 30))

    monkeypatch.setattr(ImageCms, "profileToProfile", convert)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    pil.new("CMYK", (9, 7), (10, 200, 30, 0)).save(tmp_path / "cmyk.jpg", icc_profile=profile)
    assert srbench("upscale", tmp_path / "cmyk.jpg", tmp_path / "big.png", "--model", "bicubic") == 0, srbench.err
    with pil.open(tmp_path / "big.png") as picture:
        assert (picture.mode, picture.size, picture.getpixel((3, 3))) == ("RGB", (36, 28), (10, 20, 30))
        name = ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"])))
    assert used == [profile] and "sRGB" in name


def test_cmyk_with_a_profile_that_does_not_fit(srbench: Srbench, tmp_path: Path) -> None:
    pil.new("CMYK", (9, 7)).save(tmp_path / "cmyk.jpg", icc_profile=SRGB)
    assert srbench("upscale", tmp_path / "cmyk.jpg", tmp_path / "big.png", "--model", "bicubic") == 2
    assert "cmyk.jpg: its colour profile cannot be used" in srbench.err


def test_a_large_picture_is_told_beforehand(srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "LARGE", 40 * 50)
    pil.new("RGB", (50, 40), (9, 9, 9)).save(tmp_path / "a.png")
    words = ["upscale", tmp_path / "a.png", tmp_path / "b.png", "--model", "bicubic", "--scale", "2"]
    assert srbench(*words, "--tile", "32") == 0
    first, *_, last = srbench.err.splitlines()
    told = r"a\.png, by bicubic: 100x80 pixels, 4 tiles of 32 LR pixels: about \d+ s, and 0 MiB for the result"
    assert re.fullmatch(told, first), first
    assert re.fullmatch(r".*b\.png: 100x80 by bicubic, in \d+ s", last)
    pil.new("RGB", (49, 40)).save(tmp_path / "a.png")
    assert srbench(*words[:2], tmp_path / "c.png", *words[3:]) == 0
    assert len(srbench.err.splitlines()) == 1


def test_a_final_resize_is_told(srbench: Srbench, tmp_path: Path) -> None:
    """Of a factor that the model lacks: it passed for the model's own work."""
    (tmp_path / "lr").mkdir()
    pil.new("RGB", (20, 10), (9, 9, 9)).save(tmp_path / "lr" / "a.png")
    words = ["--model", "bicubic", "--scale"]
    assert srbench("upscale", tmp_path / "lr" / "a.png", tmp_path / "b.png", *words, "2.5") == 0
    assert "b.png: 50x25 by bicubic x3, then resized to x2.5 by bicubic, in " in srbench.err
    assert srbench("upscale", tmp_path / "lr", tmp_path / "sr", *words, "16") == 0
    assert "sr: 1 image done by bicubic x8, then resized to x16 by bicubic, 0 failed, in " in srbench.err


def test_the_forecast_counts_what_tiles_have_in_common() -> None:
    class Slow:
        scale = 2

        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            time.sleep(1e-6 * lr.shape[-1] * lr.shape[-2])
            return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)

    enlarger = Enlarger(Inference(Slow(), CPU, tile="64"), 2)
    found = forecast.forecast(enlarger, np.zeros((256, 256, 3), np.uint8))
    assert (found.size, found.tiles, found.tile) == ((512, 512), 16, 64)
    assert found.mib == 512 * 512 * 7 / 2**20
    assert 0.06 < found.seconds < 2.0  # 1 us a pixel of 256 x 256 and their context, and what the machine adds


def test_without_a_model_it_is_the_usual_one(srbench: Srbench, tmp_path: Path) -> None:
    pil.new("RGB", (12, 10), (90, 120, 30)).save(tmp_path / "a.png")
    assert srbench("upscale", tmp_path / "a.png", tmp_path / "b.png") == 0, srbench.err
    assert "b.png: 48x40 by srresnet, in " in srbench.err
