"""What `srbench speed` prints: timings, ratios and audits as tables or CSV, and all of them as one JSON document."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from srbench.base.text import counted
from srbench.benchmark.speed.steadiness import MARK, doubts, marked
from srbench.cli.listing import grid, tell

if TYPE_CHECKING:
    from srbench.benchmark.speed.backend_audit import Audit
    from srbench.benchmark.speed.timing import Timed
    from srbench.benchmark.speed.versus import Ratio
    from srbench.results.records import SpeedRow


@dataclass(frozen=True)
class Turn:
    """Two models timed turn by turn at one size: their ratio, and the median of each in milliseconds.

    `not_steady` says what disturbed the machine meanwhile, as `steadiness.disturbances` has it.
    """

    size: str
    batch: int
    backend: str
    threads: int
    processor: str
    ratio: Ratio
    a_ms: float
    b_ms: float
    not_steady: tuple[str, ...]


TIMINGS: dict[str, Callable[[SpeedRow], object]] = {
    "model": lambda row: row.model,
    "backend": lambda row: row.backend,
    "LR size": lambda row: f"{row.width}x{row.height}",
    "batch": lambda row: row.batch,
    "threads": lambda row: row.threads or None,
    "cold ms": lambda row: row.first_ms,
    "p50 ms": lambda row: marked(row) if doubts(row) else row.p50_ms,
    "p95 ms": lambda row: row.p95_ms,
    "output MP/s": lambda row: row.output_mp_per_s,
    "peak MiB": lambda row: row.peak_memory_mib,
    "GMACs": lambda row: f"≥{row.gmacs or 0:.2f}" if row.uncounted else row.gmacs,
    "params": lambda row: row.params or None,
    "J/image": lambda row: row.energy_j,
    "repeats": lambda row: row.repeats,
}
AUDITS: dict[str, Callable[[Audit], object]] = {
    "model": lambda row: row.model,
    "backend": lambda row: row.backend,
    "precision": lambda row: row.precision,
    "ΔPSNR-Y dB": lambda row: f"{row.delta_db:+.4f}",
    "worst dB": lambda row: f"{row.worst_db:+.4f}",
    "largest Δ": lambda row: f"{row.largest:.1e}",
    "uint8 levels": lambda row: row.levels,
    "changed": lambda row: f"{row.changed:.3%}",
    "speed-up": lambda row: MARK * bool(row.not_steady) + _interval(row.speed_up),
}
RATIOS: dict[str, Callable[[Turn], object]] = {
    "LR size": lambda row: row.size + (f", batch {row.batch}" if row.batch > 1 else ""),
    "backend": lambda row: row.backend,
    "A": lambda row: row.ratio.a,
    "B": lambda row: row.ratio.b,
    "A ms": lambda row: f"{MARK * bool(row.not_steady)}{row.a_ms:.2f}",
    "B ms": lambda row: f"{MARK * bool(row.not_steady)}{row.b_ms:.2f}",
    "A / B": lambda row: _interval(row.ratio),
    "rounds": lambda row: row.ratio.n,
    "verdict": lambda row: row.ratio.verdict,
}


KEYS = {"timings": 3, "audits": 3, "ratios": 4}
"""How many columns say of what a row is: a terminal too narrow for all has them in each part of the table."""


def _interval(ratio: Ratio) -> str:
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def print_timings(timed: Sequence[Timed], style: str) -> None:
    """A row a timing; `style` is `table`, `csv` or `json`."""
    rows = [one.row for one in timed]
    unknown = () if any(row.energy_j for row in rows) else ("J/image",)
    notes = list(dict.fromkeys(note for one in timed for note in one.notes))
    columns = {name: show for name, show in TIMINGS.items() if name not in unknown}
    if style == "csv":  # for programs: a mark would make a text of a number
        columns |= {"p50 ms": lambda row: row.p50_ms, "not steady": lambda row: ", ".join(doubts(row))}
        columns |= {"GMACs": lambda row: row.gmacs, "uncounted": lambda row: ", ".join(row.uncounted)}
    _print(columns, rows, style, "timings", notes)


def print_ratios(turns: Sequence[Turn], style: str, notes: Sequence[str]) -> None:
    """A row a pair of models, size and batch; and what the machine told of itself meanwhile."""
    columns = dict(RATIOS)
    if style == "csv":  # for programs, as of timings
        columns |= {"A ms": lambda row: row.a_ms, "B ms": lambda row: row.b_ms,
                    "not steady": lambda row: ", ".join(row.not_steady),
                    "threads": lambda row: row.threads, "processor": lambda row: row.processor}  # fmt: skip
    _print(columns, turns, style, "ratios", notes)
    if style != "table":
        return
    tell("A / B: how many times as long A takes; geometric mean over rounds, 95 % interval. Nothing is kept.")
    if turns:
        tell_machine(turns[0].processor, turns[0].threads, notes)
    _tell_disturbed(turns)


def _tell_disturbed(rows: Sequence[Turn | Audit]) -> None:
    if why := ", ".join(dict.fromkeys(one for row in rows for one in row.not_steady)):
        tell(f"{MARK} not steady: {why}. Taking turns disturbs both alike: a ratio suffers less than a time.")


def tell_machine(processor: str, threads: int, notes: Sequence[str], more: str = "") -> None:
    """What timings were taken on, and what it told of itself meanwhile."""
    tell(f"on {processor}" + (f", {counted(threads, 'thread')}" if threads else "") + more)
    for note in dict.fromkeys(notes):
        tell(f"note: {note}")


def print_audits(audits: Sequence[Audit], style: str) -> None:
    """A row a backend and precision of a model."""
    columns = dict(AUDITS)
    if style == "csv":
        columns |= {
            "speed-up": lambda row: _interval(row.speed_up),
            "not steady": lambda row: ", ".join(row.not_steady),
        }
    _print(columns, audits, style, "audits")
    if style == "table":
        _tell_disturbed(audits)


def document(kind: str, rows: Iterable[Any], notes: Sequence[str] = ()) -> dict[str, Any]:
    """The one schema of every mode: what was not asked for is an empty list."""
    found = {"schema": 1, "timings": [], "ratios": [], "audits": [], "notes": list(notes)}
    return {**found, kind: [_plain(row) for row in rows]}


def _plain(row: Any) -> dict[str, Any]:
    """A row with its raw numbers; a ratio is spread out, with its verdict."""
    if isinstance(row, Turn):
        values = asdict(row)
        return {**{name: value for name, value in values.items() if name != "ratio"}, **values["ratio"],
                "verdict": row.ratio.verdict}  # fmt: skip
    return asdict(row)


def _is_number(cell: object) -> bool:
    return isinstance(cell, (int, float)) or str(cell).startswith((MARK, "≥"))


def _print(
    columns: dict[str, Callable[[Any], object]], rows: Sequence[Any], style: str, kind: str, notes: Sequence[str] = ()
) -> None:
    from srbench.base.documents import dumps

    if style == "json":
        return click.echo(dumps(document(kind, rows, notes)))
    body = [[show(row) for show in columns.values()] for row in rows]
    if style == "csv":
        return csv.writer(sys.stdout, lineterminator="\n").writerows([list(columns), *body])
    numbers = {
        name for name, cells in zip(columns, zip(*body, strict=True), strict=False) if any(map(_is_number, cells))
    }
    return click.echo(grid(list(columns), [list(map(_cell, row)) for row in body], KEYS[kind], numbers))


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
