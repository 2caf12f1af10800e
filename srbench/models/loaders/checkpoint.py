"""Tensors out of a weights file, whatever wraps them, and never a line of code: pickles are read by torch's unpickler
for weights, which builds tensors and plain containers and refuses everything else.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.errors import InputError, first_line
from srbench.base.registry import beside, did_you_mean
from srbench.models.loaders.wrappers import State, generator_of, other_readings, unwrapped, without_prefixes
from srbench.models.values import NO_HINTS, Hints

if TYPE_CHECKING:
    from torch import Tensor

POINTER = b"version https://git-lfs.github.com"
OF_A_SCRIPT = re.compile(rb"c__main__\n([A-Za-z_]\w*)\n")
"""How a pickle, of the protocol that torch writes, names a class that the script itself defined."""

PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b'{"')


@dataclass(frozen=True)
class Checkpoint:
    """A weights file and what the user said of it. Its content is read when it is first asked for."""

    path: Path
    hints: Hints = field(default=NO_HINTS)
    reading: State | None = None
    """The tensors to take in place of all; see `readings`."""
    taken: str = ""
    """Which those are, where others could have been meant."""

    @property
    def is_onnx(self) -> bool:
        """Whether the file is an ONNX graph, by its suffix."""
        return self.path.suffix.lower() == ".onnx"

    @cached_property
    def is_program(self) -> bool:
        """Whether it is TorchScript or a torch.export archive: zips with code in them, where weights have none."""
        if self.path.suffix.lower() not in (".pt", ".pt2", ".pth"):
            return False
        names = {member.filename.partition("/")[2] for member in _members(self.path)}
        return bool({"constants.pkl", "archive_format"} & names) or any(name.startswith("models/") for name in names)

    @cached_property
    def _content(self) -> tuple[State, dict[str, str], str]:
        refuse_no_file(self.path)
        refuse_placeholders(self.path)
        if self.path.suffix.lower() == ".safetensors":
            (tensors, metadata), told = read_safetensors(self.path), ""
        else:
            (tensors, told), metadata = read_pickle(self.path), {}
        refuse_inflated(self.path, tensors)
        return tensors, metadata, told

    @cached_property
    def _generator(self) -> tuple[State, str]:
        return generator_of(without_prefixes(self._content[0]))

    @property
    def tensors(self) -> State:
        """The weights on the CPU by name, out of their wrappers and without prefixes. Raises `InputError`."""
        return self._generator[0] if self.reading is None else self.reading

    @property
    def choice(self) -> str:
        """Which weights of the file these are, where others could have been meant: averaged ones, as a rule."""
        return "; ".join(filter(None, (self._content[2], self._generator[1])))

    def readings(self) -> list[Checkpoint]:
        """This file with the tensors of a module inside, as Lightning has networks in `model.` or `net.`."""
        return [replace(self, reading=tensors, taken=taken) for tensors, taken in other_readings(self.tensors)]

    @property
    def metadata(self) -> dict[str, str]:
        """What a safetensors file says of itself; empty for others."""
        return self._content[1]

    @property
    def summary(self) -> str:
        """For error messages: how many tensors of what names and shapes."""
        if self.is_onnx or self.is_program:
            return "an ONNX graph" if self.is_onnx else "a program of torch"
        shapes = [f"{name} {tuple(tensor.shape)}" for name, tensor in self.tensors.items()]
        return f"{len(shapes)} tensors: {', '.join(shapes[:3])}{', …' * (len(shapes) > 3)}"


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata; raises `InputError` for a file that is not safetensors, or is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, ValueError, MemoryError) as error:
        raise InputError(f"{path}: not a weights file, or a damaged one ({first_line(error)})") from error


def refuse_no_file(path: Path) -> None:
    """Raise `InputError` where there is nothing, or a folder, a pipe or a device."""
    if not path.is_file():
        there = os.path.lexists(path)
        guess = did_you_mean(str(path), beside(path))
        told = "not a regular file" if there else f"no such weights file. {guess}".rstrip(". ")
        raise InputError(f"{path}: {told}")


def refuse_placeholders(path: Path) -> None:
    """Raise `InputError` for what a download left in place of the file: a web page, a Git LFS pointer, nothing."""
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    if not start:
        raise InputError(f"{path}: is empty. Download it again")
    if start.startswith(POINTER):
        raise InputError(f"{path}: is a Git LFS pointer, not the file. Fetch it: git lfs pull, or download it by hand")
    if start.startswith(PAGES):
        raise InputError(
            f"{path}: is a web page or message, not weights. Download the file itself, not the page about it"
        )


def _begins_as_torch_writes(path: Path) -> bool:
    """Whether a file is a zip, or a pickle of the protocols that torch has used."""
    with path.open("rb") as file:
        return file.read(2)[:1] == b"\x80" or zipfile.is_zipfile(path)


def read_pickle(path: Path) -> tuple[State, str]:
    """The generator's tensors in a `.pth` file, and which were chosen, where there was a choice.

    Raises `InputError` for a file whose loading would run code, saying how to convert it, for a damaged one, and for
    one without tensors.
    """
    from pickle import UnpicklingError

    import torch

    _refuse_bomb(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old pickle protocols; what cannot be read is an error below
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if not _begins_as_torch_writes(path):
            raise InputError(f"{path}: not a weights file, or a damaged one. Download it again") from None
        raise InputError(
            f"{path}: holds more than tensors, and loading it could run code, so srbench does not "
            f"({_culprit(error)}). If you trust it, convert it: python -c {shlex.quote(_conversion(path))}"
        ) from None
    except Exception as error:  # a damaged pickle calls torch's functions with anything
        raise InputError(f"{path}: not a weights file, or a damaged one ({first_line(error, 120)})") from error
    try:
        tensors, told = unwrapped(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not tensors:
        raise InputError(f"{path}: holds no dictionary of tensors, but {_shape_of(content)}")
    return tensors, told


def _shape_of(content: Any) -> str:
    """What a file holds, in a few words: its keys and their types."""
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    shown = [f"{key} ({type(value).__name__})" for key, value in list(content.items())[:8]]
    return ", ".join(shown) + ", …" * (len(content) > 8) if shown else "an empty dictionary"


INFLATION = 4
"""How many times its file's size a network may have: tied weights are stored once."""

