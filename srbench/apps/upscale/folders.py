"""Folders: the tree is kept, what is done is skipped, and reading and writing go on while the model computes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from srbench.apps.upscale.pictures import Picture, enlarge, read_picture, write_picture
from srbench.apps.upscale.pixels import Enlarger
from srbench.base.documents import read_document
from srbench.base.errors import InputError, JobError, SrbenchError, UsageError
from srbench.base.outputs import refuse_overwriting
from srbench.images.files import SUFFIXES, atomic_file

NOTE = ".srbench-upscale.json"
"""What made the pictures of a folder: so that a second run with another model does not take them for its own."""


def plan_folder(source: Path, target: Path, made_by: Mapping[str, object], *, force: bool) -> dict[Path, Path]:
    """What is still to be done: input by output. Outputs are PNG, or TIFF where the input is.

    Raises `InputError` where there are no images or two would have one output, and `UsageError` where the target
    holds pictures of another model, scale or weights, or an output is an input.
    """
    pairs: dict[Path, Path] = {}
    for path in _images_below(source, target):
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
    files = (path for path in _visible(source, target) if path.is_file())
    return [path for path in files if path.suffix.lower() not in SUFFIXES]


def _images_below(source: Path, target: Path) -> Iterator[Path]:
    """Every image of a tree, in order, leaving out hidden ones and the target where it lies inside."""
    for path in _visible(source, target):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield path


def _visible(source: Path, target: Path) -> Iterator[Path]:
    for path in sorted(source.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        inside = path.resolve().is_relative_to(target.resolve()) and target.resolve() != source.resolve()
        if not hidden and not inside:
            yield path


def _sign(target: Path, made_by: Mapping[str, object], outputs: Iterable[Path], *, force: bool) -> None:
    """Note what makes the pictures of a folder, before the first of them.

    Forced to take another model, the pictures of the last are removed first: whenever this is interrupted, the folder
    holds pictures of the one that the note names, and no others.
    """
    note = target / NOTE
    there = [out for out in outputs if out.is_file()]
    before = _noted(note, force=force or not there)
    if before != made_by and there and not force:
        whose = f"of {_text(before)}" if before else f"such as {there[0].name} that no note says were made here"
        raise UsageError(f"{target} holds pictures {whose}, not of {_text(made_by)}. Give another OUTPUT, or --force")
    for out in there if force and before != made_by else ():
        out.unlink()
    target.mkdir(parents=True, exist_ok=True)
    with atomic_file(note) as file:
        file.write((json.dumps(dict(made_by)) + "\n").encode())


def _noted(note: Path, *, force: bool) -> Mapping[str, object] | None:
    """What a folder's pictures were made by; None where that is not known. Raises `InputError` for a damaged note."""
    if not note.exists():
        return None
    try:
        return read_document(note, dict[str, str | float | bool | None], "a note of srbench upscale")
    except InputError as error:
        if force:
            return None
        raise InputError(f"{error}, or do all pictures again: --force") from None


def _text(made_by: Mapping[str, object]) -> str:
    return " ".join(str(value)[:12] for value in made_by.values())


def upscale_folder(
    pairs: dict[Path, Path], enlarger: Enlarger, done: Callable[[Path, str], None]
) -> list[tuple[Path, str]]:
    """Carry out a plan; `done(path, error)` is called after each input. Returns what failed, and why.

    One thread reads the next picture and one writes the last while the model is at work: three are in memory at most.
    """
    failed: list[tuple[Path, str]] = []

    def settle(path: Path, outcome: Future[None]) -> None:
        error = outcome.exception()
        if error is not None and not isinstance(error, (SrbenchError, OSError)):
            raise error
        told = f"{error.filename or path}: {error.strerror}" if isinstance(error, OSError) else str(error or "")
        if error is not None:
            failed.append((path, told))
        done(path, told)

    with ThreadPoolExecutor(1) as writer:
        writing: list[tuple[Path, Future[None]]] = []
        for (out, path), read in _ahead(list(pairs.items())):
            made = _made(path, read, enlarger)
            while writing:
                settle(*writing.pop())
            writing.append((path, writer.submit(_write, out, made)))
        while writing:
            settle(*writing.pop())
    return failed


def _made(path: Path, read: Future[Picture], enlarger: Enlarger) -> Picture | SrbenchError:
    try:
        return enlarge(read.result(), enlarger)
    except JobError as error:
        return JobError(f"{path}: {error}")
    except SrbenchError as error:
        return error


def _write(out: Path, made: Picture | SrbenchError) -> None:
    if isinstance(made, SrbenchError):
        raise made
    write_picture(out, made)


def _ahead(pairs: Sequence[tuple[Path, Path]]) -> Iterator[tuple[tuple[Path, Path], Future[Picture]]]:
    """Each pair with its picture, the next of which is already being read."""
    with ThreadPoolExecutor(1) as reader:
        reading: list[Future[Picture]] = [reader.submit(read_picture, pairs[0][1])] if pairs else []
        for index, pair in enumerate(pairs):
            if index + 1 < len(pairs):
                reading.append(reader.submit(read_picture, pairs[index + 1][1]))
            yield pair, reading.pop(0)
