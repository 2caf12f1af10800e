"""The files of a results folder, as they are stored: the schemas that they are held to, and runs out of and into them.

History of the file format:
1   the first: identity, environments, metrics, unavailable, images
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

from srbench.base.documents import SCHEMA, Count, Number, refuse_twice, strict
from srbench.results.records import HOW_TIMED, Identity, Row, Run, SpeedRow, StudyRow


@dataclass(frozen=True)
class StoredRow(Row):
    """A row whose infinite scores are words, since JSON has no infinity."""

    scores: Mapping[str, Number | Literal["inf", "-inf"]] = field(default_factory=dict)  # type: ignore[assignment]

    @property
    def row(self) -> Row:
        """The row, infinite scores as numbers."""
        return Row(**{**vars(self), "scores": {name: float(value) for name, value in self.scores.items()}})


Unbounded = Number | Literal["inf", "-inf", "nan"]


@dataclass(frozen=True)
class StoredStudyRow(StudyRow):
    """A row whose interval is open where nothing bounds it, in words as above."""

    value: Unbounded  # type: ignore[assignment]
    low: Unbounded  # type: ignore[assignment]
    high: Unbounded  # type: ignore[assignment]

    @property
    def row(self) -> StudyRow:
        """The row, open ends as numbers."""
        return StudyRow(**{**vars(self), **{name: float(getattr(self, name)) for name in ("value", "low", "high")}})


@dataclass(frozen=True)
class RunDocument:
    """One run: `<out>/<dataset>/x<scale>/<model>.json`, and without images the first line of its journals."""

    schema: int
    identity: Identity
    source: str
    metrics: Mapping[str, str]
    unavailable: Mapping[str, str]
    error: str
    environments: tuple[Mapping[str, Any], ...]
    images: tuple[StoredRow, ...]
    signatures: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    of: Count = 0

    def __post_init__(self) -> None:
        refuse_unfit(self.images, self.metrics, len(self.environments))
        refuse_twice((row.image for row in self.images), "- at `$.images`")
        if self.of and len(self.images) > self.of:
            raise ValueError(f"Expected at most {self.of} images, as `$.of` says, got {len(self.images)}")
        for index, environment in enumerate(self.environments):
            versions = environment.get("versions", {})
            if not isinstance(versions, dict) or not all(isinstance(version, str) for version in versions.values()):
                raise ValueError(f"Expected the versions of packages - at `$.environments[{index}].versions`")

    @property
    def run(self) -> Run:
        """The run that is stored here; its signatures are made anew."""
        return Run(
            identity=self.identity,
            metrics=self.metrics,
            rows=tuple(row.row for row in self.images),
            environments=self.environments,
            unavailable=self.unavailable,
            source=self.source,
            error=self.error,
            remark=self.remark,
            of=self.of,
        )


def refuse_unfit(rows: Iterable[Row], metrics: Mapping[str, str], environments: int) -> None:
    """Raise `ValueError` for a row with a score under no known convention, or made in no known environment."""
    for row in rows:
        if unstated := next((name for name in row.scores if name not in metrics), None):
            raise ValueError(
                f"image {row.image!r} has a score {unstated!r}, whose convention `$.metrics` does not name"
            )
        if row.made >= max(environments, 1):
            raise ValueError(f"image {row.image!r} was made in environment {row.made} of {environments}")


@dataclass(frozen=True)
class SpeedDocument:
    """The timings of one model at one scale: `<out>/_speed/x<scale>/<model>.json`."""

    schema: int
    weights: str
    speeds: Annotated[tuple[SpeedRow, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        refuse_twice(map(HOW_TIMED, self.speeds), "- at `$.speeds`")


@dataclass(frozen=True)
class StudyDocument:
    """What people said of models: `<out>/_study/<metric>.json`."""

    schema: int
    scores: Annotated[tuple[StoredStudyRow, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        rated = ((row.metric, row.dataset, row.scale, row.model) for row in self.scores)
        refuse_twice(rated, "- at `$.scores`")


def run_to_json(run: Run) -> dict[str, Any]:
    """The document that the store writes, in the order in which its fields are read; see `RunDocument`."""
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


def row_to_json(row: Row) -> dict[str, Any]:
    """A row without its empty fields; what is not finite as a word."""
    document = {key: value for key, value in vars(row).items() if value not in ("", None, 0)}
    return document | {"scores": strict(dict(row.scores))}  # the only field that may be infinite
