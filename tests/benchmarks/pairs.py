"""How ratios are taken: interleaved pairs, back to back; then the median of the quotients, or the least of either."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

PAIRS = 7


def ratio(ours: Callable[[], object], theirs: Callable[[], object], pairs: int = PAIRS) -> float:
    """How many times longer theirs takes, in processor time of one thread: neighbours on the machine do not count."""
    torch.set_num_threads(1)
    return _median(ours, theirs, pairs, time.process_time)


def wall_ratio(ours: Callable[[], object], theirs: Callable[[], object], threads: int, pairs: int = PAIRS) -> float:
    """How many times longer theirs takes by the clock on the wall, with `threads` for whoever knows to use them."""
    torch.set_num_threads(threads)
    try:
        return _median(ours, theirs, pairs, time.perf_counter)
    finally:
        torch.set_num_threads(1)


def quickest(
    ours: Callable[[], object], theirs: Callable[[], object], wanted: float, pairs: int
) -> tuple[float, float]:
    """The least wall-clock seconds of either: of three pairs, or of up to `pairs` until ours is as wanted.

    For claims of a few per cent about all threads at once. What others do on the machine only ever adds to a time, so
    each new pair brings both nearer to what they cost, and a claim that does not hold goes on failing.
    """
    ours(), theirs()
    least_ours = least_theirs = float("inf")
    for done in range(1, pairs + 1):
        least_theirs, least_ours = min(least_theirs, seconds(theirs)), min(least_ours, seconds(ours))
        if done >= 3 and least_ours <= wanted * least_theirs:
            break
    return least_ours, least_theirs


def _median(ours: Callable[[], object], theirs: Callable[[], object], pairs: int, clock: Callable[[], float]) -> float:
    ours(), theirs()
    return statistics.median(seconds(theirs, clock) / seconds(ours, clock) for _ in range(pairs))


def seconds(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    function()
    return clock() - start


TOLD: list[tuple[str, str]] = []
"""The rows of the table at the end of a run (`conftest.py`)."""


def tell(what: str, found: float) -> None:
    """Add a row to the table; `pytest -s` shows it at once."""
    TOLD.append((what, f"{found:.2f}"))
    print(f"\n{what}: {found:.2f}")  # noqa: T201
