"""A baseline: the scores of one state of affairs, in a small JSON file that is kept in version control.

It holds the identity of every run and one line an image: scores rounded to 1e-6, and the digests of HR, LR and SR, by
which a check says where a change began. Runs and images are sorted, so that the same scores give the same bytes. Where
the results were timed it also holds median latencies, and the machine that they were measured on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from srbench.base.documents import SCHEMA, Name, Number, Positive, read_document, refuse_twice, strict
from srbench.base.errors import InputError, UsageError
from srbench.base.temporary import write_file
from srbench.results.documents import refuse_unfit
from srbench.results.records import Identity, Row, Run, RunKey, SpeedRow
from srbench.results.results import Results

DIGITS = 6
DIGESTS = ("hr", "lr", "sr")


class SpeedKey(NamedTuple):
    """What names a timing: the model, how it ran, and on which input."""

    model: str
    scale: int
    device: str
    precision: str
    backend: str
    width: int
    height: int
    batch: int


@dataclass(frozen=True)
class StoredRun:
    """A run in a baseline file: of each image the scores, infinite ones as words, and the digests of `DIGESTS`."""

    identity: Identity
    metrics: Mapping[str, str]
    images: Annotated[Mapping[Name, Mapping[str, Number | str]], Meta(min_length=1)]

    def __post_init__(self) -> None:
        refuse_unfit(self.run.rows, self.metrics, 0)

    @property
    def run(self) -> Run:
        """The run that is stored here, without what a baseline does not keep."""
        return Run(self.identity, self.metrics, tuple(_row(image, values) for image, values in self.images.items()))


@dataclass(frozen=True)
class Document:
    """A baseline file as it is stored."""

    schema: int
    runs: tuple[StoredRun, ...]
    machine: str = ""
    speeds: tuple[tuple[str, int, str, str, str, int, int, int, Positive], ...] = ()

    def __post_init__(self) -> None:
        refuse_twice((stored.identity.key for stored in self.runs), "- at `$.runs`")
        refuse_twice((row[:-1] for row in self.speeds), "- at `$.speeds`")


def _row(image: str, values: Mapping[str, float | str]) -> Row:
    scores = {name: float(value) for name, value in values.items() if name not in DIGESTS}
    if unclear := next((name for name, value in scores.items() if math.isnan(value)), None):
        raise ValueError(f"{unclear} of image {image!r} is not a number")
    hr, lr, sr = (str(values.get(name, "")) for name in DIGESTS)
    return Row(image, scores, hr=hr, lr=lr, sr=sr)


@dataclass(frozen=True)
class Baseline:
    """What a baseline file holds. `speeds` are median latencies in milliseconds, measured on `machine`."""

    runs: Mapping[RunKey, Run]
    speeds: Mapping[SpeedKey, float] = field(default_factory=dict)
    machine: str = ""

    def of_model(self, model: str) -> Baseline:
        """What it holds of one model."""
        runs = {name: run for name, run in self.runs.items() if run.identity.model == model}
        speeds = {key: ms for key, ms in self.speeds.items() if key.model == model}
        return replace(self, runs=runs, speeds=speeds)

    def updated(self, results: Results) -> Baseline:
        """This baseline with the runs of the results in place of its own, and all others kept.

        Timings of another machine than the results' are not: they would pass for this one's.
        """
        other = baseline_of(results)
        kept = self if not other.speeds or other.machine == self.machine else Baseline({})
        speeds = {**kept.speeds, **other.speeds}
        return Baseline({**self.runs, **other.runs}, speeds, other.machine if other.speeds else self.machine)


def baseline_of(results: Results) -> Baseline:
    """The baseline that results make."""
    timed = {speed_key(row): row.p50_ms for row in results.speeds}
    return Baseline({run.identity.key: run for run in results}, timed, machine(results) if timed else "")


def machine(results: Results) -> str:
    """The processor or GPU of the last run, and how many threads it had."""
    last = next((run.environments[-1] for run in results if run.environments), {})
    return ", ".join(
        f"{last[name]}{unit}" for name, unit in (("device_name", ""), ("threads", " threads")) if name in last
    )


def speed_key(row: SpeedRow) -> SpeedKey:
    return SpeedKey(*(getattr(row, name) for name in SpeedKey._fields))


def read_baseline(path: Path) -> Baseline:
    """A baseline file; raises `InputError` for one that is missing, is not a baseline, or holds nothing to compare."""
    if not path.exists():
        raise InputError(f"{path}: no such baseline. Make it from results that you trust: add --update")
    document = read_document(path, Document, "a baseline of srbench", "Take it from version control again")
    if not document.runs:
        raise InputError(f"{path}: holds no runs, so there is nothing to compare with. Make it anew: add --update")
    speeds = {SpeedKey(*row[:-1]): row[-1] for row in document.speeds}
    return Baseline({stored.identity.key: stored.run for stored in document.runs}, speeds, document.machine)


def is_baseline(path: Path) -> bool:
    """Whether a file is a baseline, be it one that holds nothing."""
    try:
        read_document(path, Document, "a baseline of srbench")
    except InputError:
        return False
    return True


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline file.

    Raises `UsageError` where a run failed on an image: such a baseline would hide the failure from then on.
    """
    runs = [run for _, run in sorted(baseline.runs.items())]
    for run in runs:
        if run.error or run.failures or not run.rows:
            what = run.error or (f"{run.failures[0].image}: {run.failures[0].error}" if run.rows else "no scores")
            raise UsageError(
                f"{run.identity.model} on {run.identity.dataset} failed ({what}); a baseline holds only what works. "
                "Mend it, or delete its result file"
            )
    text = ",\n".join(map(_run_text, runs))
    write_file(path, f'{{"schema": {SCHEMA}, "runs": [\n{text}\n]{_speeds_text(baseline)}}}\n')


def _speeds_text(baseline: Baseline) -> str:
    if not baseline.speeds:
        return ""
    rows = ",\n".join(json.dumps([*name, round(ms, 3)]) for name, ms in sorted(baseline.speeds.items()))
    return f',\n"machine": {json.dumps(baseline.machine)},\n"speeds": [\n{rows}\n]'


def _run_text(run: Run) -> str:
    """One run: identity and metrics on a line each, then a line an image."""
    rows = sorted(run.rows, key=lambda row: row.image)
    images = ",\n".join(f"  {json.dumps(row.image)}: {json.dumps(_image(row), allow_nan=False)}" for row in rows)
    identity, metrics = json.dumps(asdict(run.identity)), json.dumps(dict(sorted(run.metrics.items())))
    return f'{{"identity": {identity},\n "metrics": {metrics},\n "images": {{\n{images}\n }}}}'


def _image(row: Row) -> dict[str, Any]:
    scores: dict[str, Any] = strict({name: round(value, DIGITS) for name, value in sorted(row.scores.items())})
    return scores | {name: getattr(row, name) for name in DIGESTS if getattr(row, name)}
