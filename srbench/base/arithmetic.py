"""The arithmetic in which srbench makes images and scores: that of the papers, and the same on every run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
"""How many threads, or calls within calls, are in `exact_arithmetic` now: torch's flags are those of the process."""

_outside: tuple[str, bool, bool, bool] = ("highest", True, False, False)
"""The caller's flags, to which the last one out returns."""


@contextmanager
def exact_arithmetic() -> Iterator[None]:
    """Make fp32 mean fp32 and runs repeatable: no TF32, no algorithm search, no unordered reductions in cuDNN.

    Whoever trains in the same process has other wishes, and gets their flags back. Threads may be inside together.
    """
    global _inside, _outside
    with _lock:
        if _inside == 0:
            _outside = _flags()
            _set_flags("highest", False, False, True)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _set_flags(*_outside)


def _flags() -> tuple[str, bool, bool, bool]:
    import torch

    cudnn = torch.backends.cudnn
    return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic


def _set_flags(products: str, tf32: bool, search: bool, deterministic: bool) -> None:
    import torch

    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = search
    torch.backends.cudnn.deterministic = deterministic
