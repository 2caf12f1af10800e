"""A run and what it says: identity, environment, one row of scores an image, signatures, frames.

The fields of `Identity`, `Row`, `SpeedRow` and `StudyRow` are also those of stored files, and their types what these
are held to; see `srbench.results.documents`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from srbench.base.documents import Amount, Count, Name, Number, Positive, Scale, Side
from srbench.base.errors import IncomparableError
from srbench.metrics.conventions import VERSION, parted


class Setting(NamedTuple):
    """What a mean is taken over: a data set at a scale."""

    dataset: str
    scale: int


class RunKey(NamedTuple):
    """What names a run among others: data set, scale and model; as text, its title."""

    dataset: str
    scale: int
    model: str

    def __str__(self) -> str:
        return f"{self.dataset} x{self.scale} {self.model}"


@dataclass(frozen=True)
class Identity:
    """Everything that a score depends on.

    `weights` and `fingerprint` are sha256 (hex), empty where there are none. `values` are those that the network takes
    where they are not RGB in [0, 1], as `0..255 bgr`. `unverified` says that the data set bears
    the name of a standard one and is not known to be it.
    """

    model: Name
    weights: str
    dataset: Name
    fingerprint: str
    scale: Scale
    degradation: str
    precision: str = "fp32"
    backend: str = "eager"
    tile: str = "auto"
    self_ensemble: bool = False
    seed: int = 0
    unverified: bool = False
    values: str = ""
    version: str = VERSION

    @property
    def setting(self) -> Setting:
        """The data set and the scale."""
        return Setting(self.dataset, self.scale)

    @property
    def key(self) -> RunKey:
        """Data set, scale and model; as text the run's title: `Set5 x4 srcnn`."""
        return RunKey(self.dataset, self.scale, self.model)

    def signature(self, metric: str, convention: str, parts: Sequence[str] = ()) -> str:
        """One line that a paper can quote; what is usual (no tiling, no ensemble, seed 0) is left out.

        `convention` is as `Run.metrics` has it, with the metric's variant after a plus; `parts` are added at the end.
        """
        convention, _, variant = convention.partition("+")
        weights = f"@{self.weights[:6]}" if self.weights else ""
        weights += f"({self.values.replace(' ', ',')})" if self.values else ""
        line = [
            f"srbench:{self.version}",
            parted(metric)[0] + (f"({variant})" if variant else ""),
            f"conv:{convention}",
            f"x{self.scale}",
            f"lr:{self.degradation}",
            f"set:{_quoted(self.dataset)}@{self.fingerprint[:6]}{'!unverified' * self.unverified}",
            f"model:{_quoted(self.model)}{weights}",
            self.precision,
            self.backend,
        ]
        line += [f"tile{self.tile}"] * (self.tile not in ("auto", "none"))
        line += ["ensemble:8"] * self.self_ensemble + [f"seed:{self.seed}"] * (self.seed != 0)
        return "|".join([*line, *parts])


def _quoted(name: str) -> str:
    """A name in which nothing ends the line or its part of it: `|` as `%7C`, as in addresses."""
    return "".join(quote(letter) if letter in "|%" or not letter.isprintable() else letter for letter in name)


OWN = ("model", "weights", "values")
"""The fields in which comparable runs of one data set and scale may differ."""


def refuse_differences(one: Identity, other: Identity, ignoring: Iterable[str] = (), remedy: str = "") -> None:
    """Raise `IncomparableError` naming the first field in which two identities differ, leaving out `ignoring`."""
    for field_ in fields(Identity):
        a, b = getattr(one, field_.name), getattr(other, field_.name)
        if field_.name not in ignoring and a != b:
            told = f"{field_.name} is {_short(a)} in the results of {one.model}, but {_short(b)} for {other.model} now"
            if field_.name == "weights" and a and b:
                told = f"weights or code of {one.model} have changed: {_short(a)} in the results, {_short(b)} now"
            raise IncomparableError(f"{one.dataset} x{one.scale}: {told}; these do not compare. {remedy}".rstrip())


def refuse_other_conventions(before: Run, metrics: Mapping[str, str], remedy: str) -> None:
    """Raise `IncomparableError` where scores that a run has were taken under another convention or variant than now:
    by a metric that was edited, or a package of another version. In one mean they would be a number of neither.
    """
    for name, taken in metrics.items():
        if (was := before.metrics.get(name, taken)) != taken and before.values(name):
            raise IncomparableError(
                f"{before.identity.key}: {name} is {was} in the stored scores, but {taken} now; these do not compare. "
                f"{remedy}"
            )


def _short(value: object) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) == 64 else text


@dataclass(frozen=True)
class Row:
    """One image's scores, or the error that took their place, or that of some of them.

    `seconds` is the upscaler's time, the first image's included: an indication, not a benchmark. `hr`, `lr` and `sr`
    are the first 16 hex digits of the sha256 of the pixels. `tile` is the size of tiles in LR pixels, where there were
    any, and `seam` the largest difference between two of them where they meet, in 8-bit levels. `made` is an index
    into the run's environments.
    """

    image: Name
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: Amount = 0.0
    hr: str = ""
    lr: str = ""
    sr: str = ""
    tile: Count | None = None
    seam: Amount = 0.0
    error: str = ""
    made: Count = 0

    def merged(self, later: Row) -> Row:
        """This row with the scores of a later one; where SR has changed, the later row alone.

        A later failure is noted, and takes no score away that was already made.
        """
        if later.error and not later.scores:
            return replace(self, error=later.error) if self.scores else later
        return replace(later, scores={**self.scores, **later.scores}) if later.sr == self.sr else later


