"""`srbench study`: make a blind rating, serve it, score it."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from srbench.cli.names import models_meant
from srbench.cli.options import (
    EXISTING,
    FOLDER,
    MODELS,
    OVER,
    Command,
    data_root_option,
    force_option,
    read_results,
)

if TYPE_CHECKING:
    from srbench.apps.study.score import ModelRating


@click.group()
def command() -> None:
    """Ask people which model they prefer: make a study, serve it, score it."""


@command.command("make", cls=Command)
@click.argument("results", type=EXISTING)
@click.argument("folder", type=FOLDER)
@click.option("--models", type=MODELS, default=(), help="[default: all]")
@click.option("--mode", type=click.Choice(["pairs", "opinion"]), default="pairs", show_default=True)
@click.option("--crop", type=click.IntRange(min=32), default=256, show_default=True, help="Side of what is shown.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first N images of each set.")
@data_root_option
def make_command(
    results: Path, folder: Path, models: tuple[str, ...], mode: Literal["pairs", "opinion"], crop: int,
    limit: int | None, data_root: Path | None,
) -> None:  # fmt: skip
    """Make a study in FOLDER of the images that `srbench run --save-images` kept in RESULTS."""
    from srbench.apps.study.make import make_study

    models = models_meant(read_results(results), models)
    study = make_study(results, folder, models, mode, crop=crop, limit=limit, root=data_root)
    click.echo(f"{folder}: {len(study.questions)} questions. Ask people: srbench study serve {folder}", err=True)


@command.command("serve", cls=Command, kept="every answer given so far is kept")
@click.argument("folder", type=EXISTING)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets phones on your network in.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True)
def serve_command(folder: Path, host: str, port: int) -> None:
    """Serve the rating page of the study in FOLDER until interrupted. Several people can answer at once."""
    from srbench.apps.study.serve import serve

    def ready(address: str) -> None:
        click.echo(f"{address} – answers go to {folder / 'answers.sqlite'}; Ctrl-C ends", err=True)

    serve(folder, host, port, ready)


@command.command("score", cls=Command)
@click.argument("folder", type=EXISTING)
@click.option("--csv", "table", type=click.Path(path_type=Path, dir_okay=False), help="Write the scores here too.")
@click.option("--into", type=EXISTING, metavar="RESULTS", help="Give the tables of this results folder a column.")
@force_option(OVER)
def score_command(folder: Path, table: Path | None, into: Path | None, force: bool) -> None:
    """Score the models of the study in FOLDER by the answers so far."""
    from tabulate import tabulate

    from srbench.apps.study.score import score_study, study_rows
    from srbench.base.outputs import refuse_overwriting
    from srbench.base.temporary import write_file
    from srbench.results.store import write_study

    if table:
        refuse_overwriting([table], folder.rglob("*"), force=force)
    study, scores = score_study(folder)
    name, digits = ("Elo", 0) if study.mode == "pairs" else ("MOS", 2)
    rows = [[score.model, _shown(score.value, digits), _interval(score, digits), score.n] for score in scores]
    click.echo(tabulate(rows, ["model", name, "95 % interval", "answers"], disable_numparse=True))
    if table:
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["model", name.lower(), "ci_low", "ci_high", "n"])
        writer.writerows([score.model, score.value, score.low, score.high, score.n] for score in scores)
        write_file(table, text.getvalue())
    if any(math.isnan(score.value) for score in scores):
        click.echo("n/a: never compared with the others, not even through third ones, so on no common scale", err=True)
    if any(math.isnan(score.low) for score in scores):
        click.echo("no interval: one rater, or one image, tells nothing of others", err=True)
    if into:
        click.echo(f"{write_study(into, study_rows(folder))}: srbench report {into} has it as a column", err=True)


def _shown(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:.{digits}f}"


def _interval(score: ModelRating, digits: int) -> str:
    return "n/a" if math.isnan(score.low) else f"[{score.low:.{digits}f}, {score.high:.{digits}f}]"
