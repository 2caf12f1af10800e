"""Digests of the pixels of files, remembered while a file stays the same, so that images are not decoded twice.

They are kept in one JSON file in the cache folder, by path, size and times of the file. Without a place to write, they
are computed anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from srbench.base.assets import add_to_cache, cache_folder, read_cache
from srbench.datasets.standard.pixels import grey_of, pixel_digest
from srbench.images.files import read_image

FILE_NAME = "pixel-digests.json"
_unsaved: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class FileDigest:
    """A file's picture: sha256 of its pixels, its size, and the digest of its one plane where R = G = B."""

    sha256: str
    width: int
    height: int
    grey_sha256: str = ""


def file_digest(path: Path) -> FileDigest:
    """The digest of the picture in a file; decodes it only if it is new or has changed. Raises `InputError`."""
    stat = path.stat() if path.exists() else None  # read_image words the error for a missing file
    if stat is None:
        return _compute(path)
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    key = str(path.absolute())
    entry = _remembered(cache_folder()).get(key)
    if entry is None or entry["stamp"] != stamp:
        entry = {"stamp": stamp, **asdict(_compute(path))}
        _remembered(cache_folder())[key] = _unsaved[key] = entry
    return FileDigest(**{name: value for name, value in entry.items() if name != "stamp"})


def file_digests(paths: Iterable[Path]) -> Iterator[FileDigest | Exception]:
    """The digests of many files, decoded side by side, in order; the exception where a file cannot be read."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(_or_exception, paths)
    save()


def save() -> None:
    """Write what was computed in this process; what another process wrote meanwhile is kept."""
    if _unsaved:
        add_to_cache(FILE_NAME, _unsaved)
        _unsaved.clear()


def _or_exception(path: Path) -> FileDigest | Exception:
    try:
        return file_digest(path)
    except Exception as error:
        return error


def _compute(path: Path) -> FileDigest:
    image = read_image(path)
    plane = grey_of(image)
    height, width = image.shape[:2]
    return FileDigest(pixel_digest(image), width, height, "" if plane is None else pixel_digest(plane))


@cache
def _remembered(folder: Path) -> dict[str, dict[str, Any]]:
    return read_cache(FILE_NAME)