@dataclass(frozen=True)
class Run:
    """One model on one data set at one scale. `metrics` maps each metric to the convention it was taken under.

    `remark` says how it is known which values the model takes, where that had to be found out or was given. `of` is
    how many images the data set has; 0 in runs of versions that did not note it.
    """

    identity: Identity
    metrics: Mapping[str, str]
    rows: tuple[Row, ...]
    environments: tuple[Mapping[str, Any], ...] = ()
    unavailable: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    error: str = ""
    remark: str = ""
    of: int = 0

    @property
    def failures(self) -> list[Row]:
        """The rows of images that failed."""
        return [row for row in self.rows if row.error]

    @property
    def first_error(self) -> str:
        """Why this run failed, as a whole or on its first failed image; empty where it did not."""
        return self.error or next((f"{row.image}: {row.error}" for row in self.rows if row.error), "")

    def with_metrics(self, names: Container[str]) -> Run:
        """This run with some of its metrics only."""
        return replace(
            self,
            metrics={name: convention for name, convention in self.metrics.items() if name in names},
            unavailable={name: reason for name, reason in self.unavailable.items() if name in names},
            rows=tuple(
                replace(row, scores={name: value for name, value in row.scores.items() if name in names})
                for row in self.rows
            ),
        )

    def values(self, metric: str) -> list[float]:
        """The scores of one metric, an image each, in the order of the data set; failed images are left out."""
        return [row.scores[metric] for row in self.rows if metric in row.scores]

    def signature(self, metric: str) -> str:
        """The one-line signature of this run's scores under a metric.

        What came about on the way is in it: `n2of5` where not every image was asked for; `n4of5@1f0c2a`, with a digest
        of the names of the four, where one failed; `tile256` where memory ran out and images were upscaled in tiles;
        and `batch4` where images went through the model together: one that looks at its whole input, or draws random
        numbers, then makes other SR.
        """
        scored = [row for row in self.rows if metric in row.scores]
        tiles = sorted({row.tile for row in scored if row.tile}) if self.identity.tile == "auto" else []
        parts = [f"tile{','.join(map(str, tiles))}"] if tiles else []
        told = (made.get("batch") for made in self.environments)  # not by those that only scored again
        batches = sorted({batch for batch in told if isinstance(batch, int)})
        parts += [f"batch{','.join(map(str, batches))}"] if batches[-1:] > [1] else []
        if scored and self.of > len(scored):
            failed = len(scored) < len(self.rows)
            parts += [f"n{len(scored)}of{self.of}" + f"@{_digest(row.image for row in scored)}" * failed]
        return self.identity.signature(metric, self.metrics[metric], parts)


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:6]


@dataclass(frozen=True)
class SpeedRow:
    """Timing of one model at one input size; times in milliseconds for a whole batch, memory in MiB.

    `energy_j` is the whole GPU's, in joules an image, where NVML counts it. `threads` is how many torch had (0: not
    kept, by an earlier srbench), `other_work` how many processors other programs took meanwhile, where that is known.
    `p95_ms` is None of fewer than 20 repeats. `uncounted` names the operators that `gmacs` lacks, which is a lower
    bound then. `processor` is what the model ran on. `spread` is the distance of the repeats' quartiles, as a part of
    their median; `clock_moved` by what part the device's clock changed meanwhile, and `throttled` whether it was; all
    three None or False where that is not known.
    """

    model: Name
    scale: Scale
    device: str
    precision: str
    backend: str
    width: Side
    height: Side
    batch: Side
    p50_ms: Positive
    p95_ms: Positive | None
    output_mp_per_s: Positive
    peak_memory_mib: Amount | None
    gmacs: Amount | None
    params: Count
    first_ms: Amount = 0.0
    repeats: Count = 0
    energy_j: Amount | None = None
    threads: Count = 0
    other_work: Amount | None = None
    uncounted: tuple[str, ...] = ()
    processor: str = ""
    spread: Amount | None = None
    clock_moved: Amount | None = None
    throttled: bool = False


HOW_TIMED = attrgetter("device", "precision", "backend", "width", "height", "batch", "threads", "processor")
"""What timings of one model differ in, where both are worth keeping."""


@dataclass(frozen=True)
class StudyRow:
    """What people said of one model on one data set: `metric` is `elo` (pairs) or `mos` (opinions).

    `low` and `high` bound the 95 % interval; `images`, `answers` and `raters` say how much it stands on. `weights` is
    the digest of the model that they saw.
    """

    metric: Literal["elo", "mos"]
    dataset: Name
    scale: Scale
    model: Name
    value: Number
    low: Number
    high: Number
    images: Count
    answers: Count
    raters: Count
    weights: str = ""
