"""`package.module:factory`: a model that can be imported.

The object may be a `ModelSpec`, or a function or class that makes an upscaler or a torch module. It is given `scale`
and `device` where it has parameters of these names. The current folder is looked in first, as by `python -m`.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from srbench.base import assets
from srbench.base.errors import UsageError
from srbench.models.callables import digest_of
from srbench.models.probe import with_values
from srbench.models.spec import ModelSpec
from srbench.models.values import Hints
from srbench.models.wrap import Scaled, combined, measured_scale, safe_name, settled

if TYPE_CHECKING:
    import torch

    from srbench.models.spec import Upscaler

SCALES = (2, 3, 4, 8)
"""What a factory that asks for a scale is taken to make."""


def open_factory(ref: str, hints: Hints) -> ModelSpec:
    """The spec of `package.module:factory`; its identity is a digest of the module's source file and of what is made.

    Raises `UsageError` for what cannot be imported, is not callable, or cannot be called with `scale` and `device`.
    """
    import torch

    module_name, _, attribute = ref.partition(":")
    module = _import(module_name)
    try:
        thing = attrgetter(attribute)(module)
    except AttributeError as error:
        raise UsageError(f"{ref}: {error}") from None
    if isinstance(thing, ModelSpec):
        return thing
    make = _maker(thing, ref)
    scales = SCALES if "scale" in inspect.signature(thing).parameters else (_own_scale(make, ref, hints),)

    def build(scale: int, device: torch.device) -> Upscaler:
        made = settled(make(scale, device), device)
        return made if hasattr(made, "scale") else Scaled(made, scale)

    @cache
    def digest(scale: int) -> str:
        source = assets.digest(Path(module.__file__)) if module.__file__ else ""
        try:
            return combined([source, digest_of(make(scale, torch.device("cpu")))])
        except Exception:  # what keeps it from being made is told when it is to run
            return source

    spec = ModelSpec(safe_name(ref.replace(":", ".")), scales, build, digest=digest)
    return with_values(spec, hints, digest)


def _import(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UsageError(f"{name} does not import: {type(error).__name__}: {error}") from error


def _maker(thing: Any, ref: str) -> Callable[[int, torch.device], Any]:
    """The factory as a function of scale and device, whichever of them it asks for."""
    if not callable(thing):
        raise UsageError(f"{ref} is a {type(thing).__name__}; expected a ModelSpec or a function that makes a model")
    parameters = inspect.signature(thing).parameters.values()
    needed = [item.name for item in parameters if item.default is item.empty and item.kind not in (2, 4)]
    if foreign := [name for name in needed if name not in ("scale", "device")]:
        raise UsageError(f"{ref} needs {', '.join(foreign)}; a factory is given scale and device, and nothing else")
    wanted = {item.name for item in parameters} & {"scale", "device"}

    def make(scale: int, device: torch.device) -> Any:
        return thing(**{name: value for name, value in (("scale", scale), ("device", device)) if name in wanted})

    return make


def _own_scale(make: Callable[[int, torch.device], Any], ref: str, hints: Hints) -> int:
    """The one scale of a factory that does not ask for it: told by the user, by the model, or by what it returns."""
    import torch

    if hints.scale:
        return hints.scale
    made = settled(make(0, torch.device("cpu")), torch.device("cpu"))
    scale = getattr(made, "scale", None)
    return scale if isinstance(scale, int) else measured_scale(made, ref)
