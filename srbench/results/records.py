"""A run and what it says: identity, environment, one row of scores an image, signatures, frames.

History of the file format:
1   the first: identity, environments, metrics, unavailable, images
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from html import escape
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from srbench.base.errors import IncomparableError, InputError
from srbench.metrics.conventions import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

SCHEMA = 1


@dataclass(frozen=True)
class Identity:
    """Everything that a score depends on.

    `weights` and `fingerprint` are sha256 (hex), empty where there are none. `values` are those that the network takes
    where they are not RGB in [0, 1], as `0..255 bgr`. `unverified` says that the data set bears
    the name of a standard one and is not known to be it.
    """

    model: str
    weights: str
    dataset: str
    fingerprint: str
    scale: int
    degradation: str
    precision: str = "fp32"
    backend: str = "eager"
    tile: str = "auto"
    self_ensemble: bool = False
    seed: int = 0
    unverified: bool = False
    values: str = ""
    version: str = VERSION

    def signature(self, metric: str, convention: str, parts: Sequence[str] = ()) -> str:
        """One line that a paper can quote; what is usual (no tiling, no ensemble, seed 0) is left out.

        `convention` is as `Run.metrics` has it, with the metric's variant after a plus; `parts` are added at the end.
        """
        convention, _, variant = convention.partition("+")
        weights = f"@{self.weights[:6]}" if self.weights else ""
        weights += f"({self.values.replace(' ', ',')})" if self.values else ""
        line = [
            f"srbench:{self.version}",
            metric.partition("@")[0] + (f"({variant})" if variant else ""),
            f"conv:{convention}",
            f"x{self.scale}",
            f"lr:{self.degradation}",
            f"set:{self.dataset}@{self.fingerprint[:6]}{'!unverified' * self.unverified}",
            f"model:{self.model}{weights}",
            self.precision,
            self.backend,
        ]
        line += [f"tile{self.tile}"] * (self.tile not in ("auto", "none"))
        line += ["ensemble:8"] * self.self_ensemble + [f"seed:{self.seed}"] * (self.seed != 0)
        return "|".join([*line, *parts])


OWN = ("model", "weights", "values")
"""The fields in which comparable runs of one data set and scale may differ."""


def refuse_differences(one: Identity, other: Identity, ignoring: Iterable[str] = (), remedy: str = "") -> None:
    """Raise `IncomparableError` naming the first field in which two identities differ, leaving out `ignoring`."""
    for field_ in fields(Identity):
        a, b = getattr(one, field_.name), getattr(other, field_.name)
        if field_.name not in ignoring and a != b:
            raise IncomparableError(
                f"{one.dataset} x{one.scale}: {field_.name} is {_short(a)} in the results of {one.model}, but "
                f"{_short(b)} for {other.model} now; these do not compare. {remedy}".rstrip()
            )


def _short(value: object) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) == 64 else text


@dataclass(frozen=True)
class Row:
    """One image's scores, or the error that took their place.

    `seconds` is the upscaler's time, the first image's included: an indication, not a benchmark. `hr`, `lr` and `sr`
    are the first 16 hex digits of the sha256 of the pixels. `tile` is the size of tiles in LR pixels, where there were
    any, and `seam` the largest difference between two of them where they meet, in 8-bit levels. `made` is an index
    into the run's environments.
    """

    image: str
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    hr: str = ""
    lr: str = ""
    sr: str = ""
    tile: int | None = None
    seam: float = 0.0
    error: str = ""
    made: int = 0

    def merged(self, later: Row) -> Row:
        """This row with the scores of a later one; where SR has changed, the later row alone.

        A later failure is noted, and takes no score away that was already made.
        """
        if later.error:
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

        What came about on the way is in it: `n2of5` where not every image has a score, and `tile256` where memory ran
        out and images were upscaled in tiles.
        """
        scored = [row for row in self.rows if metric in row.scores]
        tiles = sorted({row.tile for row in scored if row.tile}) if self.identity.tile == "auto" else []
        parts = [f"tile{','.join(map(str, tiles))}"] if tiles else []
        parts += [f"n{len(scored)}of{self.of}"] if scored and self.of > len(scored) else []
        return self.identity.signature(metric, self.metrics[metric], parts)


