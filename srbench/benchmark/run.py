"""The main job, from top to bottom: plan → model → image → row → file.

`run_jobs` takes each model of a plan, `run_model` builds it once, `run_job` scores the images of one data set that lack
scores and keeps the rows, and `rows_of` takes an image from file to row: `dataset[i]` → `Inference.upscale` (timed) →
`Convention.views` → metrics → PNG → row. What several processes add stands in `srbench.benchmark.distributed`.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.arithmetic import exact_arithmetic
from srbench.base.callables import calls_evaluate
from srbench.base.errors import InputError, JobError, UnavailableError
from srbench.base.overlap import ahead, behind, pool_of
from srbench.benchmark.plan import Job, Plan
from srbench.benchmark.speed.timing import time_sizes
from srbench.datasets.folder import short_digest
from srbench.images.files import printable, write_image
from srbench.images.tensors import to_image
from srbench.metrics.conventions import quantise
from srbench.metrics.numba_switch import by_torch
from srbench.metrics.scorer import ScoreError
from srbench.models.inference import Inference, Upscaled, prepare, seed_device
from srbench.results import environment
from srbench.results.records import Row, Run
from srbench.results.store import (
    RunWriter,
    load_results,
    read_run,
    run_path,
    saved_image,
    timed_already,
    write_speeds,
)

if TYPE_CHECKING:
    from srbench.benchmark.progress import Progress
    from srbench.datasets.sample import Sample
    from srbench.images.files import Image
    from srbench.results.records import Identity
    from srbench.results.results import Results

NO_HR = "the data set has LR alone, and no HR to score against"


def run(plan: Plan, progress: Progress) -> Results:
    """Carry out a plan and return everything that the results folder then holds, earlier runs included.

    A failing model is recorded in its runs (`Run.error`, `Row.error`) and does not stop the others.
    """
    run_jobs(plan, progress)
    return load_results(plan.request.out)


def run_jobs(plan: Plan, progress: Progress) -> dict[str, str]:
    """The jobs of a plan, or of one process's share of it; the error of each that failed as a whole, by its title."""
    errors: dict[str, str] = {}
    for jobs in by_model(plan.jobs):
        errors |= run_model(plan, jobs, progress)
    return errors


