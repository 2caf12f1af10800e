"""When a timing should not be believed: what tables mark, and what comparing commands conclude nothing from.

pyperf warns of the same: a wide spread, few repeats, other work on the machine, a clock that changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from srbench.benchmark.speed.machine import MUCH, State, clock_moved, other_work, was_throttled

if TYPE_CHECKING:
    import torch

    from srbench.results.records import SpeedRow

WIDE = 0.1
"""Of the median, between the quartiles of the repeats: pyperf's limit for the standard deviation is the same tenth."""

FEW_REPEATS = 5
CLOCK = 0.05
"""By how much of it a clock may move; a timing moves as much."""

MARK = "~"


def doubts(row: SpeedRow) -> list[str]:
    """Why a timing is not steady, in words; nothing of one that is, or of which an earlier srbench kept no more."""
    found = []
    if row.spread is not None and row.spread > WIDE:
        found.append(f"spread {row.spread:.0%}")
    if 0 < row.repeats < FEW_REPEATS:
        found.append("1 repeat" if row.repeats == 1 else f"{row.repeats} repeats")
    return [*found, *disturbances(row.other_work, row.clock_moved, row.throttled)]


def disturbances(other_work: float | None, clock_moved: float | None, throttled: bool) -> list[str]:
    """What kept a machine from being the same all the while, in words; None is what it does not tell."""
    found = []
    if other_work is not None and other_work > MUCH:
        found.append(f"other work on {other_work:.1f} processors")
    if clock_moved is not None and clock_moved > CLOCK:
        found.append(f"clock moved by {clock_moved:.0%}")
    return [*found, "throttled"] if throttled else found


def disturbed(device: torch.device, before: State, after: State) -> list[str]:
    """The disturbances between two moments of a machine."""
    throttled = was_throttled(device, before, after)
    return disturbances(other_work(before, after), clock_moved(before, after), throttled)


def marked(row: SpeedRow) -> str:
    """The median in milliseconds, with a mark where it is not steady."""
    return f"{MARK if doubts(row) else ''}{row.p50_ms:.2f}"


def unsteady_note(
    rows: Iterable[SpeedRow], so: str = "Nothing follows from these: time them again on an idle machine."
) -> str:
    """On those of some timings that are not steady, with the reasons, and what follows; empty where all are."""
    found = {f"{row.model} {row.width}×{row.height}": doubts(row) for row in rows if doubts(row)}
    if not found:
        return ""
    told = "; ".join(f"{which} ({', '.join(why)})" for which, why in found.items())
    return f"{MARK} not steady: {told}. {so}"
