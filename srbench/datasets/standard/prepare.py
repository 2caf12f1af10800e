"""Lay a standard set out as `ROOT/NAME/HR/ID.png`, from whatever copy there is. It appears whole, or not at all."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from srbench.base import assets
from srbench.base.errors import InputError, SrbenchError, UsageError
from srbench.base.outputs import refuse_replacing
from srbench.base.registry import meant, refuse_unknown
from srbench.base.temporary import in_the_making
from srbench.datasets.standard.fetch import delete_download, fetched
from srbench.datasets.standard.lr_files import LrPicker
from srbench.datasets.standard.match import Picker
from srbench.datasets.standard.pixels import TABLE
from srbench.datasets.standard.table import STANDARD_SETS, StandardSet
from srbench.datasets.standard.trust_on_first_use import seen_first, write_table
from srbench.datasets.standard.unpack import pictures
from srbench.datasets.standard.verify import Verification, verify
from srbench.images.files import list_images

Report = Callable[[str], None]


def standard_set(name: str) -> StandardSet:
    """The set of that name; raises `UsageError` with the nearest names for an unknown one."""
    name = meant(name, STANDARD_SETS)
    refuse_unknown("standard set", [name], STANDARD_SETS, hint="srbench data list")
    return STANDARD_SETS[name]


def prepare(
    name: str, root: Path, source: Path | None = None, *, with_lr: bool = False, force: bool = False,
    report: Report = lambda text: None,
) -> Verification:  # fmt: skip
    """Lay a set out under `root` from a folder, zip or tar, or from the network where no source is given.

    Images are found by pixels; copies are restored where nothing is lost (grey that was stored as RGB), and the least
    cropped copy of each is taken. `with_lr` also takes the LR files that are beside them. An older `root/NAME` is
    replaced with `force` alone; without it one that verifies stays as it is. `report` hears of what is worth knowing.

    Raises `InputError` where the source lacks an image, `UnavailableError` where nothing can be fetched, and
    `SrbenchError` where the disk is full; then `root` is as it was. Raises `UsageError` for a source in `root/NAME`,
    and where that is there already and is not the set, or lacks the LR files that are wanted.
    """
    row = standard_set(name)
    if source is not None:
        refuse_replacing(root / name, [source])
    _recover(root / name)
    if (root / name).exists() and not force:
        return _as_it_is(row, root / name, report, with_lr=with_lr)
    if source is not None:
        _lay_out(row, root, source, with_lr, report)
        return verify(name, root / name)
    for place in fetched(row, report):
        try:
            _lay_out(row, root, place, with_lr, report)
        except InputError as error:
            report(str(error))
            delete_download(place)
        else:
            return verify(name, root / name)
    raise AssertionError("fetched() ends with an exception")


def _as_it_is(row: StandardSet, home: Path, report: Report, *, with_lr: bool) -> Verification:
    """A set that is there already; raises `UsageError` where it is not the set, or LR files are wanted, too."""
    found = verify(row.name, home) if (home / "HR").is_dir() and not with_lr else None
    if found is None or not found.known:
        check = f"srbench data verify {row.name} says what it holds"
        raise UsageError(f"{home} is there already; {check}. Give another --data-root, or --force to replace it")
    report(f"{row.name}: is there already; --force makes it anew")
    return found


def _lay_out(row: StandardSet, root: Path, source: Path, with_lr: bool, report: Report) -> None:
    with _replacing(root / row.name) as home:
        picker = Picker(row, home / "HR")
        picker.folder.mkdir()
        for picture in pictures(source):
            picker.offer(picture)
        if picker.missing:
            raise InputError(picker.complaint(str(source)))
        if with_lr:  # a second walk: only now is it known which name belongs to which image
            lr = LrPicker(home, picker)
            for picture in pictures(source):
                lr.offer(picture)
            report(lr.summary())
        if row.first_use:
            write_table(home / TABLE, row, seen_first(row, list_images(home / "HR")))
            report(_trust(row, source))


def _trust(row: StandardSet, source: Path) -> str:
    """What the pixels of a set without published digests rest on."""
    archive = next((place for place in row.sources if place.checksum.startswith("sha256:")), None)
    if archive and source.is_file() and assets.digest(source) == archive.checksum.partition(":")[2]:
        return f"{row.name}: from the official archive, by its sha256 as published in {archive.published}"
    return f"{row.name}: names and sizes are right; its pixels are trusted on first use and remembered in {TABLE}"


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A new folder that takes the place of `target` at the end, or vanishes with whatever went wrong."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _recover(target)
    building = in_the_making(target.parent)
    building.mkdir()
    try:
        yield building
        _swap(building, target)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise SrbenchError(f"the disk is full: nothing was changed at {target}. Free some space, and again") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _recover(target: Path) -> None:
    """Put back what a process that was killed in the middle of a swap had set aside."""
    for aside in target.parent.glob(f".{target.name}.old.*/{target.name}"):
        if not target.exists():
            aside.rename(target)
        shutil.rmtree(aside.parent, ignore_errors=True)


def _swap(building: Path, target: Path) -> None:
    """Put `building` where `target` is; the old one is set aside first, and put back if that fails."""
    if not target.exists():
        building.rename(target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent)) / target.name
    target.rename(aside)
    try:
        building.rename(target)
    except BaseException:
        aside.rename(target)
        raise
    finally:
        shutil.rmtree(aside.parent, ignore_errors=True)
