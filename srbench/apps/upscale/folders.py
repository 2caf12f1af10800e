"""Folders: the tree is kept, what is done is skipped, and reading and writing go on while the model computes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from srbench.apps.upscale.pictures import Picture, enlarge, read_picture, write_picture
from srbench.apps.upscale.pixels import Enlarger
from srbench.base.documents import read_note
from srbench.base.errors import InputError, JobError, SrbenchError, UsageError
from srbench.base.outputs import refuse_overwriting
from srbench.base.overlap import ahead, behind, pool_of
from srbench.base.temporary import write_file
from srbench.images.files import SUFFIXES

NOTE = ".srbench-upscale.json"
"""What made the pictures of a folder: so that a second run with another model does not take them for its own."""


def plan_folder(source: Path, target: Path, made_by: Mapping[str, object], *, force: bool) -> dict[Path, Path]:
    """What is still to be done: input by output. Outputs are PNG, or TIFF where the input is.

    Raises `InputError` where there are no images or two would have one output, and `UsageError` where the target
    holds pictures of another model, scale or weights, or an output is an input.
    """
    pairs: dict[Path, Path] = {}
    for path in _visible_files(source, target):
        if path.suffix.lower() not in SUFFIXES:
            continue
        suffix = path.suffix if path.suffix.lower() in (".tif", ".tiff") else ".png"
        out = target / path.relative_to(source).with_suffix(suffix)
        if out in pairs:
            raise InputError(f"{path} and {pairs[out]} would both become {out}; rename one")
        pairs[out] = path
    if not pairs:
        raise InputError(f"{source}: no images in it")
    refuse_overwriting(pairs, pairs.values(), force=True)  # what is there is skipped
    _sign(target, made_by, pairs, force=force)
    return pairs if force else {out: path for out, path in pairs.items() if not out.is_file()}


def passed_over(source: Path, target: Path) -> list[Path]:
    """The files of a tree that are no images by their suffix; without hidden ones, and those of the target."""
    return [path for path in _visible_files(source, target) if path.suffix.lower() not in SUFFIXES]


def _visible_files(source: Path, target: Path) -> Iterator[Path]:
    """The files of a tree, in order, leaving out hidden ones and the target where it lies inside."""
    for path in sorted(source.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        inside = path.resolve().is_relative_to(target.resolve()) and target.resolve() != source.resolve()
        if not hidden and not inside and path.is_file():
            yield path


def _sign(target: Path, made_by: Mapping[str, object], outputs: Iterable[Path], *, force: bool) -> None:
    """Note what makes the pictures of a folder, before the first of them.

    Forced to take another model, the pictures of the last are removed first: whenever this is interrupted, the folder
    holds pictures of the one that the note names, and no others.
    """
    note = target / NOTE
    there = [out for out in outputs if out.is_file()]
    kind, what = dict[str, str | float | bool | None], "a note of srbench upscale"
    before = read_note(note, kind, what, "do all pictures again", force=force or not there)
    if before != made_by and there and not force:
        whose = f"of {_text(before)}" if before else f"such as {there[0].name} that no note says were made here"
        raise UsageError(f"{target} holds pictures {whose}, not of {_text(made_by)}. Give another OUTPUT, or --force")
    if before not in (None, made_by) and (others := _pictures_beside(target, outputs)):
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        what = f"{target} holds pictures of {_text(before or {})} that are not to be made anew: {others[0].name}{more}"
        raise UsageError(f"{what}. Give another OUTPUT, or move them away")
    for out in there if force and before != made_by else ():
        out.unlink()
    write_file(note, json.dumps(dict(made_by)) + "\n")


def _pictures_beside(target: Path, outputs: Iterable[Path]) -> list[Path]:
    """Pictures in a folder that are not among the outputs: under another model's note, they would pass for its own."""
    made = set(outputs)
    found = (path for path in sorted(target.rglob("*")) if path.suffix.lower() in (".png", ".tif", ".tiff"))
    return [path for path in found if path not in made and not path.name.startswith(".")]


def _text(made_by: Mapping[str, object]) -> str:
    return " ".join(str(value)[:12] for value in made_by.values())


def upscale_folder(
    pairs: Mapping[Path, Path], enlarger: Enlarger, done: Callable[[Path, str], None]
) -> list[tuple[Path, str]]:
    """Carry out a plan; `done(path, error)` is called after each input. Returns what failed, and why.

    One thread reads the next picture and one writes the last while the model is at work: three are in memory at most.
    """
    failed: list[tuple[Path, str]] = []
    with pool_of(2) as pool:
        read = ahead(pool, _read, pairs.items(), most=1)
        for path, error in behind(pool, _write, map(partial(_enlarge, enlarger), read), most=1):
            if error:
                failed.append((path, error))
            done(path, error)
    return failed


Step = tuple[Path, Path, Picture | Exception]
"""Output, input, and the picture as far as it is, or what went wrong with it."""


def _read(pair: tuple[Path, Path]) -> Step:
    out, path = pair
    try:
        return out, path, read_picture(path)
    except (SrbenchError, OSError) as error:
        return out, path, error


def _enlarge(enlarger: Enlarger, step: Step) -> Step:
    out, path, picture = step
    if isinstance(picture, Exception):
        return step
    try:
        return out, path, enlarge(picture, enlarger)
    except JobError as error:
        return out, path, JobError(f"{path}: {error}")
    except SrbenchError as error:
        return out, path, error


def _write(step: Step) -> tuple[Path, str]:
    """The input, and why there is no output; empty where there is."""
    out, path, picture = step
    try:
        if isinstance(picture, Exception):
            raise picture
        write_picture(out, picture)
    except OSError as error:
        return path, f"{error.filename or path}: {error.strerror or error}"
    except SrbenchError as error:
        return path, str(error)
    return path, ""
