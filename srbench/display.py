"""What a person sees of a run: a progress bar on a terminal, plain lines in a pipe, and the table at the end."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from srbench.metrics import resolve

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.table import Table

    from srbench.plan import Job
    from srbench.results import Results, Row, Run, SpeedRow

EVERY_S = 15.0
"""How often a long job says something in a pipe."""

WIDE = 200
"""Columns of a table that goes into a file or a pipe, where nothing needs to be folded."""


class PlainProgress:
    """A line for each finished job, and one now and then during a long one; on stderr."""

    def begin(self, jobs: Sequence[Job]) -> None:
        self._done: dict[str, int] = {}
        self._since = self._said = time.monotonic()

    def image(self, job: Job, row: Row) -> None:
        done = self._done[job.title] = self._done.get(job.title, 0) + 1
        if row.error:
            self.note(f"{job.title} {row.image}: {row.error}")
        if time.monotonic() - self._said > EVERY_S:
            self._said = time.monotonic()
            self.note(f"{job.title}: {done} of {len(job.missing)} images")

    def done(self, job: Job, run: Run) -> None:
        now = time.monotonic()
        scored = f"{self._done.get(job.title, 0)} images in {now - self._since:.1f} s" if job.missing else "done before"
        self.note(f"{job.title}: {run.error or scored}")
        self._since = self._said = now

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        pass


class BarProgress:
    """One bar over all images, with rate and time left; on stderr."""

    def begin(self, jobs: Sequence[Job]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar: Bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task("", total=sum(len(job.missing) for job in jobs), rate="")

    def image(self, job: Job, row: Row) -> None:
        self._bar.advance(self._task)
        speed = self._bar.tasks[0].speed
        self._bar.update(self._task, description=job.title, rate=f"{speed:.1f} images/s" if speed else "")
        if row.error:
            self.note(f"{job.title} {row.image}: {row.error}")

    def done(self, job: Job, run: Run) -> None:
        if run.error:
            self.note(f"{job.title}: {run.error}")

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)

    def close(self) -> None:
        self._bar.stop()


def progress_for_terminal() -> BarProgress | PlainProgress:
    """A bar where stderr is a terminal, lines where it is not."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()


def print_results(results: Results, wanted: Sequence[str] = ()) -> None:
    """Print one table a scale, models by data set and metric, with throughput and signatures, to stdout."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    names = [name for name in results.metrics if not wanted or name in wanted]
    for scale in sorted({run.identity.scale for run in results.runs}):
        runs = [run for run in results.runs if run.identity.scale == scale]
        console.print(_table(runs, results, names, scale))
        for line in _notes(runs, names):
            console.print(line, style="dim", markup=False, soft_wrap=True)


def _table(runs: Sequence[Run], results: Results, names: Sequence[str], scale: int) -> Table:
    from rich.table import Table

    datasets = list(dict.fromkeys(run.identity.dataset for run in runs))
    by_key = {(run.identity.model, run.identity.dataset): run for run in runs}
    speeds = {row.model: row for row in results.speeds if row.scale == scale}
    table = Table(title=f"x{scale}, mean over images", title_justify="left")
    table.add_column("model")
    for dataset in datasets:
        for name in names:
            table.add_column(f"{dataset}\n{resolve(name).label}", justify="right")
    for heading in _speed_headings(speeds):
        table.add_column(heading, justify="right")
    for model in [model for model in results.models if any(run.identity.model == model for run in runs)]:
        scores = [score_text(by_key.get((model, dataset)), name) for dataset in datasets for name in names]
        table.add_row(model, *scores, *(_speed_cells(speeds.get(model)) if speeds else ()))
    return table


def score_text(run: Run | None, name: str) -> str:
    """The mean of a metric over a run's images; `failed`, `n/a` or `-` where there is none."""
    if run is None:
        return "-"
    if run.first_error:
        return f"failed ({len(run.failures)}/{len(run.rows)})" if run.rows else "failed"
    values = run.values(name)
    if not values:
        return "n/a"
    mean = math.fsum(values) / len(values)
    return f"{mean:.{resolve(name).metric.digits}f}"


def _speed_headings(speeds: dict[str, SpeedRow]) -> list[str]:
    if not speeds:
        return []
    row = next(iter(speeds.values()))
    return [f"ms for\n{row.width}x{row.height}", "output\nMP/s", "peak\nMiB", "GMACs", "params"]


def _speed_cells(row: SpeedRow | None) -> tuple[str, ...]:
    if row is None:
        return ("-",) * 5
    memory = "-" if row.peak_memory_mib is None else f"{row.peak_memory_mib:.0f}"
    gmacs = "-" if row.gmacs is None else f"{row.gmacs:.1f}"
    params = human_count(row.params) if row.params else "-"
    return f"{row.p50_ms:.1f}", f"{row.output_mp_per_s:.2f}", memory, gmacs, params


def human_count(count: int) -> str:
    """1234 to `1.2 k`, 16697987 to `16.7 M`."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)


def _notes(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Under a table: one signature a column, what could not be scored and what helps, what failed."""
    first = {run.identity.dataset: run for run in reversed(runs)}
    signatures = [run.signature(name, "*") for run in first.values() for name in names if name in run.metrics]
    unavailable = {f"{name} n/a: {reason}" for run in runs for name, reason in run.unavailable.items() if name in names}
    failed = [f"{run.identity.model} failed: {run.first_error}" for run in runs if run.first_error]
    counts = {f"{run.identity.dataset}: {len(run.rows)} images" for run in runs}
    return [*sorted(counts), *signatures, *sorted(unavailable), *dict.fromkeys(failed)]