HARMLESS_BYTES = 64 << 20


def refuse_inflated(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise `InputError` where tensors claim far more elements than their file holds: a network is built of them."""
    claimed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if claimed > max(INFLATION * path.stat().st_size, HARMLESS_BYTES):
        size = f"{claimed / 2**20:,.0f} MiB of {path.stat().st_size / 2**20:.1f}"
        raise InputError(f"{path}: its tensors would take {size}; it was made to do harm, or is damaged")


def _refuse_bomb(path: Path) -> None:
    """Raise `InputError` for a zip that unpacks to far more than it is; torch writes weights uncompressed."""
    unpacked = sum(member.file_size for member in _members(path))
    if unpacked > max(INFLATION * path.stat().st_size, HARMLESS_BYTES):
        raise InputError(f"{path}: unpacks to {unpacked / 2**20:,.0f} MiB; it was made to do harm")


def _members(path: Path) -> list[zipfile.ZipInfo]:
    """What a zip says that it holds; nothing for a file that is none, or a damaged one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except Exception:  # zipfile raises half a dozen kinds of errors for damaged ones
        return []


def _conversion(path: Path) -> str:
    """Python that writes a trusted pickle without its objects into the current folder, for `unwrapped` to choose from.

    Of a network that was pickled as a whole its tensors stay. Classes that were defined in the script that wrote the
    file are stood in for; the module of any other must be importable.
    """
    source, target = json.dumps(str(path)), json.dumps(f"{path.stem}-tensors.pth")
    classes = dict.fromkeys(name.decode() for name in OF_A_SCRIPT.findall(path.read_bytes()))
    stand_in = "type('Net', (torch.nn.Module,), {'__init__': lambda *given: None})"  # an unpickled one keeps its parts
    return (
        "import torch; "
        + "".join(f"{name} = " for name in classes)
        + f"{stand_in}; " * bool(classes)
        + "f = lambda c: c if isinstance(c, (torch.Tensor, str, int, float)) else "
        "{str(k): f(v) for k, v in c.items()} if isinstance(c, dict) else [*map(f, c)] if isinstance(c, (list, tuple)) "
        "else f(c.state_dict()) if '_parameters' in getattr(c, '__dict__', ()) else None; "
        f'torch.save(f(torch.load({source}, "cpu", weights_only=False)), {target})'
    )


def _culprit(error: Exception) -> str:
    """What the pickle asks for, out of torch's long message."""
    found = re.search(r"GLOBAL (\S+)|Unsupported (?:class|global|operand) \S+", str(error))
    return f"it asks for {found[1]}" if found and found[1] else found[0] if found else "an unknown instruction"
