"""One run by several processes: each scores its share of the images, rank 0 puts the shares together.

Shares are made once, by cost, before anything is scored; there is no scheduler that could fail. Each process appends to
a journal of its own beside the run (see `srbench.results.journals`), so what is scored survives any of them, and the
next run, with whatever number of processes, shares out only what is still missing.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from srbench.base.errors import InputError
from srbench.benchmark.progress import Notes
from srbench.benchmark.run import by_model, carry_out, run
from srbench.results.store import RunWriter, discard, read_run, run_path

if TYPE_CHECKING:
    from srbench.benchmark.plan import Job, Plan
    from srbench.benchmark.ranks import Ranks
    from srbench.benchmark.run import Progress
    from srbench.results.records import Results

Key = TypeVar("Key", bound=Hashable)


def run_together(made: Plan, mine: Plan, progress: Progress, ranks: Ranks) -> Results | None:
    """Carry out a plan that every rank has made; `mine` is this rank's `share` of it.

    Returns everything that the results folder then holds on rank 0, and None elsewhere.
    Raises `InputError` where the ranks' plans differ, and `JobError` where one of them has ended.
    """
    if ranks.size == 1:
        return run(made, progress)
    digests = ranks.gather(_digest(made))
    ranks.together(partial(_make_ready, made, digests, ranks))
    errors = ranks.gather(carry_out(mine, progress))
    if not ranks.first:
        return None
    for job in made.jobs:
        _put_together(made, job, next((by_job[job.title] for by_job in errors if by_job.get(job.title)), ""))
    scored = [replace(job, missing={}) for job in made.jobs]
    return run(replace(made, jobs=scored), Notes(progress.note))  # the others have ended: now models are timed


def _make_ready(made: Plan, digests: Sequence[str], ranks: Ranks) -> bool:
    """Refuse plans that differ; clear, once and before any rank writes, what `--force` does again."""
    for rank, digest in enumerate(digests):
        if digest != digests[0]:
            raise InputError(
                f"rank {rank} would score other images than rank 0: data, weights or results are not the same for it. "
                f"Give all processes one --out, the same data and the same weights"
            )
    for job in made.jobs if ranks.first and made.request.force else ():
        discard(run_path(made.request.out, job.identity))
    return True


def _digest(made: Plan) -> str:
    """sha256 (hex) of what is to be done."""
    lines = (f"{job.identity} {sorted(job.missing.items())}" for job in made.jobs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _put_together(made: Plan, job: Job, error: str) -> None:
    """Write one run from what all ranks have left beside it."""
    path = run_path(made.request.out, job.identity)
    found = read_run(path)
    assert found is not None  # rank 0 opens every run
    with RunWriter(path, replace(found, environments=())) as writer:
        writer.finish(job.dataset.ids, error)


def share(made: Plan, ranks: Ranks) -> Plan:
    """What one rank does of a plan: its images of each model, shared out by LR pixels. Nothing is timed meanwhile."""
    if ranks.size == 1:
        return made
    jobs = [job for turn, group in enumerate(by_model(made.jobs)) for job in _share_of(group, ranks, turn)]
    return replace(made, jobs=jobs, request=replace(made.request, speed=False, force=False), shard=ranks.rank)


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