@dataclass(frozen=True)
class SpeedRow:
    """Timing of one model at one input size; times in milliseconds for a whole batch, memory in MiB.

    `energy_j` is the whole GPU's, in joules an image, where NVML counts it. `p95_ms` is None of fewer than 20 repeats.
    `uncounted` names the operators that `gmacs` lacks, which is a lower bound then. `processor` and `threads` are what
    the model ran on; no threads are told of a GPU.
    """

    model: str
    scale: int
    device: str
    precision: str
    backend: str
    width: int
    height: int
    batch: int
    p50_ms: float
    p95_ms: float | None
    output_mp_per_s: float
    peak_memory_mib: float | None
    gmacs: float | None
    params: int
    first_ms: float = 0.0
    repeats: int = 0
    energy_j: float | None = None
    uncounted: Sequence[str] = ()
    processor: str = ""
    threads: int = 0


@dataclass(frozen=True)
class StudyRow:
    """What people said of one model on one data set: `metric` is `elo` (pairs) or `mos` (opinions).

    `low` and `high` bound the 95 % interval; `images`, `answers` and `raters` say how much it stands on. `weights` is
    the digest of the model that they saw.
    """

    metric: str
    dataset: str
    scale: int
    model: str
    value: float
    low: float
    high: float
    images: int
    answers: int
    raters: int
    weights: str = ""


