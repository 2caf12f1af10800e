"""How many threads torch computes with: as many as `--threads` says, else as torch finds or the environment has it."""

from __future__ import annotations

import os

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


def use_threads(count: int) -> None:
    """Pin the number for this process and for those that it starts."""
    import torch

    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    torch.set_num_threads(count)


def are_pinned() -> bool:
    """Whether somebody chose the number; a timing with whatever there is depends on the machine's other work."""
    return any(name in os.environ for name in VARIABLES)
