"""Which path computes the metrics on a CPU: compiled loops where numba is installed, torch otherwise and on a GPU.

`pip install 'srbench[fast]'` brings numba. Without it, or with `SRBENCH_FAST=0`, nothing fails and scores agree to
1e-9; which path made a score is told in its environment (`describe`).
"""

from __future__ import annotations

import os
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SWITCH = "SRBENCH_FAST"


def kernels(device: torch.device | str) -> ModuleType | None:
    """`srbench.kernels` for tensors on a CPU; None where torch does the work."""
    wanted = str(device) == "cpu" and os.environ.get(SWITCH, "1") != "0"
    return _compiled() if wanted else None


@cache
def _compiled() -> ModuleType | None:
    try:
        from srbench import kernels as module
    except Exception:  # not installed, or broken in one of many ways (too new a numpy, no place for a cache)
        return None
    return module


def describe(device: torch.device | str) -> str:
    """What computes the metrics on a device: `numba 0.61.2` or `torch`."""
    if kernels(device) is None:
        return "torch"
    from importlib.metadata import version

    return f"numba {version('numba')}"
