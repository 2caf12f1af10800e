"""Files that srbench writes into a folder again and again, as reports: its own are replaced, the user's never.

A note in the folder has the sha256 of every file as it was written. What is not as the note says is the user's, be it
that srbench never wrote it, or that somebody has changed it since.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from srbench.base.assets import digest
from srbench.base.documents import SCHEMA, read_note
from srbench.base.errors import UsageError
from srbench.base.temporary import gone_if_empty, in_the_making, write_file

NOTE = ".srbench-wrote.json"


@dataclass(frozen=True)
class Wrote:
    """The sha256 of what srbench wrote, by path inside the folder."""

    schema: int
    files: Mapping[str, str]


@contextmanager
def own_files(out: Path, *, force: bool) -> Iterator[Path]:
    """A folder inside `out` to write into; what is in it at the end comes into `out`, unless the block raises.

    Raises `UsageError` at the end, with `out` as it was, where a file of the user's would be replaced; `force`, the
    user's `--force`, replaces it.
    """
    with gone_if_empty(out):
        with suppress(OSError):  # whoever writes something is told; a report for the terminal needs no folder
            out.mkdir(parents=True, exist_ok=True)
        making = in_the_making(out)
        try:
            yield making
            if making.is_dir():
                _place(making, out, force=force)
        except OSError as error:
            error.filename = str(error.filename).replace(str(making), str(out)) if error.filename else str(out)
            raise
        finally:
            shutil.rmtree(making, ignore_errors=True)


def _place(making: Path, out: Path, *, force: bool) -> None:
    made = {path.relative_to(making).as_posix(): digest(path) for path in sorted(making.rglob("*")) if path.is_file()}
    note = read_note(out / NOTE, Wrote, "a note of srbench", "write over its files", force=force)
    before = dict(note.files) if note else {}
    there = [name for name in made if os.path.lexists(out / name)]
    users = [name for name in there if not force and _digest(out / name) not in (made[name], before.get(name))]
    if users:
        more = f" (and {len(users) - 1} more)" if len(users) > 1 else ""
        remedy = "give another folder, or --force to replace it"
        raise UsageError(f"{out / users[0]} is there{more}, and not as srbench wrote it; {remedy}")
    for name in made:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(making / name, out / name)
    if made:
        write_file(out / NOTE, json.dumps(asdict(Wrote(SCHEMA, before | made)), indent=1) + "\n")


def _digest(path: Path) -> str:
    return digest(path) if path.is_file() else ""
