"""`srbench speed`: time models over input sizes and batches, against each other, or audit what makes them faster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from srbench.base.text import is_whole
from srbench.cli.listing import tell
from srbench.cli.options import (
    FOLDER,
    MODELS,
    device_option,
    model_options,
    named_models,
    now_kept,
    precision_option,
    srbench_command,
    tell_remark,
    threads_option,
)
from srbench.cli.speed_tables import Turn, print_audits, print_ratios, print_timings, tell_machine
from srbench.cli.values import CommaList, Names, Scale, lr_size

if TYPE_CHECKING:
    import torch

    from srbench.benchmark.speed.timing import Timed
    from srbench.models.inference import Inference
    from srbench.models.spec import ModelSpec
    from srbench.models.values import Hints


@dataclass(frozen=True)
class Asked:
    """What is to be timed, as the options say."""

    device: torch.device
    scale: int
    sizes: tuple[tuple[int, int], ...]
    batches: tuple[int, ...]
    budget: float
    backends: tuple[str, ...]
    precision: str
    style: str
    out: Path

    def prepared(self, spec: ModelSpec, backend: str) -> Inference:
        """A model ready to be timed, never in tiles."""
        from srbench.models.inference import prepare

        return prepare(spec, self.scale, self.device, precision=self.precision, backend=backend, tile="none")


def _count(text: str) -> int:
    if not is_whole(text) or int(text) < 1:
        raise ValueError("write whole numbers above zero")
    return int(text)


SIZES = CommaList(lr_size, "WxH,…")


@srbench_command(
    help="Time models at fixed input sizes: warm-up, synchronised, median and 95th percentile.\n\n"
    "The first call at each size (cold) is reported apart. From three sizes on, a line is fitted: a fixed cost, and "
    "one of each LR megapixel. Timings are kept in OUT for srbench report and srbench choose.\n\n"
    "Two or more MODELs as arguments are timed against each other, turn by turn, and told apart only where the "
    "interval of their ratio leaves out 1. With --audit, every backend and precision is held against eager fp32. "
    "Both are only printed: --format json > FILE keeps them. What is done by Ctrl-C is printed.",
    kept="what was timed is printed, and not kept",
)
@click.argument("refs", metavar="[MODEL]...", nargs=-1, type=MODELS)
@click.option("--models", type=MODELS, help="[default: all]")
@model_options
@click.option("--sizes", type=SIZES, default="120x80", show_default=True, help="LR sizes, with commas or spaces.")
@click.option("--scale", type=Scale(), default=4, show_default=True)
@click.option("--batch", "batches", type=CommaList(_count, "1,2,…"), default="1", show_default=True)
@click.option("--budget", type=float, default=2.0, show_default=True, help="Seconds of repeats at each size.")
@click.option("--audit", is_flag=True, help="What each backend and precision changes, and what it gains.")
@click.option("--backend", "backends", type=Names("backends"), default="eager", show_default=True, help="One or more.")
@precision_option
@device_option
@threads_option
@click.option("--format", "style", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--out", type=FOLDER, default=Path("results"), show_default=True)
def command(
    refs: tuple[tuple[str, ...], ...], models: tuple[str, ...] | None, hints: Hints, audit: bool, **options: Any
) -> int:
    from srbench.base.errors import UsageError
    from srbench.base.registry import entries, refuse_unknown
    from srbench.models import select_models
    from srbench.models.inference import select_device

    refs, options = _sorted_out(refs, options)
    named = named_models(refs, models)
    refuse_unknown("backend", (name.partition(":")[0] for name in options["backends"]), entries("backends"))
    versus = sum(map(len, refs)) > 1 and not audit
    if versus or audit:
        _refuse_out(named, audit=audit)
    every = select_models(named, hints, as_typed=versus)
    specs = [spec for spec in every if options["scale"] in spec.scales]
    for spec in specs:
        tell_remark(spec)
    if not specs:
        raise UsageError(f"none of {', '.join(named)} has scale {options['scale']}")
    for spec in every if "all" not in named else ():
        if spec not in specs:
            click.echo(f"{spec.name} x{options['scale']}: left out: {spec.made_for}", err=True)
    if versus and len(specs) < 2:
        raise UsageError(f"{specs[0].name} has none to be timed against at x{options['scale']}")
    asked = Asked(**{**options, "device": select_device(options["device"])})
    return (_audit if audit else _versus if versus else _time)(specs, asked)


def _refuse_out(named: Sequence[str], *, audit: bool) -> None:
    """A ratio or an audit is no timing that a report could show; raises `UsageError` where OUT was asked for."""
    from srbench.base.errors import UsageError

    if click.get_current_context().get_parameter_source("out") is not ParameterSource.DEFAULT:
        what = "an audit" if audit else "what models take against each other"
        keep = "--format json > FILE in place of --out keeps it"
        raise UsageError(f"--out keeps timings, and not {what}: {keep}. Timings: --models {','.join(named)}")


def _sorted_out(refs: Sequence[tuple[str, ...]], options: dict[str, Any]) -> tuple[tuple[tuple[str, ...], ...], Any]:
    """`--sizes 120x80 256x256` and `--backend eager onnx` leave all but the first word among the models."""
    from srbench.base.registry import entries

    kept, more = [], dict(options)
    for names in refs:
        try:
            more["sizes"] = (*more["sizes"], *SIZES.convert(",".join(names), None, None))
        except click.BadParameter:
            if all(name.partition(":")[0] in entries("backends") and name not in entries("models") for name in names):
                more["backends"] = (*more["backends"], *names)
            else:
                kept.append(names)
    return tuple(kept), more


def _time(specs: Sequence[ModelSpec], asked: Asked) -> int:
    from srbench.base.errors import SrbenchError
    from srbench.models.spec import weights_digest
    from srbench.results.store import write_speeds

    every: list[Timed] = []
    failed = False
    try:
        for spec in specs:
            before = len(every)
            for backend in asked.backends:
                try:
                    for one in _one_backend(spec, backend, asked):
                        every.append(one)
                except SrbenchError as error:
                    click.echo(f"srbench: {spec.name} {backend}: {error}", err=True)
                    failed = True
            if timed := every[before:]:
                write_speeds(asked.out, weights_digest(spec, asked.scale), [one.row for one in timed])
                now_kept(f"what was timed is printed; up to {spec.name} it is kept in {asked.out}")
    finally:  # after Ctrl-C too: what is done was minutes of work
        print_timings(every, asked.style)
    if asked.style == "table":
        _print_notes(every, asked.device)
        tell(f"Kept in {asked.out}. Next: srbench report {asked.out}")
    return int(failed)


def _one_backend(spec: ModelSpec, backend: str, asked: Asked) -> Iterable[Timed]:
    """Every batch and size of one model under one backend, each told on stderr when it is done."""
    from srbench.benchmark.speed.timing import time_sizes

    inference = asked.prepared(spec, backend)
    for batch in asked.batches:
        for size in asked.sizes:
            (one,) = time_sizes(inference, spec.name, [size], batch=batch, budget_s=asked.budget)
            where = f"{size[0]}x{size[1]}" + (f", batch {batch}" if batch > 1 else "")
            click.echo(f"{spec.name} {backend} {where}: {one.row.p50_ms:.2f} ms", err=True)
            yield one


def _print_notes(timed: Sequence[Timed], device: torch.device) -> None:
    """The fitted lines, what the machine told, and what `peak MiB` means here."""
    from srbench.benchmark.speed.curve import fit_line
    from srbench.benchmark.speed.steadiness import unsteady_note

    for model, backend, batch in dict.fromkeys((one.row.model, one.row.backend, one.row.batch) for one in timed):
        mine = [one for one in timed if (one.row.model, one.row.backend, one.row.batch) == (model, backend, batch)]
        curve = fit_line({batch * one.row.width * one.row.height / 1e6: one.times_ms for one in mine})
        if curve is not None:
            fixed, slope = (
                "{:,.1f} [{:,.1f}, {:,.1f}]".format(*part) for part in (curve.fixed_ms, curve.ms_per_megapixel)
            )
            of = model if backend == "eager" else f"{model} {backend}"
            tell(
                f"{of}, batch {batch}: {fixed} ms + {slope} ms per LR megapixel (95 % intervals); "
                f"the line misses a median by up to {curve.misfit:.0%}"
            )
    peak = "what torch allocates" if device.type == "cuda" else "growth of resident memory"
    tell(f"peak MiB: {peak} in one call, input and weights left out")
    first = timed[0].row if timed else None
    if first is not None:
        notes = [note for one in timed for note in one.notes]
        tell_machine(first.processor, first.threads, notes, "; p95 of 20 repeats or more")
    for name in dict.fromkeys(name for one in timed for name in one.row.uncounted):
        tell(f"GMACs lack what {name} multiplies, which srbench cannot count")
    if note := unsteady_note(one.row for one in timed):
        tell(note)


def _versus(specs: Sequence[ModelSpec], asked: Asked) -> int:
    from srbench.benchmark.speed.versus import ratio, watched_turns
    from srbench.results.environment import device_name, threads

    found: list[Turn] = []
    notes: list[str] = []
    on = 0 if asked.device.type == "cuda" else threads(), device_name(str(asked.device))
    try:
        for backend in asked.backends:
            inferences = [asked.prepared(spec, backend) for spec in specs]
            for size, batch in product(asked.sizes, asked.batches):
                where = f"{size[0]}x{size[1]}"
                click.echo(f"{' and '.join(spec.name for spec in specs)} {backend}, {where}: in turns", err=True)
                turns = watched_turns(inferences, size, batch=batch, budget_s=asked.budget * len(specs))
                notes += turns.notes
                times = list(zip(*turns.rounds, strict=True))
                ms = [median(one) * 1e3 for one in times]
                for a, b in combinations(range(len(specs)), 2):
                    pair = ratio(specs[a].name, specs[b].name, times[a], times[b])
                    found.append(Turn(where, batch, backend, *on, pair, ms[a], ms[b], turns.not_steady))
    finally:  # after Ctrl-C too
        print_ratios(found, asked.style, list(dict.fromkeys(notes)))
    return 0


def _audit(specs: Sequence[ModelSpec], asked: Asked) -> int:
    from srbench.benchmark.speed.backend_audit import IMAGES, Audit, audit_backends, variants

    rows: list[Audit] = []
    size = asked.sizes[0]

    def begin(text: str) -> None:
        click.echo(text, err=True)

    try:
        for spec in specs:
            for backend in ("" if name == "eager" else name for name in asked.backends):
                tried = variants(asked.device, backend, asked.precision)
                tested = audit_backends(
                    spec, asked.scale, asked.device, tried, size, budget_s=asked.budget, begin=begin
                )
                for found in tested:
                    if isinstance(found, tuple):
                        begin(f"srbench: {spec.name} {' '.join(found[0])}: {found[1]}")
                    else:
                        begin(f"  {found.delta_db:+.4f} dB, {found.speed_up.value:.2f} times as fast")
                        rows.append(found)
    finally:  # after Ctrl-C too: what is done was minutes of work
        print_audits(rows, asked.style)
    if asked.style == "table":
        tell(
            f"Against eager fp32 on {asked.device}, {IMAGES} images of samples. Speed-up at {size[0]}x{size[1]}: "
            f"geometric mean over interleaved rounds, 95 % interval (Student's t)."
        )
    return int(not rows)
