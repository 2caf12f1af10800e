"""Which convention gives this number? One model's outputs, scored under every convention that there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.analysis.claims import Claim
from srbench.analysis.mistakes import MISTAKES, Mistake, with_mistake, with_next
from srbench.base.errors import InputError, UsageError
from srbench.base.text import counted
from srbench.datasets import open_dataset
from srbench.images.degrade import degradation_of, is_given, repeatable
from srbench.images.tensors import image_tensor
from srbench.metrics import resolve
from srbench.metrics.conventions import CONVENTIONS, quantise
from srbench.metrics.scorer import Scorer
from srbench.models import find_model
from srbench.models.inference import prepare, select_device
from srbench.results.saved import dataset_of, read_sr
from srbench.results.store import load_results
from srbench.results.summary import heading

if TYPE_CHECKING:
    from torch import Tensor

    from srbench.images.files import Image
    from srbench.results.records import Run

FAMILIES = {"psnr": ("psnr_y", "psnr_rgb"), "ssim": ("ssim_y", "ssim_rgb")}
MOST = 5
"""How many metrics and conventions are named; a number of few digits is given by all."""


@dataclass(frozen=True)
class Subject:
    """What is scored: a model on a data set at a scale, from images saved in `results`, or else by running it."""

    model: str
    dataset: str
    scale: int = 4
    results: Path | None = None
    device: str = "auto"
    root: Path | None = None


@dataclass(frozen=True)
class Reading:
    """One number, and how it was made; `aliases` are conventions under which every image scores the same.

    `mistake` says what was done wrong on purpose; empty for an honest number.
    """

    metric: str
    convention: str
    degradation: str
    value: float
    aliases: tuple[str, ...] = ()
    mistake: str = ""

    @property
    def name(self) -> str:
        """`PSNR-Y under matlab with LR by bd`; `matlab` is not told of LR."""
        return self.named(lr=self.degradation != "matlab")

    def named(self, *, lr: bool) -> str:
        """The name, with what made LR or without."""
        made_by = f" with LR by {self.degradation}" if lr else ""
        mistake = f" by a mistake: {self.mistake}" if self.mistake else ""
        return f"{heading(self.metric).label} under {self.convention}{made_by}{mistake}"

    @property
    def text(self) -> str:
        """The number with the metric's digits."""
        return heading(self.metric).format(self.value)


def matrix(
    subject: Subject, degradations: Sequence[str], families: Sequence[str] = tuple(FAMILIES), *, mistakes: bool = True
) -> list[Reading]:
    """The mean of every metric of the families under every convention, and by every mistake, for each degradation.

    With saved images the degradation is theirs, and `degradations` is not looked at. Raises `InputError` where images
    are not saved, `UsageError` for unknown names, and `JobError` where the model fails.
    """
    made_by = ("",) if subject.results else degradations
    return [one for family in families for lr_by in made_by for one in _readings(subject, lr_by, family, mistakes)]


def _names(family: str, *, y_first: bool, saved: bool) -> list[str]:
    """`NAME@CONVENTION` for every metric of a family, its own convention first.

    Where Y was taken first there are no colours to convert; SR that was saved is rounded.
    """
    found = []
    for metric in FAMILIES[family]:
        bound = resolve(metric)
        others = [name for name in CONVENTIONS if name != bound.convention.name]
        defined = [name for name in others if bound.metric.channel in CONVENTIONS[name].channels]
        names = [CONVENTIONS[name] for name in (bound.convention.name, *defined)]
        found += [f"{metric}@{row.name}" for row in names if row.round_sr or not saved]
        if y_first:
            return [f"{metric}@{row.name}" for row in names if row.grey == "luma" and (row.round_sr or not saved)]
    return found


def _mistaken(family: str, *, y_first: bool) -> dict[Mistake, Scorer]:
    """What each mistake is scored by: as usual, and by Y as JPEG has it, which goes with such ones; or in floats."""
    channels = FAMILIES[family][:1] if y_first else FAMILIES[family]
    usual = Scorer(channels if y_first else [*channels, f"{family}_y@full-swing"])
    floats = Scorer([f"{name}@unrounded" for name in channels])
    made = [mistake for mistake in MISTAKES if family == "psnr" or not mistake.psnr_alone]
    return {mistake: floats if mistake.error else usual for mistake in made}


