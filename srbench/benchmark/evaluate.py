"""Evaluation from Python: the same plan and the same runner as `srbench run`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from srbench.benchmark.plan import Request, plan
from srbench.benchmark.progress import NoProgress
from srbench.benchmark.run import run
from srbench.models import find_model
from srbench.models.callables import digest_of
from srbench.models.spec import ModelSpec
from srbench.models.wrap import Scaled, safe_name

if TYPE_CHECKING:
    from srbench.models.spec import Upscaler
    from srbench.results.records import Results


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
) -> Results:
    """Score a model on data sets.

    `model` is a registered name or any callable that takes `(1, 3, h, w)` floats in [0, 1] to `(1, 3, h * scale,
    w * scale)`; `datasets` are names or folders. With `out`, results are kept in that folder, and images that it
    already holds scores for are not scored again; a callable is known by a digest of its code and weights.

    Returns `Results`: `.frame()` is a table of every score, `.runs[0].values("psnr_y")` the scores of one run. A model
    that fails on an image is recorded in `run.failures`. Raises `UsageError` and `InputError` for bad requests.
    """
    spec = find_model(model) if isinstance(model, str) else spec_of(model, scale)
    with nullcontext(out) if out is not None else TemporaryDirectory() as folder:
        request = Request(
            models=(spec.name,),
            datasets=(datasets,) if isinstance(datasets, str) else tuple(datasets),
            scales=(scale,),
            metrics=tuple(metrics),
            degradation=degradation,
            device=device,
            limit=limit,
            speed=False,
            out=Path(folder),
        )
        made = plan(request, [spec])
        return run(made, NoProgress()).only(job.identity for job in made.jobs)


def spec_of(upscaler: Upscaler, scale: int) -> ModelSpec:
    """A spec around an upscaler that exists already; it stays on whatever device it is.

    Its identity is a digest of the callable, see `srbench.models.callables`.
    """
    name, digest = getattr(upscaler, "__name__", type(upscaler).__name__), digest_of(upscaler)
    if not hasattr(upscaler, "scale"):
        upscaler = Scaled(upscaler, scale)
    return ModelSpec(safe_name(name), (scale,), lambda scale, device: upscaler, digest=lambda scale: digest)
