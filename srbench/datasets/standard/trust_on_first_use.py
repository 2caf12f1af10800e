"""Sets whose digests srbench does not know (DIV2K): held to their names and sizes once, then to the pixels seen.

The first time that such a set is complete, its pixels are written to `pixels.tsv` beside `HR/`; from then on it
verifies against that file, as any other set against the table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from srbench.base.errors import InputError
from srbench.base.temporary import write_file
from srbench.datasets.standard.pixels import TABLE, Index, Known, describe, parse, published, to_table
from srbench.datasets.standard.table import STANDARD_SETS, StandardSet
from srbench.images.files import read_image


def known_set(name: str, folder: Path, files: Mapping[str, Path]) -> Index:
    """The images that a set is held against, with those of every other set, so that what does not belong is named.

    Raises `InputError` where a set seen for the first time is not what its description says.
    """
    row = STANDARD_SETS[name]
    if not row.first_use:
        return published()
    beside = folder / TABLE
    own = parse(beside.read_text(encoding="utf-8"), str(beside)) if beside.is_file() else seen_first(row, files)
    if not beside.is_file():
        with contextlib.suppress(OSError):  # a read-only data root: it is seen for the first time each time
            write_table(beside, row, own)
    return Index([*own, *(known for images in published().sets.values() for known in images.values())])


def seen_first(row: StandardSet, files: Mapping[str, Path]) -> list[Known]:
    """The table lines of a complete set. Raises `InputError` for ids or sizes that cannot be this set's."""
    if missing := [id for id in row.ids if id not in files]:
        raise InputError(
            f"{row.name}: {len(missing)} of {row.count} images are missing, {missing[0]} first. It has no published "
            f"digests, so it must be complete once: srbench data prepare {row.name} --from FOLDER"
        )
    with ThreadPoolExecutor() as pool:
        return list(pool.map(partial(_described, row), ((name, files[name]) for name in row.ids)))


def _described(row: StandardSet, item: tuple[str, Path]) -> Known:
    name, path = item
    known = describe(row.name, name, read_image(path))
    others = published().find(known.sha256)
    if others:
        other = STANDARD_SETS[others[0].known.set]
        raise InputError(f"{path} is {other.name} {others[0].known.id}, not {row.name}. {other.note}".rstrip())
    if max(known.width, known.height) != row.long_side or known.grey:
        raise InputError(
            f"{path}: {known.width}x{known.height}, but every image of {row.name} is {row.long_side} pixels on its "
            f"longer side. These are not its HR images"
        )
    return known


def write_table(path: Path, row: StandardSet, images: list[Known]) -> None:
    """Remember pixels beside the data."""
    note = f"The pixels of {row.name} as they were first seen here; delete this file to trust other ones."
    write_file(path, to_table(images, note))
