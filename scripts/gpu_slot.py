"""Make the most of a GPU that is at hand for a few minutes, without a network: pack what goes along, then one command.

python scripts/gpu_slot.py pack --data $SRBENCH_DATA --weights $SRBENCH_WEIGHTS --out slot
python scripts/gpu_slot.py run srresnet-gpu-9min --data slot --out out --seconds 540

`run` does, in this order: facts about the machine; each training, until its share of the time is over, and its scores
on the test sets; the tests that only a GPU can make; a table of speeds. Each is a process of its own with a limit of
its own, so that none takes the others along. What was reached is in OUT at all times: the best weights of a training
are brought there every half minute, in pieces where they are large (`cat NAME.part-* > NAME` joins them).

A training is RECIPE[:SHARE][,KEY=VALUE...]: its share of the time beside the others, and fields to replace.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO

import click

REPOSITORY = Path(__file__).resolve().parents[1]
PIECE = 15 << 20
"""Bytes of a file in OUT at most."""

BRING_EVERY = 30.0
START, FACTS, PROBE, SCORES, CHECKS, TABLE = 5.0, 60.0, 45.0, 25.0, 75.0, 75.0
"""Seconds for each thing that is no training; the first is what a process takes to begin."""

DATA = Path("data")
LAYOUT = {"train": ("BSD400", "CID22"), "val": ("Kodak8",), "test": ("Set5", "Set14")}
TRUNK = "squeezenet1_1_features.safetensors"


@click.group(help=__doc__)
def main() -> None: ...


@dataclass
class Slot:
    """Where things are, and until when; `log` has what every process said."""

    data: Path
    out: Path
    device: str
    deadline: float
    log: IO[str]
    work: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="slot-")))

    @property
    def left(self) -> float:
        return self.deadline - time.time()

    def say(self, text: str) -> None:
        line = f"[{self.left:5.0f} s left] {text}\n"
        sys.stdout.write(line)
        sys.stdout.flush()
        self.log.write(line)
        self.log.flush()

    def call(self, *words: str, limit: float, meanwhile: Callable[[], None] = lambda: None) -> int:
        """Run a Python process for at most `limit` seconds; its exit status, 124 where it was ended."""
        if limit < 5.0:
            self.say(f"left out, there is no time: {' '.join(words[:4])}")
            return 124
        self.say(" ".join(words))
        process = subprocess.Popen(
            [sys.executable, *words], cwd=REPOSITORY, env=self.environment(), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        reader = threading.Thread(target=self._tee, args=(process.stdout,), daemon=True)
        reader.start()
        end = time.time() + limit
        try:
            while process.poll() is None and time.time() < end:
                time.sleep(0.2)
                meanwhile()
            if over := process.poll() is None:
                self.say("over its time, ended")
        finally:  # an interrupted command leaves nothing behind that holds the GPU
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reader.join(5.0)
        return 124 if over else process.returncode

    def _tee(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.say(line.rstrip())

    def environment(self) -> dict[str, str]:
        """Ours, offline, with the packed trunk; and with entry points where the repository is not installed."""
        paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
        try:
            version("srbench")
        except PackageNotFoundError:
            paths.insert(0, str(entry_points(self.work / "entry-points")))
        return {
            "SRBENCH_DATA": str(self.data / "test"),
            "SRBENCH_WEIGHTS": str(self.data / "weights"),
            "TORCHINDUCTOR_CACHE_DIR": str(self.work / "inductor"),
            **os.environ,  # what is set there wins
            "SRBENCH_OFFLINE": "1",
            "SRBENCH_TEST_DEVICE": self.device,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }


def entry_points(folder: Path) -> Path:
    """A folder that, on PYTHONPATH, makes this checkout known as an installed package is: without pip or a network."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    home = folder / "srbench-0.dist-info"
    home.mkdir(parents=True, exist_ok=True)
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: srbench\nVersion: 0\n", encoding="utf-8")
    (home / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@main.command(help="Spend the time on RECIPEs, or without any on the checks and the table.")
@click.argument("recipes", nargs=-1)
@click.option("--data", type=click.Path(path_type=Path, exists=True), default=DATA, help="What `pack` made.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(os.environ.get("OUT", "out")))
@click.option("--seconds", type=float, default=540.0, show_default=True, help="Until this command must be done.")
@click.option("--device", default="cuda", show_default=True)
@click.option("--checks/--no-checks", default=True, show_default=True)
@click.option("--table/--no-table", default=True, show_default=True)
def run(recipes: Sequence[str], data: Path, out: Path, seconds: float, device: str, checks: bool, table: bool) -> None:
    deadline = time.time() + seconds
    out.mkdir(parents=True, exist_ok=True)
    with (out / "log.txt").open("a", encoding="utf-8") as log:
        slot = Slot(data.resolve(), out.resolve(), device, deadline, log)
        if slot.call(str(Path(__file__)), "facts", "--device", device, limit=FACTS):
            raise click.ClickException("the device does not work; nothing else was tried")
        later = CHECKS * checks + TABLE * table
        shares = [float(recipe.partition(",")[0].partition(":")[2] or 1) for recipe in recipes]
        for index, recipe in enumerate(recipes):
            train(slot, recipe, (slot.left - later) * shares[index] / sum(shares[index:]))
        if checks:
            slot.call(
                "-m", "pytest", "-c", os.devnull, "--rootdir", str(REPOSITORY), "-m", "gpu", "-q", "-rfEs", "-p",
                "no:cacheprovider", "tests/reference_models/test_gpu.py", limit=slot.left - TABLE * table,
            )  # fmt: skip
        if table:
            time_models(slot, sorted(slot.out.glob("*.safetensors")))
        shutil.rmtree(slot.work, ignore_errors=True)
        for path in sorted(slot.out.iterdir()):
            slot.say(f"{path.name}: {path.stat().st_size / 2**20:.2f} MiB")


def sets(fields: Mapping[str, object]) -> list[str]:
    """Fields of a recipe as options."""
    return [word for key, value in fields.items() for word in ("--set", f"{key}={value}")]


def train(slot: Slot, wanted: str, seconds: float) -> None:
    """One training within `seconds`, and its scores; one that diverges begins again at a third of the rate."""
    head, *settings = wanted.split(",")
    recipe, end = head.partition(":")[0], time.time() + seconds
    given = {key: value for key, _, value in (setting.partition("=") for setting in settings)}
    probed = slot.work / f"{recipe}.json"
    slot.call(
        "-m", "reference_models.throughput", recipe, *sets(given), "--device", slot.device, "--validate-within",
        str(BRING_EVERY), "--to", str(probed), limit=PROBE,
    )  # fmt: skip
    found = json.loads(probed.read_text()) if probed.is_file() else {}
    for attempt in range(3):
        run, left = slot.work / f"{recipe}-{attempt}", end - time.time() - SCORES
        courier = Courier(run / "best.safetensors", slot.out, recipe)
        status = slot.call(
            "-m", "reference_models.cli", recipe, *sets(found | given), *sources(slot.data), "--out", str(run),
            "--device", slot.device, "--within", f"{(left - START) / 60.0:.4f}", limit=left + START,
            meanwhile=courier.look,
        )  # fmt: skip
        courier.bring()
        if status != 1 or "lr" not in found or end - time.time() < 60.0:  # 1 is a training that diverged
            break
        found["lr"] /= 3.0
        found |= {"start": str(courier.weights)} if courier.weights.is_file() else {}
    if courier.weights.is_file():
        score(slot, courier.weights, recipe, end)


def sources(data: Path) -> list[str]:
    """The options that name the packed images."""
    found = [word for folder in sorted((data / "train").iterdir()) for word in ("--data", str(folder))]
    return found + [word for folder in sorted((data / "val").glob("*"))[:1] for word in ("--val", str(folder))]


def score(slot: Slot, weights: Path, recipe: str, end: float) -> None:
    named = slot.work / f"{recipe}.safetensors"
    shutil.copy(weights, named)
    tests = ",".join(str(folder) for folder in sorted((slot.data / "test").glob("*")))
    if tests:
        slot.call(
            "-m", "srbench", "run", "--models", str(named), "--datasets", tests, "--metrics", "psnr_y,ssim_y",
            "--no-speed", "--device", slot.device, "--out", str(slot.work / "results"), limit=end - time.time(),
        )  # fmt: skip


@dataclass
class Courier:
    """Brings weights to OUT when they have become better: as fp16 and in pieces where they are large."""

    weights: Path
    out: Path
    name: str
    seen: float = 0.0
    looked: float = 0.0

    def look(self) -> None:
        if time.time() - self.looked >= BRING_EVERY:
            self.looked = time.time()
            self.bring()

    def bring(self) -> None:
        if not self.weights.is_file() or self.weights.stat().st_mtime == self.seen:
            return
        self.seen = self.weights.stat().st_mtime
        blob = self.weights.read_bytes()
        if len(blob) > PIECE:
            from reference_models.weights import read_weights, save_weights  # seconds, and most are small enough

            half, read = self.weights.with_name("half.safetensors"), read_weights(self.weights)
            save_weights(half, read.tensors, read.metadata, half=True)
            blob = half.read_bytes()
        pieces = [blob[start : start + PIECE] for start in range(0, len(blob), PIECE)]
        names = [f"{self.name}.safetensors" + (f".part-{n}" if len(pieces) > 1 else "") for n in range(len(pieces))]
        for name, piece in zip(names, pieces, strict=True):
            (self.out / f"{name}.new").write_bytes(piece)
        for name in names:  # all are written before the first is replaced
            os.replace(self.out / f"{name}.new", self.out / name)


def time_models(slot: Slot, trained: Sequence[Path]) -> None:
    """`srbench speed` for each backend and precision, the dear ones last; the log has what it prints."""
    models = ",".join(["srcnn", "srresnet", *map(str, trained)])
    sizes = "120x80,320x180,480x270" if slot.device != "cpu" else "24x16"
    plan = [(backend, precision) for backend in ("eager", "channels-last") for precision in ("fp32", "bf16", "fp16")]
    plan += [(backend, precision) for precision in ("bf16", "fp32") for backend in ("cuda-graphs", "compile")]
    if slot.device == "cpu":
        plan = plan[:2]
    for backend, precision in plan:
        slot.call(
            "-m", "srbench", "speed", "--models", models, "--sizes", sizes, "--budget", "0.2", "--backend", backend,
            "--precision", precision, "--device", slot.device, "--out", str(slot.work / "results"),
            limit=slot.left - 3.0,
        )  # fmt: skip


@main.command(help="What the machine is and how fast, in seconds.")
@click.option("--device", default="cuda")
def facts(device: str) -> None:
    import torch

    from srbench.models.inference import select_device, synchronise

    place = select_device(device)
    click.echo(f"torch {torch.__version__}, {len(os.sched_getaffinity(0))} processors, python {sys.version.split()[0]}")
    if place.type == "cuda":
        free, total = torch.cuda.mem_get_info(place)
        click.echo(f"{torch.cuda.get_device_name(place)}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free")
    side = 8192 if place.type == "cuda" else 512
    for kind in (torch.float32, torch.bfloat16):
        matrix = torch.ones(side, side, device=place, dtype=kind)
        taken = []
        for _ in range(5):
            synchronise(place)
            began = time.perf_counter()
            matrix @ matrix
            synchronise(place)
            taken.append(time.perf_counter() - began)
        click.echo(f"products of {kind}: {2 * side**3 / min(taken) / 1e12:.2f} TFLOP/s")


@main.command(help="Make the folder that goes along, without loss: images for training, validation and tests, a trunk.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), required=True, help="Where the sets are.")
@click.option("--weights", type=click.Path(path_type=Path, exists=True), required=True, help="Where the trunk is.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("slot"), show_default=True)
def pack(data: Path, weights: Path, out: Path) -> None:
    from srbench.images.files import list_images

    if out.exists() and any(out.iterdir()):
        raise click.UsageError(f"{out} is not empty; take another --out")
    for kind, names in LAYOUT.items():
        for name in names:
            home = data / "train" / name if kind == "train" else data / name.replace("Kodak8", "Kodak24") / "HR"
            images = list(list_images(home).values())
            target = out / kind / name / ("" if kind == "train" else "HR")
            target.mkdir(parents=True)
            for path in images[: 8 if name == "Kodak8" else None]:
                smallest(path, target / path.name)
    (out / "weights").mkdir()
    shutil.copy(weights / TRUNK, out / "weights" / TRUNK)
    for folder in sorted([*out.glob("*/*"), out]):
        size = sum(
            path.stat().st_size for path in ([folder] if folder.is_file() else folder.rglob("*")) if path.is_file()
        )
        click.echo(f"{size / 2**20:7.2f} MiB  {folder}")


def smallest(source: Path, target: Path) -> None:
    """Copy an image; a JPEG as a progressive one of the same coefficients, where jpegtran is installed."""
    if source.suffix.lower() in (".jpg", ".jpeg") and (tool := shutil.which("jpegtran")):
        words = [tool, "-copy", "none", "-optimize", "-progressive", "-outfile", str(target), str(source)]
        if subprocess.run(words, check=False).returncode == 0:
            return
    shutil.copy(source, target)


if __name__ == "__main__":
    main()
