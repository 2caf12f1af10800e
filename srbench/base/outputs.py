"""What a command is about to write, held against what it reads and what is there: nothing is written over unasked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from srbench.base.errors import UsageError

Key = tuple[int, int] | str


def refuse_overwriting(outputs: Iterable[Path], inputs: Iterable[Path], *, force: bool) -> None:
    """Raise `UsageError` where an output is an input, another output, or there already: before anything is written.

    A file is the same by whatever name, link or spelling it is reached. `force`, the user's `--force`, allows what is
    there already and nothing else: an input would be replaced by what is made from it.
    """
    given = {_key(path): path for path in inputs}
    written: dict[Key, Path] = {}
    for path in outputs:
        key = _key(path)
        if key in given:
            also = "" if given[key] == path else f" (it is {given[key]})"
            raise UsageError(f"{path} is an input{also}, and would be written over; give another output")
        if key in written:
            raise UsageError(f"{written[key]} and {path} are one file, and would be written twice; give another output")
        written[key] = path
    there = [] if force else [path for path in written.values() if path.exists() or path.is_symlink()]
    if there:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        raise UsageError(f"{there[0]} is there already{more}; give another output, or --force to write over it")


def refuse_replacing(folder: Path, inputs: Iterable[Path]) -> None:
    """Raise `UsageError` where an input lies in a folder that is to be replaced, or is it."""
    for path in inputs:
        if path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{path} is in {folder}, which would be replaced; give a copy that is somewhere else")


def _key(path: Path) -> Key:
    """The file behind a path; of one that is not there yet, where it would be."""
    try:
        stat = path.stat()
    except OSError:
        return str(path.resolve())
    return stat.st_dev, stat.st_ino
