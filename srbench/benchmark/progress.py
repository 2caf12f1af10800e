"""What a person sees of a run: a progress bar on a terminal, plain lines in a pipe, and the tables at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.registry import load
from srbench.base.text import counted

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from srbench.benchmark.plan import Job
    from srbench.results.records import Row, Run
    from srbench.results.results import Results

EVERY_S = 15.0
"""How often a long job says something in a pipe."""


class NoProgress:
    """Says nothing: for use from Python."""

    def begin(self, jobs: Sequence[Job]) -> None: ...
    def image(self, job: Job, row: Row) -> None: ...
    def done(self, job: Job, run: Run) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self) -> None: ...


class Notes(NoProgress):
    """Passes on what must be said, and nothing else."""

    def __init__(self, note: Callable[[str], None], prefix: str = "") -> None:
        self._note = note
        self._prefix = prefix

    def note(self, text: str) -> None:
        self._note(self._prefix + text)


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
        scored = (
            f"{counted(self._done.get(job.title, 0), 'image')} in {now - self._since:.1f} s"
            if job.missing
            else "done before"
        )
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


def progress_for_terminal(rank: int = 0) -> BarProgress | PlainProgress | NoProgress:
    """A bar where stderr is a terminal, lines where it is not; of several processes only the first shows any."""
    if rank:
        return NoProgress()
    return BarProgress() if sys.stderr.isatty() else PlainProgress()


def print_results(results: Results, metrics: Sequence[str] = ()) -> None:
    """Print the tables of some metrics, or of all, by the report called `terminal`."""
    wanted = results.with_metrics(metrics) if metrics else results
    load("reports", "terminal")(wanted, Path())
