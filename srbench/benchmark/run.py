"""The main job, carried out: each model is built once, and walks the images of every data set that lacks its scores.

`plan` → `run_job` → `Walk.rows`, where an image goes from file to row → `append`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from srbench.base.errors import JobError, UnavailableError
from srbench.benchmark.plan import Job, Plan
from srbench.benchmark.speed.timing import time_model
from srbench.benchmark.walk import Walk, workers_of
from srbench.models.inference import Inference, prepare
from srbench.results import environment
from srbench.results.records import Row, Run
from srbench.results.store import RunWriter, load_results, read_run, run_path, timed_already, write_speeds

if TYPE_CHECKING:
    from srbench.models.spec import ModelSpec
    from srbench.results.records import Identity, Results


NO_HR = "the data set has LR alone, and no HR to score against"


class Progress(Protocol):
    """Where a run tells how it goes; see `srbench.benchmark.progress`."""

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
        environments=(_environment(made),),
        unavailable=made.scorer.unavailable if job.scored else dict.fromkeys(made.request.metrics, NO_HR),
        source=job.source,
        remark=job.spec.remark,
    )
    with RunWriter(path, started, force=made.request.force, shard=made.shard) as writer:
        if inference is not None:
            with closing(Walk(made, job, inference, path).rows()) as rows:
                for row in rows:
                    writer.append(row)
                    progress.image(job, row)
            _tell_tiles(job, writer.run.rows, progress)
        return writer.finish(job.dataset.ids, error)


def _environment(made: Plan) -> Mapping[str, Any]:
    return environment.describe(str(made.device)) | {"batch": made.request.batch, "workers": workers_of(made)}


def _tell_tiles(job: Job, rows: Sequence[Row], progress: Progress) -> None:
    """Say that there were tiles, and how much they can have changed."""
    if tiled := [row for row in rows if row.tile]:
        seam = max(row.seam for row in tiled)
        progress.note(f"{job.title}: {len(tiled)} images in tiles, which differ by {seam:.2g} levels at most at a seam")


def _time(made: Plan, identity: Identity, inference: Inference, progress: Progress) -> None:
    """Time the model; where that fails, say so and go on: its scores stand."""
    try:
        rows = time_model(inference, identity.model)
    except JobError as error:
        progress.note(f"{identity.model} x{identity.scale}: not timed: {error}")
    else:
        write_speeds(made.request.out, identity.weights, rows)
