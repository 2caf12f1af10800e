"""Pictures out of a folder, zip or tar that nobody vouches for. Nothing is ever written under a name from inside it.

An archive is read picture by picture into memory. One that has a name leading out of it, or that unpacks to far more
than it is, is refused whole: it was made to do harm. Links are not followed.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast

from srbench.base.errors import InputError
from srbench.images.files import SUFFIXES

MAX_RATIO = 100
"""Pictures hardly compress; even an archive of bitmaps stays below 10."""

HARMLESS_BYTES = 64 << 20
"""What any archive may unpack to, however well it compresses."""

MAX_BYTES = 16 << 30
"""What an archive may unpack to; the largest here, DIV2K-train, is 3.3 GiB."""

MAX_PICTURE_BYTES = 256 << 20
"""What one picture's file may have."""

PictureFile = tuple[str, bytes]
"""The path inside the source, for messages, and the file's content."""


def pictures(source: Path) -> Iterator[PictureFile]:
    """Every picture in a folder (at any depth), zip or tar (plain, gz, bz2, xz), in a stable order.

    Raises `InputError` for a source that is missing, damaged, unsafe or of another kind.
    """
    if source.is_dir():
        return _in_folder(source)
    if not source.is_file():
        raise InputError(f"{source}: no such folder, zip or tar")
    if zipfile.is_zipfile(source):
        return _guarded(source, _in_zip)
    if _is_tar(source):
        return _guarded(source, _in_tar)
    raise InputError(f"{source}: neither a folder, nor a zip, nor a tar. Unpack it yourself and give the folder")


def _in_folder(source: Path) -> Iterator[PictureFile]:
    for home, folders, names in os.walk(source):
        folders.sort()
        for path in (Path(home, name) for name in sorted(names)):
            if _is_picture(path.name) and path.is_file() and path.stat().st_size <= MAX_PICTURE_BYTES:
                yield str(path.relative_to(source)), path.read_bytes()


def _guarded(source: Path, read: Callable[[Path], Iterator[PictureFile]]) -> Iterator[PictureFile]:
    try:
        yield from read(source)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise InputError(f"{source}: damaged archive ({error}). Get it again") from error
    except (RuntimeError, NotImplementedError) as error:  # zipfile's words for passwords and rare compressions
        raise InputError(f"{source}: {error}. Unpack it yourself and give the folder") from error


def _in_zip(source: Path) -> Iterator[PictureFile]:
    budget = _Budget(source)
    with zipfile.ZipFile(source) as archive:
        members = archive.infolist()
        for member in members:
            _refuse_leaving(source, member.filename)
            budget.spend(member.file_size)
        for member in members:
            if _is_picture(member.filename) and not member.is_dir() and not stat.S_ISLNK(member.external_attr >> 16):
                budget.check_picture(member.filename, member.file_size)
                yield member.filename, archive.read(member)  # reads no more than file_size says, and checks the CRC


def _in_tar(source: Path) -> Iterator[PictureFile]:
    budget = _Budget(source)
    with (
        _decompressed(source) as stream,
        tarfile.open(fileobj=cast(IO[bytes], _Metered(stream, budget)), mode="r:") as archive,
    ):
        for member in archive:
            _refuse_leaving(source, member.name)
            if member.isreg() and not member.issparse() and _is_picture(member.name):
                budget.check_picture(member.name, member.size)
                content = archive.extractfile(member)
                assert content is not None
                yield member.name, content.read()


class _Budget:
    """How much an archive may still unpack to, by its own size."""

    def __init__(self, source: Path) -> None:
        self.source = source
        self.limit = min(MAX_BYTES, max(MAX_RATIO * source.stat().st_size, HARMLESS_BYTES))
        self.spent = 0

    def spend(self, count: int) -> None:
        self.check(self.spent + count)
        self.spent += count

    def check(self, total: int) -> None:
        """Raise `InputError` where `total` bytes are more than an honest archive holds."""
        if total > self.limit:
            raise InputError(
                f"{self.source}: unpacks to more than {_human(self.limit)}, from {_human(self.source.stat().st_size)}. "
                f"This looks like a zip bomb; nothing was unpacked"
            )

    def check_picture(self, name: str, size: int) -> None:
        if size > MAX_PICTURE_BYTES:
            raise InputError(f"{self.source}: {name} has {_human(size)}; no picture of a standard set is so large")


class _Metered:
    """A stream for tarfile that refuses to go further than the budget allows, or to read too much at once."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        self._budget.check_picture("a part", size)
        self._budget.check(self._stream.tell() + size)
        return self._stream.read(size)

    def seek(self, position: int) -> int:
        self._budget.check(position)
        return self._stream.seek(position)


def _decompressed(source: Path) -> IO[bytes]:
    with source.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(source))
    if magic.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(source))
    if magic.startswith(b"\xfd7zXZ"):
        return cast(IO[bytes], lzma.open(source))
    return source.open("rb")


def _is_tar(source: Path) -> bool:
    try:
        with _decompressed(source) as stream:
            return stream.read(512)[257:262] == b"ustar"
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return False


def _refuse_leaving(source: Path, name: str) -> None:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise InputError(f"{source}: {name!r} leads out of the archive. It is not safe; nothing was unpacked")


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")  # "._x.png" are macOS's shadows


def _human(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
