"""`package.module:factory`: a model that can be imported.

The object may be a `ModelSpec`, or a function or class that makes an upscaler or a torch module. It is given `scale`
and `device` where it has parameters of these names. The current folder is looked in first, as by `python -m`.

It is called with torch's random numbers at seed 0, so that a network with made-up weights is the same one each time.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from srbench.base import assets
from srbench.base.callables import state_digest
from srbench.base.errors import InputError, UsageError
from srbench.base.registry import attribute_of, import_file, import_from_here, own_callables
from srbench.models.probe import with_values
from srbench.models.spec import ModelSpec
from srbench.models.values import Hints
from srbench.models.wrap import Scaled, combined, described, measured_scale, ready_for_inference, safe_name

if TYPE_CHECKING:
    import torch

    from srbench.models.spec import Upscaler

SCALES = (2, 3, 4, 8)
"""What a factory that asks for a scale is taken to make."""


def open_factory(ref: str, hints: Hints) -> ModelSpec:
    """The spec of `package.module:factory`, or of `code/mynet.py:factory`; its identity is a digest of the source file
    and of what is made: its weights, wherever they came from.

    `mynet.py` alone means its function `make`, or the one function or class that it defines. A factory that fails, or
    makes what is no model, does so again when it is to be used, where a run takes note of it.

    Raises `UsageError` for what cannot be imported, is not callable, or cannot be called with `scale` and `device`.
    """
    found = re.fullmatch(r"(.+?)(?::([\w.]+))?", ref)
    assert found is not None
    home, attribute = found[1], found[2]
    module = import_file(Path(home)) if home.endswith(".py") else import_from_here(home)
    attribute = attribute or _only_factory(module, ref)
    ref = f"{Path(home).stem if home.endswith('.py') else module.__name__}:{attribute}"
    thing = attribute_of(module, home, attribute)
    if isinstance(thing, ModelSpec):
        return thing
    make = _maker(thing, ref)
    scales = SCALES if "scale" in inspect.signature(thing).parameters else _own_scales(make, hints)

    def build(scale: int, device: torch.device) -> Upscaler:
        made = ready_for_inference(make(scale, device), device)
        if not callable(made):
            raise InputError(f"the factory returned {described(made)}; expected a network or a function of images")
        return made if hasattr(made, "scale") else Scaled(made, scale)

    @cache
    def digest(scale: int) -> str:
        import torch

        source = assets.digest(Path(module.__file__)) if module.__file__ else ""
        try:
            made = make(scale, torch.device("cpu"))
        except (Exception, SystemExit):  # told when it is built to be used
            return source
        return combined([source, state_digest(made)])

    spec = ModelSpec(safe_name(ref.replace(":", ".")), scales, build, digest=digest)
    return with_values(spec, hints, digest)


def _only_factory(module: ModuleType, ref: str) -> str:
    """`make`, or the one public function or class that a module defines itself."""
    own = own_callables(module)
    if "make" in own:
        return "make"
    if len(own) != 1:
        found = f"defines {', '.join(own)}" if own else "defines no function or class"
        raise UsageError(f"{ref} {found}. Say which one makes the model: {ref}:{own[0] if own else 'make'}")
    return own[0]


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
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(0)
            return thing(**{name: value for name, value in (("scale", scale), ("device", device)) if name in wanted})

    return make


def _own_scales(make: Callable[[int, torch.device], Any], hints: Hints) -> tuple[int, ...]:
    """The one scale of a factory that does not ask for it: told by the user, by the model, or by what it returns.

    All of `SCALES` where the factory or its model fails: whichever is asked for, building it will say why.
    """
    import torch

    if hints.scale:
        return (hints.scale,)
    try:
        made = ready_for_inference(make(0, torch.device("cpu")), torch.device("cpu"))
        scale = getattr(made, "scale", None)
        return (scale if isinstance(scale, int) else measured_scale(made, "the model"),)
    except (Exception, SystemExit):
        return SCALES
