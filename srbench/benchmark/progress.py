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


class RunProgress(NoProgress):
    """A bar over all images on a terminal; elsewhere a line for each job, and one a minute during a long one."""

    def begin(self, jobs: Sequence[Job]) -> None:
        self._done: Counter[str] = Counter()
        self._since = time.monotonic()
        self._bar = Bar("", sum(len(job.missing) for job in jobs), "image")

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


def progress_of_rank(rank: int = 0) -> NoProgress:
    """Of several processes only the first shows how it goes."""
    return NoProgress() if rank else RunProgress()


def print_results(results: Results, metrics: Sequence[str] = ()) -> None:
    """Print the tables of some metrics, or of all, by the report called `terminal`."""
    wanted = results.with_metrics(metrics) if metrics else results
    load("reports", "terminal")(wanted, Path())
