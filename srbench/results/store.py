"""Results on disk: `<out>/<dataset>/x<scale>/<model>.json`, so that a path is a key and a second run sees what is done.

While a run is under way its rows go, one line each, to `<model>.journal` beside it; finishing merges them into the
JSON file, which is replaced in one step. A kill loses at most the row being written: a torn last line is cut off
when the journal is next opened. A lock keeps two processes from writing one run.

Processes that share a run out write a journal each (`srbench.results.journals`); whoever finishes the run merges them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

from srbench.base.errors import InputError
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.images.files import atomic_file
from srbench.results.journals import add_rows, journal_path, journal_paths, locked, read_journal, with_journals
from srbench.results.records import (
    Identity,
    Results,
    Row,
    Run,
    SpeedRow,
    StudyRow,
    refuse_differences,
    row_to_json,
    run_from_json,
    run_to_json,
)


def saved_image(run: Path, id: str) -> Path:
    """Where the SR image of a run is kept: in a folder beside the run's file, named as the model."""
    return run.with_suffix("") / f"{id}.png"


SPEED_FOLDER = "_speed"
STUDY_FOLDER = "_study"


def run_path(out: Path, identity: Identity) -> Path:
    return out / identity.dataset / f"x{identity.scale}" / f"{identity.model}.json"


def read_run(path: Path) -> Run | None:
    """The run at a path, with the rows of unfinished journals; None where there is neither."""
    return _read(path, journal_paths(path))


def _read(path: Path, journals: Iterable[Path]) -> Run | None:
    return with_journals(_read_document(path), journals)


def discard(path: Path) -> None:
    """Remove a run and its journals, to do it again. Raises `UsageError` where another process is writing it."""
    with ExitStack() as locks:
        for journal in journal_paths(path):
            locks.enter_context(locked(journal))
        for file in (*journal_paths(path), path):
            file.unlink(missing_ok=True)


class RunWriter(AbstractContextManager["RunWriter"]):
    """Appends rows to one run; use as a context manager, which holds the lock.

    `shard` is the rank of a process that writes its share of the run, in a journal of its own, beside others; None is
    a process alone, which may finish the run, and takes in whatever journals others have left.

    Entering raises `IncomparableError` where the path already holds a run of another identity, and `UsageError`
    where another process is writing it.
    """

    def __init__(self, path: Path, run: Run, *, force: bool = False, shard: int | None = None) -> None:
        self.path = path
        self.journal = journal_path(path, shard)
        self._shard = shard
        self._wanted = run
        self._force = force

    @property
    def run(self) -> Run:
        """The run as it stands."""
        return replace(self._run, rows=tuple(self._rows.values()))

    def __enter__(self) -> RunWriter:
        if self._force:
            discard(self.path)
        self._journals = journal_paths(self.path) if self._shard is None else [self.journal]
        with ExitStack() as locks:
            for journal in self._journals:
                locks.enter_context(locked(journal))
            self._begin()
            self._locks = locks.pop_all()
        return self

    def _begin(self) -> None:
        before = _read(self.path, self._journals)
        if before is not None:
            refuse_differences(
                before.identity, self._wanted.identity, remedy=f"Give another --out, or --force to redo {self.path}"
            )
        self._run = _continued(before, self._wanted)
        self._rows = {row.image: row for row in self._run.rows}
        self._made = len(self._run.environments) - 1
        self._file = self._open_journal()

    def _open_journal(self) -> IO[str]:
        """Start the journal anew with what it already held: this drops a torn last line."""
        _, rows = read_journal(self.journal)
        header = {**run_to_json(replace(self._run, rows=())), "images": []}
        with atomic_file(self.journal) as file:
            for line in (header, *map(row_to_json, rows)):
                file.write((json.dumps(line) + "\n").encode())
        return self.journal.open("a", encoding="utf-8")

    def append(self, row: Row) -> None:
        """Write one row; once this returns, a killed process no longer loses it."""
        row = replace(row, made=self._made)
        self._file.write(json.dumps(row_to_json(row)) + "\n")
        self._file.flush()
        add_rows(self._rows, [row])

    def finish(self, order: Sequence[str], error: str = "") -> Run:
        """Merge everything into the JSON file, in the data set's order, and drop the journals.

        Of a share nothing is merged yet: that is for the process that finishes the whole.
        """
        self._run = replace(self._run, error=error)
        if self._shard is not None:
            return self.run
        place = {image: index for index, image in enumerate(order)}
        self._rows = dict(sorted(self._rows.items(), key=lambda item: place.get(item[0], len(place))))
        write_json(self.path, run_to_json(self.run))
        for journal in self._journals:
            journal.unlink(missing_ok=True)
        return self.run

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._locks.close()


