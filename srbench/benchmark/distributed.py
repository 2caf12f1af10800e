"""One run by several processes, as torchrun or Slurm start them: who is who, what they agree on, who scores what.

Each scores its share of the images, rank 0 puts the shares together. Shares are made once, by cost, before anything is
scored; there is no scheduler that could fail. Each process appends to a journal of its own beside the run (see
`srbench.results.journals`), so what is scored survives any of them, and the next run, with whatever number of
processes, shares out only what is still missing. Only the control goes between processes (gloo, some hundred bytes
each).
"""

from __future__ import annotations

import hashlib
import heapq
import os
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from srbench.base.errors import InputError, JobError, SrbenchError, UsageError, first_line
from srbench.benchmark.progress import Notes, Progress
from srbench.benchmark.run import by_model, run, run_jobs
from srbench.results.store import RunWriter, discard, read_run, run_path

if TYPE_CHECKING:
    from srbench.benchmark.plan import Job, Plan
    from srbench.results.results import Results

Key = TypeVar("Key", bound=Hashable)
T = TypeVar("T")

LAUNCHERS = (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"))
"""Where torchrun (and whatever sets the same variables) and Slurm's srun say who a process is."""

TIMEOUT = "SRBENCH_TIMEOUT_MIN"
DEFAULT_TIMEOUT_MIN = 30.0
"""How long a process waits for one that neither arrives nor ends, as after a power cut; a killed one shows at once."""

KEPT = "What was scored is kept; the same command goes on from there, with as many processes as you like"


class ElsewhereError(SrbenchError):
    """Another process of this run has failed; rank 0 says why, and the others end without a word."""


@dataclass(frozen=True)
class Ranks:
    """This process among all of a run: `rank` of `size`, and `local`, its number on its machine."""

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which speaks for all."""
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
        value, error = None, None
        if not self.first:
            self.gather(None)
        try:
            value = make()
        except SrbenchError as failure:
            error = failure
        if self.first:
            self.gather(None)
        self._refuse(error)
        assert value is not None
        return value

    def _refuse(self, error: SrbenchError | None) -> None:
        """Raise on every rank where there is an error on any."""
        told = self.gather((str(error), error.exit_status) if error else None)
        failed = next(((rank, *what) for rank, what in enumerate(told) if what), None)
        if failed is None:
            return
        rank, message, status = failed
        if self.first and error is not None:
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

    Raises `JobError` where they do not meet within the timeout.
    """
    ranks = ranks_of(os.environ)
    if ranks.size == 1:
        yield ranks
        return
    import torch.distributed as dist

    _meet(ranks)
    yield ranks
    dist.destroy_process_group()


def _meet(ranks: Ranks) -> None:
    import torch.distributed as dist

    where = f"{os.environ['MASTER_ADDR']}:{os.environ.setdefault('MASTER_PORT', '29500')}"
    try:
        dist.init_process_group("gloo", rank=ranks.rank, world_size=ranks.size, timeout=_timeout())
    except RuntimeError as error:
        reason = first_line(error)
        raise JobError(f"rank {ranks.rank} of {ranks.size} did not meet the others at {where}: {reason}") from error


def _timeout() -> timedelta:
    text = os.environ.get(TIMEOUT, str(DEFAULT_TIMEOUT_MIN))
    try:
        return timedelta(minutes=float(text))
    except ValueError:
        raise UsageError(f"{TIMEOUT}={text!r} is not a number of minutes") from None


def run_together(planned: Plan, mine: Plan, progress: Progress, ranks: Ranks) -> Results | None:
    """Carry out a plan that every rank has made; `mine` is `share_of_rank` of it.

    Returns everything that the results folder then holds on rank 0, and None elsewhere.
    Raises `InputError` where the ranks' plans differ, and `JobError` where one of them has ended.
    """
    if ranks.size == 1:
        return run(planned, progress)
    digests = ranks.gather(_digest(planned))
    ranks.together(partial(_make_ready, planned, digests, ranks))
    errors = ranks.gather(run_jobs(mine, progress))
    if not ranks.first:
        return None
    for job in planned.jobs:
        _put_together(planned, job, next((by_job[job.title] for by_job in errors if by_job.get(job.title)), ""))
    scored = [replace(job, missing={}) for job in planned.jobs]
    return run(replace(planned, jobs=scored), Notes(progress.note))  # the others have ended: now models are timed


def _make_ready(planned: Plan, digests: Sequence[str], ranks: Ranks) -> bool:
    """Refuse plans that differ; clear, once and before any rank writes, what `--force` does again."""
    for rank, digest in enumerate(digests):
        if digest != digests[0]:
            raise InputError(
                f"rank {rank} would score other images than rank 0: data, weights or results are not the same for it. "
                f"Give all processes one --out, the same data and the same weights"
            )
    for job in planned.jobs if ranks.first and planned.request.force else ():
        discard(run_path(planned.request.out, job.identity))
    return True


def _digest(planned: Plan) -> str:
    """sha256 (hex) of what is to be done."""
    lines = (f"{job.identity} {sorted(job.missing.items())}" for job in planned.jobs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _put_together(planned: Plan, job: Job, error: str) -> None:
    """Write one run from what all ranks have left beside it."""
    path = run_path(planned.request.out, job.identity)
    found = read_run(path)
    assert found is not None  # rank 0 opens every run
    with RunWriter(path, replace(found, environments=())) as writer:
        writer.finish(job.dataset.ids, error)


def share_of_rank(planned: Plan, ranks: Ranks) -> Plan:
    """What one rank does of a plan: its images of each model, shared out by LR pixels. Nothing is timed meanwhile."""
    if ranks.size == 1:
        return planned
    jobs = [job for turn, group in enumerate(by_model(planned.jobs)) for job in _share_of(group, ranks, turn)]
    return replace(planned, jobs=jobs, request=replace(planned.request, speed=False, force=False), shard=ranks.rank)


def _share_of(jobs: Sequence[Job], ranks: Ranks, turn: int) -> list[Job]:
    costs = {
        (place, index): pixels
        for place, job in enumerate(jobs)
        for index, pixels in zip(job.missing, _pixels(job), strict=True)
    }
    mine = set(shares(costs, ranks.size, turn)[ranks.rank])
    kept = [
        replace(job, missing={index: names for index, names in job.missing.items() if (place, index) in mine})
        for place, job in enumerate(jobs)
    ]
    return [job for job in kept if job.missing or ranks.first]


def _pixels(job: Job) -> list[int]:
    """LR pixels of each missing image; 1 each for a data set that cannot tell without decoding them."""
    pixels: Sequence[int] | None = getattr(job.dataset, "lr_pixels", None)
    return [pixels[index] if pixels else 1 for index in job.missing]


def shares(costs: Mapping[Key, int], count: int, turn: int = 0) -> list[list[Key]]:
    """Part keys among `count` processes: the costliest first, each to whoever has least so far (Graham 1969, LPT).

    The costliest share is at most 4/3 - 1/(3 count) times the best possible. The same costs give the same shares,
    whatever their order; `turn` says who is first where all have the same, so that models do not all begin at rank 0.
    """
    loads = [(0, (rank - turn) % count, rank) for rank in range(count)]
    heapq.heapify(loads)
    found: list[list[Key]] = [[] for _ in range(count)]
    for key, cost in sorted(costs.items(), key=lambda item: (-item[1], item[0])):
        load, tie, rank = heapq.heappop(loads)
        found[rank].append(key)
        heapq.heappush(loads, (load + cost, tie, rank))
    return found
