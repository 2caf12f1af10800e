"""`srbench explain`: which convention gives this number?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.listing import grid, tell
from srbench.cli.names import model_meant
from srbench.cli.options import FOLDER, data_root_option, device_option, read_results, srbench_command
from srbench.cli.values import Names, Scale, complete

if TYPE_CHECKING:
    from srbench.analysis.explain import Reading


@srbench_command(
    help="Score the outputs of a model under every convention, and name those that give the number VALUE.\n\n"
    "RESULTS is a folder with saved SR images; without it the model is run. Exit status 1 where nothing gives it."
)
@click.argument("value", required=False)
@click.argument("results", type=FOLDER, required=False)
@click.option("--model", default="bicubic", show_default=True, shell_complete=complete("models"), help="A model REF.")
@click.option(
    "--dataset",
    default="Set5",
    show_default=True,
    shell_complete=complete("datasets"),
    help="samples, a name or a folder.",
)
@click.option("--scale", type=Scale(), default=4, show_default=True)
@click.option("--metric", default="", help="psnr or ssim.  [default: by the size of VALUE]")
@click.option(
    "--degradation", "degradations", type=Names("degradations"), default=(), help="How LR may be made, tried in turn."
)
@click.option("--matrix", "whole", is_flag=True, help="Print every convention's number; needs no VALUE.")
@device_option
@data_root_option
def command(
    value: str | None,
    results: Path | None,
    model: str,
    dataset: str,
    scale: int,
    metric: str,
    degradations: tuple[str, ...],
    whole: bool,
    device: str,
    data_root: Path | None,
) -> int:
    from srbench.analysis.claims import Claim, parse_value
    from srbench.analysis.explain import FAMILIES, Subject, explain, matrix, metric_meant
    from srbench.base.errors import UsageError
    from srbench.base.registry import meant
    from srbench.datasets import data_root as find_root
    from srbench.datasets import home_of
    from srbench.models import find_model

    metric = metric_meant(metric)
    folder = results or (Path(value) if whole and value else None)
    if folder:
        loaded = read_results(folder)
        model = model_meant(loaded, model)
        dataset = meant(Path(dataset).name, {run.identity.dataset for run in loaded})
    else:  # refused before torch is imported
        home_of(dataset, find_root(data_root))
        find_model(model)
    if whole:
        families = (metric.partition("_")[0],) if metric else tuple(FAMILIES)
        _print(matrix(Subject(model, dataset, scale, folder, device, data_root), degradations or ("matlab",), families))
        return 0
    if value is None:
        raise UsageError("explain takes a VALUE such as 28.42, or --matrix")
    value = value.strip()
    parse_value(value)  # refused before a model is run
    claim = Claim(model, dataset, scale, value, metric)
    found = explain(claim, Subject(model, dataset, scale, results, device, data_root), degradations)
    tell(found.sentences)
    return 0 if found.explained else 1


def _print(readings: list[Reading]) -> None:
    from srbench.metrics.conventions import CONVENTIONS
    from srbench.results.summary import heading

    rows = [
        (
            heading(reading.metric).label,
            " = ".join([reading.convention, *reading.aliases]),
            reading.degradation,
            reading.text,
            f"a mistake: {reading.mistake}" if reading.mistake else CONVENTIONS[reading.convention].summary,
        )
        for reading in readings
    ]
    headings = ("metric", "convention", "LR by", "mean", "which is")
    click.echo(grid(headings, rows, keys=3))
