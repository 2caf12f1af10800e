"""Which path computes the metrics on a CPU: loops compiled by numba; torch where it is broken, and on a GPU.

Without numba, with `SRBENCH_FAST=0`, or where few images are to be scored (`by_torch`), nothing fails and scores agree
to 1e-9; which path made a score is told in its environment (`describe`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SWITCH = "SRBENCH_FAST"

FEW = 4
"""Images that torch has scored before numba is imported and has read its loops: a second, even where they are cached.
Larger ones are scored by then too, or nearly."""

_torch_alone: ContextVar[bool] = ContextVar("_torch_alone", default=False)


def kernels(device: torch.device | str) -> ModuleType | None:
    """`srbench.metrics.numba_loops` for tensors on a CPU; None where torch does the work."""
    wanted = str(device) == "cpu" and os.environ.get(SWITCH, "1") != "0" and not _torch_alone.get()
    return _compiled() if wanted else None


@contextmanager
def by_torch(images: int) -> Iterator[None]:
    """Within, this thread scores by torch if no more than `FEW` images are to be scored in all."""
    before = _torch_alone.set(images <= FEW)
    try:
        yield
    finally:
        _torch_alone.reset(before)


@cache
def _compiled() -> ModuleType | None:
    try:
        from srbench.metrics import numba_loops as module
    except Exception:  # not installed, or broken in one of many ways (too new a numpy, no place for a cache)
        return None
    return module


PIXELS_A_THREAD = 2**15
"""Fewer are done sooner than a second thread wakes."""


def over_threads(function: Callable[[int, int], object], count: int, pixels: int) -> None:
    """Call `function(start, end)` so that 0 to `count` is covered, in as many parts as torch has threads.

    For compiled loops, which hold no lock; what they compute must not depend on where the parts begin. `pixels` is the
    size of the whole: a small one stays in this thread.
    """
    import torch

    parts = min(torch.get_num_threads(), count, 1 + pixels // PIXELS_A_THREAD)
    bounds = [count * part // parts for part in range(parts + 1)]
    others = [_threads(parts - 1).submit(function, *pair) for pair in pairwise(bounds[1:])]
    function(0, bounds[1])  # by this thread, which is awake
    for other in others:
        other.result()


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "srbench-metrics")


def describe(device: torch.device | str) -> str:
    """What computes the metrics on a device: `numba 0.61.2` or `torch`."""
    if kernels(device) is None:
        return "torch"
    from importlib.metadata import version

    return f"numba {version('numba')}"
