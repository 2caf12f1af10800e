"""`srbench score`: other metrics for saved images."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli.options import FOLDER, data_root_option, device_option, srbench_command
from srbench.cli.values import Names


@srbench_command(
    help="Score the SR images that a run saved, without the model: for other metrics or conventions.",
    kept="the runs scored so far are kept",
)
@click.argument("results", type=FOLDER)
@click.option("--metrics", type=Names("metrics"), required=True, help="NAME or NAME@CONVENTION.")
@device_option
@data_root_option
def command(results: Path, metrics: tuple[str, ...], device: str, data_root: Path | None) -> int:
    from srbench.benchmark.progress import print_results
    from srbench.benchmark.rescore import rescore
    from srbench.results.store import load_results

    left_out = rescore(results, metrics, device=device, root=data_root)
    for title, reason in left_out.items():
        click.echo(f"srbench: {title}: {reason}", err=True)
    print_results(load_results(results), metrics)
    return int(bool(left_out))
