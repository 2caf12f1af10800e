"""The processes of one run, as torchrun or Slurm start them: who is who, what they agree on, how a dead one is noticed.

Only the control goes this way (gloo, some hundred bytes a process). Images are read and scores written by each process
itself; see `srbench.benchmark.scaleout`.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from srbench.base.errors import JobError, SrbenchError, UsageError

T = TypeVar("T")

LAUNCHERS = (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"))
"""Where torchrun (and whatever sets the same variables) and Slurm's srun say who a process is."""

TIMEOUT = "SRBENCH_TIMEOUT_MIN"
DEFAULT_TIMEOUT_MIN = 30.0
"""How long a process waits for one that neither arrives nor ends, as after a power cut; a killed one shows at once."""

KEPT = "What was scored is kept; the same command goes on from there, with as many processes as you like"


class ElsewhereError(SrbenchError):
    """Another process of this run has failed; rank 0 says why, and the others end without a word."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


@dataclass(frozen=True)
class Ranks:
    """This process among all of a run: `rank` of `size`, and `local`, its number on its machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """`auto` and `cuda` are this process's own GPU where there are several processes; the rest is as it is."""
        if self.size == 1 or wanted not in ("auto", "cuda"):
            return wanted
        import torch

        count = torch.cuda.device_count()  # 1 where the launcher shows each process its own GPU only
        return f"cuda:{self.local % count}" if count else wanted

    def gather(self, value: T) -> list[T]:
        """Everybody's value, by rank, once all have come here.

        Raises `JobError` where a process has ended, or does not come within the timeout.
        """
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[T] = [value] * self.size
        try:
            dist.monitored_barrier(timeout=_timeout())  # unlike other collectives, it tells rank 0 who is missing
            dist.all_gather_object(found, value)
        except RuntimeError as error:
            named = re.search(r"Rank (\d+) failed", str(error)) if self.first else None
            who = f"rank {named[1]}" if named else "another process of this run"
            raise JobError(f"{who} has ended, or has not answered within {_timeout()}. {KEPT}") from error
        return found

    def together(self, make: Callable[[], T]) -> T:
        """What `make` returns, made by rank 0 first: what it fetches and caches is there when the others make theirs.

        Where it fails on any rank, it fails on all: rank 0 raises its own error, everybody else `ElsewhereError`.
        """
        made, error = None, None
        if not self.first:
            self.gather(None)
        try:
            made = make()
        except SrbenchError as failure:
            error = failure
        if self.first:
            self.gather(None)
        self._refuse(error)
        assert made is not None
        return made

    def _refuse(self, error: SrbenchError | None) -> None:
        """Raise on every rank where there is an error on any."""
        told = self.gather((str(error), error.exit_status) if error else None)
        failed = next(((rank, *what) for rank, what in enumerate(told) if what), None)
        if failed is None:
            return
        rank, message, status = failed
        if not self.first:
            raise ElsewhereError(f"rank {rank}: {message}", status)
        if error is not None:
            raise error
        raise ElsewhereError(f"rank {rank}: {message}", status)


ALONE = Ranks()


def ranks_of(environment: Mapping[str, str]) -> Ranks:
    """Who this process is by its environment variables; alone where no launcher has set them.

    Slurm sets its own in every job, several processes or not, so they count only beside `MASTER_ADDR`, which nobody
    sets by accident. Raises `UsageError` where the variables contradict themselves.
    """
    for rank, size, local in LAUNCHERS:
        if rank in environment and size in environment and "MASTER_ADDR" in environment:
            try:
                ranks = Ranks(int(environment[rank]), int(environment[size]), int(environment.get(local, 0)))
            except ValueError as error:
                raise UsageError(f"{rank}, {size} and {local} must be whole numbers ({error})") from None
            if not 0 <= ranks.rank < ranks.size:
                raise UsageError(f"{rank}={ranks.rank} is not below {size}={ranks.size}")
            return ranks
    return ALONE


@contextmanager
def joined() -> Iterator[Ranks]:
    """Meet the other processes of this run, if a launcher has started any; use as a context manager.

    While it is entered, a launcher's SIGTERM interrupts as Ctrl-C does, so that locks are released.
    Raises `JobError` where they do not meet within the timeout.
    """
    ranks = ranks_of(os.environ)
    if ranks.size == 1:
        yield ranks
        return
    import torch.distributed as dist

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _meet(ranks)
        yield ranks
        dist.destroy_process_group()
    finally:
        signal.signal(signal.SIGTERM, before)


def _meet(ranks: Ranks) -> None:
    import torch.distributed as dist

    where = f"{os.environ['MASTER_ADDR']}:{os.environ.setdefault('MASTER_PORT', '29500')}"
    try:
        dist.init_process_group("gloo", rank=ranks.rank, world_size=ranks.size, timeout=_timeout())
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise JobError(f"rank {ranks.rank} of {ranks.size} did not meet the others at {where}: {reason}") from error


def _timeout() -> timedelta:
    text = os.environ.get(TIMEOUT, str(DEFAULT_TIMEOUT_MIN))
    try:
        return timedelta(minutes=float(text))
    except ValueError:
        raise UsageError(f"{TIMEOUT}={text!r} is not a number of minutes") from None
