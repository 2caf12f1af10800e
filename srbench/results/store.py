"""Results on disk: `<out>/<dataset>/x<scale>/<model>.json`, so that a path is a key and a second run sees what is done.

While a run is under way its rows go, one line each, to `<model>.journal` beside it; finishing merges them into the
JSON file, which is replaced in one step. A kill loses at most the row being written: a torn last line is cut off
when the journal is next opened. A lock keeps two processes from writing one run.

Processes that share a run out write a journal each (`srbench.results.journals`); whoever finishes the run merges them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar

from srbench.base.documents import SCHEMA, is_name, parse, read_bytes, read_document, strict
from srbench.base.errors import InputError
from srbench.base.temporary import write_file
from srbench.datasets.standard.table import papers_order
from srbench.results import environment
from srbench.results.documents import RunDocument, SpeedDocument, StudyDocument, row_to_json, run_to_json
from srbench.results.journals import add_rows, journal_path, journal_paths, locked, read_journal, with_journals
from srbench.results.records import (
    HOW_TIMED,
    Identity,
    Row,
    Run,
    SpeedRow,
    StudyRow,
    refuse_differences,
    refuse_other_conventions,
)
from srbench.results.results import Results

SPEED_FOLDER = "_speed"
STUDY_FOLDER = "_study"
LONGEST = 255 - len(".journal-9999")
"""Bytes of a model's name: files take 255, and journals append most to it."""

REMEDY = "Delete it, or give --force, to make it again"


OF_ANOTHER = re.compile(r"\.(json|(journal|lock)(-\d+)?)$")
"""How files of a run end: the folder of images of a model that is called `b.json` would be the result of `b`."""


def run_path(out: Path, identity: Identity) -> Path:
    """Where a run is kept; raises `InputError` for a model or data set whose name cannot be a file's."""
    if identity.dataset in (SPEED_FOLDER, STUDY_FOLDER):
        raise InputError(f"a data set cannot be called {identity.dataset}: results are kept there. Rename its folder")
    if (size := len(os.fsencode(identity.model))) > LONGEST:
        remedy = f"Give it a shorter one: --models NAME={identity.model[:20]}…"
        raise InputError(f"the model's name has {size} bytes, and files of results take {LONGEST}. {remedy}")
    if OF_ANOTHER.search(identity.model):
        remedy = f"--models NAME={identity.model}"
        raise InputError(
            f"{identity.model!r} is no name for a model: another's files are called so. Give it one: {remedy}"
        )
    return out / _name(identity.dataset) / f"x{identity.scale}" / f"{_name(identity.model)}.json"


def saved_image(run: Path, id: str) -> Path:
    """Where the SR image of a run is kept: in a folder beside the run's file, named as the model."""
    return run.with_suffix("") / f"{_name(id)}.png"


def _name(text: str) -> str:
    """A name that goes into a path; raises `InputError` for one that would lead elsewhere."""
    if not is_name(text):
        raise InputError(f"{text!r} cannot be the name of a model, data set or image: it would be a path. Rename it")
    return text


def read_run(path: Path, journals: Iterable[Path] | None = None) -> Run | None:
    """The run at a path, with the rows of unfinished journals, of all or of some; None where there is neither."""
    stored = _stored(path, read_bytes(path)) if os.path.lexists(path) else None  # a link to nothing is told of
    run = with_journals(stored, journal_paths(path) if journals is None else journals)
    if run is not None:
        one, home = run.identity, path.parent
        places = {"data set": (one.dataset, home.parent.name), "scale": (f"x{one.scale}", home.name)}
        _refuse_elsewhere(path, {**places, "model": (one.model, path.stem)})
    return run


@lru_cache(maxsize=64)
def _stored(path: Path, content: bytes) -> Run:
    """What a run's file holds, decoded once as long as its bytes are the same: the plan, the neighbours of a run, the
    job and the results all ask for it.
    """
    return parse(content, RunDocument, f"{path}: not a result of srbench", REMEDY).run


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
        before = read_run(self.path, self._journals)
        if before is not None and not before.rows:  # it failed as a whole, which says nothing of another
            before = None
        if before is not None:
            remedy = f"srbench run with another --out, or with --force to redo {self.path}"
            refuse_differences(before.identity, self._wanted.identity, remedy=remedy)
            refuse_other_conventions(before, self._wanted.metrics, remedy)
        self._run = _continued(before, self._wanted)
        self._rows = {row.image: row for row in self._run.rows}
        self._made = len(self._run.environments) - 1
        self._file = self._open_journal()

    def _open_journal(self) -> IO[str]:
        """Start the journal anew with what it already held: this drops a torn last line."""
        _, rows = read_journal(self.journal)
        header = {**run_to_json(replace(self._run, rows=())), "images": []}
        write_file(self.journal, "".join(json.dumps(line) + "\n" for line in (header, *map(row_to_json, rows))))
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
    fields = ",\n ".join(f"{json.dumps(name)}: {_indented(value)}" for name, value in document.items())
    write_file(path, f"{{\n {fields}\n}}\n")


def _indented(value: object) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value, indent=1, allow_nan=False).replace("\n", "\n ")
    lines = ",\n  ".join(json.dumps(item, allow_nan=False) for item in value)
    return f"[\n  {lines}\n ]"


def write_speeds(out: Path, weights: str, rows: Sequence[SpeedRow]) -> None:
    """Keep the timings of one model at one scale beside earlier ones, of which those of the same setting are replaced.

    `weights` is the sha256 of its weights; timings of others go, and so does a damaged file.
    """
    path = _speed_path(out, rows[0].model, rows[0].scale)
    before: list[SpeedRow] = []
    with suppress(InputError):
        document = _read_speeds(path)
        before = [row for row in document.speeds if document.weights == weights]
    new = set(map(HOW_TIMED, rows))
    kept = [row for row in before if HOW_TIMED(row) not in new]
    write_json(path, {"schema": SCHEMA, "weights": weights, "speeds": [asdict(row) for row in (*kept, *rows)]})


