"""How ratios are taken: interleaved pairs, back to back, and the median of their quotients."""

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


def _median(ours: Callable[[], object], theirs: Callable[[], object], pairs: int, clock: Callable[[], float]) -> float:
    ours(), theirs()
    return statistics.median(seconds(theirs, clock) / seconds(ours, clock) for _ in range(pairs))


def seconds(function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    function()
    return clock() - start


def tell(what: str, found: float) -> None:
    """Print one line of the table; `pytest -s` shows it."""
    print(f"\n{what}: {found:.2f}")  # noqa: T201
