"""Data sets by reference: `samples`, a standard set, a folder, or an entry point of the group `srbench.datasets`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.errors import InputError, UsageError
from srbench.base.registry import beside, did_you_mean, entries, load, unknown
from srbench.datasets.folder import open_folder
from srbench.datasets.samples import open_samples
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.datasets.standard.verify import vouch

if TYPE_CHECKING:
    from srbench.datasets.sample import Dataset

SAMPLES = "samples"


def data_root(given: Path | None = None) -> Path:
    """Where the standard sets live: the given folder, else `$SRBENCH_DATA`, else the platform's user data folder."""
    if given or os.environ.get("SRBENCH_DATA"):
        return Path(given or os.environ["SRBENCH_DATA"]).expanduser()
    from platformdirs import user_data_path

    return user_data_path("srbench")


def list_datasets() -> list[str]:
    """The names of all data sets that are known, here or not."""
    return [SAMPLES, *STANDARD_SETS, *entries("datasets")]


def present(root: Path) -> list[str]:
    """The standard test sets that are under the data root, in the table's order."""
    return [row.name for row in STANDARD_SETS.values() if row.role == "test" and (root / row.name / "HR").is_dir()]


def select(refs: tuple[str, ...], root: Path) -> list[str]:
    """What `--datasets` means: nothing given is every test set found, else `samples`; `all` is every test set found.

    Raises `InputError` where `all` finds none.
    """
    found = present(root)
    if not refs:
        return found or [SAMPLES]
    if "all" in refs and not found:
        names = ", ".join(row.name for row in STANDARD_SETS.values() if row.role == "test")
        remedy = _too_deep(root) or "Get one: srbench data prepare Set5; or set SRBENCH_DATA"
        raise InputError(f"none of {names} is under {root}. {remedy}")
    return list(dict.fromkeys(name for ref in refs for name in (found if ref == "all" else [usual_name(ref)])))


def open_dataset(
    ref: str, scale: int, degradation: str = "matlab", root: Path | None = None, *, unverified: bool = False
) -> Dataset:
    """The data set behind a reference, at one scale and degradation.

    A standard set is held against the pixels that it should have; `unverified` takes it as it is, and marks it so. A
    folder given by its path is always taken; one that bears the name of a standard set without being it is marked.

    Raises `UsageError` for an unknown name and `InputError` for a set or folder that is not there, or does not verify.
    """
    ref = usual_name(ref)
    if ref == SAMPLES:
        return open_samples(scale, degradation)
    if ref in entries("datasets"):
        dataset: Dataset = load("datasets", ref)(scale, degradation)
        return dataset
    home = home_of(ref, data_root(root))
    by_name = _is_under(data_root(root), ref)
    folder = open_folder(home, scale, degradation, name=ref if by_name else "")
    return vouch(folder, home, unverified=unverified or not by_name) if folder.name in STANDARD_SETS else folder


def home_of(ref: str, root: Path) -> Path:
    """The folder of a data set: by its name under the data root, else by its path; raises where there is neither.

    Of those that come with a package, the root.
    """
    ref = usual_name(ref)
    if ref == SAMPLES or ref in entries("datasets"):
        return root
    if _is_under(root, ref):
        return root / ref
    if not Path(ref).is_dir():
        raise _not_found(ref, root / ref)
    return Path(ref)


def alike(ref: str, known: Iterable[str] = ()) -> str:
    """`Did you mean photos?` of known names and of folders beside the one that is not there; else empty."""
    return did_you_mean(ref, [*known, *beside(Path(ref), folders=True)])


def _is_under(root: Path, name: str) -> bool:
    return os.sep not in name and (root / name / "HR").is_dir()


def usual_name(ref: str) -> str:
    """`Set5` of `set5`; whatever is a folder, or no known name, stays."""
    usual = {name.casefold(): name for name in (SAMPLES, *STANDARD_SETS)}
    return ref if Path(ref).is_dir() else usual.get(ref.casefold(), ref)


def _too_deep(root: Path) -> str:
    """What helps where a data root is itself a set, or a folder of one; empty where it is not."""
    for inside, right in ((root / "HR", root.parent), (root, root.parent.parent)):
        if inside.is_dir() and inside.resolve().name == "HR":
            return f"That is one set, and the data root is the folder of sets: --data-root {right}"
    return ""


def _not_found(ref: str, home: Path) -> UsageError | InputError:
    if ref in STANDARD_SETS:
        remedy = _too_deep(home.parent) or f"Get it: srbench data prepare {ref}; or give --data-root"
        return InputError(f"{ref} is not here: no images in {home / 'HR'}. {remedy}")
    if os.sep in ref:
        return InputError(f"{ref}: no such folder. {alike(ref)}".rstrip())
    if guess := alike(ref, list_datasets()):
        return UsageError(f"unknown data set {ref!r}. {guess} See: srbench list datasets")
    return unknown("data set", ref, list_datasets(), hint="srbench list datasets")
