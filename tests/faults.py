"""Damage on purpose: stored files, images and weights, mutated by a seed, and every command that reads them.

`python -m tests.faults` writes the table of docs/faults.md to stdout: of each kind, how many were tried, and how many
ended right. Right is exit status 0, or 1 or 2 with an error of at most three lines that is no "bug"; within the time
limit, and with nothing written outside the folders that the command was given.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as pil

from srbench.analysis.check.baseline import baseline_of, write_baseline
from srbench.apps.study.make import make_study
from srbench.cli import main
from srbench.images.files import write_image
from srbench.results.records import StudyRow
from srbench.results.store import load_results, write_study
from tests.damage import damaged_image, damaged_json, damaged_text

LIMIT_S = 60
"""Processor seconds of one command, or five times as many on the clock; what takes longer hangs."""

COMMANDS, IMAGES, WEIGHTS = 1500, 1000, 200

Command = Sequence[object]


class HangError(BaseException):
    """Raised by the alarm through whatever catches exceptions."""


@dataclass
class Tally:
    """How many of each kind were tried and were right, and what was said where they were not."""

    tried: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def run(self, kind: str, command: Command, around: Path, outputs: Sequence[Path]) -> None:
        """Run one command and judge it; nothing may change in `around` but under `outputs`."""
        before = _listing(around, outputs)
        status, told = call(command)
        self.tried[kind] += 1
        trouble = _trouble(status, told)
        if _listing(around, outputs) != before:
            trouble = "wrote outside its folders"
        if trouble:
            self.wrong.append(f"{kind}: srbench {' '.join(map(str, command))}: {trouble}: {told.strip()[-300:]}")
        else:
            self.right[kind] += 1


def call(command: Command) -> tuple[int | None, str]:
    """Exit status and stderr of a command in this process; None for one that hangs."""

    def hang(number: int, frame: object) -> None:
        raise HangError

    stderr = io.StringIO()
    before = {kind: signal.signal(kind, hang) for kind in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    signal.alarm(5 * LIMIT_S)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(stderr):
            return main([str(word) for word in command]), stderr.getvalue()
    except HangError:
        return None, stderr.getvalue()
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for kind, handler in before.items():
            signal.signal(kind, handler)


def _trouble(status: int | None, told: str) -> str:
    lines = [line for line in told.splitlines() if not line.startswith("srbench: left out: ")]
    errors = [place for place, line in enumerate(lines) if line.startswith("srbench: ")]
    if status is None:
        return "hangs"
    if "This is a bug" in told:
        return "a bug"
    if status not in (0, 1, 2):
        return f"exit status {status}"
    if status == 2 and (len(errors) != 1 or len(lines) - errors[0] > 3):
        return "no error of a line or two"
    return ""


def _listing(around: Path, outputs: Sequence[Path]) -> dict[str, int]:
    found: dict[str, int] = {}
    for home, folders, names in os.walk(around):
        folders[:] = [name for name in folders if Path(home, name) not in outputs]
        found |= {os.path.join(home, name): os.lstat(os.path.join(home, name)).st_mtime_ns for name in names}  # noqa: PTH118
    return {path: when for path, when in found.items() if Path(path) not in outputs}


# Stored files


def stored(home: Path) -> Path:
    """A folder with everything that srbench stores: runs, a journal, timings, a study, a baseline, claims, a note."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        write_image(home / "tiny" / f"{name}.png", rng.integers(0, 255, (40, 44, 3), dtype=np.uint8))
    base = home / "base"
    out = base / "results"
    metrics = ["--metrics", "psnr_y,ssim_y"]
    _made(["run", "--models", "nearest,bicubic", "--datasets", home / "tiny", *metrics, "--save-images", "--out", out])
    results = load_results(out)
    write_study(out, [StudyRow("elo", "tiny", 4, model, 1.0, -2.0, 3.0, 2, 6, 3) for model in ("nearest", "bicubic")])
    write_baseline(base / "baseline.json", baseline_of(results))
    document = json.loads((out / "tiny/x4/nearest.json").read_text())
    lines = [{**document, "images": []}, *document["images"]]
    (out / "tiny/x4/nearest.journal").write_text("".join(json.dumps(line) + "\n" for line in lines))
    make_study(out, base / "study")
    _made(["upscale", home / "tiny", base / "large", "--model", "nearest"])
    _made(["report", out, "--format", "md", "--out", base / "report"])
    (base / "claims.toml").write_text(
        f'[[claim]]\nmodel = "nearest"\ndataset = "{home / "tiny"}"\nscale = 4\nvalue = "20.10"\nsource = "x"\n'
    )
    (base / "tolerances.toml").write_text("tolerance = { psnr = 0.02 }\nspeed = 0.3\n[dataset.tiny]\ntolerance = {}\n")
    return base


