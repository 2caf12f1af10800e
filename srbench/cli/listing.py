"""What fits the terminal: lists with what is said of each entry, tables, and lines of prose."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import click

Record = dict[str, Any]
"""What is known of one entry, as `--format json` prints it."""

GAP = "  "
UNWRAPPED = 10_000
"""Columns of a list that goes into a pipe, where one entry is one line."""

LEAST = 30
"""Columns that prose needs beside the table; where fewer are left it stands beneath."""


@dataclass(frozen=True)
class Column:
    """A heading, and what a record has under it."""

    heading: str
    text: Callable[[Record], str]
    right: bool = False


def terminal_width() -> int:
    """Columns of the terminal, or of `COLUMNS`; without either, more than any list needs."""
    return shutil.get_terminal_size((UNWRAPPED, 0)).columns


def tell(text: str, *, under: int = 0, err: bool = False) -> None:
    """Print text, each line wrapped to the terminal; what goes into a pipe stays as it is.

    What is wrapped stands under the first letter of its line, or `under` so many columns.
    """
    for line in text.split("\n"):
        click.echo(_wrapped(line, under or len(line) - len(line.lstrip())), err=err)


def _wrapped(line: str, under: int) -> str:
    width = terminal_width()
    indent = " " * min(under, width // 2)
    lines = wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def grid(headings: Sequence[str], rows: Sequence[Sequence[str]], keys: int = 1, right: Collection[str] = ()) -> str:
    """A table; one wider than the terminal is parted by columns, and each part begins with the first `keys` again.
    Where not even these and one more fit, each row is a list of its own, a heading and a cell in a line.

    Columns whose heading is in `right` are aligned there.
    """
    from tabulate import tabulate

    def drawn(columns: Sequence[int]) -> str:
        names = [headings[column] for column in columns]
        sides = ["right" if name in right else "left" for name in names] if rows else None
        body = [[row[column] for column in columns] for row in rows]
        return tabulate(body, names, tablefmt="simple", disable_numparse=True, colalign=sides)

    def fits(columns: Sequence[int]) -> bool:
        return max(map(len, drawn(columns).splitlines())) <= terminal_width()

    parts = [[*range(min(keys + 1, len(headings)))]]
    for column in range(keys + 1, len(headings)):
        if fits([*parts[-1], column]):
            parts[-1].append(column)
        else:
            parts.append([*range(keys), column])
    if len(parts) > 1 and not all(map(fits, parts)):
        left = max(map(len, headings)) + len(GAP)
        cells = (zip(headings, row, strict=True) for row in rows)
        return "\n\n".join("\n".join(_wrapped(name.ljust(left) + cell, left) for name, cell in row) for row in cells)
    return "\n\n".join(map(drawn, parts))


def as_text(records: Sequence[Record], columns: Sequence[Column], about: Callable[[Record], str], width: int) -> str:
    """The table of the records, and what `about` says of each: at the end of its line where that fits, else beneath."""
    cells = [
        [column.heading for column in columns],
        *([column.text(record) for column in columns] for record in records),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        GAP.join(
            cell.rjust(space) if column.right else cell.ljust(space)
            for cell, space, column in zip(row, widths, columns, strict=True)
        )
        for row in cells
    ]
    prose = [about(record) for record in records]
    left = sum(widths) + len(GAP) * len(widths)
    table = "\n".join(line.rstrip() for line in lines)
    if left - len(GAP) > width:
        table = grid(cells[0], cells[1:], right={column.heading for column in columns if column.right})
    if not any(prose):
        return table
    if width - left < LEAST:
        beneath = _beside([row[0] for row in cells[1:]], prose, widths[0] + len(GAP), width)
        return "\n".join([table, "", *beneath])
    return "\n".join(_beside(lines, ["", *prose], left, width))


def _beside(lines: Iterable[str], prose: Iterable[str], left: int, width: int) -> Iterator[str]:
    """Each line, padded to `left`, and its prose to the right of it, wrapped to the width."""
    for line, text in zip(lines, prose, strict=True):
        first, *more = wrap(text, max(width - left, LEAST // 2), break_on_hyphens=False) or [""]
        yield (line.ljust(left) + first).rstrip()
        yield from (" " * left + part for part in more)
