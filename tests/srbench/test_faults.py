"""Nothing broken and nothing of a stranger's does harm: images, weights, special files, signals, streams, locks."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
import torch
from PIL import Image as pil
from safetensors.torch import save_file

from srbench.base import temporary
from srbench.base.errors import InputError
from srbench.base.own_files import own_files
from srbench.base.text import as_file_name
from srbench.images.files import list_images, read_image, write_image
from srbench.models import find_model
from srbench.models.spec import ModelSpec, weights_digest
from srbench.models.values import make_hints
from srbench.results import journals
from srbench.results.records import StudyRow
from srbench.results.results import Results
from srbench.results.store import load_results, run_path, write_study
from tests.conftest import Srbench
from tests.faults import everything, table
from tests.made_results import made_run, made_speed, saved

Photograph = Callable[..., np.ndarray]
Register = Callable[[str, str, object], None]


@pytest.mark.slow
def test_no_damage_ends_in_a_bug_a_hang_or_a_write_outside(tmp_path: Path) -> None:
    """1,500 commands on stored files, 1,000 images, 200 weights, all damaged: 2.5 minutes of a processor."""
    tally = everything(tmp_path)
    assert not tally.wrong, "\n".join(tally.wrong[:20])
    assert tally.tried.total() >= 2700, table(tally)


def test_a_share_of_that_damage_ends_right_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))  # everything() sets it
    tally = everything(tmp_path, 0.02)
    assert not tally.wrong, "\n".join(tally.wrong)


# Images


def special(path: Path, kind: str) -> None:
    """A pipe, an endless device, a link to nothing, or a folder, under an image's name."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere.png")


@pytest.mark.skipif(os.name == "nt", reason="needs pipes and links")
@pytest.mark.parametrize("kind", ["pipe", "device", "dangling", "folder"])
def test_only_regular_files_are_images(folder: Path, srbench: Srbench, kind: str) -> None:
    special(folder / "HR/x.png", kind)
    with pytest.raises(InputError, match=r"x\.png: not a regular file"):
        list_images(folder / "HR")
    with pytest.raises(InputError, match=r"x\.png: no"):
        read_image(folder / "HR/x.png")
    out = folder.parent / "out"
    for command in (
        ["run", "--models", "nearest", "--datasets", folder, "--no-speed", "--out", out],
        ["degrade", folder / "HR", out],
        ["measure", folder / "HR", folder / "HR"],
    ):
        assert srbench(*command) == 2 and "x.png: not a regular file" in srbench.err
    assert srbench("data", "prepare", "Set5", "--from", folder / "HR", "--data-root", out) == 2
    assert "0 of 5 images" in srbench.err


@pytest.mark.skipif(os.name == "nt", reason="needs pipes and links")
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", ["x.toml", "x.csv", "x.json", "x.mp4", "x.pth", "x.onnx", "x.py"])
def test_nothing_else_is_read_from_pipes_and_devices(kind: str, name: str, folder: Path, srbench: Srbench) -> None:
    path = folder.parent / name
    special(path, kind)
    recipe, data = (path, folder) if name == "x.toml" else ("srcnn-quick", path)
    models = f"{path}:make" if name == "x.py" else path
    command: list[object] = ["train", recipe, "--data", data, "--out", folder.parent / "out"]
    if name == "x.mp4":
        command = ["upscale", path, folder.parent / "y.mp4", "--model", "nearest"]
    elif name in ("x.pth", "x.onnx", "x.py"):
        command = ["run", "--models", models, "--datasets", folder, "--out", folder.parent / "out"]
    if name == "x.mp4":
        pytest.importorskip("av", reason="needs PyAV: pip install 'srbench-sr[video]'")
    assert srbench(*command) == 2
    assert str(path) in srbench.err and "bug" not in srbench.err


@pytest.mark.skipif(os.name == "nt", reason="needs links")
def test_a_link_that_leads_to_itself_is_named(folder: Path, srbench: Srbench) -> None:
    loop = folder.parent / "loop.png"
    loop.symlink_to(loop)
    assert srbench("upscale", folder / "HR/a.png", loop, "--model", "nearest", "--force") in (1, 2)
    assert str(loop) in srbench.err and "bug" not in srbench.err