def timed_already(out: Path, identity: Identity, device: str) -> bool:
    """Whether a timing is kept of these weights, on this kind of device, in this precision and backend, with as many
    threads as there are now where those do the work. Damaged ones are made anew.
    """
    try:
        document = _read_speeds(_speed_path(out, identity.model, identity.scale))
    except InputError:
        return False
    wanted = (identity.weights, _kind(device), identity.precision, identity.backend)
    threads = (0, environment.threads()) if _kind(device) == "cpu" else range(2**16)
    return any(
        (document.weights, _kind(row.device), row.precision, row.backend) == wanted and row.threads in threads
        for row in document.speeds
    )


def _kind(device: str) -> str:
    """`cuda` of `cuda:1`."""
    return device.partition(":")[0]


def _read_speeds(path: Path) -> SpeedDocument:
    document = read_document(path, SpeedDocument, "timings of srbench", REMEDY)
    for row in document.speeds:
        _refuse_elsewhere(path, {"scale": (f"x{row.scale}", path.parent.name), "model": (row.model, path.stem)})
    return document


def _speed_path(out: Path, model: str, scale: int) -> Path:
    return out / SPEED_FOLDER / f"x{scale}" / f"{_name(model)}.json"


def write_study(out: Path, rows: Sequence[StudyRow]) -> Path:
    """Keep what people said, beside the runs it is about; it replaces an earlier study of the same kind."""
    path = out / STUDY_FOLDER / f"{rows[0].metric}.json"
    write_json(path, {"schema": SCHEMA, "scores": [strict(asdict(row)) for row in rows]})
    return path


def _read_study(path: Path) -> StudyDocument:
    document = read_document(path, StudyDocument, "scores of a study", "Make it again: srbench study score --into")
    for row in document.scores:
        _refuse_elsewhere(path, {"metric": (row.metric, path.stem)})
    return document


def load_results(folder: Path | str, data_root: Path | None = None) -> Results:
    """Everything in a results folder, unfinished runs included; `data_root` is where their data sets are.

    A file that is damaged, or says that it is of another model, data set or scale than its place, is left out, and
    named in `Results.damaged`. Timings alone are results too. Raises `InputError` for a folder in which nothing can be
    read.
    """
    folder = Path(folder)
    damaged: list[str] = []
    homes = sorted(_homes(folder, damaged), key=lambda home: (*papers_order(home.parent.name), home.name))
    runs = [run for home in homes for run in read_folder(home, damaged)]
    speeds = _readable(sorted((folder / SPEED_FOLDER).glob("x*/*.json")), _read_speeds, damaged)
    studies = _readable(sorted((folder / STUDY_FOLDER).glob("*.json")), _read_study, damaged)
    if not runs and not speeds:
        more = f" (and {len(damaged) - 1} more such files)" if len(damaged) > 1 else ""
        none = f"{folder}: no results in it. Make some: srbench run --out {folder}"
        raise InputError(f"{damaged[0]}{more}" if damaged else none)
    timings = tuple(row for document in speeds for row in _of_what_was_scored(document, runs, damaged))
    scores = tuple(row.row for document in studies for row in document.scores)
    return Results(tuple(runs), timings, folder, scores, tuple(damaged), data_root)


def _of_what_was_scored(document: SpeedDocument, runs: Sequence[Run], damaged: list[str]) -> tuple[SpeedRow, ...]:
    """The timings of a document; none, and a note, where other weights of that name were scored than were timed."""
    model, scale = timed = (document.speeds[0].model, document.speeds[0].scale)
    scored = {run.identity.weights for run in runs if (run.identity.model, run.identity.scale) == timed}
    if not scored or document.weights in scored:
        return document.speeds
    again = f"Again: srbench speed --models {model} --out"
    damaged.append(f"{model} x{scale}: its timings are of other weights or code. {again}")
    return ()


def _homes(folder: Path, damaged: list[str]) -> list[Path]:
    """The folders that hold runs; one that cannot be looked into is noted."""
    sets = (path for path in _inside(folder, damaged) if path.name not in (SPEED_FOLDER, STUDY_FOLDER))
    return [home for path in sets for home in _inside(path, damaged) if home.name.startswith("x")]


def _inside(folder: Path, damaged: list[str]) -> list[Path]:
    try:
        return [path for path in sorted(folder.iterdir()) if path.is_dir()] if folder.exists() else []
    except OSError as error:
        damaged.append(f"{folder}: cannot be read ({error.strerror or error})")
        return []


def read_folder(home: Path, damaged: list[str] | None = None) -> list[Run]:
    """The runs of one data set and scale, finished or not; what cannot be read is left out, and added to `damaged`."""
    paths = {
        path.with_suffix(".json") for suffix in ("json", "journal", "journal-*") for path in home.glob(f"*.{suffix}")
    }
    return [run for run in _readable(sorted(paths), read_run, damaged) if run is not None]


T = TypeVar("T")


def _readable(paths: Iterable[Path], read: Callable[[Path], T], damaged: list[str] | None) -> list[T]:
    found = []
    for path in paths:
        try:
            found.append(read(path))
        except InputError as error:
            (damaged if damaged is not None else []).append(str(error))
    return found


def _refuse_elsewhere(path: Path, places: Mapping[str, tuple[str, str]]) -> None:
    """Raise `InputError` where a file says that it is of something else than its place does."""
    for what, (said, place) in places.items():
        if said != place:
            raise InputError(
                f"{path}: says that its {what} is {said!r}, but it lies where {place!r} does. Move it back"
            )
