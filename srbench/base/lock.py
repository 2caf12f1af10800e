"""One process at a time: a lock beside what it guards, that vanishes with its holder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from srbench.base.errors import UsageError


@contextmanager
def held(path: Path, refusal: str) -> Iterator[None]:
    """Hold the lock at `path`, whose folder is made if need be. Raises `UsageError(refusal)` where another has it."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0.2, poll_interval=0.01)  # one that is being removed is free in a moment
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(refusal) from None
    try:
        yield
    finally:
        with suppress(OSError):  # first, or whoever took it meanwhile would lose it; Windows keeps what is open
            path.unlink()
        lock.release()
