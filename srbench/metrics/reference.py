"""Metrics by reference, as any model: `module:function`, `file.py:function`, `piq:NAME`, `pyiqa:NAME`.

| reference                     | what is called                                                                   |
|-------------------------------|----------------------------------------------------------------------------------|
| `module:name`, `FILE.py:name` | a `Metric`, a function of two tensors to one number, or a class of such functions |
| `piq:NAME`                    | a function of piq, such as `piq:fsim`, or one of its losses, such as `piq:DISTS`  |
| `pyiqa:NAME`                  | what `pyiqa.create_metric(NAME)` makes, on the device of the run                  |

All are given SR and HR as float32 `(1, 3, h, w)` RGB in [0, 1], SR rounded to 8 bits, no border cropped (convention
`nocrop`), an image at a time. Less is better where an attribute `higher_is_better = False` says so, or else the name
(`LESS_IS_BETTER`). The package and its version, or a digest of code and weights, are the metric's variant, and so in
every signature.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.callables import state_digest
from srbench.base.errors import UnavailableError, UsageError, first_line
from srbench.base.registry import attribute_of, import_file, import_from_here
from srbench.metrics.metric import Metric, ScoreFunction

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.metrics.conventions import Convention

LESS_IS_BETTER = re.compile(
    "loss|error|divergence|(^|_)dist(_|$)|distance|distortion|angle|ergas|mse|mae|learned_perceptual|structure_and_texture|lpips|dists|gmsd|mdsi|pieapp",
    re.IGNORECASE,
)
"""What names of distances contain, where the metric itself does not say; pyiqa's and torchmetrics' classes do."""


def metric_by_reference(name: str) -> Metric:
    """The metric behind `package:name`; raises `UsageError` or `UnavailableError` where there is none."""
    module_name, _, attribute = name.rpartition(":")
    module = import_file(Path(module_name)) if module_name.endswith(".py") else _import(module_name)
    if module_name == "pyiqa":
        make = partial(module.create_metric, attribute)
        return _metric(name, lambda device: make(device=device), module, _better_in_pyiqa(module, attribute))
    thing = attribute_of(module, module_name, attribute)
    if isinstance(thing, Metric):
        version = _version_of(module, thing)
        return replace(thing, variant=lambda: ",".join(filter(None, (thing.variant(), version))))
    if not callable(thing):
        raise UsageError(f"metric {name!r} is a {type(thing).__name__}, expected a Metric or a function of SR and HR")
    higher = getattr(thing, "higher_is_better", not LESS_IS_BETTER.search(attribute))
    if not isinstance(higher, bool | None):
        raise UsageError(f"metric {name!r} has higher_is_better = {higher!r}, expected True, False or None")
    return _metric(name, lambda device: _called(thing, device), module, higher)


def _metric(name: str, make: Callable[[torch.device], Callable[..., Any]], module: Any, higher: bool | None) -> Metric:
    loaded = ""

    def load(convention: Convention, device: torch.device) -> ScoreFunction:
        nonlocal loaded
        try:
            function = make(device)
            loaded = _version_of(module, function)
            return partial(_scores, function)
        except (Exception, SystemExit) as error:  # anybody's code, which may also want weights that are not here
            raise UnavailableError(f"metric {name} is not made: {type(error).__name__}: {first_line(error)}") from error

    return Metric(name, "rgb", load, "nocrop", higher, digits=4, label=name, variant=lambda: loaded)


def _scores(function: Callable[..., Any], sr: Tensor, hr: Tensor) -> Tensor:
    """Scores of `(n, 3, h, w)` views in [0, 255], an image at a time, by a function of images in [0, 1]."""
    import torch

    with torch.inference_mode():
        images = ((image / 255.0).float().contiguous() for image in (sr, hr))  # some code of others asks for that
        pairs = zip(*(torch.split(image, 1) for image in images), strict=True)
        return torch.stack([_one_number(_as_made(function)(one, other)) for one, other in pairs])


def _as_made(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy, so that what a metric keeps of one image is not part of the next one's score; weights are shared."""
    weights = {id(one): one for one in function.parameters()} if hasattr(function, "parameters") else {}
    try:
        return copy.deepcopy(function, weights)
    except Exception:  # of what cannot be copied, such as an open file, nobody knows
        return function


def _one_number(score: Any) -> Tensor:
    import torch

    try:
        if isinstance(score, complex) or (isinstance(score, torch.Tensor) and score.is_complex()):
            raise TypeError
        return torch.as_tensor(score, dtype=torch.float64).reshape(())
    except (TypeError, ValueError, RuntimeError):
        shape = f" of shape {tuple(score.shape)}" if hasattr(score, "shape") else ""
        raise TypeError(f"returned a {type(score).__name__}{shape}, expected one number") from None


def _called(thing: Any, device: torch.device) -> Callable[..., Any]:
    """A function as it is; of a class of modules, one that is made ready."""
    made: Any = thing() if inspect.isclass(thing) else thing
    ready: Callable[..., Any] = made.eval().to(device) if hasattr(made, "eval") and hasattr(made, "to") else made
    return ready


def _better_in_pyiqa(module: Any, name: str) -> bool:
    if name not in module.list_models():
        raise UsageError(f"pyiqa has no metric {name!r}; see pyiqa.list_models()")
    configs = getattr(module.default_model_configs, "DEFAULT_CONFIGS", {})
    return not configs.get(name, {}).get("lower_better", LESS_IS_BETTER.search(name))


def _import(name: str) -> Any:
    try:
        return import_from_here(name)
    except UsageError as error:
        if isinstance(missing := error.__cause__, ModuleNotFoundError):
            raise UnavailableError(f"metric package {name} is not here ({missing}): pip install {name}") from None
        raise


def _version_of(module: Any, thing: object) -> str:
    """`piq-0.8.0` for what a package brought, else a digest of the source file, and of the code and weights that
    are reached from there: helpers in other files, too."""
    for distribution in packages_distributions().get(module.__name__.partition(".")[0], ()):
        return f"{distribution}-{version(distribution)}"
    source = Path(module.__file__).read_bytes() if getattr(module, "__file__", None) else b""
    return f"source@{hashlib.sha256(source + state_digest(thing).encode()).hexdigest()[:6]}"
