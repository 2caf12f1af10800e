"""From a request to the jobs that it takes: what is missing, what is refused, before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.base.outputs import refuse_overwriting
from srbench.base.overlap import spare_workers
from srbench.benchmark.memory import refuse_what_does_not_fit
from srbench.datasets import data_root, home_of, open_dataset, select
from srbench.images.degrade import check_degradation
from srbench.metrics import DEFAULT, refuse_unknown_metrics
from srbench.metrics.scorer import Scorer
from srbench.models import select_models
from srbench.models.backends import find_backend
from srbench.models.inference import select_device
from srbench.models.spec import PRECISIONS, weights_digest
from srbench.models.tiles import check_tile
from srbench.models.values import NO_HINTS, Hints
from srbench.results.records import OWN, Identity, Row, refuse_differences, refuse_other_conventions
from srbench.results.saved import refuse_strange_images
from srbench.results.store import read_folder, read_run, run_path, saved_image

if TYPE_CHECKING:
    import torch

    from srbench.datasets.sample import Dataset
    from srbench.models.spec import ModelSpec


@dataclass(frozen=True)
class Request:
    """What `srbench run` is asked for; the fields are its options. `workers` None is as many as are to spare."""

    models: tuple[str, ...] = ("all",)
    hints: Hints = NO_HINTS
    datasets: tuple[str, ...] = ()
    scales: tuple[int, ...] = (4,)
    metrics: tuple[str, ...] = DEFAULT
    degradation: str = "matlab"
    device: str = "auto"
    precision: str = "fp32"
    backend: str = "eager"
    tile: str = "auto"
    self_ensemble: bool = False
    limit: int | None = None
    seed: int = 0
    force: bool = False
    save_images: bool = False
    speed: bool = True
    unverified: bool = False
    batch: int = 1
    workers: int | None = None
    out: Path = Path("results")
    data_root: Path | None = None


@dataclass(frozen=True)
class Job:
    """One model on one data set at one scale. `missing` maps an image's index to the metrics that it still lacks."""

    spec: ModelSpec
    dataset: Dataset
    identity: Identity
    source: str
    missing: dict[int, tuple[str, ...]]

    @property
    def scored(self) -> bool:
        """Whether the data set has HR to score against."""
        return getattr(self.dataset, "has_hr", True)

    @property
    def title(self) -> str:
        """`Set5 x4 srcnn`"""
        return str(self.identity.key)


SMALL = 2**14
"""Pixels of HR: to hand fewer to another thread costs more than to read and score them."""


@dataclass
class Plan:
    """The jobs, in the order of models; `skipped` says of each model left out why.

    `without_jobs` are the models that got no job at all, or lack the weights for one. `damaged` says that what is
    stored of one is damaged. `broken` says of a model whose file cannot be used why.
    `images` is how many are to be scored in all, by every process.
    `shard` is the rank whose share of the images this is; None for all of them (see `srbench.benchmark.distributed`).
    """

    request: Request
    device: torch.device
    scorer: Scorer
    jobs: list[Job] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    without_jobs: list[str] = field(default_factory=list)
    damaged: bool = False
    broken: dict[str, str] = field(default_factory=dict)
    images: int = 0
    shard: int | None = None
    largest: int = SMALL

    @property
    def workers(self) -> int:
        """How many threads read and score beside the model; `largest` is the largest image's number of HR pixels."""
        if self.request.workers is not None:
            return self.request.workers
        return spare_workers(self.device) if self.largest >= SMALL else 0


def _largest(datasets: Mapping[int, Mapping[str, Dataset]]) -> int:
    """HR pixels of the largest image; `SMALL` or more where a data set does not tell."""
    sizes = (
        pixels * scale**2
        for scale, opened in datasets.items()
        for one in opened.values()
        for pixels in getattr(one, "lr_pixels", ()) or (SMALL,)
    )
    return max(sizes, default=SMALL)


def plan(request: Request, specs: Sequence[ModelSpec] = ()) -> Plan:
    """Decide what is to be done, and refuse what cannot be done right before anything is computed.

    `specs` are the models; where none are given, those that the request names.

    A file that is there and cannot be used is a model that fails; what was scored under its name stays.

    Raises `UsageError` and `InputError` for bad requests, and `IncomparableError` where the results folder holds runs
    that this one would not compare with.
    """
    root = data_root(request.data_root)
    refs = select(request.datasets, root)
    _check(request, refs, root)
    broken: dict[str, str] = {}
    specs = specs or select_models(request.models, request.hints, broken)
    device = select_device(request.device)
    planned = Plan(request, device, Scorer(request.metrics, device, request.degradation), broken=broken)
    scales = tuple(dict.fromkeys(request.scales))
    datasets = {
        scale: _one_of_each_name(
            {ref: open_dataset(ref, scale, request.degradation, root, unverified=request.unverified) for ref in refs}
        )
        for scale in scales
    }
    if device.type == "cpu":
        planned.largest = _largest(datasets)
        for opened in datasets.values():
            refuse_what_does_not_fit(opened.values(), planned.scorer.metrics, 1 + planned.workers, request.limit)
    for spec in specs:
        for scale in scales:
            _plan_model(planned, spec, scale, datasets[scale])
        if not set(request.scales) & set(spec.scales):
            planned.without_jobs.append(spec.name)
    if planned.skipped and not planned.jobs:
        reasons = [f"{name}: {reason}" for name, reason in planned.skipped.items()]
        raise UsageError(f"no model is left: {'; '.join(reasons[:3])}")
    _refuse_mixtures(planned)
    planned.images = sum(len(job.missing) for job in planned.jobs)
    return planned