@cache  # a list of claims asks for the same outputs again and again
def _readings(subject: Subject, degradation: str, family: str, mistakes: bool) -> tuple[Reading, ...]:
    run = _saved_run(subject) if subject.results else None
    degradation = run.identity.degradation if run else degradation
    pairs = _saved(subject, run) if run else _computed(subject, degradation)
    y_first = not is_given(degradation) and degradation_of(degradation).y_first
    names = _names(family, y_first=y_first, saved=run is not None)
    scorer = Scorer(names)
    made = _mistaken(family, y_first=y_first) if mistakes else {}
    rows, spoilt = [], {mistake: list[dict[str, float]]() for mistake in made}
    for sr, hr, next_hr in with_next(pairs):
        rows.append(scorer(sr, hr, subject.scale))
        for mistake, scores in spoilt.items():
            scores.append(made[mistake](*with_mistake(mistake, quantise(sr), hr, next_hr), subject.scale))
    readings: dict[tuple[object, ...], Reading] = {}
    for name in names:
        metric, _, convention = name.partition("@")
        values = tuple(row[name] for row in rows)
        same = readings.get((metric, values))
        readings[metric, values] = (
            replace(same, aliases=(*same.aliases, convention))
            if same
            else Reading(metric, convention, degradation, sum(values) / len(values))
        )
    mistaken = [
        Reading(
            name.partition("@")[0],
            bound.convention.name,
            degradation,
            _mean(scores, name) + mistake.decibels,
            mistake=mistake.summary,
        )
        for mistake, scores in spoilt.items()
        for name, bound in made[mistake].metrics.items()
    ]
    return (*readings.values(), *mistaken)


def _mean(rows: Sequence[dict[str, float]], name: str) -> float:
    return sum(row[name] for row in rows) / len(rows)


def _computed(subject: Subject, degradation: str) -> Iterator[tuple[Tensor, Image]]:
    """SR and HR of every image, by running the model."""
    spec = find_model(subject.model)
    if subject.scale not in spec.scales:
        raise UsageError(f"{spec.name} has no x{subject.scale}: {spec.made_for}")
    dataset = open_dataset(subject.dataset, subject.scale, degradation, subject.root)
    inference = prepare(spec, subject.scale, select_device(subject.device))
    for index in range(len(dataset)):
        sample = dataset[index]
        sr = inference.upscale(sample.lr).sr
        yield sr.cpu(), sample.reference


def _saved_run(subject: Subject) -> Run:
    assert subject.results is not None
    for run in load_results(subject.results):
        if run.identity.key == (subject.dataset, subject.scale, subject.model):
            return run
    what = f"{subject.model} on {subject.dataset} x{subject.scale}"
    raise InputError(f"{subject.results}: no run of {what}. Make it: srbench run --save-images, or leave RESULTS out")


def _saved(subject: Subject, run: Run) -> Iterator[tuple[Tensor, Image]]:
    """SR and HR of every image, SR as it was saved."""
    assert subject.results is not None
    dataset = dataset_of(run, subject.root)
    for index, image in enumerate(dataset.ids):
        yield image_tensor(read_sr(subject.results, run, image), "cpu"), dataset[index].reference