@dataclass(frozen=True, repr=False)
class Results:
    """Every run, timing and rating of a results folder: what reports, checks and comparisons read.

    `folder` is where they were read from, and where saved SR images lie; None for results made in memory.
    """

    runs: tuple[Run, ...]
    speeds: tuple[SpeedRow, ...] = ()
    folder: Path | None = None
    studies: tuple[StudyRow, ...] = ()

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __repr__(self) -> str:
        """One line on what there is, and the means as a table; reports say more, see `srbench report`."""
        return "\n".join([self._headline(), *([self._means().to_string(index=False)] if self._scored() else [])])

    def _repr_html_(self) -> str:
        """What notebooks show: the same, every text in it escaped."""
        return f"<p>{escape(self._headline())}</p>{self._means().to_html(index=False) if self._scored() else ''}"

    def _headline(self) -> str:
        """`<Results: 2 models on 1 data set, 12 images scored, 1 failure>`"""
        failures = sum(len(run.failures) + bool(run.error) for run in self.runs)
        datasets = {run.identity.dataset for run in self.runs}
        parts = [
            f"{_count(len(self.models), 'model')} on {_count(len(datasets), 'data set')}",
            f"{_count(self._scored(), 'image')} scored",
            *([_count(failures, "failure")] if failures else []),
            *([f"in {self.folder}"] if self.folder else []),
        ]
        return f"<Results: {', '.join(parts)}>"

    def _scored(self) -> int:
        return sum(len(run.rows) - len(run.failures) for run in self.runs)

    def _means(self) -> pd.DataFrame:
        """A row a run: data set, scale, model, the mean of each metric, how many images."""
        import pandas as pd

        def mean(values: Sequence[float]) -> float:
            return fmean(values) if values else math.nan

        return pd.DataFrame(
            {
                **{name: getattr(run.identity, name) for name in ("dataset", "scale", "model")},
                **{metric: round(mean(run.values(metric)), 4) for metric in self.metrics},
                "images": len(run.rows),
            }
            for run in self.runs
        )

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every metric of any run, in the order first met."""
        names = [name for run in self.runs for name in (*run.metrics, *run.unavailable)]
        return tuple(dict.fromkeys(names))

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Every model, in the order first met: those without weights first, then by name."""
        ordered = sorted(self.runs, key=lambda run: (bool(run.identity.weights), run.identity.model))
        return tuple(dict.fromkeys(run.identity.model for run in ordered))

    def only(self, identities: Iterable[Identity]) -> Results:
        """The runs of these identities, and the timings of their models."""
        wanted = set(identities)
        models = {(identity.model, identity.scale) for identity in wanted}
        return replace(
            self,
            runs=tuple(run for run in self.runs if run.identity in wanted),
            speeds=tuple(row for row in self.speeds if (row.model, row.scale) in models),
            studies=tuple(row for row in self.studies if (row.model, row.scale) in models),
        )

    def with_metrics(self, names: Iterable[str]) -> Results:
        """These results with some of their metrics only."""
        wanted = set(names)
        return replace(
            self,
            runs=tuple(run.with_metrics(wanted) for run in self.runs),
            studies=tuple(row for row in self.studies if row.metric in wanted),
        )

    def frame(self) -> pd.DataFrame:
        """Columns `dataset, scale, model, image, metric, value`: one row a score; infinite scores stay infinite."""
        import pandas as pd

        rows = [
            (run.identity.dataset, run.identity.scale, run.identity.model, row.image, metric, value)
            for run in self.runs
            for row in run.rows
            for metric, value in row.scores.items()
        ]
        return pd.DataFrame(rows, columns=["dataset", "scale", "model", "image", "metric", "value"])

    def speed_frame(self) -> pd.DataFrame:
        """One row a timing, with the columns of the contract's `speed.csv` first."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.speeds], columns=[item.name for item in fields(SpeedRow)])

    def refuse_mixtures(self) -> None:
        """Raise `IncomparableError` where runs of one data set and scale differ in more than the model."""
        first: dict[tuple[str, int], Run] = {}
        for run in self.runs:
            key = (run.identity.dataset, run.identity.scale)
            refuse_differences(first.setdefault(key, run).identity, run.identity, OWN, "Keep them in separate folders.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def run_to_json(run: Run) -> dict[str, Any]:
    """The document that the store writes; infinities become the string "Infinity", which JSON lacks."""
    return {
        "schema": SCHEMA,
        "identity": asdict(run.identity),
        "source": run.source,
        "metrics": dict(run.metrics),
        "signatures": {metric: run.signature(metric) for metric in run.metrics},
        "unavailable": dict(run.unavailable),
        "error": run.error,
        **({"remark": run.remark} if run.remark else {}),
        **({"of": run.of} if run.of else {}),
        "environments": list(run.environments),
        "images": [row_to_json(row) for row in run.rows],
    }


def run_from_json(document: Mapping[str, Any]) -> Run:
    """The run behind a document; raises `InputError` for a schema that this version does not know."""
    if document.get("schema") != SCHEMA:
        raise InputError(f"schema {document.get('schema')!r}; this srbench reads schema {SCHEMA}. Upgrade srbench")
    return Run(
        identity=Identity(**document["identity"]),
        metrics=document["metrics"],
        rows=tuple(row_from_json(row) for row in document["images"]),
        environments=tuple(document["environments"]),
        unavailable=document["unavailable"],
        source=document["source"],
        error=document["error"],
        remark=document.get("remark", ""),
        of=document.get("of", 0),
    )


def row_to_json(row: Row) -> dict[str, Any]:
    """A row without its empty fields."""
    document = {key: value for key, value in asdict(row).items() if value not in ("", None, 0)}
    document["scores"] = {name: value if math.isfinite(value) else str(value) for name, value in row.scores.items()}
    return document


def row_from_json(document: Mapping[str, Any]) -> Row:
    return Row(**{**document, "scores": {name: float(value) for name, value in document["scores"].items()}})


class Report(Protocol):
    """What an entry point of the group `srbench.reports` yields."""

    def __call__(self, results: Results, out: Path, /) -> list[Path]:
        """Write the report into the folder `out` and return the files written."""
