"""What a person sees of a run: how far it is, and the tables at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.progress import Bar
from srbench.base.registry import load
from srbench.base.text import counted

if TYPE_CHECKING:
    from srbench.benchmark.plan import Job
    from srbench.results.records import Row, Run
    from srbench.results.results import Results


class Progress:
    """Where a run tells how it goes. This one says nothing: for use from Python."""

    def begin(self, jobs: Sequence[Job]) -> None:
        """These jobs are to be done."""

    def image(self, job: Job, row: Row) -> None:
        """One image is scored, or has failed."""

    def done(self, job: Job, run: Run) -> None:
        """One job is done, or was before."""

    def note(self, text: str) -> None:
        """Something that whoever waits should know."""

    def close(self) -> None:
        """All is done, or an error ended it."""


class Notes(Progress):
    """Passes on what must be said, and nothing else."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def note(self, text: str) -> None:
        self._note(text)


class RunProgress(Progress):
    """A bar over all images on a terminal; elsewhere a line for each job, and one a minute during a long one."""

    def begin(self, jobs: Sequence[Job]) -> None:
        self._done: Counter[str] = Counter()
        self._since = time.monotonic()
        self._bar = Bar(
            next((job.title for job in jobs if job.missing), ""), sum(len(job.missing) for job in jobs), "image"
        )

    def image(self, job: Job, row: Row) -> None:
        self._done[job.title] += 1
        self._bar.advance(title=job.title)
        if row.error:
            self.note(f"{job.title} {row.image}: {row.error}")

    def done(self, job: Job, run: Run) -> None:
        now = time.monotonic()
        scored = f"{counted(self._done[job.title], 'image')} in {now - self._since:.1f} s"
        if run.error or not self._bar.on_terminal:
            self.note(f"{job.title}: {run.error or (scored if job.missing else 'done before')}")
        self._since = now

    def note(self, text: str) -> None:
        self._bar.say(text)

    def close(self) -> None:
        self._bar.close()


def print_results(results: Results, metrics: Sequence[str] = ()) -> None:
    """Print the tables of some metrics, or of all, by the report called `terminal`."""
    wanted = results.with_metrics(metrics) if metrics else results
    load("reports", "terminal")(wanted, Path())
