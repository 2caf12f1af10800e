"""Situations that people were in, and the one or two lines that they get: what is wrong, and what to type next."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as pil

from srbench import cli
from srbench.base.errors import InputError, JobError
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.images.files import list_images, printable, write_image
from srbench.metrics.lpips import _network
from srbench.metrics.scorer import Scorer
from srbench.models import find_model
from srbench.models.inference import check_sr, error_line
from srbench.models.spec import ModelSpec
from srbench.models.wrap import Scaled
from tests.conftest import Srbench

RUN = ("run", "--metrics", "psnr_y", "--no-speed", "--limit", 1)


def wide(path: Path, width: int, mode: str = "RGB") -> Path:
    pil.new(mode, (width, 2)).save(path)
    return path


@pytest.mark.parametrize(
    ("width", "scale", "name", "message"),
    [
        (4097, 4, "o.webp", "would be 16388x8 pixels, and .webp holds 16383 a side; write o.png"),
        (16400, 4, "o.jpg", "would be 65600x8 pixels, and .jpg holds 65500 a side; write o.png"),
        (8192, 2, "o.WEBP", "would be 16384x4 pixels"),
    ],
)
def test_a_picture_too_large_for_its_format_is_refused_before_it_is_made(
    width: int, scale: int, name: str, message: str, srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srbench.apps.upscale.pictures.enlarge", lambda *_: pytest.fail("computed all the same"))
    lr = wide(tmp_path / "lr.png", width)
    assert srbench("upscale", lr, tmp_path / name, "--model", "nearest", "--scale", scale) == 2
    assert message in srbench.err


def test_transparency_and_16_bits_are_refused_before_too(
    srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("srbench.apps.upscale.pictures.enlarge", lambda *_: pytest.fail("computed all the same"))
    lr = wide(tmp_path / "lr.png", 8, "RGBA")
    assert srbench("upscale", lr, tmp_path / "o.jpg", "--model", "nearest") == 2
    assert ".jpg cannot hold transparency; write o.png" in srbench.err
    pil.new("I;16", (8, 8)).save(tmp_path / "deep.png")
    assert srbench("upscale", tmp_path / "deep.png", tmp_path / "o.webp", "--model", "nearest") == 2
    assert "16 bits a sample in colour can be written to TIFF only" in srbench.err


@pytest.mark.parametrize("scale", ["nan", "inf", "-inf"])
def test_a_scale_that_is_no_number(scale: str, srbench: Srbench, tmp_path: Path) -> None:
    lr = wide(tmp_path / "lr.png", 8)
    assert srbench("upscale", lr, tmp_path / "o.png", "--model", "nearest", f"--scale={scale}") == 2
    assert "--scale" in srbench.err and "bug" not in srbench.err


def broken(value: float) -> ModelSpec:
    scaled = Scaled(lambda lr: torch.full((*lr.shape[:2], lr.shape[2] * 4, lr.shape[3] * 4), value), 4)
    return ModelSpec("broken", (4,), lambda scale, device: scaled)


def test_what_is_not_finite_in_a_folder_names_its_file(
    register: Any, srbench: Srbench, tmp_path: Path, folder: Path
) -> None:
    register("models", "broken", broken(torch.nan))
    (folder / "HR" / "notes.txt").write_text("x")
    (folder / "HR" / "film.mp4").write_bytes(b"x")
    assert srbench("upscale", folder / "HR", tmp_path / "out", "--model", "broken") == 1
    for name in ("a", "b", "c"):
        assert f"srbench: {folder / 'HR' / name}.png: returned values that are not finite" in srbench.err
    assert "passed over, being no images: film.mp4, notes.txt (2)" in srbench.err


def test_under_fp16_another_precision_is_advised() -> None:
    lr, sr = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 16, 16), torch.inf)
    with pytest.raises(JobError, match="try --precision bf16 or fp32"):
        check_sr(sr, lr, 4, "fp16")
    with pytest.raises(JobError, match=r"\(NaN or infinity\)$"):
        check_sr(sr, lr, 4)


def test_out_of_memory_says_what_helps(srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MemoryError(), torch.OutOfMemoryError("CUDA"), RuntimeError("x: can't allocate memory: y")):
        assert "out of memory" in error_line(error) and "--tile 128" in error_line(error)

    for error in (MemoryError("9 GiB"), RuntimeError("can't allocate memory: 9 GiB\nframe #0: c10")):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(cli.cli, "main", fail)
        assert srbench("list", "models") == 1
        assert f"out of memory ({str(error).splitlines()[0]}). Give --tile 128" in srbench.err
        assert "frame" not in srbench.err


def test_models_that_lack_the_scale_say_which_they_have(register: Any, srbench: Srbench, folder: Path) -> None:
    register("models", "double", ModelSpec("double", (2,), lambda scale, device: pytest.fail("built")))
    assert srbench(*RUN, "--models", "double", "--datasets", folder, "--out", folder / "out") == 2
    assert "no model is left: double x4: it is made for --scale 2" in srbench.err


@pytest.mark.parametrize("inside", ["Set5", "Set5/HR"])
@pytest.mark.parametrize("wanted", ["Set5", "all"])
def test_a_data_root_one_folder_too_deep(
    inside: str, wanted: str, srbench: Srbench, tmp_path: Path, photograph: Callable[..., np.ndarray]
) -> None:
    write_image(tmp_path / "Set5/HR/baby.png", photograph(16, 16))
    assert srbench(*RUN, "--models", "bicubic", "--datasets", wanted, "--data-root", tmp_path / inside) == 2
    assert f"the data root is the folder of sets: --data-root {tmp_path}" in srbench.err


def test_the_default_metrics_without_the_lpips_package(
    srbench: Srbench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    _network.cache_clear()
    assert Scorer(["lpips"]).unavailable == {"lpips": "LPIPS needs the package lpips: pip install lpips"}
    options = ("--datasets", folder, "--limit", 1, "--no-speed", "--out", folder / "out")
    assert srbench("run", "--models", "bicubic", *options) == 0
    assert "LPIPS is n/a: LPIPS needs the package lpips: pip install lpips" in srbench.out
    _network.cache_clear()


def test_without_weights_nothing_is_imported_for_lpips() -> None:
    """The package and torchvision take seconds, which a run of one image offline waited for, to be told n/a."""
    code = (
        "import sys; from srbench.metrics.scorer import Scorer; "
        "assert 'offline mode' in Scorer(['lpips']).unavailable['lpips']; assert 'torchvision' not in sys.modules"
    )
    environment = {name: value for name, value in os.environ.items() if name != "SRBENCH_WEIGHTS"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_file_name_that_is_not_utf8(srbench: Srbench, tmp_path: Path, photograph: Callable[..., np.ndarray]) -> None:
    home, out = tmp_path / os.fsdecode(b"lat\xe9"), tmp_path / "out"
    name = home / os.fsdecode(b"caf\xe9.png")
    try:
        home.mkdir()
        write_image(tmp_path / "a.png", photograph(48, 48))
        os.replace(tmp_path / "a.png", name)
    except OSError as error:
        pytest.skip(f"this file system has no such names ({error})")
    assert list(list_images(home)) == ["caf%E9"] and printable("café") == "café"
    assert srbench(*RUN, "--models", "bicubic", "--datasets", home, "--save-images", "--out", out) == 0
    assert (out / "lat%E9/x4/bicubic/caf%E9.png").is_file()
    assert srbench("report", out, "--format", "md,csv,tex,html", "--out", tmp_path / "report") == 0
    assert "caf%E9" in (tmp_path / "report/images.csv").read_text(encoding="utf-8")
    assert (tmp_path / "report/images/lat%E9/x4/HR/caf%E9.png").is_file()  # the set was found again
    assert srbench("score", out, "--metrics", "psnr_rgb") == 0
    assert srbench("study", "make", out, tmp_path / "study", "--mode", "opinion") == 0
    os.replace(name, name.with_suffix(".txt"))
    assert srbench("run", "--models", "bicubic", "--datasets", home, "--out", out) == 2
    assert "no images in it" in srbench.err


def test_output_in_an_encoding_that_lacks_arrows(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    """The table that a run ends with, printed again: to start torch for it would take ten times as long."""
    assert srbench(*RUN, "--models", "nearest", "--datasets", folder, "--out", tmp_path / "out") == 0
    assert "PSNR-Y ↑" in srbench.out
    command = [sys.executable, "-m", "srbench", "report", str(tmp_path / "out"), "--format", "terminal"]
    environment = os.environ | {"PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"PSNR-Y" in done.stdout and b"Unicode" not in done.stderr


def test_a_size_baked_into_an_onnx_graph_is_told(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'srbench-sr[onnx]'")
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    shape = helper.make_tensor("shape", onnx.TensorProto.INT64, [4], [-1, 3, 32, 32])
    scales = helper.make_tensor("scales", floats, [4], [1.0, 1.0, 2.0, 2.0])
    nodes = [
        helper.make_node("Reshape", ["lr", "shape"], ["fixed"]),
        helper.make_node("Resize", ["fixed", "", "scales"], ["sr"], mode="nearest"),
    ]
    ends = [helper.make_tensor_value_info(name, floats, ["n", 3, "h", "w"]) for name in ("lr", "sr")]
    graph = helper.make_graph(nodes, "baked", ends[:1], ends[1:], [shape, scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "baked.onnx")
    with pytest.raises(InputError) as refused:
        find_model(str(tmp_path / "baked.onnx"))
    assert "on an image of 96x64 pixels it returns shape (6, 3, 64, 64), not (1, 3, 128, 192)" in str(refused.value)
    assert "a size is fixed inside the graph. Export it anew with dynamic height and width" in str(refused.value)
    assert "mynet" not in str(refused.value)


def test_documented_data_sets_exist() -> None:
    """What docs name behind `--datasets`, `data prepare` and `data verify` is a standard set, `samples` or a path."""
    home = Path(__file__).parents[2]
    known = {*STANDARD_SETS, "samples", "all", "NAME"}
    for page in [home / "README.md", *sorted((home / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for names in re.findall(r"(?:--datasets|data (?:prepare|verify)) ([A-Za-z][\w.,/-]*)", text):
            for name in names.rstrip(".,").split(","):
                assert name in known or "/" in name or name.islower(), f"{page.name}: {name}"


@pytest.mark.parametrize(
    "words",
    [
        ("run", "bicubic", "--datasets", "nosuch"),
        ("run", "bicubic", "--metrics", "lpips@vg"),
        ("score", ".", "--metrics", "nosuch"),
        ("run", "bicubic", "--device", "gpu"),
        ("upscale", "a.png", "nosuffix"),
        ("upscale", "a.png", "b.png", "--tile", "nosuch"),
        ("upscale", "a.png", "there.png"),
        ("explain", "28.4", "--dataset", "nosuch"),
        ("explain", "28.4", "--dataset", "samples", "--model", "nosuch"),
        ("score", ".", "--metrics", "psnr_y"),
        ("speed", "nosuch"),
        ("speed", "bicubic", "--scale", "17"),
        ("speed", "bicubic", "lanczos", "--device", "gpu"),
        ("train", "srresnet-quick", "--data", "nosuch"),
        ("train", "srresnet-quick", "--data", ".", "--val", "nosuch"),
        ("train", "srresnet-quick", "--data", "nosuch.csv"),
        ("train", "srresnet-quick", "--data", ".", "--degradation", "nosuch"),
        ("train", "srresnet-quick", "--data", ".", "--device", "gpu"),
        ("train", "srresnet-quick", "--data", ".", "--set", "schedule=step"),
    ],
)
def test_slips_of_the_pen_are_told_without_torch(words: tuple[str, ...], tmp_path: Path) -> None:
    """To import it takes seconds."""
    (tmp_path / "a.png").touch()
    (tmp_path / "there.png").touch()
    program = "import sys; from srbench.cli import main; print(main(sys.argv[1:]), 'torch' in sys.modules)"
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "2 False\n", done.stderr
