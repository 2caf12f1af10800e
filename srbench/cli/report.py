"""`srbench report`: results in; tables, plots and a page out, by the entry points of the group `srbench.reports`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click

from srbench.base.errors import UsageError
from srbench.base.own_files import own_files
from srbench.base.registry import entries, load
from srbench.cli.options import FOLDER, NAMES, data_root_option, force_option, read_results, srbench_command
from srbench.cli.values import Names


@srbench_command(
    help="Render the results folder RESULTS as tables, plots or a page.", kept="the reports written so far are kept"
)
@click.argument("results", type=FOLDER)
@click.option(
    "--format",
    "formats",
    type=Names("reports", "all"),
    default="md,csv",
    show_default=True,
    help="Names of reports, or all.",
)
@click.option("--rows", type=NAMES, help="Axes on the rows of tables: scale, dataset, metric, model.")
@click.option("--columns", type=NAMES, help="Axes on the columns: scale, dataset, metric, model.")
@click.option("--papers", is_flag=True, help="In tables, published numbers in a row under those of their model.")
@click.option("--out", type=FOLDER, default=Path("report"), show_default=True, help="Folder for what is written.")
@force_option("Replace files in OUT that srbench did not write, or that were changed since.")
@data_root_option
def command(
    results: Path, formats: tuple[str, ...], out: Path, force: bool, data_root: Path | None,
    **layout: tuple[str, ...] | bool | None,
) -> int:  # fmt: skip
    names = list(entries("reports")) if "all" in formats else list(dict.fromkeys(formats))
    writers = {name: load("reports", name) for name in names}
    options = {name: value for name, value in layout.items() if value}
    for name in options:
        if not any(_accepted(write, options) for write in writers.values()):
            raise UsageError(f"--{name} is for reports with tables; {', '.join(writers)} has none. Use --format md")
    loaded = read_results(results, data_root)
    for write in writers.values():
        with own_files(out, force=force) as making:
            paths = write(loaded, making, **_accepted(write, options))
        for path in paths:
            click.echo(out / path.relative_to(making) if path.is_relative_to(making) else path)
    return 0


def _accepted(write: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options that a report takes: it may have keyword parameters `rows`, `columns` and `papers`."""
    return {name: value for name, value in options.items() if name in inspect.signature(write).parameters}