def _made(command: Command) -> None:
    status, told = call(command)
    if status != 0:
        raise AssertionError(f"{command}: {status}: {told}")


KINDS = {
    "results/tiny/x4/nearest.json": "run",
    "results/tiny/x4/nearest.journal": "journal",
    "results/_speed/x4/nearest.json": "timings",
    "results/_study/elo.json": "scores of a study",
}


def readers(home: Path, work: Path) -> dict[str, list[Command]]:
    """Of each stored file, the commands that read it."""
    results, report = work / "results", work / "report"
    check = ["check", results, "--baseline", work / "baseline.json"]
    of_results: list[Command] = [
        ["report", results, "--format", "terminal", "--out", report],
        ["report", results, "--format", "md,csv,tex", "--out", report],
        ["compare", results],
        check,
        [*check, "--update"],
        ["score", results, "--metrics", "psnr_rgb"],
        ["explain", "26.25", results, "--model", "nearest", "--dataset", "tiny"],
        ["run", "--models", "nearest", "--datasets", home / "tiny", "--metrics", "psnr_y,ssim_y", "--out", results],
        ["study", "make", results, work / "study2"],
    ]
    page: Command = ["report", results, "--format", "html,plots", "--out", report]
    files = ("results/tiny/x4/nearest.json", "results/_speed/x4/nearest.json", "results/_study/elo.json")
    return {
        **{name: [*of_results, page] for name in files},
        "results/tiny/x4/nearest.journal": of_results,
        "baseline.json": [check],
        "claims.toml": [["claims", work / "claims.toml"]],
        "tolerances.toml": [[*check, "--config", work / "tolerances.toml"]],
        "study/study.json": [["study", "score", work / "study"]],
        "study/answers.sqlite": [["study", "score", work / "study"]],
        "report/.srbench-wrote.json": [["report", results, "--format", "md", "--out", report]],
        "large/.srbench-upscale.json": [["upscale", home / "tiny", work / "large", "--model", "nearest"]],
    }


def fuzz_stored(tally: Tally, home: Path, count: int, seed: int = 0) -> None:
    """Damage one stored file at a time, and run every command that reads it, `count` of them altogether."""
    rng, base, work = random.Random(seed), stored(home), home / "work"
    commands = readers(home, work)
    call(["study", "score", base / "study"])  # makes answers.sqlite
    weights = [1 if name.startswith("results") else 6 for name in commands]
    tried = 0
    while tried < count:
        name = rng.choices(list(commands), weights)[0]
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        damage = damaged_text if name.endswith((".toml", ".sqlite")) else damaged_json
        (work / name).write_bytes(damage((work / name).read_bytes(), rng))
        for command in commands[name]:
            tally.run(KINDS.get(name, Path(name).name), command, home, [work])
            tried += 1


# Images


def images(home: Path) -> dict[str, bytes]:
    """One small picture in every format, mode and bit depth that is read."""
    rng = np.random.default_rng(1)
    rgb = pil.fromarray(rng.integers(0, 255, (24, 28, 3), dtype=np.uint8))
    deep = rng.integers(0, 65535, (24, 28, 3), dtype=np.uint16)
    made: dict[str, bytes] = {}
    for name, picture, options in (
        ("rgb.png", rgb, {}), ("grey.png", rgb.convert("L"), {}), ("palette.png", rgb.convert("P"), {}),
        ("alpha.png", rgb.convert("RGBA"), {}), ("one.png", rgb.convert("1"), {}), ("rgb.jpg", rgb, {}),
        ("rgb.webp", rgb, {"lossless": True}), ("rgb.bmp", rgb, {}), ("rgb.tif", rgb, {}),
        ("deflate.tif", rgb, {"compression": "tiff_deflate"}), ("lzw.tif", rgb, {"compression": "tiff_lzw"}),
        ("grey16.png", pil.fromarray(deep[..., 0]), {}),
    ):  # fmt: skip
        picture.save(home / name, **options)  # type: ignore[arg-type]
        made[name] = (home / name).read_bytes()
    import tifffile

    tifffile.imwrite(home / "rgb16.tif", deep, photometric="rgb", compression="zlib")
    return made | {"rgb16.tif": (home / "rgb16.tif").read_bytes()}


