"""A baseline: the scores of one state of affairs, in a small JSON file that is kept in version control.

It holds the identity of every run and one line an image: scores rounded to 1e-6, and the digests of HR, LR and SR, by
which a check says where a change began. Runs and images are sorted, so that the same scores give the same bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from srbench.errors import InputError, UsageError
from srbench.images import atomic_file
from srbench.results import Identity, Row, Run

SCHEMA = 1
DIGITS = 6
DIGESTS = ("hr", "lr", "sr")

Key = tuple[str, int, str]


def key(run: Run) -> Key:
    """What names a run in a baseline: data set, scale, model."""
    return run.identity.dataset, run.identity.scale, run.identity.model


def read_baseline(path: Path) -> dict[Key, Run]:
    """The runs of a baseline file; raises `InputError` for a file that is missing or is not a baseline."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise InputError(f"{path}: baseline of schema {document['schema']}, expected {SCHEMA}. Upgrade srbench")
        runs = [_run(item) for item in document["runs"]]
    except FileNotFoundError:
        raise InputError(f"{path}: no such baseline. Make it from results that you trust: add --update") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a baseline of srbench ({type(error).__name__}: {error})") from error
    return {key(run): run for run in runs}


def write_baseline(path: Path, runs: Iterable[Run]) -> None:
    """Write the runs as a baseline file.

    Raises `UsageError` where a run failed on an image: such a baseline would hide the failure from then on.
    """
    runs = sorted(runs, key=key)
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
        file.write(f'{{"schema": {SCHEMA}, "runs": [\n{text}\n]}}\n'.encode())


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
