"""Weights files: each is offered to the loaders of the entry-point group `srbench.loaders`, in the order of names.

A loader is a function `(checkpoint) -> ModelSpec | None`: None says that the file is not its own, an `InputError` or
`UnavailableError` says why it would be, and cannot be used. It builds from `checkpoint.tensors`, which were read
without running any code of the file.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from srbench.base import registry
from srbench.base.assets import digest
from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.models.loaders.checkpoint import Checkpoint
from srbench.models.loaders.onnx import external_files
from srbench.models.probe import with_values
from srbench.models.spec import ModelSpec
from srbench.models.values import Hints
from srbench.models.wrap import combined, file_name


def open_file(path: Path, hints: Hints) -> ModelSpec:
    """The spec of a weights file, named after it; its digest is the file's.

    Raises `InputError` for a missing, damaged or unsafe file, and for one that no loader knows, saying what was tried.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    checkpoint = Checkpoint(path, hints)
    if (
        not (checkpoint.is_onnx or checkpoint.is_program) and not checkpoint.tensors
    ):  # read here: what is unsafe is refused before any loader
        raise InputError(f"{path}: holds no tensors")
    tried = []
    for name in registry.entries("loaders"):
        try:
            spec = registry.load("loaders", name)(checkpoint)
        except (InputError, UnavailableError) as error:
            tried.append(f"{name} ({str(error).removeprefix(f'{path}: ')})")
            continue
        except Exception as error:  # what other libraries raise for a damaged file has no common base
            tried.append(f"{name} ({type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]})")
            continue
        if spec is not None:
            if hints.scale and hints.scale not in spec.scales:
                own = ", ".join(f"x{scale}" for scale in spec.scales)
                raise UsageError(f"{path} ({spec.summary}) is {own}; --model-scale {hints.scale} contradicts it")
            return _identified(spec, path, hints)
        tried.append(name)
    raise InputError(
        f"{path}: no loader knows this model; tried {', '.join(tried)}. It holds {checkpoint.summary}. "
        f"Load it in a function of yours and give --models yourmodule:function"
    )


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
