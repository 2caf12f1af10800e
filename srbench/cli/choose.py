"""`srbench choose`: the best model within a budget."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.listing import grid, tell
from srbench.cli.options import FOLDER, srbench_command
from srbench.cli.values import Scale, complete, lr_size

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
@click.option("--max-ms", type=click.FloatRange(min=0), help="Median milliseconds of one image.")
@click.option("--max-mib", type=click.FloatRange(min=0), help="Peak memory of one image.")
@click.option("--max-params", type=click.FloatRange(min=0), help="Parameters, as 1500000 or 1.5e6.")
@click.option("--scale", type=Scale(), default=4, show_default=True)
@click.option("--size", callback=_size, metavar="WxH", help="LR size of the timings, where there are several.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(
    results: Path, metric: str, max_ms: float | None, max_mib: float | None, max_params: float | None, scale: int,
    size: tuple[int, int] | None, style: str,
) -> int:  # fmt: skip
    from srbench.analysis.choose import Budget, candidates, doubtful
    from srbench.base.documents import dumps
    from srbench.metrics import usual_name
    from srbench.results.store import load_results

    loaded = load_results(results)
    budget = Budget(max_ms, max_mib, max_params)
    found = candidates(loaded, usual_name(metric), budget, scale=scale, size=size)
    within = [one for one in found if not one.out]
    if style == "json":
        click.echo(dumps({"best": within[0].model if within else None, "candidates": [asdict(one) for one in found]}))
    else:
        _print(found)
    if maybe := doubtful(found, budget):
        _tell_doubtful(maybe, within[:1], results)
    elif not within:
        click.echo(
            "srbench: no model is within this budget; the table says what each exceeds. Give a larger one", err=True
        )
    return int(not within)


def _tell_doubtful(maybe: list[Candidate], chosen: list[Candidate], results: Path) -> None:
    """What the choice would be if timings that are not steady were believed, and how to take them again."""
    from srbench.analysis.choose import timing_command
    from srbench.results.summary import heading

    best, metric = maybe[0], heading(maybe[0].metric)
    if chosen and not metric.better(best.score, chosen[0].score):
        return
    told = f"{best.model} ({metric.label} {metric.format(best.score)}, {best.speed.p50_ms:.2f} ms)"
    if chosen:
        click.echo(f"Better, if its timing is believed, which is not steady: {told}", err=True)
    else:
        click.echo(f"srbench: no timing within this budget is steady; if they are believed, {told} is best", err=True)
    click.echo(f"Time again, on an idle machine: {timing_command(maybe, results)}", err=True)


def _print(found: list[Candidate]) -> None:
    from srbench.results.summary import heading

    metric = heading(found[0].metric)
    memory = ["–" if one.speed.peak_memory_mib is None else f"{one.speed.peak_memory_mib:.0f}" for one in found]
    rows = [
        [one.model, one.speed.backend, metric.format(one.score), f"{one.speed.p50_ms:.2f}", mib,
         f"{one.speed.params:,}", one.out or "within"]
        for one, mib in zip(found, memory, strict=True)
    ]  # fmt: skip
    headings = ["model", "backend", metric.text, "p50 ms", "peak MiB", "params", "budget"]
    click.echo(grid(headings, rows, keys=2, right=("peak MiB",)))
    best, speed = found[0], found[0].speed
    if best.images:
        tell(f"Scores are of {best.images}")
    if not best.out:
        way = best.model if speed.backend == "eager" else f"{best.model} ({speed.backend})"
        cost = f"{speed.p50_ms:.2f} ms at {speed.width}x{speed.height} on {speed.device}"
        tell(f"Best within the budget: {way}, {metric.label} {metric.format(best.score)}, {cost}")
