"""Models by reference.

| reference                                  | what it means                                                 |
|--------------------------------------------|---------------------------------------------------------------|
| `all`                                      | every registered model whose name has no `@`                  |
| `srgan`                                    | a name that a package registered under `srbench.models`       |
| `esrgan@xinntao`                           | the same: weights that others published, fetched when named   |
| `esrgan@0.8`                               | 0.8 of the way from the model that it was trained from        |
| `runs/a/best.safetensors`, `RRDB.pth`      | a weights file, see `loaders.files`                           |
| `net.onnx`                                 | an ONNX file, see `loaders.onnx`                              |
| `net.pt`, `net.pt2`                        | TorchScript, torch.export, see `loaders.torch_program`        |
| `package.module:factory`                   | something importable, see `loaders.factory`                   |
| `code/mynet.py:make`, `mynet.py`           | the same in a file; alone, its one factory, or that `make`    |
| `A+B`                                      | the mean of the outputs of A and B                            |
| `name=REF`                                 | any of these, under another name                              |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.errors import InputError, JobError, UsageError
from srbench.base.registry import entries, load_as, registered_name
from srbench.models.spec import ModelSpec
from srbench.models.values import NO_HINTS, Hints

if TYPE_CHECKING:
    import torch

    from srbench.models.spec import Upscaler

ALL = "all"
SUFFIXES = (".safetensors", ".pth", ".pt", ".pt2", ".ckpt", ".bin", ".onnx", ".pth.tar", ".tar")


def find_model(ref: str, hints: Hints = NO_HINTS) -> ModelSpec:
    """The spec behind a reference. `hints` say of files and factories what cannot be read off them.

    Raises `UsageError` for an unknown name, with the nearest names, and `InputError` for a file that cannot be used.
    """
    if registered_name("models", ref) in entries("models"):
        return load_as("models", ref, ModelSpec)
    if _is_file(ref):
        from srbench.models.loaders.files import open_file

        return open_file(Path(ref), hints)
    if alias := re.fullmatch(r"([\w.+-]+)=(.+)", ref):
        return replace(find_model(alias[2], hints), name=alias[1])
    if between := re.fullmatch(r"([\w.-]+)@(\d*\.?\d+)", ref):
        return _interpolated(between[1], float(between[2]))
    if "+" in ref:
        from srbench.models.ensemble import ensemble

        return ensemble([find_model(part.strip(), hints) for part in ref.split("+")])
    if re.fullmatch(r"([\w.]+|.+\.py):[\w.]+|.+\.py", ref):
        from srbench.models.loaders.factory import open_factory

        return open_factory(ref, hints)
    if files := [ref + suffix for suffix in (".py", *SUFFIXES) if Path(ref + suffix).is_file()]:
        raise UsageError(f"{ref}: no such model. Did you mean {' or '.join(files)}?")
    if "/" in ref or Path(ref).exists():
        images = f"; or, for images, --datasets {ref}" if Path(ref).is_dir() else ""
        raise InputError(f"{ref}: not a model. Expected a weights file: {', '.join(SUFFIXES)}{images}")
    return load_as("models", ref, ModelSpec)


def files_of(ref: str) -> list[Path]:
    """The files that a reference names, which nothing may write over; none for registered names and factories."""
    parts = [Path(part.strip()) for part in dict.fromkeys([ref, *re.split("[+=]", ref)])]
    return [path for path in parts if path.is_file()]


def list_models() -> list[str]:
    """The names of all registered models, sorted; `load_model` takes them, and files and more besides."""
    return sorted(entries("models"))


def _interpolated(name: str, share: float) -> ModelSpec:
    spec = load_as("models", name, ModelSpec)
    if spec.interpolate is None:
        raise UsageError(f"{name}@{share:g}: {name} was not trained from another model, so there is nothing in between")
    if not 0.0 <= share <= 1.0:
        raise UsageError(f"{name}@{share:g}: expected a share from 0 to 1, for instance {name}@0.8")
    return spec.interpolate(share)


def _is_file(ref: str) -> bool:
    """Whether the whole reference is a path: `a.pth+b.pth` is two, unless a file is called so."""
    path = Path(ref)
    if not path.name.lower().endswith(SUFFIXES):
        return False
    return path.is_file() or not re.search(r"[+=]", ref)


def select_models(
    refs: Iterable[str], hints: Hints = NO_HINTS, broken: dict[str, str] | None = None, *, as_typed: bool = False
) -> list[ModelSpec]:
    """The specs behind `--models`, each once: those without weights first, then by name, unless `as_typed`.

    With `broken`, a file that is there and cannot be used goes into it, by the model's name, with the reason, and its
    spec fails when it is built; unless nothing else is left.

    Raises `UsageError` where two models would be stored under one name, and what `find_model` raises.
    """
    every = [name for name in entries("models") if "@" not in name]
    wanted = [registered_name("models", name) for ref in refs for name in (every if ref == ALL else [ref])]
    names = dict.fromkeys(wanted)
    found: dict[str, str] = {}
    specs = [(ref, _found(ref, hints, broken)) for ref in names]
    if broken and len(broken) == len(specs):
        raise InputError(next(iter(broken.values())))
    for ref, spec in specs:
        if spec.name in found:
            raise UsageError(
                f"{found[spec.name]} and {ref} would both be called {spec.name}. Name one: {spec.name}2={ref}"
            )
        found[spec.name] = ref
    chosen = [spec for _, spec in specs]
    return chosen if as_typed else sorted(chosen, key=lambda spec: (bool(spec.weights or spec.digest), spec.name))


def _found(ref: str, hints: Hints, broken: dict[str, str] | None) -> ModelSpec:
    try:
        return find_model(ref, hints)
    except (InputError, OSError) as error:
        if broken is None or not files_of(ref):
            raise
        from srbench.models.wrap import file_name

        alias = "" if Path(ref).is_file() else ref.rpartition("=")[0]
        name = alias or "+".join(file_name(Path(part.strip())) for part in ref.split("+"))
        broken[name] = reason = str(error)

    def build(scale: int, device: torch.device) -> Upscaler:
        raise JobError(reason)

    return ModelSpec(name, tuple(range(1, 17)), build)


def load_model(ref: str, scale: int = 4, device: str = "auto", hints: Hints = NO_HINTS) -> Upscaler:
    """Build a model: a callable from `(n, 3, h, w)` float in [0, 1] to `(n, 3, h * scale, w * scale)`.

    Raises `UsageError` for an unknown model or a scale that it lacks, `InputError` for a file that is not a model, and
    `UnavailableError` where its weights cannot be had.
    """
    from srbench.models.inference import select_device

    spec = find_model(ref, hints)
    if scale not in spec.scales:
        raise UsageError(f"{ref} has no scale {scale}; it has {', '.join(map(str, spec.scales))}")
    return spec.build(scale, select_device(device))
