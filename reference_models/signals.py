"""Ctrl-C and SIGTERM while training: they are noted, and the loop stops behind a whole step.

An exception in the midst of a step would leave a network of which one half is a step further than the other.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_noted: list[int] = []


def asked() -> int:
    """The number of the signal that asked to stop; 0 where none did."""
    return _noted[0] if _noted else 0


@contextmanager
def noted() -> Iterator[None]:
    """Inside, the first SIGINT or SIGTERM is noted for `asked`; the second is a KeyboardInterrupt at once.

    Does nothing outside the main thread, where Python lets nobody set handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        _noted.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def _note(number: int, frame: FrameType | None) -> None:
    if _noted:
        raise KeyboardInterrupt
    _noted.append(number)
