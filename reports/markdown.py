"""`report.md`: a table for each scale, its intervals and signatures, crops where images were saved, and the timings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tabulate import tabulate

from reports import published
from reports.crops import write_crops
from reports.speed import speed_table
from reports.tables import BEST, COLUMNS, ROWS, Cell, Table, build
from srbench.base.temporary import write_file
from srbench.base.text import markdown as escape
from srbench.base.text import markdown_code
from srbench.benchmark.speed.steadiness import unsteady_note
from srbench.results.statistics import LEVEL
from srbench.results.summary import summarise

if TYPE_CHECKING:
    from srbench.results.results import Results


INTERVALS = (
    f"{100 * LEVEL:.0f} % intervals of these means (Student's t over images with one more on that side). "
    "They say how far a mean depends on the choice of images; whether two models differ is a paired question, "
    "which `srbench compare` answers."
)

BOLD = f"In **bold** {BEST}; incomplete runs are not ranked."

BESIDE = (
    "Each source's number beside ours under the convention that it is claimed for; the gap is ours minus theirs. "
    "Models of one name differ in data and losses too: a gap is between two trainings, not between two methods."
)

CROPS = (
    "Of each data set the image over which the models are farthest apart, and of it the place where they differ most."
)


def write(
    results: Results, out: Path, *, rows: Sequence[str] = ROWS, columns: Sequence[str] = COLUMNS, papers: bool = False
) -> list[Path]:
    """Write `report.md` and its pictures into `out`; raises `IncomparableError` for results that do not mix."""
    parts = ["# Super-resolution scores"]
    for table in build(results, rows, columns, papers):
        parts += _scores(table)
    if beside := published.pairs(results, summarise(results)):
        parts += ["## Beside published numbers", _grid(published.HEADINGS, [pair.cells for pair in beside]), BESIDE]
    pictures, shown = write_crops(results, out)
    if shown:
        parts += ["## Crops", CROPS, *shown]
    if results.speeds:
        parts += ["## Speed", _grid(*speed_table(results)), *filter(None, [unsteady_note(results.speeds)])]
    return [write_file(out / "report.md", "\n\n".join(parts) + "\n"), *pictures]


def _scores(table: Table) -> list[str]:
    heading = [f"## {escape(table.title)}"] if table.title else []
    notes = ["\n".join(f"- {escape(note)}" for note in table.notes)] if table.notes else []
    return [
        *heading,
        _pipe(table, _marked),
        f"{escape(table.caption)} {BOLD}",
        *notes,
        "Signatures:",
        "\n".join(f"- {escape(column)}: {markdown_code(signature)}" for column, signature in table.signatures),
        INTERVALS,
        _pipe(table, lambda cell: cell.interval or cell.text),
    ]


def _marked(cell: Cell) -> str:
    return f"**{cell.text}**" if cell.rank == 1 else cell.text


def _pipe(table: Table, show: Callable[[Cell], str]) -> str:
    header = [*table.corner, *(" ".join(column) for column in table.columns)]
    body = [[*labels, *map(show, cells)] for labels, cells in table.rows]
    return _grid(header, body, left=len(table.corner))


def _grid(header: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> str:
    align = ["left"] * left + ["right"] * (len(header) - left)
    cells = [[escape(cell) for cell in row] for row in body]
    return tabulate(cells, [escape(cell) for cell in header], tablefmt="pipe", colalign=align, disable_numparse=True)
