"""What an optimisation costs in pixels, beside what it gains in time: the audit behind `srbench speed --audit`.

The reference is always the model as it is: eager, fp32, on the same device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from srbench.base.errors import SrbenchError
from srbench.base.registry import entries
from srbench.benchmark.speed.versus import Ratio, ratio, watched_turns
from srbench.datasets.samples import open_samples
from srbench.metrics.conventions import quantise
from srbench.metrics.scorer import Scorer
from srbench.models.backends import find_backend
from srbench.models.inference import Inference, prepare
from srbench.models.spec import PRECISIONS

if TYPE_CHECKING:
    import torch

    from srbench.benchmark.speed.timing import Size
    from srbench.datasets.sample import Sample
    from srbench.models.spec import ModelSpec

IMAGES = 2
"""Of `samples`: enough pixels for a largest difference, few enough to wait for."""

METRIC = "psnr_y"


@dataclass(frozen=True)
class Audit:
    """One way to run a model beside the reference.

    delta_db        mean change of PSNR-Y against HR over the images, in dB; above zero it is closer to HR
    worst_db        the change on the image that it changes most
    largest         largest difference of a value of SR, in [0, 1] terms, before rounding
    levels          largest difference of a pixel after rounding to uint8
    changed         part of the uint8 values that differ
    speed_up        the reference's time over this one's
    not_steady      what disturbed the machine meanwhile, as `steadiness.disturbances` has it
    """

    model: str
    backend: str
    precision: str
    delta_db: float
    worst_db: float
    largest: float
    levels: int
    changed: float
    speed_up: Ratio
    not_steady: tuple[str, ...] = ()


Variant = tuple[str, str]
"""Backend and precision."""


def variants(device: torch.device, backend: str = "", precision: str = "fp32") -> list[Variant]:
    """Every registered backend in every precision that it has; the reference is left out.

    With `backend` that one alone. With another `precision` than fp32 that one alone; without, fp16 is left out on a
    CPU, where it is emulated and takes ten times as long.
    """
    usual = PRECISIONS if device.type == "cuda" else ("fp32", "bf16")
    wanted = usual if precision == "fp32" else (precision,)
    found = []
    for name in [backend] if backend else entries("backends"):
        kind, _ = find_backend(name)
        if backend or not kind.devices or device.type in kind.devices:
            found += [(name, each) for each in wanted if each in kind.precisions]
    return [way for way in found if way != ("eager", "fp32")]


def audit_backends(
    spec: ModelSpec,
    scale: int,
    device: torch.device,
    found: Iterable[Variant],
    size: Size,
    *,
    budget_s: float = 2.0,
    begin: Callable[[str], None] = lambda what: None,
) -> Iterator[Audit | tuple[Variant, SrbenchError]]:
    """Each way beside the reference, or the error that kept it from running.

    The rounds of a way take `budget_s`, or three of them where that is longer; before them come building the model,
    which may compile it, and the images. `begin` is told what is about to be done. Raises `JobError` where the
    reference itself fails.
    """
    begin(f"{spec.name}: eager fp32, the reference, on {IMAGES} images")
    reference = prepare(spec, scale, device, tile="none")
    samples = [open_samples(scale, "matlab")[index] for index in range(IMAGES)]
    expected = [_outcome(reference, sample, scale) for sample in samples]
    for backend, precision in found:
        begin(f"{spec.name} {backend} {precision}: building, {IMAGES} images, then {budget_s:g} s of rounds")
        try:
            inference = prepare(spec, scale, device, precision=precision, backend=backend, tile="none")
            made = [_outcome(inference, sample, scale) for sample in samples]
            turns = watched_turns([reference, inference], size, budget_s=budget_s, patience=1)
        except SrbenchError as error:
            yield (backend, precision), error
            continue
        times = [list(column) for column in zip(*turns.rounds, strict=True)]
        speed_up = ratio("reference", backend, times[0], times[1])
        audit = _compared(spec.name, backend, precision, expected, made, speed_up)
        yield replace(audit, not_steady=turns.not_steady)


Outcome = tuple["torch.Tensor", "torch.Tensor", float]
"""SR in floats, SR in uint8, and its PSNR-Y."""


def _outcome(inference: Inference, sample: Sample, scale: int) -> Outcome:
    import torch

    sr = inference.upscale(sample.lr).sr
    pixels = quantise(sr)
    score = Scorer([METRIC], inference.device)(pixels, sample.reference, scale)[METRIC]
    return sr.to(torch.float64), pixels.to(torch.int16), score


def _compared(
    model: str, backend: str, precision: str, expected: Sequence[Outcome], made: Sequence[Outcome], speed_up: Ratio
) -> Audit:
    pairs = list(zip(expected, made, strict=True))
    deltas = [ours[2] - reference[2] for reference, ours in pairs]
    steps = [(ours[1] - reference[1]).abs() for reference, ours in pairs]
    return Audit(
        model,
        backend,
        precision,
        delta_db=sum(deltas) / len(deltas),
        worst_db=max(deltas, key=abs),
        largest=max(float((ours[0] - reference[0]).abs().max()) for reference, ours in pairs),
        levels=max(int(step.max()) for step in steps),
        changed=sum(int(step.count_nonzero()) for step in steps) / sum(step.numel() for step in steps),
        speed_up=speed_up,
    )
