"""How time and memory grow with the work: a run, its resume when all is done, every report, and `check`.

python scripts/growth.py [--steps 10x1,100x1,1000x1,10000x1,100x10,100x40,1000x20]

IMAGESxMODELS: so many pictures of 32x32, scored by so many models that cost next to nothing, so that what is seen is
what srbench costs. Several models have them as two data sets, so that they are tested over both together. Every step is
a process of its own. Its seconds are those of the processor, which neighbours on the machine lengthen less than they do
those of the clock. `run` and `resume` are less what `import torch` takes, which the other steps do not import.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

MODEL = """
def make(scale):
    return lambda x: {gain} * x.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
"""
FORMATS = ("terminal", "md", "tex", "csv", "json", "plots", "html")
SIDE = 32


@dataclass(frozen=True)
class Cost:
    """Processor seconds of a process and its threads, and the most memory that it had resident, in MiB."""

    seconds: float
    mib: float


def cost(*words: object, cache: Path) -> Cost:
    """Run a command to its end; raises where it fails."""
    command = [sys.executable, *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | {"SRBENCH_CACHE": str(cache)}
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: {said.decode()[-600:]}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def make_images(folder: Path, count: int) -> None:
    import numpy as np

    from srbench.images.files import write_image

    pixels = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        write_image(folder / "HR" / f"{index:06}.png", picture)


def measure(images: int, models: int, home: Path) -> dict[str, Cost]:
    """The steps of one size, in the order in which a user meets them."""
    sets = [home / "one", home / "two"] if models > 1 else [home / "set"]
    for folder in sets:
        make_images(folder, images // len(sets))
    files = {f"m{index:02}": home / f"model{index}.py" for index in range(models)}
    for index, file in enumerate(files.values()):
        file.write_text(MODEL.format(gain=1 - index / 1000))  # or no test would have anything to tell apart
    names = ",".join(f"{name}={file}:make" for name, file in files.items())
    out, baseline = home / "out", home / "baseline.json"
    run = ["run", "--models", names, "--model-scale", 4, "--datasets", ",".join(map(str, sets)), "--no-speed"]
    run += ["--metrics", "psnr_y,ssim_y", "--out", out]
    steps = {"run": run, "resume": run}
    steps |= {f"report {one}": ["report", out, "--format", one, "--out", home / f"report-{one}"] for one in FORMATS}
    steps |= {"check --update": ["check", out, "--baseline", baseline, "--update"]}
    steps |= {"check": ["check", out, "--baseline", baseline]}
    found = {name: cost("-m", "srbench", *words, cache=home / "cache") for name, words in steps.items()}
    page = sum(path.stat().st_size for path in (home / "report-html").glob("*.html"))
    told = ", ".join(f"{name} {one.seconds:.1f} s {one.mib:.0f} MiB" for name, one in found.items())
    print(f"{images} images x {models} models: page {page / 1e6:.2f} MB; {told}", file=sys.stderr, flush=True)  # noqa: T201
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", default="10x1,100x1,1000x1,10000x1,100x10,100x40,1000x20")
    texts = [size.partition("x") for size in parser.parse_args().steps.split(",")]
    sizes = [(int(images), int(models)) for images, _, models in texts]
    found: dict[tuple[int, int], dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        imports = min(cost("-c", "import torch", cache=Path(folder)).seconds for _ in range(3))
        for images, models in sizes:
            home = Path(folder) / f"{images}x{models}"
            found[images, models] = measure(images, models, home)
    rows = [
        (
            f"{images:,} × {models}",
            *(f"{_beyond(imports, name, one):.1f} s, {one.mib:.0f}" for name, one in steps.items()),
        )
        for (images, models), steps in found.items()
    ]
    headings = ["images × models", *(f"{name}, MiB" for name in found[sizes[0]])]
    print(tabulate(rows, headings, tablefmt="github", disable_numparse=True))  # noqa: T201
    print(f"`import torch` alone: {imports:.2f} s")  # noqa: T201


def _beyond(imports: float, step: str, spent: Cost) -> float:
    return spent.seconds - imports * (step in ("run", "resume"))


if __name__ == "__main__":
    main()
