"""Which file was made from which image, by their names. Two files for one image are an error, never a choice.

A file belongs to the image of its own name, or to the one with whose name it begins, followed by `_`, `-`, `.` or a
scale such as `x4`: `baby_SwinIR`, `baby_HAT_SRx4`, `0801x4`, `baby_4x`, `img_001_rlt`. The longest such name counts.
Where all images end in one mark (`img_001_SRF_4_HR`, `0801x4`), their names without it count too.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from srbench.base.errors import InputError

MARK = re.compile(r"(?:_SRF_\d+|[_-]?x\d+|[_-]\d+x|[_-](?:HR|GT|LR|SR|out|rlt))+$", re.IGNORECASE)
"""What data sets and upscalers put at the end of a name."""

BEGINS = re.compile(r"[_.\- ]|x\d", re.IGNORECASE)
"""What may come after an image's name."""

RULE = "A file belongs to the image whose name it has, or begins with before _, -, . or a scale such as x4"


@dataclass(frozen=True)
class Pairs:
    """Files by the id of the image that they belong to, in the order of the images; and what has no partner."""

    found: Mapping[str, Path]
    images_alone: tuple[str, ...]
    files_alone: tuple[Path, ...]


def pair(files: Mapping[str, Path], images: Iterable[str], suffix: str | None = None, option: str = "") -> Pairs:
    """Pair files, by their ids, with images. Told a `suffix`, only a file of an image's name and that is one of it.

    Raises `InputError` where two files belong to one image, naming both, and the `option` that gives a suffix.
    """
    images = list(images)
    names = _names(images)
    owners = {id: _owner(id, names) if suffix is None else _exact(id, names, suffix) for id in files}
    several: dict[str, list[Path]] = defaultdict(list)
    for id, owner in owners.items():
        several[owner].append(files[id])
    alone = several.pop("", [])
    for image, made in several.items():
        if len(made) > 1:
            told = ", ".join(path.name for path in made[:3])
            remedy = _remedy(made, [name for name, owner in names.items() if owner == image], option)
            raise InputError(f"{made[0].parent}: {len(made)} files belong to {image}: {told}. {remedy}")
    found = {image: several[image][0] for image in images if image in several}
    return Pairs(found, tuple(image for image in images if image not in found), tuple(alone))


def _remedy(made: list[Path], names: list[str], option: str) -> str:
    """What helps where several files belong to one image, which has these names."""
    if not option:
        return "Move all but one of them to another folder"
    suffixes = [path.stem[max(len(name) for name in names if path.stem.startswith(name)) :] for path in made[:3]]
    gap = "" if option.endswith(":") else " "
    return "Say which: " + " or ".join(f"{option}{gap}{shlex.quote(suffix) if gap else suffix}" for suffix in suffixes)


def _names(images: list[str]) -> dict[str, str]:
    """Images by their names, and by those without a mark where all end in the same one."""
    marks = {found[0] if (found := MARK.search(id)) else "" for id in images}
    shared = marks.pop() if len(marks) == 1 else ""
    bare = {id.removesuffix(shared): id for id in images if shared and id != shared}
    return bare | {id: id for id in images}


def _owner(id: str, names: Mapping[str, str]) -> str:
    """The image that a file belongs to, by the longest name that it begins with; empty where there is none."""
    for end in range(len(id), 0, -1):
        if id[:end] in names and (end == len(id) or BEGINS.match(id, end)):
            return names[id[:end]]
    return ""


def _exact(id: str, names: Mapping[str, str], suffix: str) -> str:
    return names.get(id.removesuffix(suffix), "") if id.endswith(suffix) else ""
