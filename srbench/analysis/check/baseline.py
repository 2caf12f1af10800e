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
from typing import Any

from srbench.base.errors import InputError, UsageError
from srbench.images.files import atomic_file
from srbench.results.records import Identity, Results, Row, Run, SpeedRow

SCHEMA = 1
DIGITS = 6
DIGESTS = ("hr", "lr", "sr")

Key = tuple[str, int, str]
SpeedKey = tuple[str, int, str, str, str, int, int, int]
"""Model, scale, device, precision, backend, width, height and batch of a timing."""


@dataclass(frozen=True)
class Baseline:
    """What a baseline file holds. `speeds` are median latencies in milliseconds, measured on `machine`."""

    runs: Mapping[Key, Run]
    speeds: Mapping[SpeedKey, float] = field(default_factory=dict)
    machine: str = ""

    def of_model(self, model: str) -> Baseline:
        """What it holds of one model."""
        runs = {name: run for name, run in self.runs.items() if run.identity.model == model}
        speeds = {name: ms for name, ms in self.speeds.items() if name[0] == model}
        return replace(self, runs=runs, speeds=speeds)

    def updated(self, results: Results) -> Baseline:
        """This baseline with the runs of the results in place of its own, and all others kept."""
        other = baseline_of(results)
        return Baseline({**self.runs, **other.runs}, {**self.speeds, **other.speeds}, other.machine or self.machine)


def key(run: Run) -> Key:
    """What names a run in a baseline: data set, scale, model."""
    return run.identity.dataset, run.identity.scale, run.identity.model


def baseline_of(results: Results) -> Baseline:
    """The baseline that results make."""
    timed = {_speed_key(row): row.p50_ms for row in results.speeds}
    return Baseline({key(run): run for run in results}, timed, machine(results) if timed else "")


def machine(results: Results) -> str:
    """The processor or GPU of the last run, and how many threads it had."""
    last = next((run.environments[-1] for run in results if run.environments), {})
    return ", ".join(
        f"{last[name]}{unit}" for name, unit in (("device_name", ""), ("threads", " threads")) if name in last
    )


def _speed_key(row: SpeedRow) -> SpeedKey:
    return row.model, row.scale, row.device, row.precision, row.backend, row.width, row.height, row.batch


def read_baseline(path: Path) -> Baseline:
    """A baseline file; raises `InputError` for one that is missing or is not a baseline."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise InputError(f"{path}: baseline of schema {document['schema']}, expected {SCHEMA}. Upgrade srbench")
        runs = [_run(item) for item in document["runs"]]
        speeds = {_as_speed_key(name): float(ms) for *name, ms in document.get("speeds", [])}
    except FileNotFoundError:
        raise InputError(f"{path}: no such baseline. Make it from results that you trust: add --update") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a baseline of srbench ({type(error).__name__}: {error})") from error
    return Baseline({key(run): run for run in runs}, speeds, document.get("machine", ""))


def _as_speed_key(values: list[Any]) -> SpeedKey:
    model, scale, device, precision, backend, width, height, batch = values
    return model, scale, device, precision, backend, width, height, batch


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write a baseline file.

    Raises `UsageError` where a run failed on an image: such a baseline would hide the failure from then on.
    """
    runs = sorted(baseline.runs.values(), key=key)
    for run in runs:
        if run.error or run.failures or not run.rows:
            what = run.error or (f"{run.failures[0].image}: {run.failures[0].error}" if run.rows else "no scores")
            raise UsageError(
                f"{run.identity.model} on {run.identity.dataset} failed ({what}); a baseline holds only what works. "
                "Mend it, or delete its result file"
            )
    text = ",\n".join(map(_run_text, runs))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(f'{{"schema": {SCHEMA}, "runs": [\n{text}\n]{_speeds_text(baseline)}}}\n'.encode())


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
    scores = {name: _rounded(value) for name, value in sorted(row.scores.items())}
    return scores | {name: getattr(row, name) for name in DIGESTS if getattr(row, name)}


def _rounded(value: float) -> float | str:
    return round(value, DIGITS) if math.isfinite(value) else str(value)


def _run(item: Mapping[str, Any]) -> Run:
    rows = [_row(image, values) for image, values in item["images"].items()]
    return Run(Identity(**item["identity"]), item["metrics"], tuple(rows))


def _row(image: str, values: Mapping[str, Any]) -> Row:
    scores = {name: float(value) for name, value in values.items() if name not in DIGESTS}
    return replace(Row(image, scores), **{name: values[name] for name in DIGESTS if name in values})