@dataclass(frozen=True)
class Explanation:
    """A claimed number beside our readings: it is explained by those that print the same, and by nothing else."""

    claim: Claim
    readings: list[Reading]

    @property
    def agreeing(self) -> list[Reading]:
        """The honest readings that, printed with as many decimals, are the claimed number: those by the claim's own LR
        first, then those that somebody published, the nearest of them first."""
        honest = [reading for reading in self.readings if not reading.mistake and self.claim.agrees(reading.value)]
        rank = {one: self._distance(one) if self._stated(one) else math.inf for one in honest}
        return sorted(honest, key=lambda one: (one.degradation != self.claim.degradation, rank[one]))

    @property
    def mistaken(self) -> list[Reading]:
        """Those by a mistake that print so; of interest where no honest one does."""
        return [reading for reading in self.readings if reading.mistake and self.claim.agrees(reading.value)]

    @property
    def nearest(self) -> list[Reading]:
        """Of each metric and convention the honest reading that comes nearest to the claim, the nearest first."""
        found: dict[tuple[str, str, str], Reading] = {}
        for reading in sorted((one for one in self.readings if not one.mistake), key=self._distance):
            found.setdefault(_way(reading), reading)
        return list(found.values())

    @property
    def explained(self) -> bool:
        """Whether any reading, honest or by a mistake, prints the claimed number."""
        return bool(self.agreeing or self.mistaken)

    @property
    def usual(self) -> Reading:
        """Our own number for what the claim speaks of: its metric and convention, or the first metric of its family."""
        if "_" not in self.claim.metric:
            return self.readings[0]
        meant = resolve(self.claim.metric)
        return next(
            reading
            for reading in self.readings
            if reading.metric == meant.metric.name and meant.convention.name in (reading.convention, *reading.aliases)
        )

    @property
    def sentences(self) -> str:
        """Which readings give the number, or which mistakes, or which come nearest; and what our own is."""
        if self.agreeing:
            found = [f"{self.claim.text} is {self._listed(self.agreeing)}"]
        else:
            found = [f"No convention gives {self.claim.text}. Nearest: {self._listed(self.nearest[:3])}"]
            found += [f"But a mistake does: {self._listed(self.mistaken)}"] if self.mistaken else []
        if self.usual not in self.agreeing:
            found.append(f"{self.usual.name} is {self.usual.text}")
        if family_of(self.claim) == "ssim" and self.claim.number > 1.0:
            found.append(f"SSIM is at most 1 here: try {self.claim.number / 100:.{self.claim.digits + 2}f}")
        return ". ".join(found) + "."

    def _listed(self, readings: Sequence[Reading], most: int = MOST) -> str:
        """One entry a metric and convention, with the LR that gives it: `PSNR-RGB under rgb (26.692, -0.008)`."""
        ways: dict[tuple[str, str, str], list[Reading]] = {}
        for reading in readings:
            ways.setdefault(_way(reading), []).append(reading)
        entries = []
        for first, *others in list(ways.values())[:most]:
            name = first.named(lr=True) if others else first.name
            made_by = [f"by {one.degradation} {self._beside(one)}" for one in others]
            entries.append(", ".join([f"{name} {self._beside(first)}", *made_by]))
        more = len(ways) - most
        return "; ".join(entries) + (f"; and {counted(more, 'convention')} more, see --matrix" if more > 0 else "")

    def _beside(self, reading: Reading) -> str:
        return f"({reading.text}, {reading.value - self.claim.number:+.{self.claim.digits + 1}f})"

    def _stated(self, reading: Reading) -> bool:
        """Whether a publication has the number from this metric and degradation, and its usual convention."""
        if is_given(reading.degradation) or resolve(reading.metric).convention.name != reading.convention:
            return False
        printed = f"{self.claim.number:.{self.claim.digits}f}".removeprefix("0")
        words = (self.claim.model, f"x{self.claim.scale}", self.claim.dataset, printed)
        return all(word in degradation_of(reading.degradation).published for word in words)

    def _distance(self, reading: Reading) -> float:
        return abs(reading.value - self.claim.number)


def _way(reading: Reading) -> tuple[str, str, str]:
    return reading.metric, reading.convention, reading.mistake


def family_of(claim: Claim) -> str:
    """`psnr` or `ssim`: by the metric's name, else by the size of the number."""
    if claim.metric:
        return claim.metric.partition("_")[0]
    return "ssim" if claim.number < 2.0 else "psnr"


def metric_meant(typed: str) -> str:
    """`psnr_y` of `PSNR-Y`, `psnr` of `PSNR`; nothing of nothing. Raises `UsageError` for what has no conventions."""
    if not typed or typed.lower() in FAMILIES:
        return typed.lower()
    bound = resolve(typed)
    if not any(bound.metric.name in family for family in FAMILIES.values()):
        raise UsageError(f"metric {typed!r} is neither PSNR nor SSIM, which have conventions: --metric psnr_y")
    return bound.name


def explain(claim: Claim, subject: Subject, degradations: Sequence[str] = ()) -> Explanation:
    """Look for the conventions that give a number. `degradations` is what LR may be made by; by default the claim's
    own, and all that draw no random numbers. Mistakes are looked for in the LR of the first.
    """
    claim = replace(claim, metric=metric_meant(claim.metric))
    family = family_of(claim)
    default = dict.fromkeys([*filter(None, [claim.degradation]), *repeatable(subject.scale)])
    first, *others = degradations or default
    found = matrix(subject, [first], [family])
    if not subject.results:  # saved images are of one degradation
        found += matrix(subject, others, [family], mistakes=False)
    return Explanation(claim, found)
