"""Journals: what a run has scored while it is under way, one line a row, and how several of them make one.

A process alone, and rank 0 of several, writes `<model>.journal`; rank 3 writes `<model>.journal-3`. To whoever reads
they count as one.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from srbench.base.documents import parse, read_bytes
from srbench.base.errors import IncomparableError, InputError
from srbench.base.lock import held
from srbench.base.text import is_whole
from srbench.results.documents import RunDocument, StoredRow, refuse_unfit
from srbench.results.records import Row, Run, refuse_other_conventions

REMEDY = "Delete it to score its images again, or give --force"


def journal_path(path: Path, shard: int | None = None) -> Path:
    """The journal of the run at `path` that a process writes; `shard` is its rank among several."""
    return path.with_suffix(f".journal-{shard}" if shard else ".journal")


def journal_paths(path: Path) -> list[Path]:
    """The journals beside a run, that of rank 0 or of a process alone first."""
    own = journal_path(path)
    shards = own.parent.glob(f"{glob.escape(own.name)}-*")
    ranks = {int(rank): shard for shard in shards if is_whole(rank := shard.name.rpartition("-")[2])}
    return [own, *(ranks[rank] for rank in sorted(ranks))]


def locked(journal: Path) -> AbstractContextManager[None]:
    """Hold the lock of a journal: `<model>.lock`, or `<model>.lock-3`. Raises `UsageError` where another has it."""
    path = journal.with_suffix(journal.suffix.replace(".journal", ".lock"))
    run = journal.with_suffix(".json")
    return held(path, f"{run}: another srbench is writing this run. Wait for it, or give another --out")


def read_journal(path: Path) -> tuple[Run | None, list[Row]]:
    """The run that a journal began, without rows, and its rows, up to the line that a kill has torn.

    None where there is no header. Raises `InputError` naming the line that is damaged otherwise.
    """
    lines = read_bytes(path).split(b"\n")[:-1] if path.exists() else []  # what follows the last newline is torn
    if not lines:
        return None, []
    started = parse(lines[0], RunDocument, f"{path}: not a journal of srbench", REMEDY).run
    rows = [
        parse(line, StoredRow, f"{path}: not a journal of srbench: line {number}", REMEDY).row
        for number, line in enumerate(lines[1:], start=2)
    ]
    try:
        refuse_unfit(rows, started.metrics, len(started.environments))
    except ValueError as error:
        raise InputError(f"{path}: not a journal of srbench ({error}). {REMEDY}") from None
    return started, rows


def with_journals(run: Run | None, journals: Iterable[Path]) -> Run | None:
    """A run, if there is one yet, with what journals add to it; None where there is nothing at all."""
    rows = {row.image: row for row in run.rows} if run else {}
    for journal in journals:
        started, found = read_journal(journal)
        if started is None:
            continue
        if run is not None:
            try:
                refuse_other_conventions(replace(run, rows=tuple(rows.values())), started.metrics, REMEDY)
            except IncomparableError as error:  # of this file alone: others of the folder are read
                raise InputError(f"{journal}: {error}") from None
        environments, places = _joined(run.environments if run else (), started.environments)
        metrics = {**(run.metrics if run else {}), **started.metrics}
        run = replace(run or started, metrics=metrics, environments=environments)
        refuse_contradictions(journal, rows, found)
        add_rows(rows, (replace(row, made=places[row.made] if places else 0) for row in found))
        if run.of and len(rows) > run.of:
            raise InputError(f"{journal}: makes {len(rows)} images of the {run.of} of the set. {REMEDY}")
    return replace(run, rows=tuple(rows.values())) if run else None


Environment = Mapping[str, Any]


def _joined(
    ours: tuple[Environment, ...], theirs: tuple[Environment, ...]
) -> tuple[tuple[Environment, ...], list[int]]:
    """Environments of two journals as one list, and where in it each of `theirs` is.

    What they have in common from the start is their history. After it, those of processes that ran side by side are one
    environment if they differ in nothing but the second of their start and the number of their GPU.
    """
    common = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))))
    joined, places = list(ours), list(range(common))
    for environment in theirs[common:]:
        alike = [i for i in range(common, len(ours)) if _essence(joined[i]) == _essence(environment)]
        places.append(alike[-1] if alike else len(joined))
        joined += [] if alike else [environment]
    return tuple(joined), places


def _essence(environment: Environment) -> Environment:
    return {name: value for name, value in environment.items() if name not in ("time", "device")}


def refuse_contradictions(journal: Path, before: Mapping[str, Row], found: Iterable[Row]) -> None:
    """Raise `InputError` where a journal has another score of an image than was there, beyond rounding."""
    seen = {image: dict(row.scores) for image, row in before.items()}
    for row in found:
        here = seen.setdefault(row.image, {})
        for metric, score in row.scores.items():
            if not math.isclose(here.setdefault(metric, score), score, rel_tol=1e-3, abs_tol=1e-3):
                told = f"{metric} of {row.image!r} is {score:g}, and {here[metric]:g} before"
                raise InputError(f"{journal}: {told}. {REMEDY}")


def add_rows(rows: dict[str, Row], later: Iterable[Row]) -> None:
    """Rows by image, with later ones, which add to or replace those that are there; the order is that first met."""
    for row in later:
        rows[row.image] = rows[row.image].merged(row) if row.image in rows else row
