"""`report.tex`: each table as a booktabs `table`, best in bold, second best underlined, ready for `\\input`.

A table wider than the line is made smaller. Intervals take more room than means, and have a table for each data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from reports import published
from reports.speed import speed_table
from reports.tables import BEST, COLUMNS, ROWS, Cell, Table, build
from srbench.base.temporary import write_file
from srbench.base.text import fitted, one_line
from srbench.base.text import latex as escape
from srbench.benchmark.speed.steadiness import unsteady_note
from srbench.results.statistics import LEVEL
from srbench.results.summary import summarise

if TYPE_CHECKING:
    from srbench.results.results import Results


def write(
    results: Results, out: Path, *, rows: Sequence[str] = ROWS, columns: Sequence[str] = COLUMNS, papers: bool = False
) -> list[Path]:
    """Write `report.tex` into the folder `out`; raises `IncomparableError` for results that do not mix."""
    parts = ["% needs \\usepackage{booktabs,graphicx}"]
    parts += map(_scores, build(results, rows, columns, papers))
    narrow = tuple(axis for axis in columns if axis != "dataset")
    parts += map(_intervals, build(results, rows, narrow or columns))
    if beside := published.pairs(results, summarise(results)):
        caption = "Published numbers beside ours, under the convention of the source."
        parts.append(_plain(published.HEADINGS, [pair.cells for pair in beside], caption, "published"))
    if results.speeds:
        parts.append(_plain(*speed_table(results), f"Speed. {unsteady_note(results.speeds)}".strip(), "speed"))
    return [write_file(out / "report.tex", "\n\n".join(parts) + "\n")]


def _scores(table: Table) -> str:
    left = len(table.corner)
    body = [_line([*map(escape, labels), *map(_marked, cells)]) for labels, cells in table.rows]
    caption = f"{table.title}. {table.caption} In bold {BEST.replace('≥', 'at least')}; the next underlined."
    caption += "".join(f" {note}." for note in table.notes)
    signatures = "\n".join("% " + one_line(f"{column}: {signature}") for column, signature in table.signatures)
    columns = "l" * left + "r" * len(table.columns)
    return f"{signatures}\n" + _table(columns, [*_header(table), r"\midrule", *body], caption, table.title)


def _intervals(table: Table) -> str:
    """The same table with an interval in each cell, where there is one."""
    rows = [[*labels, *(cell.interval or cell.text for cell in cells)] for labels, cells in table.rows]
    body = [_line(map(escape, row)) for row in rows]
    caption = (
        f"{table.title}: {100 * LEVEL:.0f} % intervals of the means (Student's t with one more image on that side)."
    )
    columns = "l" * len(table.corner) + "r" * len(table.columns)
    return _table(columns, [*_header(table), r"\midrule", *body], caption, f"{table.title} intervals")


def _marked(cell: Cell) -> str:
    command = {1: r"\textbf", 2: r"\underline"}.get(cell.rank)
    return f"{command}{{{escape(cell.text)}}}" if command else escape(cell.text)


def _header(table: Table) -> list[str]:
    """One line an axis of the columns; neighbours with the same label are joined over a rule."""
    left = len(table.corner)
    *upper, last = zip(*table.columns, strict=True)
    lines = []
    for labels in upper:
        spans = [(label, len(list(group))) for label, group in groupby(labels)]
        joined = [rf"\multicolumn{{{width}}}{{c}}{{{escape(label)}}}" for label, width in spans]
        lines += [_line([""] * left + joined), _rules(left, [width for _, width in spans])]
    return [*lines, _line(map(escape, [*table.corner, *last]))]


def _rules(left: int, widths: Iterable[int]) -> str:
    rules, start = [], left + 1
    for width in widths:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return " ".join(rules)


def _plain(headings: Sequence[str], rows: Iterable[Sequence[str]], caption: str, label: str) -> str:
    lines = [_line(map(escape, headings)), r"\midrule", *(_line(map(escape, row)) for row in rows)]
    return _table("l" + "r" * (len(headings) - 1), lines, caption, label)


def _table(columns: str, lines: Sequence[str], caption: str, title: str) -> str:
    label = "tab:srbench-" + re.sub(r"\W+", "-", title.replace("×", "x")).strip("-").lower()
    body = "\n".join(f"    {line}" for line in lines)
    return (
        "\\begin{table}\n  \\centering\n  \\setlength{\\belowcaptionskip}{6pt}\n"
        f"  \\caption{{{escape(caption)}}}\n  \\label{{{label}}}\n"
        + fitted(f"  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n{body}\n    \\bottomrule\n  \\end{{tabular}}")
        + "\n\\end{table}"
    )


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
