"""`srbench list`: what there is, read from package metadata and tables, without importing anything heavy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from srbench.cli.options import data_root_option, srbench_command
from srbench.errors import SrbenchError
from srbench.registry import entries, load, package_of

Line = tuple[str, ...]


def _entries(kind: str) -> list[Line]:
    return [(name, package_of(entry), entry.value) for name, entry in entries(kind).items()]


def _datasets(root: Path | None) -> list[Line]:
    from srbench.datasets import SAMPLES, data_root, present
    from srbench.datasets.table import STANDARD_SETS

    home = data_root(root)
    here = set(present(home))
    lines = [(SAMPLES, "test", "comes with scikit-image")]
    for row in STANDARD_SETS.values():
        where = str(home / row.name) if row.name in here or (home / row.name / "HR").is_dir() else "not here"
        lines.append((row.name, row.role, where))
    return lines + _entries("datasets")


def _conventions(root: Path | None) -> list[Line]:
    from srbench.conventions import CONVENTIONS

    return [(row.name, "/".join(row.channels), row.summary) for row in CONVENTIONS.values()]


def _degradations(root: Path | None) -> list[Line]:
    from srbench.degradations import DEGRADATIONS, FILES

    lines = [(row.name, row.summary) for row in DEGRADATIONS.values()]
    return [*lines, (FILES, "the LR files that came with the data set")]


def _recipes(root: Path | None) -> list[Line]:
    """With what each says of itself; a recipe needs nothing heavy to be imported."""
    lines: list[Line] = []
    for name, entry in entries("recipes").items():
        try:
            told = str(getattr(load("recipes", name), "summary", ""))
        except SrbenchError as error:
            told = str(error)
        lines.append((name, package_of(entry), told))
    return lines


TABLES: dict[str, Callable[[Path | None], Iterable[Line]]] = {
    "models": lambda root: _entries("models"),
    "datasets": _datasets,
    "metrics": lambda root: _entries("metrics"),
    "conventions": _conventions,
    "degradations": _degradations,
    "recipes": _recipes,
    "reports": lambda root: _entries("reports"),
    "backends": lambda root: _entries("backends"),
}


@srbench_command(help="List models, data sets, metrics, conventions, degradations, recipes, reports or backends.")
@click.argument("what", type=click.Choice(list(TABLES)))
@data_root_option
def command(what: str, data_root: Path | None) -> None:
    lines = list(TABLES[what](data_root))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
