"""Maps that overlap with the work between them: one reads ahead of it in threads, the other finishes behind it.

`behind(pool, save, work(ahead(pool, read, items)))` gives what plain nested maps would give, in the same order, with a
bounded number of items in flight. An error is raised where its item's result would have come, after all those before.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
U = TypeVar("U")

AHEAD = 2
"""Items read before they are needed, and as many that wait to be finished."""

MOST_WORKERS = 2


def spare_workers(device: torch.device) -> int:
    """Threads that may work beside a model: two for a GPU; for a CPU as many as torch leaves idle, two at most.

    Where torch has every processor there is nothing to gain, and the threads would slow the pass that is being timed.
    """
    import torch

    if device.type != "cpu":
        return MOST_WORKERS
    return max(0, min(MOST_WORKERS, _processors() - torch.get_num_threads()))


def _processors() -> int:
    """This process's part of them, where torchrun has started several on this machine."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, found // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


@contextmanager
def pool_of(workers: int) -> Iterator[ThreadPoolExecutor | None]:
    """A pool of threads, or None for 0. What has not begun when the block is left, by error or Ctrl-C, never will."""
    if not workers:
        yield None
        return
    pool = ThreadPoolExecutor(workers, "srbench")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def ahead(
    pool: ThreadPoolExecutor | None, function: Callable[[T], U], items: Iterable[T], most: int = AHEAD
) -> Iterator[U]:
    """`map(function, items)`, with up to `most` results made before they are asked for."""
    if pool is None:
        yield from map(function, items)
        return
    waiting: deque[Future[U]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def behind(
    pool: ThreadPoolExecutor | None, function: Callable[[T], U], items: Iterable[T], most: int = AHEAD
) -> Iterator[U]:
    """`map(function, items)`; while a result is being made, up to `most` items more are taken.

    An error of `items` itself is raised once everything before it is done.
    """
    if pool is None:
        yield from map(function, items)
        return
    waiting: deque[Future[U]] = deque()
    failures: list[Exception] = []
    for item in _until_failure(items, failures):
        waiting.append(pool.submit(function, item))
        while waiting and (len(waiting) > most or waiting[0].done()):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
    if failures:
        raise failures[0]


def _until_failure(items: Iterable[T], failures: list[Exception]) -> Iterator[T]:
    try:
        yield from items
    except Exception as error:  # raised again by the caller, in its turn
        failures.append(error)
