"""Wrappers that make an upscaler of anything that turns small images into large ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from srbench.base.callables import calls_evaluate, networks_in
from srbench.base.errors import InputError, JobError, first_line
from srbench.models.values import Values

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor

    from srbench.models.spec import Upscaler

PROBE = 32
"""Side of the picture that shows a model's scale: a multiple of the windows that transformers want."""


class Scaled:
    """A function of images, with the scale that it has."""

    def __init__(self, function: Callable[[Tensor], Tensor], scale: int) -> None:
        self.function = function
        self.scale = scale

    def parameters(self) -> Iterable[Any]:
        return parameters_of(self.function)

    def __call__(self, lr: Tensor) -> Tensor:
        return self.function(lr)


@contextmanager
def giving_memory_back(upscaler: Any) -> Iterator[bool]:
    """Within it what runs a network, whatever wraps it, gives memory back after each call, where its library would
    keep it for later ones: by its own context `giving_back`. Yields whether there is one."""
    while upscaler is not None and not hasattr(upscaler, "giving_back"):
        upscaler = getattr(upscaler, "function", None) or getattr(upscaler, "network", None)
    with upscaler.giving_back() if upscaler is not None else nullcontext():
        yield upscaler is not None


class Revalued(Scaled):
    """A model that takes and returns other values than RGB in [0, 1], as one that does."""

    def __init__(self, upscaler: Upscaler, values: Values) -> None:
        super().__init__(upscaler, upscaler.scale)
        self.values = values

    def __call__(self, lr: Tensor) -> Tensor:
        (low, high), (out_low, out_high) = self.values.takes, self.values.returns
        sr = self.function(self._ordered(lr) * (high - low) + low)
        return self._ordered((sr - out_low) / (out_high - out_low))

    def _ordered(self, image: Tensor) -> Tensor:
        return image.flip(-3) if self.values.channels == "bgr" else image


def parameters_of(thing: object) -> Iterable[Any]:
    """The parameters of a torch module, or of whatever wraps one; none of anything else."""
    parameters = getattr(thing, "parameters", None)
    return parameters() if callable(parameters) else ()


def ready_for_inference(made: Any, device: torch.device) -> Any:
    """A torch module made ready for inference on a device; of anything else, the networks in it, where they are."""
    from torch import nn

    for network in networks_in(made):
        network.eval().requires_grad_(False)
    return made.to(device) if isinstance(made, nn.Module) else made


def one_tensor(made: object) -> Tensor:
    """What a model returned; raises `JobError` unless it is one tensor."""
    import torch

    if isinstance(made, torch.Tensor):
        return made
    raise JobError(
        f"returned {described(made)}, expected one tensor (n, 3, h, w). Return that from a function of yours"
    )


def described(made: object) -> str:
    """What somebody returned by mistake, in a few words: `a list of 2`, `a dict of sr, aux`, `None`."""
    if made is None:
        return "None"
    if isinstance(made, Mapping):
        return f"a {type(made).__name__} of {', '.join(map(str, list(made)[:5]))}"
    return f"a {type(made).__name__}" + (f" of {len(made)}" if isinstance(made, (list, tuple)) else "")


def measured_scale(function: Callable[[Tensor], Tensor], what: object) -> int:
    """The scale of a function of images on the CPU, from the size of what it returns.

    Raises `InputError` where it fails on a picture of 32x32, or returns a size that is no multiple.
    """
    import torch

    lr = torch.full((1, 3, PROBE, PROBE), 0.5)
    try:
        with torch.inference_mode(), calls_evaluate():
            height, width = one_tensor(function(lr)).shape[-2:]
    except Exception as error:
        reason = first_line(error)
        raise InputError(f"{what}: its scale cannot be told, it fails on 32x32 pixels ({reason})") from error
    if height != width or height % PROBE or height < PROBE:
        raise InputError(f"{what}: makes {width}x{height} of {PROBE}x{PROBE} pixels, which is no whole scale")
    return int(height) // PROBE


def combined(parts: Iterable[str]) -> str:
    """sha256 (hex) of several digests and facts, in order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def safe_name(text: str) -> str:
    """A reference as a file name: letters, digits and `_ . + -`, neither hidden nor empty."""
    return re.sub(r"[^\w.+-]+", "-", text).strip(".-") or "model"


def file_name(path: Path) -> str:
    """What a weights file is called in tables: its stem; `best` and `last`, as trainings write, with their folder."""
    stem = re.sub(r"\.(pth|pt|ckpt)$", "", path.stem, flags=re.IGNORECASE)  # of net.pth.tar
    return safe_name(f"{path.resolve().parent.name}-{stem}" if stem in ("best", "last") else stem)
