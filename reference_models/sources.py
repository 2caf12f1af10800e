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

from srbench.base.errors import InputError
from srbench.datasets import data_root, usual_name
from srbench.datasets.digests import FileDigest, file_digests
from srbench.datasets.folder import open_folder
from srbench.datasets.standard.pixels import published
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.images.degrade import check_degradation, is_given

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
    checked = [_checked(source, scale, to_train) for source in train]
    checked += [_checked(source, scale, False) for source in val]
    named = [replace(source, name=name) for source, name in zip(checked, _names(checked), strict=True)]
    return named[: len(train)], named[len(train) :]


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
    unused = not is_given(degradation) and any((home / name).is_dir() for name in ("LR", "LR_bicubic"))
    images = home / "HR" if (home / "HR").is_dir() else home
    return [(Source(home.name, images.resolve(), pairs, _UNUSED if unused else ""), "train")]


_UNUSED = "its LR is not used (--degradation files)"


def home_of(ref: str, root: Path | None = None) -> Path:
    """A folder as it is given, else the standard set of that name. Raises `InputError` where neither is here."""
    ref = usual_name(ref)
    if Path(ref).is_dir():
        return Path(ref)
    named = data_root(root) / ref
    if Path(ref).name == ref and named.is_dir():
        return named
    if ref in STANDARD_SETS:
        raise InputError(f"{ref} is not here: no images in {named / 'HR'}. Get it: srbench data prepare {ref}")
    raise InputError(f"{ref}: no such folder, and no such set in {data_root(root)}")


def _list(path: Path, degradation: str) -> list[tuple[Source, Split]]:
    """Rows with `hr`, and where there are such `lr` and `split`; paths are relative to the list."""
    pairs: dict[Split, list[Pair]] = {"train": [], "val": []}
    missing, has_lr = [], False
    for number, row in enumerate(_rows(path), start=1):
        hr, lr, split = (str(row.get(key) or "").strip() for key in ("hr", "lr", "split"))
        if not hr or split.lower() not in SPLITS:
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
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            rows = json.loads(text)
            return [row if isinstance(row, dict) else {"hr": row} for row in rows]
        table = csv.DictReader(text.splitlines(), skipinitialspace=True)
        if "hr" not in (table.fieldnames or ()):
            raise ValueError(f"no column hr; its first line is {text.splitlines()[:1]}")
        return list(table)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not a list of images ({error}). Expected columns hr, lr, split") from None


def _checked(source: Source, scale: int, to_train: bool) -> Source:
    """With digests. Raises `InputError` naming every unreadable file, a pair of other sizes, images of a test set."""
    hr = _digests(pair.hr for pair in source.pairs)
    lr = _digests(pair.lr for pair in source.pairs if pair.lr)
    if unreadable := [str(found) for found in (*hr.values(), *lr.values()) if isinstance(found, Exception)]:
        raise InputError(f"{len(unreadable)} of {len(hr) + len(lr)} images cannot be read: {_some(unreadable, '; ')}")
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


def _some(names: Sequence[str], joint: str = ", ") -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return joint.join(names[:NAMED]) + more
