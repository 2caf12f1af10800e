"""Digests of the pixels of files, remembered while a file stays the same, so that images are not decoded twice.

They are kept in one JSON file in the cache folder, by path, size and times of the file. Without a place to write, they
are computed anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    key, stamp, known = _look_up(path, _remembered(cache_folder()))
    if known is not None or stamp is None:  # read_image words the error for a missing file
        return known or _compute(path)
    found = _compute(path)
    _remembered(cache_folder())[key] = _unsaved[key] = {"stamp": stamp, **asdict(found)}
    return found


def file_digests(paths: Iterable[Path]) -> Iterator[FileDigest | Exception]:
    """The digests of many files, decoded side by side, in order; the exception where a file cannot be read.

    A thread is asked only for what is not remembered: to hand over a file costs ten times as much as to look it up.
    """
    entries = _remembered(cache_folder())
    with ThreadPoolExecutor() as pool:
        found = [_look_up(path, entries)[2] or pool.submit(_or_exception, path) for path in paths]
        for one in found:
            yield one if isinstance(one, FileDigest) else one.result()
    save()


def _look_up(path: Path, entries: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[int] | None, FileDigest | None]:
    """The key and the stamp of a file, which has none where it is missing, and its digest if it is remembered."""
    key = str(path.absolute())
    try:
        stat = path.stat()
    except OSError:
        return key, None, None
    stamp, entry = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns], entries.get(key)
    if entry is None or entry["stamp"] != stamp:
        return key, stamp, None
    return key, stamp, FileDigest(**{name: value for name, value in entry.items() if name != "stamp"})


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
