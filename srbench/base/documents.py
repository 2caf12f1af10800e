"""JSON in and out. What is read fits its dataclass, or an error names the file and the field.

A schema is a frozen dataclass, read by msgspec. Files are other people's: they are bounded in size and depth, fields
that the schema does not have are refused, and a name in them is a name, never a path. What is written every reader
takes: JSON has no word for infinity, which the PSNR of equal images is.
"""

from __future__ import annotations

import json
import math
import re
import stat
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from srbench.base.errors import InputError

SCHEMA = 1
"""The version that documents with a field `schema` have; its history is told where they are defined."""

MAX_BYTES = 64 << 20
"""A run of 100,000 images takes half of it."""

T = TypeVar("T")

_NAME = r"^(?!\.{1,2}$)[^/\\\x00]+$"
Name = Annotated[str, Meta(pattern=_NAME, max_length=255)]
"""What may become a file's name: not empty, no separator in it, neither `.` nor `..`."""

Count = Annotated[int, Meta(ge=0, le=1 << 53)]
Scale = Annotated[int, Meta(ge=1, le=1024)]
Side = Annotated[int, Meta(ge=1, le=1 << 31)]
Amount = Annotated[float, Meta(ge=0.0, le=1e18)]
Tolerance = Annotated[float, Meta(ge=0.0)]
Positive = Annotated[float, Meta(gt=0.0, le=1e18)]
Number = Annotated[float, Meta(ge=-1e18, le=1e18)]


DAMAGED = "Repair it, or move it away"


def read_document(path: Path, kind: type[T], what: str, remedy: str = DAMAGED) -> T:
    """The document in a file; `what` is what it should be, `remedy` what to do where it is not.

    Raises `InputError` for a file that is missing, cannot be read, is too large, or does not fit the schema.
    """
    return parse(read_bytes(path), kind, f"{path}: not {what}", remedy)


def read_note(path: Path, kind: type[T], what: str, again: str, *, force: bool) -> T | None:
    """What srbench noted beside its own files; None where it did not, or where `force` forgives a damaged note.

    Raises `InputError` for a damaged one, with what `--force` would do: `again`.
    """
    try:
        return read_document(path, kind, what, f"{DAMAGED}, or {again}: --force") if path.exists() else None
    except InputError:
        if not force:
            raise
        return None


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of at most `MAX_BYTES`; raises `InputError` for any other."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: not a regular file")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{path}: has {status.st_size >> 20} MiB; srbench reads documents up to {MAX_BYTES >> 20}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def read_toml(path: Path, kind: type[T], what: str, inside: Sequence[str] = (), *, optional: bool = False) -> T:
    """As `read_document`, of TOML that the user writes: the table that `inside` leads to, where the file has it.

    Where it has not, the file as a whole; with `optional`, an empty table.
    """
    try:
        whole: Any = tomllib.loads(read_bytes(path).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not {what}: not TOML ({error})") from None
    table = whole
    for name in inside:
        table = table.get(name) if isinstance(table, dict) else None
    if table is None:
        table = {} if optional else whole
    return _checked(lambda: table, lambda raw: msgspec.convert(raw, kind), f"{path}: not {what}", "Mend it")


def parse(content: bytes, kind: type[T], where: str, remedy: str = DAMAGED) -> T:
    """A document out of its JSON; `where` begins the message of the `InputError` for what does not fit the schema."""
    return _checked(lambda: _unambiguous(content), lambda raw: msgspec.json.decode(content, type=kind), where, remedy)


def _unambiguous(content: bytes) -> Any:
    """What JSON says; raises where an object has a name twice, of which readers take the first or the last."""
    raw = msgspec.json.decode(content)
    json.loads(content, object_pairs_hook=_once)
    return raw


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        refuse_twice((name for name, _ in pairs), "in one object")


def refuse_twice(names: Iterable[object], where: str) -> None:
    """Raise `msgspec.ValidationError` for what stands more than once `where` it must stand once."""
    times = Counter(names)
    for name, count in times.items():
        if count > 1:
            raise msgspec.ValidationError(f"{name!r} stands in it {count} times {where}")


def _checked(read: Callable[[], Any], convert: Callable[[Any], T], where: str, remedy: str) -> T:
    try:
        raw = read()
        version = raw.get("schema", SCHEMA) if isinstance(raw, dict) else SCHEMA
        if isinstance(version, int) and version != SCHEMA:
            path = where.partition(": not ")[0]
            raise InputError(f"{path}: schema {version}; this srbench reads schema {SCHEMA}. Upgrade srbench")
        made = convert(raw)
        _refuse_unknown(raw, made)
    except RecursionError:
        raise InputError(f"{where} (nested too deeply). {remedy}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"{where} ({_worded(error)}). {remedy}") from None
    return made


def is_name(text: str) -> bool:
    """Whether a text may be the name of a file or folder: see `Name`."""
    return re.match(_NAME, text) is not None


def _refuse_unknown(raw: Any, made: object, at: str = "$") -> None:
    """Raise where a document has a field that its schema lacks: a later srbench may mean something by it.

    Only objects and lists are gone into: a run of 10,000 images has 80,000 other values.
    """
    if is_dataclass(made):
        kind: Any = type(made)
        known = _fields_of(kind)
        for name, value in raw.items():
            if name not in known:
                raise msgspec.ValidationError(f"Object contains unknown field `{name}` - at `{at}`")
            if isinstance(value, (dict, list)):
                _refuse_unknown(value, getattr(made, name), f"{at}.{name}")
    elif isinstance(made, Mapping):
        for name, value in made.items():
            if isinstance(raw[name], (dict, list)):
                _refuse_unknown(raw[name], value, f"{at}[...]")
    elif isinstance(made, tuple):
        for index, (before, value) in enumerate(zip(raw, made, strict=True)):
            if isinstance(before, (dict, list)):
                _refuse_unknown(before, value, f"{at}[{index}]")


@cache
def _fields_of(kind: type) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind))


def _worded(error: Exception) -> str:
    """msgspec's message, in which the pattern of `Name` is said in words."""
    text = str(error).replace(f"Expected `str` matching regex {_NAME!r}", "Expected a name, not a path")
    return text if len(text) <= 200 else f"{text[:120]}…{text[-60:]}"


def strict(thing: Any) -> Any:
    """A document with numbers that are not finite as words: `inf`, `-inf`, `nan`."""
    if isinstance(thing, float) and not math.isfinite(thing):
        return str(thing)
    if isinstance(thing, dict):
        return {key: strict(value) for key, value in thing.items()}
    return [strict(item) for item in thing] if isinstance(thing, (list, tuple)) else thing


def dumps(document: Any) -> str:
    """A document as indented text."""
    return json.dumps(strict(document), indent=1, allow_nan=False)
