"""`srbench figure`: the comparison figure of a paper, from saved SR images."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from srbench.base.errors import SrbenchError
from srbench.base.text import is_whole
from srbench.cli.names import models_meant
from srbench.cli.options import EXISTING, FILE, MODELS, OVER, data_root_option, force_option, srbench_command
from srbench.cli.values import CommaList, Names, Scale, argument_before, begun, complete

if TYPE_CHECKING:
    from srbench.analysis.figure import Crop


def _crops(context: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Crop, ...]:
    found = []
    for value in values:
        numbers = value.replace(" ", "").split(",")
        if len(numbers) != 4 or not all(map(is_whole, numbers)) or "0" in numbers[2:]:
            raise click.BadParameter(f"{value!r}: write left,top,width,height in pixels of HR, as 120,80,64,48")
        left, top, width, height = map(int, numbers)
        found.append((left, top, width, height))
    return tuple(found)


def _saved(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    from srbench.results.store import load_results

    before, comma, last = typed.rpartition(",")
    try:
        names = {row.image for run in load_results(argument_before(context, "results")) for row in run.rows}
    except SrbenchError:
        return []
    return begun(last, sorted(names), before + comma)


@srbench_command(
    help="Draw crops of images by each model, beside HR and with scores, from the SR images saved in RESULTS.\n\n"
    "OUTPUT ends in .png, .pdf or .tex (with its pictures in a folder beside it). Without --crop the place is shown "
    "where the models differ most."
)
@click.argument("results", type=EXISTING)
@click.option(
    "--image",
    "images",
    type=CommaList(spaces=False),
    required=True,
    shell_complete=_saved,
    help="One image or more, as their files are called.",
)
@click.option("--crop", "crops", multiple=True, callback=_crops, metavar="X,Y,W,H", help="One for all, or one each.")
@click.option("--models", type=MODELS, default=(), help="In this order.  [default: all]")
@click.option("--metrics", type=Names("metrics"), default=(), help="Under each name.  [default: the first two]")
@click.option("--dataset", default="", shell_complete=complete("datasets"), help="Where several hold the image.")
@click.option("--scale", type=Scale(), help="Where there are several.")
@click.option("-o", "--out", type=FILE, default=Path("figure.pdf"), show_default=True)
@force_option(OVER)
@data_root_option
def command(
    results: Path, images: tuple[str, ...], crops: tuple[Crop, ...], models: tuple[str, ...], metrics: tuple[str, ...],
    dataset: str, scale: int | None, out: Path, force: bool, data_root: Path | None,
) -> None:  # fmt: skip
    from srbench.analysis.figure import strips
    from srbench.analysis.figure_page import outputs, write_figure
    from srbench.base.outputs import refuse_overwriting
    from srbench.base.registry import meant
    from srbench.metrics import usual_name
    from srbench.results.store import load_results

    made, stored = outputs(out), [*results.rglob("*")]
    refuse_overwriting(made, stored, force=force)  # before anything is drawn
    loaded = load_results(results)
    known = {row.image for run in loaded for row in run.rows}
    images, metrics = tuple(_image(name, known) for name in images), tuple(map(usual_name, metrics))
    dataset = meant(Path(dataset).name, {run.identity.dataset for run in loaded})
    chosen = models_meant(loaded, models)
    shown = strips(loaded, images, crops, chosen, metrics, dataset=dataset, scale=scale, root=data_root)
    sources = [strip.source for strip in shown if strip.source]
    refuse_overwriting(made, [*stored, *sources], force=force)
    for strip in shown:
        click.echo(f"{strip.image}: --crop {','.join(map(str, strip.crop))}", err=True)
    for path in write_figure(shown, out):
        click.echo(path)


def _image(typed: str, known: Collection[str]) -> str:
    """The id of an image by its name in any case, or by that of its file: `baby.png`."""
    from srbench.base.registry import meant
    from srbench.images.files import SUFFIXES

    stem, dot, suffix = typed.rpartition(".")
    found = meant(typed, known)
    return found if found in known or dot + suffix.lower() not in SUFFIXES else meant(stem, known)