def _continued(before: Run | None, wanted: Run) -> Run:
    """The run to go on with: what was there, the metrics now wanted, and this environment at the end."""
    if before is None:
        return wanted
    return replace(
        wanted,
        rows=before.rows,
        metrics={**before.metrics, **wanted.metrics},
        environments=(*before.environments, *wanted.environments),
        unavailable={name: why for name, why in wanted.unavailable.items() if name not in before.metrics},
    )


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document in one step, one list item a line, so that diffs are readable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lists = {key: value for key, value in document.items() if isinstance(value, list)}
    text = json.dumps({**document, **{key: f"<{key}>" for key in lists}}, indent=1, allow_nan=False)
    for key, items in lists.items():
        lines = ",\n  ".join(json.dumps(item, allow_nan=False) for item in items)
        text = text.replace(f'"<{key}>"', f"[\n  {lines}\n ]" if items else "[]")
    with atomic_file(path) as file:
        file.write(text.encode() + b"\n")


def write_speeds(out: Path, weights: str, rows: Sequence[SpeedRow]) -> None:
    """Keep the timings of one model at one scale, replacing earlier ones; `weights` is the sha256 of its weights."""
    document = {"schema": 1, "weights": weights, "speeds": [asdict(row) for row in rows]}
    write_json(_speed_path(out, rows[0].model, rows[0].scale), document)


def timed_already(out: Path, identity: Identity, device: str) -> bool:
    """Whether the timings kept are of these weights, on this kind of device, in this precision and backend."""
    path = _speed_path(out, identity.model, identity.scale)
    if not path.is_file():
        return False
    document = _load_json(path)
    wanted = (identity.weights, _kind(device), identity.precision, identity.backend)
    weights, rows = document["weights"], document["speeds"]
    return all((weights, _kind(row["device"]), row["precision"], row["backend"]) == wanted for row in rows)


def _kind(device: str) -> str:
    """`cuda` of `cuda:1`."""
    return device.partition(":")[0]


def read_speeds(out: Path) -> list[SpeedRow]:
    paths = sorted((out / SPEED_FOLDER).glob("x*/*.json"))
    return [SpeedRow(**row) for path in paths for row in _load_json(path)["speeds"]]


def _speed_path(out: Path, model: str, scale: int) -> Path:
    return out / SPEED_FOLDER / f"x{scale}" / f"{model}.json"


def write_study(out: Path, rows: Sequence[StudyRow]) -> Path:
    """Keep what people said, beside the runs it is about; it replaces an earlier study of the same kind."""
    path = out / STUDY_FOLDER / f"{rows[0].metric}.json"
    scores = [{name: _jsonable(value) for name, value in asdict(row).items()} for row in rows]
    write_json(path, {"schema": 1, "scores": scores})
    return path


def read_studies(out: Path) -> list[StudyRow]:
    paths = sorted((out / STUDY_FOLDER).glob("*.json"))
    rows = [row for path in paths for row in _load_json(path)["scores"]]
    return [StudyRow(**{**row, **{name: float(row[name]) for name in ("value", "low", "high")}}) for row in rows]


def _jsonable(value: Any) -> Any:
    """A value as JSON holds it: what is not finite, such as the ends of an unbounded interval, as a string."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def load_results(folder: Path | str) -> Results:
    """Everything in a results folder, unfinished runs included.

    Raises `InputError` for a folder without results, or with a file that is not one.
    """
    folder = Path(folder)
    homes = [home for home in folder.glob("*/x*/") if home.parent.name != SPEED_FOLDER]
    runs = [run for home in sorted(homes, key=_usual_order) for run in read_folder(home)]
    if not runs:
        raise InputError(f"{folder}: no results in it. Make some: srbench run --out {folder}")
    return Results(tuple(runs), tuple(read_speeds(folder)), folder, tuple(read_studies(folder)))


def _usual_order(home: Path) -> tuple[int, str, str]:
    """Set5 before Set14, as papers have it, then other sets by name."""
    names = list(STANDARD_SETS)
    dataset = home.parent.name
    return names.index(dataset) if dataset in names else len(names), dataset, home.name


def read_folder(home: Path) -> list[Run]:
    """The runs of one data set and scale, finished or not."""
    paths = {
        path.with_suffix(".json") for suffix in ("json", "journal", "journal-*") for path in home.glob(f"*.{suffix}")
    }
    return [run for path in sorted(paths) if (run := read_run(path)) is not None]


def _read_document(path: Path) -> Run | None:
    return _parsed(path, _load_json(path)) if path.is_file() else None


def _load_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not a result of srbench ({error}). Delete it to make it again") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: not a result of srbench. Delete it to make it again")
    return document


def _parsed(path: Path, document: dict[str, Any]) -> Run:
    try:
        return run_from_json(document)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a result of srbench ({type(error).__name__}: {error})") from error