def fuzz_images(tally: Tally, home: Path, count: int, seed: int = 1) -> None:
    """Damaged images through five readers in turn: degrade, run, measure, upscale, data prepare."""
    rng, work = random.Random(seed), home / "work"
    home.mkdir(parents=True, exist_ok=True)
    originals = images(home)
    for index in range(count):
        shutil.rmtree(work, ignore_errors=True)
        name = rng.choice(list(originals))
        path, out = work / "in" / name, work / "out"
        path.parent.mkdir(parents=True)
        path.write_bytes(damaged_image(originals[name], rng))
        tally.run(*_through(index % 5, path, out, home), home, [work])


def _through(reader: int, path: Path, out: Path, home: Path) -> tuple[str, Command]:
    commands: dict[str, Command] = {
        "degrade": ["degrade", path, out / "lr.png"],
        "run": ["run", "nearest", "--metrics", "psnr_y", "--no-speed", "--datasets", path.parent, "--out", out],
        "measure": ["measure", path, home / "rgb.png"],
        "upscale": ["upscale", path.parent, out, "--model", "nearest"],
        "data prepare": ["data", "prepare", "Set5", "--from", path.parent, "--data-root", out],
    }
    name = list(commands)[reader]
    return f"image: {name}", commands[name]


# Weights


def weights(home: Path) -> dict[str, bytes]:
    """One small network in every container; none of them is trusted."""
    import torch
    from safetensors.torch import save_file

    shapes = {"patches": (64, 1, 9, 9), "mapping": (32, 64, 5, 5), "reconstruction": (1, 32, 5, 5)}
    state = {f"{name}.weight": torch.zeros(shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    save_file(state, home / "a.safetensors", {"architecture": "srcnn", "scale": "4", "options": "{}"})
    small = {"conv_first.weight": torch.zeros(4, 3, 3, 3), "conv_first.bias": torch.zeros(4)}
    torch.save({"params": small}, home / "b.pth")
    torch.save(small, home / "c.pth", _use_new_zipfile_serialization=False)
    with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated, and still met
        torch.jit.script(torch.nn.Upsample(scale_factor=4)).save(str(home / "d.pt"))
    made = ["a.safetensors", "b.pth", "c.pth", "d.pt"]
    with contextlib.suppress(ImportError):
        _write_onnx(home / "e.onnx")
        made.append("e.onnx")
    return {name: (home / name).read_bytes() for name in made}


def _write_onnx(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    shape, larger = ["n", 3, "h", "w"], ["n", 3, "H", "W"]
    scales = helper.make_tensor("s", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0])
    graph = helper.make_graph(
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest")], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, larger)], [scales],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


def fuzz_weights(tally: Tally, home: Path, count: int, seed: int = 2) -> None:
    """Damaged weights files of every container, given to `srbench run`."""
    rng, work = random.Random(seed), home / "work"
    home.mkdir(parents=True, exist_ok=True)
    originals = weights(home)
    for _ in range(count):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        name = rng.choice(list(originals))
        (work / name).write_bytes(damaged_text(originals[name], rng))
        options = ["--datasets", "samples", "--limit", "1", "--metrics", "psnr_y", "--no-speed", "--out", work / "out"]
        tally.run(f"weights: {Path(name).suffix}", ["run", "--models", work / name, *options], home, [work])


def table(tally: Tally) -> str:
    """Tried and right, a line a kind."""
    lines = ["| damaged | tried | right |", "|---|---|---|"]
    lines += [f"| {kind} | {count} | {tally.right[kind]} |" for kind, count in sorted(tally.tried.items())]
    return "\n".join([*lines, f"| all | {tally.tried.total()} | {tally.right.total()} |"])


def everything(home: Path, share: float = 1.0) -> Tally:
    """All three kinds of damage, or a share of each."""
    os.environ |= {"SRBENCH_CACHE": str(home / "cache"), "SRBENCH_OFFLINE": "1"}
    tally = Tally()
    fuzz_stored(tally, home / "stored", round(COMMANDS * share))
    fuzz_images(tally, home / "images", round(IMAGES * share))
    fuzz_weights(tally, home / "weights", round(WEIGHTS * share))
    return tally


if __name__ == "__main__":
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = everything(Path(folder), float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
    sys.stdout.write(table(found) + "\n")
    sys.stderr.write("\n".join([f"{(time.monotonic() - begun) / 60:.1f} minutes", *found.wrong]) + "\n")
    sys.exit(bool(found.wrong))
