"""Weights files: each is offered to the loaders of the entry-point group `srbench.loaders`, in the order of names.

A loader is a function `(checkpoint) -> ModelSpec | None`: None says that the file is not its own, an `InputError` or
`UnavailableError` says why it would be, and cannot be used. It builds from `checkpoint.tensors`, which were read
without running any code of the file. The module of a loader may say in `FAMILIES` which networks it knows.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

from srbench.base import registry
from srbench.base.assets import digest
from srbench.base.errors import InputError, UnavailableError, UsageError, first_line
from srbench.models.loaders.checkpoint import Checkpoint, refuse_no_file, refuse_placeholders
from srbench.models.loaders.onnx import external_files
from srbench.models.probe import with_values
from srbench.models.spec import ModelSpec
from srbench.models.values import Hints
from srbench.models.wrap import combined, file_name


def open_file(path: Path, hints: Hints) -> ModelSpec:
    """The spec of a weights file, named after it; its digest is the file's.

    Raises `InputError` for a missing, damaged or unsafe file, and for one that no loader knows, saying what was tried.
    """
    refuse_no_file(path)
    refuse_placeholders(path)
    checkpoint = Checkpoint(path, hints)
    graph = checkpoint.is_onnx or checkpoint.is_program
    if not graph and not checkpoint.tensors:  # read here: what is unsafe is refused before any loader
        raise InputError(f"{path}: holds no tensors")
    tried: list[str] = []
    for reading in [checkpoint, *([] if graph else checkpoint.readings())]:
        if (spec := _loaded(reading, tried if reading is checkpoint else [])) is not None:
            if hints.scale and hints.scale not in spec.scales:
                own = ", ".join(f"x{scale}" for scale in spec.scales)
                raise UsageError(f"{path} ({spec.summary}) is {own}; --model-scale {hints.scale} contradicts it")
            choice = "" if graph else checkpoint.choice
            spec = _identified(spec, path, hints)
            return replace(spec, remark="; ".join(filter(None, (choice, reading.taken, spec.remark))))
    if graph:
        raise InputError(f"{path}: no loader knows this model; tried {', '.join(one for one in tried if '(' in one)}")
    families = "; ".join(filter(None, (families_of(name) for name in registry.entries("loaders"))))
    raise InputError(
        f"{path}: no loader knows this model; tried {', '.join(tried)}. It holds {checkpoint.summary}. "
        f"Known: {families}.\n"
        f"For any other, put this beside its code, into mynet.py, and give --models mynet:make: "
        f"def make(): n = Net(); n.load_state_dict(torch.load({path.name!r})); return n"
    )


def _loaded(checkpoint: Checkpoint, tried: list[str]) -> ModelSpec | None:
    """The spec by the first loader that knows a checkpoint; what the others say of it goes into `tried`."""
    for name in registry.entries("loaders"):
        try:
            spec: ModelSpec | None = registry.load("loaders", name)(checkpoint)
        except (InputError, UnavailableError) as error:
            tried.append(f"{name} ({str(error).removeprefix(f'{checkpoint.path}: ')})")
            continue
        except Exception as error:  # what other libraries raise for a damaged file has no common base
            tried.append(f"{name} ({type(error).__name__}: {first_line(error, 120)})")
            continue
        if spec is not None:
            return spec
        tried.append(name)
    return None


def families_of(loader: str) -> str:
    """The networks that a loader knows, as its module says in `FAMILIES`; empty where it does not."""
    module = inspect.getmodule(registry.load("loaders", loader))
    return str(getattr(module, "FAMILIES", ""))


def _identified(spec: ModelSpec, path: Path, hints: Hints) -> ModelSpec:
    """The spec under the file's name and digest, for the values that it takes."""
    try:
        spec = replace(spec, name=file_name(path), digest=lambda scale: _digest(path))
        return with_values(spec, hints, lambda scale: _digest(path))
    except InputError as error:
        raise InputError(f"{path} ({spec.summary}): {error}") from None


def _digest(path: Path) -> str:
    """sha256 of a weights file; of an ONNX graph that keeps weights in other files, of all of them together."""
    others = external_files(path) if path.suffix.lower() == ".onnx" else []
    return combined([digest(path), *map(digest, others)]) if others else digest(path)
