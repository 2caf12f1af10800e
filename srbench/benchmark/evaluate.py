"""Evaluation from Python: the same plan and the same runner as `srbench run`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.callables import evaluating, state_digest
from srbench.base.errors import JobError, UnavailableError, UsageError
from srbench.base.temporary import temporary_folder
from srbench.benchmark.plan import Request, plan
from srbench.benchmark.progress import Progress
from srbench.benchmark.run import run
from srbench.models import find_model
from srbench.models.spec import ModelSpec
from srbench.models.wrap import Scaled, safe_name

if TYPE_CHECKING:
    from srbench.models.spec import Upscaler
    from srbench.results.results import Results


def evaluate(
    model: str | Upscaler,
    datasets: str | Sequence[str] = "samples",
    *,
    scale: int = 4,
    metrics: Sequence[str] = ("psnr_y", "ssim_y"),
    degradation: str = "matlab",
    device: str = "auto",
    limit: int | None = None,
    out: Path | str | None = None,
    name: str = "",
    force: bool = False,
) -> Results:
    """Score a model on data sets.

    `model` is a registered name or any callable that takes `(1, 3, h, w)` floats in [0, 1] to `(1, 3, h * scale,
    w * scale)`; `datasets` are names or folders. Networks in a callable are in evaluation mode meanwhile, and no
    gradients are computed; each module gets its mode back.

    With `out`, results are kept in that folder under `name` (the function's or class's, where none is given), and
    images that it already holds scores for are not scored again. A callable is known by a digest of its weights and
    code: another one under the same name is refused, unless `force` says to score everything anew.

    Returns `Results`: `.frame()` is a table of every score, `.runs[0].values("psnr_y")` the scores of one run. A model
    that fails on an image is recorded in `run.failures`; where it scored nothing at all, `JobError` is raised with the
    first reason. Raises `UsageError` and `InputError` for bad requests, `UnavailableError` for what is not here, and
    `IncomparableError` where `out` holds results of another model or data set by the same name.
    """
    if not metrics:
        raise UsageError("no metric to score by: metrics=('psnr_y',)")
    spec = find_model(model) if isinstance(model, str) else spec_of(model, scale)
    spec = replace(spec, name=name or spec.name)
    with evaluating(model), nullcontext(out) if out is not None else temporary_folder() as folder:
        request = Request(
            models=(spec.name,),
            datasets=(datasets,) if isinstance(datasets, str) else tuple(datasets),
            scales=(scale,),
            metrics=tuple(metrics),
            degradation=degradation,
            device=device,
            limit=limit,
            force=force,
            speed=False,
            out=Path(folder),
        )
        planned = plan(request, [spec])
        for what, reason in planned.skipped.items():
            raise (UsageError if scale not in spec.scales else UnavailableError)(f"{what}: {reason}")
        results = run(planned, Progress()).only(job.identity for job in planned.jobs)
        if all(job.scored for job in planned.jobs):
            _refuse_nothing(results)
        return results


def _refuse_nothing(results: Results) -> None:
    """Raise where not one score came out: a mean over nothing would pass for a result."""
    if any(row.scores for one in results for row in one.rows):
        return
    for one in results:
        if one.first_error:
            raise JobError(f"{one.identity.model} scored nothing on {one.identity.dataset}: {one.first_error}")
        for metric, reason in one.unavailable.items():
            raise UnavailableError(f"{metric} is not available: {reason}")


def spec_of(upscaler: Upscaler, scale: int) -> ModelSpec:
    """A spec around an upscaler that exists already; it stays on whatever device it is."""
    name = safe_name(getattr(upscaler, "__name__", type(upscaler).__name__))
    digest = state_digest(upscaler)
    if not hasattr(upscaler, "scale"):
        upscaler = Scaled(upscaler, scale)
    return ModelSpec(name, (scale,), lambda scale, device: upscaler, digest=lambda scale: digest)