def test_an_image_beyond_the_stated_size_is_refused_by_name(
    tmp_path: Path, photograph: Photograph, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.png", photograph(40, 50))
    monkeypatch.setenv("SRBENCH_MAX_MEGAPIXELS", "0.001")
    with pytest.raises(InputError, match=r"a\.png: 50x40 pixels; srbench reads up to 0 megapixels"):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("SRBENCH_MAX_MEGAPIXELS", "many")
    with pytest.raises(InputError, match="SRBENCH_MAX_MEGAPIXELS='many' is not a number"):
        read_image(tmp_path / "a.png")


def test_images_whose_decoder_raises_anything_are_named(
    tmp_path: Path, photograph: Photograph, srbench: Srbench
) -> None:
    """A TIFF without its width, and a deflated 16-bit TIFF with a wrong checksum among others of a folder."""
    import tifffile

    source = tmp_path / "in"
    write_image(source / "fine.png", photograph(20, 20))
    pil.fromarray(photograph(20, 20)).save(source / "bare.tif")
    content = (source / "bare.tif").read_bytes()
    (source / "bare.tif").write_bytes(content.replace(struct.pack("<HH", 256, 4), struct.pack("<HH", 60000, 4), 1))
    tifffile.imwrite(source / "deep.tif", np.zeros((20, 20, 3), np.uint16), photometric="rgb", compression="zlib")
    content = (source / "deep.tif").read_bytes()
    start = content.index(b"\x78\x9c" if b"\x78\x9c" in content else b"\x78")
    (source / "deep.tif").write_bytes(content[: start + 8] + b"\xff\xff\xff" + content[start + 11 :])
    assert srbench("upscale", source, tmp_path / "out", "--model", "nearest") == 1
    assert "bare.tif: " in srbench.err and "deep.tif: cannot be decoded" in srbench.err
    assert "1 image done, 2 failed" in srbench.err and "bug" not in srbench.err


def test_a_name_as_long_as_names_may_be(tmp_path: Path, photograph: Photograph, srbench: Srbench) -> None:
    name = "n" * 251 + ".png"
    write_image(tmp_path / "in" / name, photograph(32, 32))
    assert srbench("degrade", tmp_path / "in", tmp_path / "out") == 0
    assert (tmp_path / "out" / name).is_file()


# Weights


def write_cycle(path: Path) -> None:
    """A dictionary that holds itself, as a pickle of plain containers may."""
    cycle: dict[str, Any] = {}
    cycle["params"] = cycle
    torch.save(cycle, path)


def write_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02}.")
        archive.writestr("net/data/0", b"\0" * (80 << 20))


def metadata(**facts: str) -> Callable[[Path], None]:
    tensors = {f"{index}": torch.zeros(2) for index in range(3)}
    return lambda path: save_file(tensors, path, facts)


