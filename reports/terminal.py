"""The tables on the terminal: nothing is written, `srbench report RESULTS --format terminal` prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports import speed
from reports.tables import COLUMNS, ROWS, Cell, build

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from srbench.results import Results

WIDE = 240
"""Columns of a table that goes into a pipe, where nothing needs to be folded."""


def write(results: Results, out: Path, *, rows: Sequence[str] = ROWS, columns: Sequence[str] = COLUMNS) -> list[Path]:
    """Print the tables to stdout; returns no files. Raises `IncomparableError` for results that do not mix."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    for table in build(results, rows, columns):
        grid = _grid([*table.corner, *("\n".join(column) for column in table.columns)], len(table.corner))
        for labels, cells in table.rows:
            grid.add_row(*map(Text, labels), *map(_marked, cells))
        console.print(Text(table.title), grid, sep="\n")
        for line in (table.caption, *table.notes, *(signature for _, signature in table.signatures)):
            console.print(line, style="dim", markup=False, soft_wrap=True)
    if results.speeds:
        grid = _grid(speed.HEADINGS, 1)
        for row in speed.speed_rows(results):
            grid.add_row(*map(Text, row))
        console.print(grid)
    return []


def _grid(headings: Sequence[str], left: int) -> Table:
    from rich.table import Table

    grid = Table()
    for index, heading in enumerate(headings):
        grid.add_column(heading, justify="left" if index < left else "right")
    return grid


def _marked(cell: Cell) -> Text:
    from rich.text import Text

    return Text(cell.text, style={1: "bold", 2: "underline"}.get(cell.rank, ""))
