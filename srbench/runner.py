"""The main job, carried out: each model is built once, and walks the images of every data set that lacks its scores.

One image's walk: `plan` → `run_job` → `dataset[i]` → `upscale(lr)` (timed) → `Convention.views` → metric → `append`.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from srbench import environment
from srbench.conventions import quantise
from srbench.datasets.folder import short_digest
from srbench.errors import InputError, JobError, UnavailableError
from srbench.images import write_image
from srbench.inference import Inference, prepare
from srbench.plan import Job, Plan, saved_image
from srbench.results import Row, Run
from srbench.speed import time_model
from srbench.store import RunWriter, load_results, read_run, run_path, timed_already, write_speeds

if TYPE_CHECKING:
    from srbench.results import Identity, Results
    from srbench.types import ModelSpec


NO_HR = "the data set has LR alone, and no HR to score against"


class Progress(Protocol):
    """Where a run tells how it goes; see `srbench.display`."""

    def begin(self, jobs: Sequence[Job]) -> None: ...
    def image(self, job: Job, row: Row) -> None: ...
    def done(self, job: Job, run: Run) -> None: ...
    def note(self, text: str) -> None: ...


def run(made: Plan, progress: Progress) -> Results:
    """Carry out a plan and return everything that the results folder then holds, earlier runs included.

    A failing model is recorded in its runs (`Run.error`, `Row.error`) and does not stop the others.
    """
    carry_out(made, progress)
    return load_results(made.request.out)


def carry_out(made: Plan, progress: Progress) -> dict[str, str]:
    """The jobs of a plan, or of one process's share of it; the error of each that failed as a whole, by its title."""
    return {title: error for jobs in by_model(made.jobs) for title, error in _run_model(made, jobs, progress).items()}


def by_model(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs in groups that share a model and a scale, and so one upscaler."""
    return [list(group) for _, group in groupby(jobs, key=lambda job: (job.spec.name, job.identity.scale))]


def _run_model(made: Plan, jobs: Sequence[Job], progress: Progress) -> dict[str, str]:
    """All jobs of one model at one scale: it is built once, and only if there is something to do."""
    request, identity = made.request, jobs[0].identity
    timing = request.speed and (request.force or not timed_already(request.out, identity, str(made.device)))
    inference, error = None, ""
    if timing or any(job.missing for job in jobs):
        try:
            inference = _prepare(made, jobs[0].spec, identity.scale)
        except (JobError, UnavailableError) as failure:
            error = str(failure)
    errors = {}
    for job in jobs:
        done = run_job(made, job, inference, error, progress)
        errors[job.title] = done.error
        progress.done(job, done)
    if timing and inference is not None:
        _time(made, identity, inference, progress)
    return errors


def _prepare(made: Plan, spec: ModelSpec, scale: int) -> Inference:
    request = made.request
    return prepare(
        spec,
        scale,
        made.device,
        precision=request.precision,
        backend=request.backend,
        tile=request.tile,
        self_ensemble=request.self_ensemble,
    )


def run_job(made: Plan, job: Job, inference: Inference | None, error: str, progress: Progress) -> Run:
    """Score what is missing, a row at a time. `error` says why there is no inference."""
    path = run_path(made.request.out, job.identity)
    if not job.missing and (before := read_run(path)) is not None:
        return before
    started = Run(
        identity=job.identity,
        metrics=made.scorer.conventions if job.scored else {},
        rows=(),
        environments=(environment.describe(str(made.device)),),
        unavailable=made.scorer.unavailable if job.scored else dict.fromkeys(made.request.metrics, NO_HR),
        source=job.source,
        remark=job.spec.remark,
    )
    with RunWriter(path, started, force=made.request.force, shard=made.shard) as writer:
        if inference is not None:
            for index, names in job.missing.items():
                row = _score_image(made, job, index, names, inference, path)
                writer.append(row)
                progress.image(job, row)
        return writer.finish(job.dataset.ids, error)


def _score_image(made: Plan, job: Job, index: int, names: Sequence[str], inference: Inference, path: Path) -> Row:
    import torch

    sample = job.dataset[index]
    torch.manual_seed(made.request.seed + zlib.crc32(sample.id.encode()))  # the same whichever images came before
    row = Row(sample.id, hr="" if sample.hr is None else short_digest(sample.hr), lr=short_digest(sample.lr))
    try:
        sr, seconds, tile = inference.upscale(sample.lr)
        pixels = quantise(sr)
        scores = {} if sample.hr is None else made.scorer(pixels, sample.hr, job.identity.scale, names)
    except (JobError, InputError) as error:
        return replace(row, error=str(error))
    image = pixels[0].permute(1, 2, 0).cpu().numpy()
    if made.request.save_images:
        write_image(saved_image(path, sample.id), image)
    return replace(row, scores=scores, seconds=round(seconds, 6), tile=tile, sr=short_digest(image))


def _time(made: Plan, identity: Identity, inference: Inference, progress: Progress) -> None:
    """Time the model; where that fails, say so and go on: its scores stand."""
    try:
        rows = time_model(inference, identity.model)
    except JobError as error:
        progress.note(f"{identity.model} x{identity.scale}: not timed: {error}")
    else:
        write_speeds(made.request.out, identity.weights, rows)
