"""`srbench measure`: score any two images, or two folders of them."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import click

from srbench.cli.options import EXISTING, device_option, srbench_command
from srbench.cli.values import Names, Scale

SCALE = "Decides the border cropped.  [default: what SR's names add, as in babyx2.png, else 4]"


@srbench_command(
    help="Score SR against HR: two images, or two folders whose images are paired by name.\n\n"
    "Names may differ by what upscalers append: baby_SRF_4.png and babyx4.png pair with baby.png. Where several belong "
    "to one HR, --suffix says which."
)
@click.argument("sr", type=EXISTING)
@click.argument("hr", type=EXISTING)
@click.option(
    "--metrics", type=Names("metrics"), default="psnr_y,ssim_y", show_default=True, help="NAME or NAME@CONVENTION."
)
@click.option("--scale", type=Scale(), help=SCALE)
@click.option("--format", "style", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--suffix", metavar="TEXT", help="What SR's names have behind those of HR, _x4 for instance.")
@device_option
def command(
    sr: Path, hr: Path, metrics: tuple[str, ...], scale: int | None, style: str, suffix: str | None, device: str
) -> int:
    from srbench.benchmark.measure_files import measure_pairs, pair_up, scale_told
    from srbench.metrics import usual_name

    metrics = tuple(dict.fromkeys(map(usual_name, metrics)))
    found = pair_up(sr, hr, suffix)
    told = scale or scale_told(sr, found.pairs)
    measured = measure_pairs(found.pairs, metrics, told or 4, device)
    if told is None:
        click.echo("srbench: no scale told by the names: 4 pixels are cropped on each side. Another: --scale", err=True)
    for name, reason in measured.unavailable.items():
        click.echo(f"srbench: {name} n/a: {reason}", err=True)
    for name, taken in measured.variants.items():
        click.echo(f"srbench: {name} is taken under {taken}", err=True)
    for reason in (*found.alone, *measured.failed):
        click.echo(f"srbench: not scored: {reason}", err=True)
    WRITERS[style](measured.rows, measured.means, metrics)
    return int(bool(measured.unavailable or found.alone or measured.failed))


Rows = dict[str, dict[str, float]]


def _json(rows: Rows, means: dict[str, float], metrics: tuple[str, ...]) -> None:
    from srbench.base.documents import dumps

    images = [{"image": image, **scores} for image, scores in rows.items()]
    click.echo(dumps(images[0] if len(images) == 1 else {"n": len(images), **means, "images": images}))


def _csv(rows: Rows, means: dict[str, float], metrics: tuple[str, ...]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", *metrics])
    for image, scores in rows.items():
        writer.writerow([image, *(scores.get(name, "") for name in metrics)])


def _table(rows: Rows, means: dict[str, float], metrics: tuple[str, ...]) -> None:
    from tabulate import tabulate

    from srbench.metrics import resolve

    bound = [resolve(name) for name in metrics]
    lines = {**rows, "mean": means} if len(rows) > 1 else rows
    body = [
        [image, *(f"{scores[item.name]:.{item.metric.digits}f}" if item.name in scores else "n/a" for item in bound)]
        for image, scores in lines.items()
    ]
    headers = ["image", *(item.label for item in bound)]
    click.echo(tabulate(body, headers, disable_numparse=True, colalign=("left", *["right"] * len(bound))))


WRITERS = {"table": _table, "csv": _csv, "json": _json}
