"""Lists as text: a table that fits the terminal, and what is said of each entry beside it or beneath."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

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
    if not any(prose):
        return "\n".join(line.rstrip() for line in lines)
    if width - left < LEAST:
        beneath = _beside([row[0] for row in cells[1:]], prose, widths[0] + len(GAP), width)
        return "\n".join([*(line.rstrip() for line in lines), "", *beneath])
    return "\n".join(_beside(lines, ["", *prose], left, width))


def _beside(lines: Iterable[str], prose: Iterable[str], left: int, width: int) -> Iterator[str]:
    """Each line, padded to `left`, and its prose to the right of it, wrapped to the width."""
    for line, text in zip(lines, prose, strict=True):
        first, *more = wrap(text, max(width - left, LEAST), break_on_hyphens=False) or [""]
        yield (line.ljust(left) + first).rstrip()
        yield from (" " * left + part for part in more)
