"""`srbench choose`: the best model within a budget."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.base.text import counted
from srbench.cli.listing import grid, tell
from srbench.cli.names import reference_of
from srbench.cli.options import FOLDER, read_results, srbench_command
from srbench.cli.values import Finite, Large, Scale, complete, lr_size

if TYPE_CHECKING:
    from srbench.analysis.choose import Candidate


def _size(context: click.Context, param: click.Parameter, value: str | None) -> tuple[int, int] | None:
    try:
        return lr_size(value) if value else None
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@srbench_command(
    help="Name the best model of the results folder RESULTS within a budget, and show the others beside it.\n\n"
    "Scores come from srbench run, timings from the same run or from srbench speed --out RESULTS."
)
@click.argument("results", type=FOLDER)
@click.option("--metric", default="psnr_y", show_default=True, shell_complete=complete("metrics"))
@click.option("--max-ms", type=Finite(min=0), help="Median milliseconds of one image.")
@click.option("--max-mib", type=Finite(min=0), help="Peak memory of one image.")
@click.option("--max-params", type=Large(min=0), help="Parameters, as 1500000, 1.5e6 or 1.5M.")
@click.option("--scale", type=Scale(), default=4, show_default=True)
@click.option("--size", callback=_size, metavar="WxH", help="LR size of the timings, where there are several.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    results: Path, metric: str, max_ms: float | None, max_mib: float | None, max_params: float | None, scale: int,
    size: tuple[int, int] | None, style: str,
) -> int:  # fmt: skip
    from srbench.analysis.choose import Budget, candidates, timing_commands, to_time_again
    from srbench.base.documents import dumps
    from srbench.metrics import usual_name

    loaded = read_results(results)
    budget = Budget(max_ms, max_mib, max_params)
    found = candidates(loaded, usual_name(metric), budget, scale=scale, size=size)
    best = None if found[0].out else found[0]
    again = to_time_again(found)
    commands = timing_commands(again, {one.model: reference_of(loaded, one.model) for one in again}, results)
    if style == "json":
        told = {"best": best.model if best else None, "time_again": commands}
        click.echo(dumps({**told, "candidates": [asdict(one) for one in found]}))
    else:
        _print(found)
    _tell_rest(best, again, commands)
    return int(not best)


def _tell_rest(best: Candidate | None, maybe: list[Candidate], commands: list[str]) -> None:
    """What may be better, or within the budget at all, and how to find out; or that nothing is."""
    told = ", ".join(map(_words, maybe))
    if told and best:
        click.echo(f"Better, and maybe within the budget on an idle machine: {told}", err=True)
    elif told:
        click.echo(f"srbench: no model is within this budget here; maybe on an idle machine: {told}", err=True)
    elif not best:
        click.echo(
            "srbench: no model is within this budget; the table says what each exceeds. Give a larger one", err=True
        )
    if commands:
        click.echo("Time again, on an idle machine:\n" + "\n".join(commands), err=True)


def _words(one: Candidate) -> str:
    from srbench.benchmark.speed.steadiness import marked
    from srbench.results.summary import heading

    metric = heading(one.metric)
    return f"{one.model} ({metric.label} {metric.format(one.score)}, {marked(one.speed)} ms)"


def _print(found: list[Candidate]) -> None:
    from srbench.benchmark.speed.steadiness import marked, unsteady_note
    from srbench.results.summary import heading

    metric = heading(found[0].metric)
    memory = ["–" if one.speed.peak_memory_mib is None else f"{one.speed.peak_memory_mib:.0f}" for one in found]
    rows = [
        [one.model, one.speed.backend, metric.format(one.score), marked(one.speed), mib,
         f"{one.speed.params:,}", one.out or "within"]
        for one, mib in zip(found, memory, strict=True)
    ]  # fmt: skip
    headings = ["model", "backend", metric.text, "p50 ms", "peak MiB", "params", "budget"]
    if len({one.speed.threads for one in found}) > 1:
        headings.insert(2, "threads")
        rows = [[*row[:2], str(one.speed.threads or "–"), *row[2:]] for one, row in zip(found, rows, strict=True)]
    click.echo(grid(headings, rows, keys=2, right=("peak MiB", "p50 ms")))
    if note := unsteady_note((one.speed for one in found), "On an idle machine they may take less."):
        tell(note)
    best, speed = found[0], found[0].speed
    if best.images:
        tell(f"Scores are of {best.images}")
    if not best.out:
        way = best.model if speed.backend == "eager" else f"{best.model} ({speed.backend})"
        by = f", {counted(speed.threads, 'thread')}" if speed.threads else ""
        cost = f"{marked(speed)} ms at {speed.width}x{speed.height} on {speed.device}{by}"
        tell(f"Best within the budget: {way}, {metric.label} {metric.format(best.score)}, {cost}")
