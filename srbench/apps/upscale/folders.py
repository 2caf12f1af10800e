"""Folders: the tree is kept, what is done is skipped, and reading and writing go on while the model computes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from srbench.apps.upscale.pictures import Picture, enlarge, read_picture, write_picture
from srbench.apps.upscale.pixels import Enlarger
from srbench.base.assets import digest
from srbench.base.documents import read_note
from srbench.base.errors import InputError, JobError, SrbenchError, UsageError
from srbench.base.lock import held
from srbench.base.outputs import refuse_overwriting
from srbench.base.overlap import ahead, behind, pool_of
from srbench.base.temporary import gone_if_empty, write_file
from srbench.images.files import SUFFIXES, printable

NOTE = ".srbench-upscale.json"
"""What made each picture of a folder, and of which: so that a second run does not take others for its own."""


@dataclass(frozen=True)
class Maker:
    """What makes pictures: a model and its weights (sha256, hex) at a scale, with options other than the defaults."""

    model: str
    weights: str
    scale: str
    options: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.model, self.weights[:12], self.scale, self.options)))


@dataclass(frozen=True)
class Made:
    """One picture: its maker, and the sha256 (hex) of the file that it was made from; an older note did not know."""

    by: Maker
    of: str = ""


@dataclass(frozen=True)
class Note:
    """Pictures by their path in the folder. Older notes name one maker of them all."""

    pictures: dict[str, Made] = field(default_factory=dict)
    model: str = ""
    weights: str | None = None
    scale: str = ""


@dataclass
class Plan:
    """What is to be done, input by output, and the record of the pictures that are there."""

    target: Path
    maker: Maker
    todo: dict[Path, Path]
    made: dict[str, Made]

    def of(self, out: Path) -> Made | None:
        """What the note says of a picture."""
        return self.made.get(_name(out, self.target))

    def holds(self, out: Path, path: Path) -> bool:
        """Whether a picture is there that this maker made of this very input."""
        made = self.of(out)
        if made is None or made.by != self.maker or not out.is_file():
            return False
        return made.of == (now := _source(path)) or not (made.of and now)

    def sign(self) -> None:
        """Note what makes the pictures, before the first is written: one that is there and not noted is the user's."""
        for out, path in self.todo.items():
            self.made[_name(out, self.target)] = Made(self.maker, _source(path))
        pictures = {name: asdict(made) for name, made in self.made.items()}
        write_file(self.target / NOTE, json.dumps({"pictures": pictures}) + "\n")


@contextmanager
def work_in(target: Path) -> Iterator[None]:
    """Inside, no other process plans or fills this folder; it stays if something came to be in it."""
    refusal = f"{target}: another srbench is writing here. Wait for it"
    with gone_if_empty(target), held(target / ".srbench-upscale.lock", refusal):
        yield


def plan_folder(source: Path, target: Path, maker: Maker, *, force: bool) -> Plan:
    """What is still to be done, noted in the target. Outputs are PNG, or TIFF where the input is.

    Forced, pictures that something else made, or that are of other inputs, are removed before the first is made:
    whenever this is interrupted, the same without `force` goes on.
    Raises `InputError` where there are no images or two would have one output, and `UsageError` where such pictures
    are there and `force` is not given, or an output is an input.
    """
    pairs = _pairs(source, target)
    refuse_overwriting(pairs, pairs.values(), force=True)  # what is there is skipped
    plan = Plan(target, maker, pairs, _read_note(target, pairs, force=force))
    others = [out for out, path in pairs.items() if out.is_file() and not plan.holds(out, path)]
    if others and not force:
        made = plan.of(others[0])
        whose = f"made by {made.by}" if made else "that no note says was made here"
        whose = f"made of another {pairs[others[0]].name}" if made and made.by == maker else whose
        told = f"{target} holds pictures such as {others[0].name}, {whose}, and not by {maker} of this input"
        raise UsageError(f"{told}. Give another OUTPUT, or --force")
    for out in others:
        out.unlink()
    if not force:
        plan.todo = {out: path for out, path in pairs.items() if not out.is_file()}
    if plan.todo:
        plan.sign()
    return plan


def _pairs(source: Path, target: Path) -> dict[Path, Path]:
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
    return pairs


def _read_note(target: Path, outputs: Iterable[Path], *, force: bool) -> dict[str, Made]:
    forgiven = force or not any(out.is_file() for out in outputs)
    note = read_note(target / NOTE, Note, "a note of srbench upscale", "do all pictures again", force=forgiven)
    if note is None or not note.model:
        return dict(note.pictures) if note else {}
    older = Made(Maker(note.model, note.weights or "", note.scale))
    return {
        _name(path, target): older for path in target.rglob("*") if path.suffix.lower() in (".png", ".tif", ".tiff")
    }


def _source(path: Path) -> str:
    """The digest of an input; empty for one that cannot be read, which is told when its turn comes."""
    with suppress(OSError):
        return digest(path)
    return ""


def _name(out: Path, target: Path) -> str:
    return printable(out.relative_to(target).as_posix().replace("%", "%25"))


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


def upscale_folder(plan: Plan, enlarger: Enlarger, done: Callable[[Path, str], None]) -> list[tuple[Path, str]]:
    """Carry out a plan; `done(path, error)` is called after each input. Returns what failed, and why.

    One thread reads the next picture and one writes the last while the model is at work: three are in memory at most.
    """
    failed: list[tuple[Path, str]] = []
    with pool_of(2) as pool:
        read = ahead(pool, _read, plan.todo.items(), most=1)
        for path, error in behind(pool, _write, map(partial(_enlarge, enlarger), read), most=1):
            if error:
                failed.append((path, error))
            done(path, error)
    return failed


@dataclass(frozen=True)
class Step:
    """Output, input, and the picture as far as it is, or what went wrong with it."""

    out: Path
    path: Path
    picture: Picture | Exception | None = None


def _read(pair: tuple[Path, Path]) -> Step:
    step = Step(*pair)
    try:
        return replace(step, picture=read_picture(step.path))
    except (SrbenchError, OSError) as error:
        return replace(step, picture=error)


def _enlarge(enlarger: Enlarger, step: Step) -> Step:
    if not isinstance(step.picture, Picture):
        return step
    try:
        return replace(step, picture=enlarge(step.picture, enlarger))
    except JobError as error:
        return replace(step, picture=JobError(f"{step.path}: {error}"))
    except SrbenchError as error:
        return replace(step, picture=error)


def _write(step: Step) -> tuple[Path, str]:
    """The input, and why there is no output; empty where there is."""
    try:
        if not isinstance(step.picture, Picture):
            raise step.picture or JobError(f"{step.path}: was not read")
        write_picture(step.out, step.picture)
    except OSError as error:
        return step.path, f"{error.filename or step.path}: {error.strerror or error}"
    except SrbenchError as error:
        return step.path, str(error)
    return step.path, ""
