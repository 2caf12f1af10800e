"""How far a job is, on stderr: a bar with rate and time left on a terminal, a line a minute in a log.

The one way in which commands show that they go on; timings alone are told line by line (`srbench speed`), since a bar
that moves takes time from what is measured.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from srbench.base.text import counted, duration

if TYPE_CHECKING:
    from rich.progress import Progress as Drawn

EVERY_S = 60.0
"""How often something is said in a log."""

LOOK_S = 0.5
"""How often a bar needs to hear anything that is dear to find out."""

BYTES = "byte"
BAR_WIDTH = 16


class Bar:
    """So much `done` of `total`, which may be unknown, in some unit: `image`, `tile`, `byte`, or "" for a share.

    `title` names what is at work now, `now` says anything else of it.
    """

    def __init__(self, title: str, total: float | None = None, unit: str = "", done: float = 0.0) -> None:
        self.title, self.total, self.unit, self.now = title, total or None, unit, ""
        self.done = self._first = done
        self._begun = self._said = time.monotonic()
        self.on_terminal = sys.stderr.isatty()
        self._drawn: Drawn | None = _drawn(self) if self.on_terminal and total != 0 else None  # none of nothing to do

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def due(self) -> bool:
        """Whether it is time to look, where looking costs something."""
        return time.monotonic() - self._said >= (LOOK_S if self.on_terminal else EVERY_S)

    def begin_at(self, done: float) -> None:
        """So much was done before: rate and time left are of what comes from here on."""
        self.done = self._first = done
        self._begun = time.monotonic()

    def advance(self, by: float = 1.0, title: str = "") -> None:
        """So much more is done; `title` is what is at work from here on."""
        self.to(self.done + by, title=title)

    def to(self, done: float, total: float | None = None, *, title: str = "", now: str = "") -> None:
        """So much is done by now; what is given replaces what was said before."""
        self.done, self.total = done, total or self.total
        self.title, self.now = title or self.title, now or self.now
        due = self.due
        if due:
            self._said = time.monotonic()
        if self._drawn is not None:
            told = " ".join(filter(None, (self._count(), self._rate(), self.now)))
            self._drawn.update(
                self._drawn.task_ids[0], completed=done, total=self.total, description=self.title, told=told
            )
        elif due:
            told = ", ".join(filter(None, (self._count(), self._rate(), self._left(), self.now)))
            print(f"{self.title}: {told}", file=sys.stderr, flush=True)  # noqa: T201

    def say(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self._drawn is not None:
            self._drawn.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None:
        """Take the bar away; what was said stays."""
        if self._drawn is not None:
            self._drawn.stop()

    def _count(self) -> str:
        if not self.unit:
            return "" if self.total is None else f"{self.done / self.total:.0%}"
        if self.unit == BYTES:
            return " of ".join(_size(number) for number in (self.done, self.total) if number is not None)
        if self.total is None:
            return counted(int(self.done), self.unit)
        return f"{self.done:,.0f} of {counted(int(self.total), self.unit)}"

    def _rate(self) -> str:
        each = self._each_second()
        if not each or not self.unit:
            return ""
        return f"{_size(each)}/s" if self.unit == BYTES else f"{each:.2g}/s" if each < 10 else f"{each:,.0f}/s"

    def _left(self) -> str:
        each = self._each_second()
        return f"about {duration((self.total - self.done) / each)} left" if each and self.total is not None else ""

    def _each_second(self) -> float:
        """What was done a second since the beginning; 0 where that cannot be said yet."""
        seconds = time.monotonic() - self._begun
        return (self.done - self._first) / seconds if seconds > 0 else 0.0


def _drawn(bar: Bar) -> Drawn:
    """rich's bar, as wide as the terminal; a long title or text loses its end, and never makes a second line."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    console = Console(stderr=True)

    def text(field: str, widest: int) -> Any:
        column = Column(no_wrap=True, overflow="ellipsis", max_width=max(widest, 8))
        return TextColumn(field, markup=False, table_column=column)

    spare = console.width - BAR_WIDTH - len("-:--:--") - 3
    title = min(spare // 2, 40)
    columns = (
        text("{task.description}", title),
        BarColumn(bar_width=BAR_WIDTH),
        text("{task.fields[told]}", spare - title),
        TimeRemainingColumn(),
    )
    drawn = Progress(*columns, console=console, transient=True)
    drawn.add_task(bar.title, total=bar.total, completed=int(bar.done), told="")
    drawn.start()
    return drawn


def _size(number: float) -> str:
    """`12.3 MB`."""
    from rich.filesize import decimal

    return decimal(int(number))
