"""Where training images come from: folders, standard sets by name, lists with columns hr, lr and split.

Everything that can be wrong with files is found here, once, before the first step: what is missing, unreadable, of
another scale, or belongs to a test set. Pixels tell a test set, not names; digests of files are remembered, so that
this takes no time when a training begins again.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from srbench.base.documents import read_bytes
from srbench.base.errors import InputError
from srbench.datasets import alike, data_root, usual_name
from srbench.datasets.digests import FileDigest, file_digests
from srbench.datasets.folder import open_folder
from srbench.datasets.standard.pixels import published
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.images.degrade import check_degradation, is_given
from srbench.images.files import SUFFIXES

LISTS = (".csv", ".json")
SPLITS = {"": "train", "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
TEST_SETS = {name for name, row in STANDARD_SETS.items() if row.role == "test"}
NOT_TO_TRAIN_ON = TEST_SETS | {"DIV2K_valid_crop256"}
"""Papers validate on DIV2K-valid, and so on crops of it: only to train on them is wrong."""
UNKNOWN_BY_PIXELS = [row for row in STANDARD_SETS.values() if row.role == "test" and row.first_use]
"""Test sets of which srbench has no digests: names and sizes of their images must do."""
NAMED = 4
"""Files that an error names before it only counts the others."""

Split = Literal["train", "val"]


@dataclass(frozen=True)
class Pair:
    """An HR file, and the LR file that came with it, if that is what the degradation `files` asks for."""

    hr: Path
    lr: Path | None = None
    digest: FileDigest = field(default=FileDigest("", 0, 0))
    lr_digest: FileDigest | None = None


@dataclass(frozen=True)
class Source:
    """The pairs behind one `--data`; `name` is that of its folder, with as much of the path as sets it apart."""

    name: str
    home: Path
    pairs: tuple[Pair, ...]
    remark: str = ""


def open_sources(
    refs: Iterable[str | Path],
    scale: int,
    degradation: str = "matlab",
    root: Path | None = None,
    *,
    to_train: bool = True,
) -> tuple[list[Source], list[Source]]:
    """What to train on, and what lists set apart to validate on.

    Raises `InputError` for a source given twice, missing, unreadable or unfit files, images of a test set, and where
    `to_train` finds nothing to train on.
    """
    given = [str(ref) for ref in refs]
    check_degradation(degradation, scale)
    train: list[Source] = []
    val: list[Source] = []
    for ref in given:
        for source, split in _opened(ref, scale, degradation, root):
            (train if split == "train" else val).append(source)
    if to_train and not train:
        raise InputError(f"no image to train on in {_some(given)}: all are there to validate on")
    homes = [source.home for source in train]
    for home in homes:
        if homes.count(home) > 1:
            raise InputError(f"{home} is given twice: its images would count double. Leave out one --data")
    files = Counter(pair.hr.resolve() for source in train for pair in source.pairs)
    if twice := [str(path) for path, times in files.items() if times > 1]:
        raise InputError(f"given twice, by a list or by two sources: {_some(twice)}; they would count double")
    _refuse_unreadable([*train, *val])
    checked = [_checked(source, scale, to_train) for source in train]
    checked += [_checked(source, scale, False) for source in val]
    named = [replace(source, name=name) for source, name in zip(checked, _names(checked), strict=True)]
    return named[: len(train)], named[len(train) :]


def refuse_missing(refs: Iterable[str], scale: int, degradation: str, root: Path | None = None) -> None:
    """Raise for a source that is not there, and for no degradation, before torch is imported, which takes seconds."""
    check_degradation(degradation, scale)
    for ref in refs:
        if Path(ref).suffix.lower() in LISTS:
            _rows(Path(ref))
        else:
            home_of(ref, root)


def split_off(sources: Sequence[Source], share: float) -> tuple[list[Source], list[Source]]:
    """Set apart a share of the images, at least one, to validate on; copies of one picture stay on one side.

    They are those with the smallest digests: the same whatever files and folders are called.
    """
    digests = sorted({pair.digest.sha256 for source in sources for pair in source.pairs})
    chosen = set(digests[: max(1, round(share * len(digests)))])
    if len(chosen) == len(digests):
        raise InputError(f"--val-split {share} of {len(digests)} images leaves none to train on")

    def part(inside: bool) -> list[Source]:
        kept = [
            replace(source, pairs=tuple(pair for pair in source.pairs if (pair.digest.sha256 in chosen) == inside))
            for source in sources
        ]
        return [source for source in kept if source.pairs]

    return part(False), part(True)


def _opened(ref: str, scale: int, degradation: str, root: Path | None) -> list[tuple[Source, Split]]:
    if Path(ref).suffix.lower() in LISTS:
        return _list(Path(ref), degradation)
    home = home_of(ref, root)
    dataset = open_folder(home, scale, degradation)
    if not dataset.has_hr:
        raise InputError(f"{home}: has LR and no HR; nothing can be learned from it")
    pairs = tuple(Pair(dataset.hr[id], dataset.lr[id] if dataset.lr else None) for id in dataset.ids)
    unused = not is_given(degradation) and any((home / name).is_dir() for name in LR_FOLDERS)
    images = home / "HR" if (home / "HR").is_dir() else home
    remarks = [_UNUSED] * unused + _passed_over(images)
    return [(Source(home.name, images.resolve(), pairs, "; ".join(remarks)), "train")]


_UNUSED = "its LR is not used (--degradation files)"
LR_FOLDERS = ("LR", "LR_bicubic")


def _passed_over(images: Path) -> list[str]:
    """What lies among the images and is not taken: folders, and files of other kinds."""
    visible = sorted(path for path in images.iterdir() if not path.name.startswith("."))
    others = [path for path in visible if path.suffix.lower() not in SUFFIXES]
    folders = [f"{path.name}/" for path in others if path.is_dir() and path.name not in LR_FOLDERS]
    files = [path.name for path in others if path.is_file()]
    told = [f"images are not looked for in {_some(folders)} (give each as --data)"] if folders else []
    return told + ([f"no images by their names: {_some(files)}"] if files else [])


def home_of(ref: str, root: Path | None = None) -> Path:
    """A folder as it is given, else the set of that name in the data folder. Raises `InputError` for neither."""
    ref = usual_name(ref)
    if Path(ref).is_dir():
        return Path(ref)
    named = data_root(root) / ref  # `train/BSD400` too: a set may hold others
    if named.is_dir() and ".." not in Path(ref).parts:
        return named
    if ref in STANDARD_SETS:
        raise InputError(f"{ref} is not here: no images in {named / 'HR'}. Get it: srbench data prepare {ref}")
    guess = alike(ref, STANDARD_SETS)
    raise InputError(f"{ref}: no such folder, and no such set in {data_root(root)}. {guess}".rstrip())


def _list(path: Path, degradation: str) -> list[tuple[Source, Split]]:
    """Rows with `hr`, and where there are such `lr` and `split`; paths are relative to the list."""
    pairs: dict[Split, list[Pair]] = {"train": [], "val": []}
    missing, has_lr = [], False
    for number, row in enumerate(_rows(path), start=1):
        values = [row.get(key) or "" for key in ("hr", "lr", "split")]
        hr, lr, split = (str(value).strip() for value in values)
        if not hr or split.lower() not in SPLITS or not all(isinstance(value, str) for value in values):
            raise InputError(f"{path}, entry {number}: expected hr, and as split train or val; got {dict(row)}")
        if is_given(degradation) and not lr:
            raise InputError(f"{path}, entry {number}: no lr for {hr}, which --degradation files asks for")
        has_lr |= bool(lr)
        pair = Pair(path.parent / hr, path.parent / lr if is_given(degradation) else None)
        missing += [str(file) for file in (pair.hr, pair.lr) if file is not None and not file.is_file()]
        pairs[SPLITS[split.lower()]].append(pair)  # type: ignore[index]
    if missing:
        raise InputError(f"{path}: {_some(missing)} not there; paths are relative to the list")
    if not any(pairs.values()):
        raise InputError(f"{path}: no image in it. Expected rows with hr, and lr and split where wanted")
    remark = _UNUSED if has_lr and not is_given(degradation) else ""
    home = path.resolve()
    return [(Source(path.name, home, tuple(found), remark), split) for split, found in pairs.items() if found]


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        text = read_bytes(path).decode("utf-8-sig")
        if path.suffix.lower() == ".json":
            rows = json.loads(text)
            if not isinstance(rows, list):
                raise ValueError('expected [{"hr": …}, …], or a list of file names')
            return [row if isinstance(row, dict) else {"hr": row} for row in rows]
        table = csv.DictReader(text.splitlines(), skipinitialspace=True)
        if "hr" not in (table.fieldnames or ()):
            raise ValueError(f"no column hr; its first line is {text.splitlines()[:1]}")
        return list(table)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: not a list of images ({error}). Expected columns hr, lr, split") from None


def _checked(source: Source, scale: int, to_train: bool) -> Source:
    """With digests. Raises `InputError` for a pair of other sizes and for images of a test set."""
    hr, lr = _digests(pair.hr for pair in source.pairs), _digests(pair.lr for pair in source.pairs)
    pairs = tuple(
        replace(pair, digest=hr[pair.hr], lr_digest=lr[pair.lr] if pair.lr else None)  # type: ignore[arg-type]
        for pair in source.pairs
    )
    if seen := [f"{pair.hr} ({name})" for pair in pairs for name in _test_sets(pair, to_train)]:
        raise InputError(
            f"a model must not see what it is scored on: {_some(seen)} of a test set. Leave such images out"
        )
    for pair in pairs:
        if pair.lr_digest and not _fit(pair, scale):
            raise InputError(
                f"{pair.lr}: {pair.lr_digest.width}x{pair.lr_digest.height} times {scale} is not the "
                f"{pair.digest.width}x{pair.digest.height} of {pair.hr.name}"
            )
    return replace(source, pairs=pairs)


def _refuse_unreadable(sources: Sequence[Source]) -> None:
    """Raise `InputError` that names every file which cannot be read, whatever source it belongs to."""
    found = _digests(path for source in sources for pair in source.pairs for path in (pair.hr, pair.lr))
    if unreadable := [str(error) for error in found.values() if isinstance(error, Exception)]:
        raise InputError(f"{len(unreadable)} of {len(found)} images cannot be read: {'; '.join(unreadable)}")


def _digests(paths: Iterable[Path | None]) -> dict[Path, FileDigest | Exception]:
    files = [path for path in paths if path is not None]
    return dict(zip(files, file_digests(files), strict=True))


def _test_sets(pair: Pair, to_train: bool) -> list[str]:
    """The test set that an image must not be taken from: one name, or none."""
    found = published().find(pair.digest.sha256, pair.digest.grey_sha256)
    sets = {match.known.set for match in found} & (NOT_TO_TRAIN_ON if to_train else TEST_SETS)
    long_side = max(pair.digest.width, pair.digest.height)
    named = [row.name for row in UNKNOWN_BY_PIXELS if long_side == row.long_side and pair.hr.stem in row.ids]
    return sorted([*sets, *(named if to_train else ())])[:1]


def _fit(pair: Pair, scale: int) -> bool:
    lr, hr = pair.lr_digest, pair.digest
    return lr is not None and (lr.width, lr.height) == (hr.width // scale, hr.height // scale)


def _names(sources: Sequence[Source]) -> list[str]:
    """The shortest end of each path that no other shares; a last `HR` goes without saying."""
    homes = [source.home.parent if source.home.name == "HR" else source.home for source in sources]
    different = set(homes)  # a list's images to train and to validate on are of one home

    def shortest(home: Path) -> str:
        for parts in range(1, len(home.parts)):
            end = home.parts[-parts:]
            if sum(other.parts[-parts:] == end for other in different) == 1:
                return "/".join(end)
        return str(home)

    return [shortest(home) for home in homes]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