def _check(request: Request, datasets: Iterable[str], root: Path) -> None:
    """Raise `UsageError` or `InputError` for what can be refused at once; importing torch takes seconds."""
    for scale in request.scales:
        check_degradation(request.degradation, scale)
    if request.precision not in PRECISIONS:
        raise UsageError(f"--precision {request.precision!r} is none of {', '.join(PRECISIONS)}")
    find_backend(request.backend, request.precision)
    check_tile(request.tile)
    refuse_unknown_metrics(request.metrics)
    for ref in datasets:
        home_of(ref, root)


def _one_of_each_name(datasets: Mapping[str, Dataset]) -> dict[str, Dataset]:
    """Data sets by reference, each once; raises `UsageError` for two under one name, by which results are kept."""
    refs: dict[str, str] = {}
    for ref, dataset in datasets.items():
        first = refs.setdefault(dataset.name, ref)
        if first != ref and datasets[first].fingerprint != dataset.fingerprint:
            raise UsageError(f"{first} and {ref} are two data sets called {dataset.name}; rename the folder of one")
    return {ref: datasets[ref] for ref in refs.values()}


def _plan_model(planned: Plan, spec: ModelSpec, scale: int, datasets: Mapping[str, Dataset]) -> None:
    if scale not in spec.scales:
        planned.skipped[f"{spec.name} x{scale}"] = spec.made_for
        return
    try:
        weights = weights_digest(spec, scale)
    except UnavailableError as error:
        planned.skipped[f"{spec.name} x{scale}"] = str(error)
        planned.without_jobs.append(spec.name)
        return
    for ref, dataset in datasets.items():
        identity = _identity(planned.request, spec, weights, dataset, scale)
        try:
            if spec.name in planned.broken and _scored_before(planned, identity):
                planned.skipped[f"{spec.name} on {dataset.name} x{scale}"] = planned.broken[spec.name]
                planned.without_jobs.append(spec.name)
                continue
            planned.jobs.append(Job(spec, dataset, identity, ref, _missing(planned, identity, dataset)))
        except InputError as error:  # what is stored is damaged
            planned.damaged = True
            planned.skipped[f"{spec.name} on {dataset.name} x{scale}"] = str(error)


def _identity(request: Request, spec: ModelSpec, weights: str, dataset: Dataset, scale: int) -> Identity:
    return Identity(
        model=spec.name,
        weights=weights,
        values=spec.values,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        scale=scale,
        degradation=request.degradation,
        precision=request.precision,
        backend=request.backend,
        tile=request.tile,
        self_ensemble=request.self_ensemble,
        seed=request.seed,
        unverified=getattr(dataset, "unverified", False),
    )


def _scored_before(planned: Plan, identity: Identity) -> bool:
    before = read_run(run_path(planned.request.out, identity))
    return before is not None and bool(before.rows)


def _missing(planned: Plan, identity: Identity, dataset: Dataset) -> dict[int, tuple[str, ...]]:
    """The images that lack a score or, where it is wanted, a saved picture; failed ones are tried again."""
    request, path = planned.request, run_path(planned.request.out, identity)
    before = None if request.force else read_run(path)
    if before is not None and before.identity.fingerprint == dataset.fingerprint:
        refuse_strange_images(before, dataset)
    if before is None and request.save_images:  # whose pictures are there is not known
        refuse_overwriting([saved_image(path, id) for id in dataset.ids[: request.limit]], [], force=request.force)
    rows = {row.image: row for row in before.rows} if before else {}
    wanted = planned.scorer.metrics if getattr(dataset, "has_hr", True) else ()
    missing = {}
    for index, id in list(enumerate(dataset.ids))[: request.limit]:
        row = rows.get(id, Row(id))
        lacking = tuple(name for name in wanted if name not in row.scores)
        unsaved = request.save_images and not saved_image(path, id).is_file()
        if lacking or unsaved or row.error or id not in rows:
            missing[index] = lacking
    return missing


def _refuse_mixtures(planned: Plan) -> None:
    """Refuse to put runs beside others of the folder that they do not compare with."""
    read_once = cache(read_folder)  # a folder holds one run of every model, and every model is asked about it
    for job in planned.jobs:
        path = run_path(planned.request.out, job.identity)
        for run in read_once(path.parent):
            if run.identity.model != job.identity.model:
                refuse_differences(run.identity, job.identity, OWN, remedy="Give another --out")
            elif run.rows and not planned.request.force:
                remedy = "Give another --out, or --force to do it again"
                if run.identity.weights != job.identity.weights:
                    remedy = f"To keep both, name it: NAME=REF (from Python name=). {remedy}"
                refuse_differences(run.identity, job.identity, remedy=remedy)
                refuse_other_conventions(run, planned.scorer.conventions if job.scored else {}, remedy)