WIDE = '{"features": 90000}'
WEIGHTS: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "cycle": (".pth", write_cycle, "holds no dictionary of tensors"),
    "inflated": (".pth", lambda path: torch.save({"a": torch.zeros(1).expand(1 << 15, 1 << 15)}, path), "4,096 MiB of"),
    "bomb": (".pth", write_bomb, "unpacks to 80 MiB"),
    "torn zip": (".pt", lambda path: path.write_bytes(b"PK\x05\x06" + b"\xff" * 18), "net.pt: "),
    "no scale": (".safetensors", metadata(architecture="srcnn"), "metadata `scale`"),
    "scale": (".safetensors", metadata(architecture="srcnn", scale="x"), "metadata `scale`"),
    "options": (".safetensors", metadata(architecture="srcnn", scale="4", options="{'a"), "metadata `options`"),
    "deep": (".safetensors", metadata(architecture="rrdb", scale="4", options='{"blocks": 1000000}'), "1000000 blocks"),
    "wide": (".safetensors", metadata(architecture="srresnet", scale="4", options=WIDE), "features=90000"),
    "onnx": (".onnx", lambda path: path.write_bytes(b"\x8c" * 99), "not an ONNX graph"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_made_to_do_harm_are_refused_by_name(tmp_path: Path, srbench: Srbench, kind: str) -> None:
    suffix, write, message = WEIGHTS[kind]
    path = tmp_path / f"net{suffix}"
    write(path)
    assert srbench("run", "--models", path, "--datasets", "samples", "--out", tmp_path / "out") == 2
    assert str(path) in srbench.err and message in srbench.err and "bug" not in srbench.err


def write_external(path: Path, location: str) -> None:
    """A graph that doubles the size of an image, times a number that is kept in another file."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'srbench-sr[onnx]'")
    from onnx import TensorProto, helper

    scales = helper.make_tensor("s", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
    factor = onnx.TensorProto(name="k", data_type=TensorProto.FLOAT, dims=[1], data_location=1)
    factor.external_data.add(key="location", value=location)
    nodes = [helper.make_node("Resize", ["x", "", "s"], ["z"]), helper.make_node("Mul", ["z", "k"], ["y"])]
    image, larger = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3, f"h{n}", f"w{n}"]) for n in "xy")
    graph = helper.make_graph(nodes, "g", [image], [larger], [scales, factor])
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )


def test_onnx_weights_in_another_file_are_part_of_the_model(tmp_path: Path) -> None:
    write_external(tmp_path / "net.onnx", "w.bin")
    digests, hints = [], make_hints(None, "0..1", "rgb")
    for factor in (1.0, 0.5):
        (tmp_path / "w.bin").write_bytes(struct.pack("<f", factor))
        digests.append(weights_digest(find_model(str(tmp_path / "net.onnx"), hints), 2))
    assert digests[0] != digests[1]


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "gone.bin", "link.bin"])
def test_onnx_weights_outside_the_folder_or_gone_are_refused(tmp_path: Path, location: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "w.bin").write_bytes(struct.pack("<f", 1.0))
    (home / "link.bin").symlink_to(tmp_path / "w.bin")
    write_external(home / "net.onnx", location)
    with pytest.raises(InputError, match="outside its own folder|which is not beside it"):
        find_model(str(home / "net.onnx"))


# Temporary files, locks, signals, streams


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_makes_is_not(tmp_path: Path) -> None:
    dead = tmp_path / f"{temporary.PREFIX}{temporary._machine()}-{2**22 + 1}-0123abcd"
    building = dead.with_name(dead.name[:-1] + "e")
    living = tmp_path / f"{temporary.PREFIX}{temporary._machine()}-{os.getpid()}-0123abcd"
    elsewhere = tmp_path / f"{temporary.PREFIX}00000000-1-0123abcd"
    for path in (dead, living, elsewhere):
        path.write_text("half")
    (building / "HR").mkdir(parents=True)
    with temporary.atomic_file(tmp_path / "whole.txt") as file:
        file.write(b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.name, elsewhere.name, "whole.txt"])


@pytest.mark.parametrize("calls", ["evaluate('bicubic', PATH)", "verify_score(SIGNATURE, '30.0', dataset=PATH)"])
def test_what_a_killed_evaluation_left_in_the_temporary_folder_goes_with_the_next(
    folder: Path, tmp_path: Path, srbench: Srbench, calls: str
) -> None:
    out, temporary_home = tmp_path / "out", tmp_path / "tmp"
    temporary_home.mkdir()
    options = ("--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--out", out)
    assert srbench("run", "--models", "bicubic", *options) == 0
    signature = next(iter(load_results(out).runs)).signature("psnr_y")
    code = (
        "import os, sys; from srbench import evaluate; from srbench.analysis.verify import verify_score; "
        "import srbench.benchmark.run as run; PATH, SIGNATURE, fatal = sys.argv[1:]; "
        "keep = run.keep; run.keep = (lambda *given: os._exit(9)) if fatal else keep; " + calls
    )
    for fatal, left in (("yes", 1), ("", 0)):
        subprocess.run(
            [sys.executable, "-c", code, str(folder), signature, fatal],
            env={**os.environ, "TMPDIR": str(temporary_home)}, check=not fatal,
        )  # fmt: skip
        assert len([path for path in temporary_home.iterdir() if temporary.PREFIX in path.name]) == left


def test_a_lock_is_removed_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Removed after its release, it would be the next holder's."""
    import filelock

    release, there = filelock.FileLock.release, []

    def watched(lock: Any, *arguments: Any, **options: Any) -> None:
        there.append(Path(lock.lock_file).exists())
        release(lock, *arguments, **options)

    monkeypatch.setattr(filelock.FileLock, "release", watched)
    with journals.locked(tmp_path / "a.journal"):
        assert (tmp_path / "a.lock").exists()
    assert there[0] is False and not list(tmp_path.iterdir())


def test_sigterm_ends_as_ctrl_c_does(folder: Path, srbench: Srbench, register: Register) -> None:
    class Ending:
        scale = 4

        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError

    register("models", "ending", ModelSpec("ending", (4,), lambda scale, device: Ending()))
    out = folder.parent / "out"
    assert srbench("run", "--models", "ending", "--datasets", folder, "--no-speed", "--out", out) == 130
    assert "interrupted; what was computed is kept" in srbench.err
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and not list(out.rglob("*.lock"))


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_is_closed_or_cannot_encode_ends_no_command(
    results: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from srbench.cli import main

    for stream in (None, io.TextIOWrapper(io.BytesIO(), encoding="ascii")):
        monkeypatch.setattr(sys, name, stream)
        status = main(["report", str(results), "--format", "terminal"])
        getattr(sys, name).close()
        assert status == 0


# Reports, upscaled folders, the study's server


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results whose names are hostile to every format, with timings and ratings."""
    hostile = "a\nINPUT{x}\n% `b` <script> [red] $x_{$"
    runs = [made_run(model, {"psnr_y": [28.4, 29.0]}) for model in ("bicubic", hostile)]
    runs += [made_run(model, {"psnr_y": [28.4, 29.0]}, hostile) for model in ("bicubic", "nearest")]
    out = saved(tmp_path / "results", Results(tuple(runs), (made_speed("bicubic", device="[/red]"), made_speed("x"))))
    write_study(out, [StudyRow("elo", "Set5", 4, "bicubic", 1.0, 0.0, 2.0, 2, 6, 3)])
    return out


def test_a_rated_model_with_a_published_number_and_hostile_names_are_reported(
    results: Path, tmp_path: Path, srbench: Srbench
) -> None:
    assert srbench("report", results, "--format", "all", "--out", tmp_path / "report") == 0, srbench.err
    markdown, tex = ((tmp_path / f"report/report.{suffix}").read_text() for suffix in ("md", "tex"))
    assert "Beside published numbers" in markdown and "Elo by raters" in markdown
    outside = re.sub(r"``.+?``(?!`)", "", markdown)  # signatures are code, where nothing is HTML
    assert "<script>" in markdown and "<script>" not in outside and "\\`b\\`" in outside
    assert not [line for line in tex.splitlines() if line.lstrip().startswith("INPUT")]


def test_an_interrupted_forced_upscale_mixes_no_models(
    tmp_path: Path, photograph: Photograph, srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srbench.apps.upscale import folders

    source, target = tmp_path / "in", tmp_path / "out"
    for seed, name in enumerate("abc"):
        write_image(source / f"{name}.png", photograph(12, 12, seed=seed))
    assert srbench("upscale", source, target, "--model", "nearest") == 0
    write = folders.write_picture

    def interrupted(path: Path, picture: Any) -> None:
        if path.name == "b.png":
            raise KeyboardInterrupt
        write(path, picture)

    monkeypatch.setattr(folders, "write_picture", interrupted)
    assert srbench("upscale", source, target, "--model", "bicubic", "--force") == 130
    assert f"the images written so far are kept in {target}; the same command without --force goes on" in srbench.err
    monkeypatch.undo()
    assert srbench("upscale", source, target, "--model", "nearest") == 2
    assert "a.png, made by bicubic x4, and not by nearest x4" in srbench.err
    assert srbench("upscale", source, target, "--model", "bicubic") == 0
    assert srbench("upscale", source, tmp_path / "fresh", "--model", "bicubic") == 0
    for name in "abc":
        np.testing.assert_array_equal(read_image(target / f"{name}.png"), read_image(tmp_path / f"fresh/{name}.png"))


def test_a_folder_notes_of_each_picture_what_made_it(tmp_path: Path, photograph: Photograph, srbench: Srbench) -> None:
    """A picture whose input is gone stays as another model made it, and is never taken for the new one's."""
    source, target = tmp_path / "in", tmp_path / "out"
    for name in "ab":
        write_image(source / f"{name}.png", photograph(12, 12))
    assert srbench("upscale", source, target, "--model", "nearest") == 0
    (source / "b.png").rename(tmp_path / "b.png")
    assert srbench("upscale", source, target, "--model", "bicubic", "--force") == 0
    (tmp_path / "b.png").rename(source / "b.png")
    assert srbench("upscale", source, target, "--model", "bicubic") == 2
    assert "holds pictures such as b.png, made by nearest x4, and not by bicubic x4" in srbench.err
    write_image(target / "c.png", photograph(12, 12))  # the user's own, which an input comes to be called like
    write_image(source / "c.png", photograph(12, 12, seed=1))
    (source / "b.png").unlink()
    assert srbench("upscale", source, target, "--model", "bicubic") == 2
    assert "such as c.png, that no note says was made here" in srbench.err


@pytest.mark.parametrize("option", [("--self-ensemble",), ("--precision", "bf16"), ("--tile", "8"), ("--scale", "2")])
def test_pictures_made_otherwise_or_of_another_input_are_not_taken_for_done(
    option: tuple[str, ...], tmp_path: Path, photograph: Photograph, srbench: Srbench
) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    write_image(source / "a.png", photograph(12, 12))
    assert srbench("upscale", source, target, "--model", "bicubic") == 0
    before = (target / "a.png").read_bytes()
    assert srbench("upscale", source, target, "--model", "bicubic", *option) == 2
    assert "a.png, made by bicubic x4, and not by bicubic x" in srbench.err
    write_image(tmp_path / "in2" / "a.png", photograph(12, 12, seed=1))
    assert srbench("upscale", tmp_path / "in2", target, "--model", "bicubic") == 2
    assert "made of another a.png" in srbench.err and (target / "a.png").read_bytes() == before
    assert srbench("upscale", tmp_path / "in2", target, "--model", "bicubic", "--force") == 0
    assert (target / "a.png").read_bytes() != before


def test_one_process_fills_a_folder_at_a_time(tmp_path: Path, photograph: Photograph, srbench: Srbench) -> None:
    from srbench.apps.upscale.folders import work_in

    source, target = tmp_path / "in", tmp_path / "out"
    write_image(source / "a.png", photograph(12, 12))
    with work_in(target):
        assert srbench("upscale", source, target, "--model", "nearest") == 2
        assert f"{target}: another srbench is writing here. Wait for it" in srbench.err
    assert not target.exists()
    assert srbench("upscale", source, target, "--model", "nearest") == 0
    assert sorted(path.name for path in target.iterdir()) == [".srbench-upscale.json", "a.png"]


def test_many_small_pictures(tmp_path: Path, srbench: Srbench) -> None:
    """Two threads write them, and one note tells of all."""
    source, target = tmp_path / "in", tmp_path / "out"
    for number in range(150):
        write_image(source / f"{number}.png", np.full((4, 4, 3), number, np.uint8))
    if os.name != "nt":
        write_image(Path(os.fsdecode(os.fsencode(source) + b"/a\xe9.png")), np.zeros((4, 4, 3), np.uint8))
        write_image(source / "a%E9.png", np.full((4, 4, 3), 9, np.uint8))
    assert srbench("upscale", source, target, "--model", "nearest", "--scale", "2") == 0, srbench.err
    note = json.loads((target / ".srbench-upscale.json").read_text())["pictures"]
    assert len(note) == len(list(target.glob("*.png"))) == len(list(source.iterdir()))
    assert srbench("upscale", source, target, "--model", "nearest", "--scale", "2") == 0
    assert "0 images done, 0 failed" in srbench.err


def test_an_input_that_may_not_be_read_is_named_and_the_others_finish(
    tmp_path: Path, photograph: Photograph, srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    for name in "abc":
        write_image(source / f"{name}.png", photograph(12, 12))
    real = Path.open

    def guarded(path: Path, *words: Any, **options: Any) -> Any:
        if path == source / "b.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *words, **options)

    monkeypatch.setattr(Path, "open", guarded)
    assert srbench("upscale", source, target, "--model", "nearest") == 1
    assert "b.png: cannot be read (Permission denied)" in srbench.err and "2 images done, 1 failed" in srbench.err
    monkeypatch.undo()
    assert srbench("upscale", source, target, "--model", "nearest") == 0 and "1 image done" in srbench.err


def test_an_older_note_names_one_maker_of_all(tmp_path: Path, photograph: Photograph, srbench: Srbench) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    for name in "ab":
        write_image(source / f"{name}.png", photograph(12, 12))
    assert srbench("upscale", source, target, "--model", "nearest") == 0
    (target / ".srbench-upscale.json").write_text('{"model": "nearest", "weights": null, "scale": "x4"}')
    (target / "b.png").unlink()
    assert srbench("upscale", source, target, "--model", "bicubic") == 2
    assert srbench("upscale", source, target, "--model", "nearest") == 0 and "1 image done" in srbench.err
    assert srbench("upscale", source, target, "--model", "nearest") == 0 and "0 images done" in srbench.err


def test_one_picture_that_is_interrupted_leaves_nothing(
    tmp_path: Path, photograph: Photograph, srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    write_image(tmp_path / "a.png", photograph(12, 12))
    line = ["upscale", tmp_path / "a.png", tmp_path / "b.png", "--model", "nearest", "--compare", tmp_path / "c.png"]
    with monkeypatch.context() as patch:
        patch.setattr("srbench.apps.upscale.pictures.enlarge", interrupted)
        assert srbench(*line) == 130
    assert srbench.err.endswith("srbench: interrupted; nothing was kept\n") and not (tmp_path / "b.png").exists()
    monkeypatch.setattr("srbench.apps.upscale.sheet.write_sheet", interrupted)
    assert srbench(*line) == 130
    assert f"interrupted; {tmp_path / 'b.png'} is kept" in srbench.err and (tmp_path / "b.png").is_file()


def test_a_damaged_note_of_an_upscaled_folder(tmp_path: Path, photograph: Photograph, srbench: Srbench) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    write_image(source / "a.png", photograph(12, 12))
    target.mkdir()
    (target / ".srbench-upscale.json").touch()  # as a full disk left it, before anything was made
    command = ["upscale", source, target, "--model", "nearest"]
    assert srbench(*command) == 0
    (target / ".srbench-upscale.json").write_text("{")
    assert srbench(*command) == 2
    assert ".srbench-upscale.json: not a note of srbench upscale" in srbench.err and "--force" in srbench.err
    assert srbench(*command, "--force") == 0


@pytest.fixture
def study(folder: Path, srbench: Srbench) -> Path:
    """A study of two models, ready to be served."""
    pytest.importorskip("flask", reason="needs Flask: pip install 'srbench-sr[study]'")
    out, study = folder.parent / "results", folder.parent / "study"
    assert srbench("run", "--models", "nearest,bicubic", "--datasets", folder, "--metrics", "psnr_y", "--no-speed",
                   "--save-images", "--out", out) == 0  # fmt: skip
    assert srbench("study", "make", out, study) == 0
    return study


def test_the_study_server_refuses_deep_json_and_foreign_pages(study: Path) -> None:
    from srbench.apps.study.serve import make_app

    client = make_app(study).test_client()
    for body in (b"[" * 4000, b"", b"[1]", b'{"rater": 1}'):
        assert client.post("/answers", data=body, content_type="application/json").status_code == 400
    for page, status in (("https://elsewhere.org", 403), ("http://[", 403), ("null", 403), ("http://localhost", 200)):
        assert client.post("/raters", headers={"Origin": page}).status_code == status
        assert client.post("/raters", headers={"Referer": f"{page}/x"}).status_code == status
    assert (
        client.post("/raters", headers={"Host": "elsewhere.org", "Origin": "http://elsewhere.org"}).status_code == 400
    )


def test_the_study_server_tells_its_address_once_it_listens(study: Path, srbench: Srbench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert srbench("study", "serve", study, "--port", port) == 2
        assert f"cannot listen at 127.0.0.1, port {port}: " in srbench.err and "http://" not in srbench.err
    assert srbench("study", "serve", study, "--host", "192.0.2.1", "--port", 0) == 2
    assert "http://" not in srbench.err
    command = [sys.executable, "-m", "srbench", "study", "serve", str(study), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = server.stderr.readline().split()[0]
            with urlopen(address) as page:
                assert page.status == 200
        finally:
            server.terminate()


# Names and files that are written


def test_names_too_long_for_files_are_refused_or_cut(tmp_path: Path) -> None:
    identity = made_run("m" * 242, {}).identity
    assert len(run_path(tmp_path, identity).with_suffix(".journal-9999").name) == 255
    with pytest.raises(InputError, match=r"the model's name has 243 bytes, and files of results take 242\. Give"):
        run_path(tmp_path, replace(identity, model="m" * 243))
    assert as_file_name("é" * 100) == "é" * 100
    one, two = as_file_name("é" * 100 + "x"), as_file_name("é" * 100 + "y")
    assert one != two and one[:90] == two[:90] and len(one.encode()) <= 200


def test_long_names_and_control_codes_in_a_report(
    tmp_path: Path, srbench: Srbench, recwarn: pytest.WarningsRecorder
) -> None:
    models = ("m" * 242, "other", "a\x1b[31mred")
    runs = tuple(made_run(model, {"psnr_y": [20.0, 21.0]}, "d" * 250) for model in models)
    out = saved(tmp_path / "results", Results(runs))
    assert srbench("report", out, "--format", "all", "--out", tmp_path / "report") == 0
    assert not [str(warning.message) for warning in recwarn.list]
    assert "\x1b" not in "".join((tmp_path / "report" / f"report.{kind}").read_text() for kind in ("md", "tex"))


def test_an_error_of_the_system_names_what_was_asked_for(tmp_path: Path) -> None:
    """And not the temporary file beside it, of which the user knows nothing."""
    (tmp_path / "no folder").touch()
    target = tmp_path / "no folder" / "x.png"
    with pytest.raises(FileExistsError) as refused, temporary.atomic_file(target):
        pass
    assert refused.value.filename == str(target)
    target.parent.unlink()
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="x.png") as refused, temporary.atomic_file(tmp_path / "x.png"):
        raise full
    assert refused.value.filename == str(tmp_path / "x.png")
    with pytest.raises(OSError, match="report") as refused, own_files(tmp_path / "report", force=False) as making:
        raise OSError(errno.ENOSPC, "No space left on device", str(making / "a.csv"))
    assert refused.value.filename == str(tmp_path / "report" / "a.csv")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_report_left_goes_with_the_next(tmp_path: Path) -> None:
    """Whether its folder was there before or not."""
    code = "import os, sys; from pathlib import Path; from srbench.base.own_files import own_files; " + (
        "context = own_files(Path(sys.argv[1]), force=False); making = context.__enter__(); making.mkdir(); "
        "(making / 'a.csv').write_text('a'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "report")], check=False)
    assert len(list(tmp_path.rglob("a.csv"))) == 1
    with own_files(tmp_path / "report", force=False) as making:
        making.mkdir()
        (making / "b.csv").write_text("b", encoding="utf-8")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [".srbench-wrote.json", "b.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_closed_stdout_is_not_taken_by_the_next_file() -> None:
    """Libraries print to number 1, whatever file has it."""
    code = (
        "import os, sys; os.close(1); from srbench.cli import main; status = main(['--version']); "
        "sys.stderr.write(str(os.path.samestat(os.fstat(1), os.stat(os.devnull)))); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "True")


def test_what_torch_never_wrote_is_not_called_code(tmp_path: Path) -> None:
    path = tmp_path / "junk.pth"
    path.write_bytes(b"E" + np.random.default_rng(0).bytes(5000))
    with pytest.raises(InputError, match=r"junk.pth: not a weights file, or a damaged one\. Download it again"):
        find_model(str(path))