def by_model(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs in groups that share a model and a scale, and so one upscaler."""
    return [list(group) for _, group in groupby(jobs, key=lambda job: (job.spec.name, job.identity.scale))]


def run_model(plan: Plan, jobs: Sequence[Job], progress: Progress) -> dict[str, str]:
    """All jobs of one model at one scale: it is built once, and only if there is something to do."""
    request, spec, identity = plan.request, jobs[0].spec, jobs[0].identity
    timing = request.speed and (request.force or not timed_already(request.out, identity, str(plan.device)))
    inference, error = None, ""
    if timing or any(job.missing for job in jobs):
        try:
            inference = prepare(
                spec,
                identity.scale,
                plan.device,
                precision=request.precision,
                backend=request.backend,
                tile=request.tile,
                self_ensemble=request.self_ensemble,
            )
        except (JobError, UnavailableError) as failure:
            error = str(failure)
    errors = {}
    for job in jobs:
        finished = run_job(plan, job, inference, error, progress)
        errors[job.title] = finished.error
        progress.done(job, finished)
    if timing and inference is not None:
        time_and_keep(plan, identity, inference, progress)
    return errors


def run_job(plan: Plan, job: Job, inference: Inference | None, error: str, progress: Progress) -> Run:
    """Score what is missing of one model on one data set, a row at a time. `error` says why there is no inference."""
    path = run_path(plan.request.out, job.identity)
    if not job.missing and (before := read_run(path)) is not None:
        return before
    begun = Run(
        identity=job.identity,
        metrics=plan.scorer.conventions if job.scored else {},
        rows=(),
        environments=(environment_of(plan),),
        unavailable=plan.scorer.unavailable if job.scored else dict.fromkeys(plan.request.metrics, NO_HR),
        source=printable(job.source),
        remark=job.spec.remark,
        of=len(job.dataset),
    )
    with RunWriter(path, begun, force=plan.request.force, shard=plan.shard) as writer:
        if inference is not None:
            with exact_arithmetic(), calls_evaluate(), closing(rows_of(plan, job, inference, path)) as rows:
                for row in rows:
                    writer.append(row)
                    progress.image(job, row)
            if tiled := [row for row in writer.run.rows if row.tile]:
                seam = max(row.seam for row in tiled)
                told = f"{len(tiled)} images in tiles, which differ by {seam:.2g} levels at most at a seam"
                progress.note(f"{job.title}: {told}")
        return writer.finish(job.dataset.ids, error)


@dataclass(frozen=True)
class Item:
    """An image on its way: the pair, the metrics that it lacks, its row so far, and what the model made of it.

    A failure is `row.error`: of the model, and then there is no `upscaled`, or of a metric. `sr` is uint8 `(h, w, 3)`,
    once it is scored.
    """

    sample: Sample
    lacking: Sequence[str]
    row: Row
    upscaled: Upscaled | None = None
    sr: Image | None = None


def rows_of(plan: Plan, job: Job, inference: Inference, path: Path) -> Generator[Row, None, None]:
    """The rows of one job, in the order of the data set, each as it gets done; `path` is the run's file.

    Images are read ahead and scored behind in threads. Only the model runs in the calling thread, and on a GPU the
    metrics too: the device does one thing at a time, or no time taken on it is honest. Scores and rows are those of a
    loop without threads; a kill loses the few images in hand. An image that cannot be read raises `InputError`, after
    the rows before it.
    """
    with pool_of(plan.workers) as pool:
        items = ahead(pool, partial(read_item, job), job.missing.items())
        items = upscale_items(plan, inference, items)
        if inference.device.type == "cpu":
            yield from behind(pool, lambda item: keep(plan, path, score(plan, job, item)), items)
        else:
            yield from behind(pool, partial(keep, plan, path), map(partial(score, plan, job), items))


def read_item(job: Job, wanted: tuple[int, Sequence[str]]) -> Item:
    """Decode one image pair, and begin its row with the digests of its pixels."""
    index, lacking = wanted
    sample = job.dataset[index]
    hr = "" if sample.hr is None else short_digest(sample.hr)
    return Item(sample, lacking, Row(sample.id, hr=hr, lr=short_digest(sample.lr)))


def upscale_items(plan: Plan, inference: Inference, items: Iterable[Item]) -> Iterator[Item]:
    """Run the model: neighbours of one size share a batch; with a batch of one, nothing is held back."""
    for _, alike in groupby(items, key=lambda item: item.sample.lr.shape[:2]):
        while batch := list(islice(alike, plan.request.batch)):
            yield from upscale_together(plan, inference, batch)


def upscale_together(plan: Plan, inference: Inference, batch: Sequence[Item]) -> list[Item]:
    """One pass for a batch; where that fails, one by one: the error goes to the image at fault, and what fits alone
    is not tiled."""
    # The same random numbers whichever images came before.
    seed_device(plan.device, plan.request.seed + zlib.crc32(batch[0].sample.id.encode()))
    try:
        if len(batch) == 1:
            return [replace(batch[0], upscaled=inference.upscale(batch[0].sample.lr))]
        results = inference.upscale_together([item.sample.lr for item in batch])
    except (JobError, InputError) as error:
        if len(batch) == 1:
            return [replace(batch[0], row=replace(batch[0].row, error=str(error)))]
        return [alone for item in batch for alone in upscale_together(plan, inference, [item])]
    return [replace(item, upscaled=result) for item, result in zip(batch, results, strict=True)]


def score(plan: Plan, job: Job, item: Item) -> Item:
    """Round SR as an image file would hold it, and score it by the metrics that it lacks."""
    if item.upscaled is None:
        return item
    error = ""
    try:
        sr, hr = item.upscaled.sr, item.sample.hr
        with by_torch(plan.images):
            pixels = quantise(sr)
            given = sr if plan.scorer.unrounded else pixels
            scores = {} if hr is None else plan.scorer(given, hr, job.identity.scale, item.lacking)
    except ScoreError as failure:
        scores, error = failure.scores, str(failure)
    except (JobError, InputError) as failure:
        return replace(item, row=replace(item.row, error=str(failure)))
    row = replace(
        item.row,
        scores=scores,
        error=error,
        seconds=round(item.upscaled.seconds, 6),
        tile=item.upscaled.tile,
        seam=round(item.upscaled.seam, 4),
    )
    return replace(item, row=row, sr=to_image(pixels))


def keep(plan: Plan, path: Path, item: Item) -> Row:
    """Save SR where that is wanted, and finish the row with the digest of its pixels."""
    if item.sr is None:
        return item.row
    if plan.request.save_images:
        write_image(saved_image(path, item.row.image), item.sr)
    return replace(item.row, sr=short_digest(item.sr))


def environment_of(plan: Plan) -> Mapping[str, Any]:
    """What the scores are made with: versions, device, and how the work is laid out."""
    with by_torch(plan.images):
        return environment.describe(str(plan.device)) | {"batch": plan.request.batch, "workers": plan.workers}


def time_and_keep(plan: Plan, identity: Identity, inference: Inference, progress: Progress) -> None:
    """Time the model; where that fails, say so and go on: its scores stand."""
    try:
        timed = time_sizes(inference, identity.model)
    except JobError as error:
        progress.note(f"{identity.model} x{identity.scale}: not timed: {error}")
    else:
        for note in dict.fromkeys(note for one in timed for note in one.notes):
            progress.note(f"{identity.model} x{identity.scale}, timing: {note}")
        write_speeds(plan.request.out, identity.weights, [one.row for one in timed])
