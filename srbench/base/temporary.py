"""Files and folders in the making, beside what they will replace.

Their names are short and tell whose they are. A killed process cannot remove its own; the next process of this machine
that writes into the folder does.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

PREFIX = ".srbench-tmp-"


class atomic_file:  # noqa: N801 - used as a function, as tempfile's are
    """Context manager: a binary file that replaces `path` on success and vanishes on failure.

    Folders above it that are missing are made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> IO[bytes]:
        self._temporary = in_the_making(self.path.parent)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("xb")
        except OSError as error:
            error.filename = str(self.path)  # what the user knows it by
            raise
        return self._file

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(self.path)
        try:
            self._file.close()
            if kind is None:
                os.replace(self._temporary, self.path)
        except OSError as late:  # a disk that is full is found so when the last bytes go
            late.filename = str(self.path)
            raise
        finally:
            self._temporary.unlink(missing_ok=True)


def write_file(path: Path, content: str | bytes) -> Path:
    """Write a file whole or not at all, text as UTF-8, and the folders above it where they are missing; its path."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
    return path


def in_the_making(folder: Path, suffix: str = "") -> Path:
    """A path in a folder that nobody else uses; what dead processes have left under such paths is removed first."""
    _sweep(folder.absolute())
    return folder / f"{PREFIX}{_machine()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder in the system's temporary one that is removed at the end; a killed process's, by the next."""
    folder = in_the_making(Path(tempfile.gettempdir()))
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def gone_if_empty(folder: Path) -> Iterator[None]:
    """Inside, a folder may be made; one that was not there before, and into which nothing came, goes at the end."""
    new = not folder.exists()
    try:
        yield
    finally:
        if new:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


@cache  # once a process and folder: a folder of ten thousand images is not listed ten thousand times
def _sweep(folder: Path) -> None:
    pattern = re.compile(rf"{re.escape(PREFIX)}{_machine()}-(\d+)-[0-9a-f]{{8}}(\.\w+)?")
    with suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - names are enough, and there may be many
            if (match := pattern.fullmatch(name)) and not _alive(int(match[1])):
                with suppress(OSError):
                    _remove(folder / name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@cache
def _machine() -> str:
    """A process number means nothing on another machine that shares the folder."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _alive(process: int) -> bool:
    if os.name == "nt":  # where signal 0 ends a process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
