"""The tables on the terminal, which `srbench run` ends with: nothing is written, everything is printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.speed import speed_table
from reports.tables import COLUMNS, ROWS, Cell, Table, build
from srbench.benchmark.speed.steadiness import unsteady_note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    from srbench.results.results import Results

MODEL = re.compile(r"\|model:[^|]*")
"""A terminal has one signature a column; files have that of every score."""

WIDE = 240
"""Columns of a table that goes into a pipe, where nothing needs to be folded."""

UNBOUNDED = 10_000


def write(
    results: Results, out: Path, *, rows: Sequence[str] = ROWS, columns: Sequence[str] = COLUMNS, papers: bool = False
) -> list[Path]:
    """Print the tables to stdout; returns no files. Raises `IncomparableError` for results that do not mix.

    A table that is wider than the terminal is printed one data set at a time.
    """
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    for table in build(results, rows, columns, papers):
        if _fits(_scores(table), console):
            _print(console, table)
        else:
            narrow = tuple(axis for axis in columns if axis != "dataset")
            for part in build(results, rows, narrow, papers) if len(narrow) < len(columns) else [table]:
                _print(console, part)
    if results.speeds:
        title, grid = _speeds(results)
        if not _fits(grid, console):
            title, grid = _speeds(results, without="repeats")
        console.print(title, grid, sep="\n", markup=False)
        if note := unsteady_note(results.speeds):
            console.print(note, style="dim", markup=False)
    return []


def _fits(grid: Grid, console: Console) -> bool:
    boundless = console.options.update(width=UNBOUNDED)  # a measure is never wider than the width that it is given
    return console.measure(grid, options=boundless).maximum <= console.width


def _print(console: Console, table: Table) -> None:
    console.print(table.title, _scores(table), sep="\n", markup=False)
    columns = dict.fromkeys(MODEL.sub("|model:*", signature) for _, signature in table.signatures)
    for line in (table.caption, *table.notes):
        console.print(line, style="dim", markup=False, soft_wrap=not sys.stdout.isatty())
    for line in columns:  # whole, so that they can be copied
        console.print(line, style="dim", markup=False, soft_wrap=True)


def _scores(table: Table) -> Grid:
    from rich.text import Text

    grid = _grid([*table.corner, *("\n".join(column) for column in table.columns)], len(table.corner))
    for labels, cells in table.rows:
        grid.add_row(*map(Text, labels), *map(_marked, cells))
    return grid


def _speeds(results: Results, without: str = "") -> tuple[str, Grid]:
    """Timings as a grid; what is the same for all of them (scale, device, input, batch) stands in its title.

    `without` is left out.
    """
    from rich.text import Text

    headings, body = speed_table(results)
    rows = [dict(zip(headings, row, strict=True)) for row in body]
    usual = [name for name in ("scale", "device", "threads", "input", "batch") if name in headings]
    common = [name for name in usual if len({row[name] for row in rows}) == 1]
    shown = [name for name in headings if name not in (*common, without) and any(row[name] not in "–0" for row in rows)]
    grid = _grid(shown, 1)
    for row in rows:
        grid.add_row(*(Text(row[name]) for name in shown))
    return "Speed: " + ", ".join(f"{name} {rows[0][name]}" for name in common), grid


def _grid(headings: Sequence[str], left: int) -> Grid:
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid()
    for index, heading in enumerate(headings):
        grid.add_column(Text(heading), justify="left" if index < left else "right", overflow="fold")
    return grid


def _marked(cell: Cell) -> Text:
    from rich.text import Text

    return Text(cell.text, style={1: "bold", 2: "underline"}.get(cell.rank, ""))
