"""`srbench speed`: time models over input sizes and batches, against each other, or audit what makes them faster."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from srbench.cli.options import FOLDER, NAMES, CommaList, backend_options, device_option, model_options, srbench_command

if TYPE_CHECKING:
    import torch

    from srbench.benchmark.speed.backend_audit import Audit
    from srbench.benchmark.speed.timing import Timed
    from srbench.benchmark.speed.versus import Ratio
    from srbench.models.inference import Inference
    from srbench.models.spec import ModelSpec
    from srbench.models.values import Hints
    from srbench.results.records import SpeedRow


COLUMNS: dict[str, Callable[[SpeedRow], object]] = {
    "model": lambda row: row.model,
    "LR size": lambda row: f"{row.width}x{row.height}",
    "batch": lambda row: row.batch,
    "cold ms": lambda row: row.first_ms,
    "p50 ms": lambda row: row.p50_ms,
    "p95 ms": lambda row: row.p95_ms,
    "output MP/s": lambda row: row.output_mp_per_s,
    "peak MiB": lambda row: row.peak_memory_mib,
    "GMACs": lambda row: f"≥{row.gmacs or 0:.2f}" if row.uncounted else row.gmacs,
    "params": lambda row: row.params or None,
    "J/image": lambda row: row.energy_j,
    "repeats": lambda row: row.repeats,
}
AUDIT: dict[str, Callable[[Audit], object]] = {
    "model": lambda row: row.model,
    "backend": lambda row: row.backend,
    "precision": lambda row: row.precision,
    "ΔPSNR-Y dB": lambda row: f"{row.delta_db:+.4f}",
    "worst dB": lambda row: f"{row.worst_db:+.4f}",
    "largest Δ": lambda row: f"{row.largest:.1e}",
    "uint8 levels": lambda row: row.levels,
    "changed": lambda row: f"{row.changed:.3%}",
    "speed-up": lambda row: _interval(row.speed_up),
}
RATIO: dict[str, Callable[[tuple[str, Ratio]], object]] = {
    "LR size": lambda row: row[0],
    "A": lambda row: row[1].a,
    "B": lambda row: row[1].b,
    "A / B": lambda row: _interval(row[1]),
    "rounds": lambda row: row[1].n,
    "verdict": lambda row: row[1].verdict,
}


def _interval(ratio: Ratio) -> str:
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def _size(text: str) -> tuple[int, int]:
    from srbench.benchmark.speed.timing import parse_size

    return parse_size(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise ValueError("write whole numbers above zero")
    return int(text)


@srbench_command(
    help="Time models at fixed input sizes: warm-up, synchronised, median and 95th percentile.\n\n"
    "The first call at each size (cold) is reported apart. From three sizes on, a line is fitted: a fixed cost, and "
    "one of each LR megapixel. Timings are kept in OUT for srbench report.\n\n"
    "Two or more MODELs as arguments are timed against each other, turn by turn, and told apart only where the "
    "interval of their ratio leaves out 1. With --audit, every backend and precision is held against eager fp32."
)
@click.argument("refs", metavar="[MODEL]...", nargs=-1)
@click.option("--models", type=NAMES, default="all", show_default=True)
@model_options
@click.option("--sizes", type=CommaList(_size, "WxH,…"), default="120x80", show_default=True, help="LR sizes.")
@click.option("--scale", type=int, default=4, show_default=True)
@click.option("--batch", "batches", type=CommaList(_count, "1,2,…"), default="1", show_default=True)
@click.option("--budget", type=float, default=2.0, show_default=True, help="Seconds of repeats at each size.")
@click.option("--audit", is_flag=True, help="What each backend and precision changes, and what it gains.")
@backend_options
@device_option
@click.option("--format", "style", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--out", type=FOLDER, default=Path("results"), show_default=True)
def command(refs: tuple[str, ...], models: tuple[str, ...], hints: Hints, **options: Any) -> int:
    from srbench.base.errors import UsageError
    from srbench.models import select_models
    from srbench.models.inference import select_device

    device = select_device(options.pop("device"))
    specs = [spec for spec in select_models(refs or models, hints) if options["scale"] in spec.scales]
    if not specs:
        raise UsageError(f"none of {', '.join(refs or models)} has scale {options['scale']}")
    if options.pop("audit"):
        return _audit(specs, device, **options)
    return (_versus if len(refs) > 1 else _time)(specs, device, **options)


def _time(specs: Sequence[ModelSpec], device: torch.device, *, out: Path, style: str, **options: Any) -> int:
    from srbench.base.errors import SrbenchError
    from srbench.benchmark.speed.timing import time_sizes
    from srbench.models.spec import weights_digest
    from srbench.results.store import write_speeds

    rows: list[Timed] = []
    failed = False
    for spec in specs:
        try:
            inference = _prepared(spec, device, **options)
            timed = [
                one
                for batch in options["batches"]
                for one in time_sizes(inference, spec.name, options["sizes"], batch=batch, budget_s=options["budget"])
            ]
            write_speeds(out, weights_digest(spec, options["scale"]), [one.row for one in timed])
        except SrbenchError as error:
            click.echo(f"srbench: {spec.name}: {error}", err=True)
            failed = True
            continue
        rows += timed
    unknown = () if any(one.row.energy_j for one in rows) else ("J/image",)
    _print({name: show for name, show in COLUMNS.items() if name not in unknown}, [one.row for one in rows], style)
    if style == "table":
        _print_notes(rows, device)
    return int(failed)


def _prepared(spec: ModelSpec, device: torch.device, **options: Any) -> Inference:
    from srbench.models.inference import prepare

    settings = {"precision": options["precision"], "backend": options["backend"]}
    return prepare(spec, options["scale"], device, **settings, tile="none")


def _print_notes(rows: Sequence[Timed], device: torch.device) -> None:
    """The fitted lines, what the machine told, and what `peak MiB` means here."""
    from srbench.benchmark.speed.curve import fit

    for model, batch in dict.fromkeys((one.row.model, one.row.batch) for one in rows):
        mine = [one for one in rows if (one.row.model, one.row.batch) == (model, batch)]
        curve = fit({batch * one.row.width * one.row.height / 1e6: one.times_ms for one in mine})
        if curve is not None:
            fixed, slope = (
                "{:,.1f} [{:,.1f}, {:,.1f}]".format(*part) for part in (curve.fixed_ms, curve.ms_per_megapixel)
            )
            click.echo(
                f"{model}, batch {batch}: {fixed} ms + {slope} ms per LR megapixel (95 % intervals); "
                f"the line misses a median by up to {curve.misfit:.0%}"
            )
    peak = "what torch allocates" if device.type == "cuda" else "growth of resident memory"
    click.echo(f"peak MiB: {peak} in one call, input and weights left out")
    first = rows[0].row if rows else None
    if first is not None:
        threads = f", {first.threads} threads" if first.threads else ""
        click.echo(f"on {first.processor}{threads}; p95 of 20 repeats or more")
    for name in dict.fromkeys(name for one in rows for name in one.row.uncounted):
        click.echo(f"GMACs lack what {name} multiplies, which srbench cannot count")
    for note in dict.fromkeys(note for one in rows for note in one.notes):
        click.echo(f"note: {note}")


def _versus(specs: Sequence[ModelSpec], device: torch.device, *, style: str, **options: Any) -> int:
    from srbench.benchmark.speed.versus import ratio, take_turns

    inferences = [_prepared(spec, device, **options) for spec in specs]
    found: list[tuple[str, Ratio]] = []
    for size in options["sizes"]:
        for batch in options["batches"]:
            rounds = take_turns(inferences, size, batch=batch, budget_s=options["budget"] * len(specs))
            times = list(zip(*rounds, strict=True))
            where = f"{size[0]}x{size[1]}" + (f", batch {batch}" if batch > 1 else "")
            for a, b in combinations(range(len(specs)), 2):
                found.append((where, ratio(specs[a].name, specs[b].name, times[a], times[b])))
    _print(RATIO, found, style)
    if style == "table":
        click.echo("A / B: how many times as long A takes; geometric mean over rounds and its 95 % interval.")
    return 0


def _audit(specs: Sequence[ModelSpec], device: torch.device, *, style: str, **options: Any) -> int:
    from srbench.benchmark.speed.backend_audit import IMAGES, audit, ways

    backend = "" if options["backend"] == "eager" else options["backend"]
    rows: list[Audit] = []
    for spec in specs:
        size = options["sizes"][0]
        tried = ways(device, backend, options["precision"])
        for found in audit(spec, options["scale"], device, tried, size, budget_s=options["budget"]):
            if isinstance(found, tuple):
                click.echo(f"srbench: {spec.name} {' '.join(found[0])}: {found[1]}", err=True)
            else:
                rows.append(found)
    _print(AUDIT, rows, style)
    if style == "table":
        click.echo(
            f"Against eager fp32 on {device}, {IMAGES} images of samples. Speed-up at {size[0]}x{size[1]}: geometric "
            f"mean over interleaved rounds, 95 % interval (Student's t, bootstrap-t)."
        )
    return int(not rows)


def _print(columns: dict[str, Callable[[Any], object]], rows: Iterable[Any], style: str) -> None:
    from tabulate import tabulate

    rows = list(rows)
    if style == "json":
        return click.echo(json.dumps([_plain(row) for row in rows], indent=1))
    body = [[show(row) for show in columns.values()] for row in rows]
    if style == "csv":
        return csv.writer(sys.stdout, lineterminator="\n").writerows([list(columns), *body])
    texts = [place for place, cell in enumerate(body[0] if body else []) if isinstance(cell, str)]
    return click.echo(tabulate(body, list(columns), floatfmt=".2f", missingval="-", disable_numparse=texts))


def _plain(row: Any) -> dict[str, Any]:
    """A row as JSON has it, with its raw numbers and, where there is one, its verdict."""
    if isinstance(row, tuple):
        return {"size": row[0], **asdict(row[1]), "verdict": row[1].verdict}
    return asdict(row)
