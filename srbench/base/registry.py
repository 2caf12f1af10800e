"""Models, metrics, data sets, reports and commands, found through entry points.

Names come from package metadata, so that listing them imports nothing; an entry is imported when it is used.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

from srbench.base.errors import InputError, UsageError
from srbench.base.packages import DISTRIBUTION

KINDS = ("models", "metrics", "datasets", "reports", "commands", "recipes", "loaders", "backends")
KEPT = {"srbench", "numpy", "torch", *sys.stdlib_module_names}
"""Modules that no file beside a user's own stands in for."""

T = TypeVar("T")


@cache
def entries(kind: str) -> dict[str, EntryPoint]:
    """Every entry of one kind by name, sorted; two of one name are refused, naming both packages.

    Raises `UsageError` for duplicates.
    """
    found: dict[str, EntryPoint] = {}
    # By name alone: to ask each for its package would read the metadata of all, a tenth of a second for every kind.
    for entry in sorted(entry_points(group=f"srbench.{kind}"), key=lambda entry: entry.name):
        if entry.name in found:
            raise _registered_twice(kind, *sorted([found[entry.name], entry], key=package_of))
        found[entry.name] = entry
    return found


def _registered_twice(kind: str, *both: EntryPoint) -> UsageError:
    """The package to uninstall is never this one: not even where the other is a copy under an earlier name."""
    first, second = map(package_of, both)
    names = [entry.dist.name for entry in both if entry.dist]
    other = next((name for name in reversed(names) if name != DISTRIBUTION), DISTRIBUTION)
    return UsageError(
        f"two packages register {both[0].name!r} among srbench.{kind}: {first} and {second}. "
        f"Uninstall one of them: pip uninstall {other}"
    )


def registered_name(kind: str, name: str) -> str:
    """The entry that a name means, see `meant`; else the name itself."""
    return meant(name, entries(kind))


def meant(name: str, known: Collection[str]) -> str:
    """The known name that a typed one means, in any case and with `-` for `_` (`SRResNet`); else the name itself."""
    if name in known:
        return name
    alike = [one for one in known if plain(one) == plain(name)]
    return alike[0] if len(alike) == 1 else name


def plain(name: str) -> str:
    """A name without what does not matter as it is typed."""
    return name.casefold().replace("_", "-")


def load(kind: str, name: str) -> Any:
    """The object behind a registered name; raises `UsageError` with the nearest names for an unknown one."""
    known, name = entries(kind), registered_name(kind, name)
    if name not in known:
        raise unknown(kind.removesuffix("s"), name, known, hint=f"srbench list {kind}")
    try:
        return known[name].load()
    except (Exception, SystemExit) as error:
        where = f"{known[name].value} of {package_of(known[name])}"
        raise UsageError(f"{name!r} does not import from {where}: {type(error).__name__}: {error}") from error


def load_as(kind: str, name: str, expected: type[T]) -> T:
    """As `load`; raises `UsageError`, too, for an object of another type, naming the package that brings it."""
    found = load(kind, name)
    if not isinstance(found, expected):
        package, library = package_of(entries(kind)[registered_name(kind, name)]), expected.__module__.partition(".")[0]
        raise UsageError(f"{package} registers {name!r}, which is not a {library}.{expected.__name__}")
    return found


def import_from_here(name: str) -> ModuleType:
    """A module by its name, the current folder looked in first, as by `python -m`.

    Raises `UsageError` where it does not import; its cause is what was raised.
    """
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        raise UsageError(f"{name} does not import: {type(error).__name__}: {error}") from error


class _FromSource(SourceFileLoader):
    """Never from a bytecode file, which Python takes for the source's where size and second of its change agree."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def import_file(path: Path) -> ModuleType:
    """The module of this very file, with its neighbours importable, as `python FILE` would have it.

    It goes by a name of its own, made of its path and content: two files of one name, or a module that is called the
    same, are never taken for it. Raises `InputError` where there is no such file, `UsageError` where it does not
    import.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file. {did_you_mean(str(path), beside(path))}".rstrip(". "))
    path = path.resolve()
    digest = hashlib.sha256(os.fsencode(path) + b"\0" + path.read_bytes()).hexdigest()[:12]
    name = f"{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        with _neighbours_first(path.parent):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"{path.name} does not import: {type(error).__name__}: {error}") from error
    return module


@contextmanager
def _neighbours_first(folder: Path) -> Iterator[None]:
    """What is imported meanwhile is looked for in this folder first; modules of other folders that are called like
    one in it stand aside, and come back.
    """
    sys.path[:] = [str(folder), *(entry for entry in sys.path if entry != str(folder))]
    own = {path.stem if path.suffix == ".py" else path.name for path in folder.iterdir()} - KEPT
    foreign = {name for name in own if name in sys.modules and _home_of(sys.modules[name]) != folder}
    aside = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in foreign}
    for name in aside:
        del sys.modules[name]
    invalidate_caches()
    try:
        yield
    finally:
        sys.modules.update(aside)


def _home_of(module: ModuleType) -> Path:
    """The folder in which a module, or its package, was found."""
    path = Path(getattr(module, "__file__", None) or "").resolve()
    return path.parents[1] if path.name == "__init__.py" else path.parent


def package_of(entry: EntryPoint) -> str:
    """The installed package that registered an entry, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown package"


def refuse_unknown(what: str, names: Iterable[str], known: Collection[str], hint: str = "") -> None:
    """Raise `unknown` of the first name that is not among `known`."""
    for name in names:
        if name not in known:
            raise unknown(what, name, known, hint)


def near(name: str, known: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """The known names that a typed one is like, as difflib has it; at most three, the nearest first.

    Those that go on from it (`psnr_y` and `psnr_rgb` of `PSNR`) are before any other.
    """
    alike = {plain(one): one for one in sorted(known)}
    if longer := [one for word, one in alike.items() if word.startswith(f"{plain(name)}-")]:
        return sorted(longer, key=len)[:3]
    return [alike[one] for one in difflib.get_close_matches(plain(name), alike, n=3, cutoff=cutoff)]


def attribute_of(module: ModuleType, home: str, name: str) -> Any:
    """What a module, told as `home`, has under a name, which may have dots; raises `UsageError` with the nearest."""
    try:
        return attrgetter(name)(module)
    except AttributeError:
        guess = did_you_mean(name, [one for one in vars(module) if not one.startswith("_")])
        guess = guess or f"It defines {', '.join(own_callables(module)) or 'no function or class'}."
        raise UsageError(f"{home} has no {name!r}. {guess}") from None


def own_callables(module: ModuleType) -> list[str]:
    """The public functions and classes that a module defines itself."""
    return [
        name
        for name, thing in vars(module).items()
        if callable(thing) and getattr(thing, "__module__", "") == module.__name__ and not name.startswith("_")
    ]


def beside(path: Path, *, folders: bool = False) -> list[str]:
    """The files, or the folders, that lie where a path leads, to guess what was meant; none where that is not to be
    read."""
    with suppress(OSError):
        return [str(path.parent / one.name) for one in path.parent.iterdir() if one.is_dir() == folders]
    return []


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean srgan or srresnet?` of the known names that a typed one is like; empty where there are none."""
    return f"Did you mean {' or '.join(alike)}?" if (alike := near(name, known)) else ""


def unknown(what: str, name: str, known: Iterable[str], hint: str = "") -> UsageError:
    """The error for a name that is not among `known`: "did you mean", and where to look."""
    guess = did_you_mean(name, known) or f"Known: {', '.join(sorted(known)) or 'none'}."
    return UsageError(f"unknown {what} {name!r}. {guess}" + (f" See: {hint}" if hint else ""))
