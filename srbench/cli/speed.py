"""`srbench speed`: time models over a list of input sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.options import FOLDER, NAMES, CommaList, device_option, model_options, srbench_command

if TYPE_CHECKING:
    from srbench.models.hints import Hints
    from srbench.results import SpeedRow


COLUMNS: dict[str, Callable[[SpeedRow], object]] = {
    "model": lambda row: row.model,
    "LR size": lambda row: f"{row.width}x{row.height}",
    "first ms": lambda row: row.first_ms,
    "p50 ms": lambda row: row.p50_ms,
    "p95 ms": lambda row: row.p95_ms,
    "output MP/s": lambda row: row.output_mp_per_s,
    "peak MiB": lambda row: row.peak_memory_mib,
    "GMACs": lambda row: row.gmacs,
    "params": lambda row: row.params or None,
    "repeats": lambda row: row.repeats,
}


def _size(text: str) -> tuple[int, int]:
    from srbench.speed import parse_size

    return parse_size(text)


@srbench_command(
    help="Time models at fixed input sizes: warm-up, synchronised, median and 95th percentile.\n\n"
    "The first call at each size is reported apart. Timings are kept in OUT for srbench report."
)
@click.option("--models", type=NAMES, default="all", show_default=True)
@model_options
@click.option("--sizes", type=CommaList(_size, "WxH,…"), default="120x80", show_default=True, help="LR sizes.")
@click.option("--scale", type=int, default=4, show_default=True)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--budget", type=float, default=2.0, show_default=True, help="Seconds of repeats at each size.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--backend", type=click.Choice(["eager", "compile"]), default="eager", show_default=True)
@device_option
@click.option("--out", type=FOLDER, default=Path("results"), show_default=True)
def command(
    models: tuple[str, ...],
    hints: Hints,
    sizes: tuple[tuple[int, int], ...],
    scale: int,
    batch: int,
    budget: float,
    precision: str,
    backend: str,
    device: str,
    out: Path,
) -> int:
    from tabulate import tabulate

    from srbench.errors import SrbenchError
    from srbench.inference import prepare, select_device
    from srbench.models import select_models, weights_digest
    from srbench.speed import time_model
    from srbench.store import write_speeds

    chosen = select_device(device)
    rows, failed = [], False
    specs = select_models(models, hints)
    for spec in [spec for spec in specs if scale in spec.scales]:
        try:
            inference = prepare(spec, scale, chosen, precision=precision, backend=backend, tile="none")
            timed = time_model(inference, spec.name, sizes, batch=batch, budget_s=budget)
            write_speeds(out, weights_digest(spec, scale), timed)
        except SrbenchError as error:
            click.echo(f"srbench: {spec.name}: {error}", err=True)
            failed = True
            continue
        rows += timed
    body = [[show(row) for show in COLUMNS.values()] for row in rows]
    click.echo(tabulate(body, list(COLUMNS), floatfmt=".2f", missingval="-"))
    return int(failed)
