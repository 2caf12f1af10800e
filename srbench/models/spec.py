"""What a model and a backend have to be, and what identifies the weights behind a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from srbench.base.assets import digest, locate

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from srbench.base.assets import Asset
    from srbench.models.measured import Measured


PRECISIONS = ("fp32", "bf16", "fp16")


class Upscaler(Protocol):
    """A super-resolution function: the one thing that a model has to be."""

    @property
    def scale(self) -> int:
        """How many SR pixels stand on one LR pixel, along each axis."""

    def __call__(self, lr: Tensor, /) -> Tensor:
        """`(n, 3, h, w)` float in [0, 1] to `(n, 3, h * scale, w * scale)` float; need not be clamped."""


@dataclass(frozen=True)
class ModelSpec:
    """What an entry point of the group `srbench.models` yields.

    `build(scale, device)` makes an upscaler whose weights are on `device`; it may raise `UnavailableError`.
    `weights` maps a scale to the file behind it; a model without weights leaves it empty. `digest(scale)`, where it is
    given, is the sha256 (hex) of everything that the output depends on, in place of that of the weights file.
    `measured` has, by scale, what `srbench list models` shows of it.
    `interpolate(a)`, for a in [0, 1], is the model between the one that this one was trained from (0) and this one (1).

    A loader of weights files sets `probe` where the file does not say which values the network takes; srbench then
    finds out. `values` are those that were found or given where they are not RGB in [0, 1] (`0..255 bgr`), and
    `remark` says how that is known; both go into the record of a run.
    """

    name: str
    scales: tuple[int, ...]
    build: Callable[[int, torch.device], Upscaler]
    weights: Mapping[int, Asset] = field(default_factory=dict)
    digest: Callable[[int], str] | None = None
    interpolate: Callable[[float], ModelSpec] | None = None
    licence: str = ""
    citation: str = ""
    summary: str = ""
    measured: Mapping[int, Measured] = field(default_factory=dict)
    probe: bool = False
    values: str = ""
    remark: str = ""

    @property
    def made_for(self) -> str:
        """Why it is left out at a scale that is not among its own."""
        return f"it is made for --scale {','.join(map(str, self.scales))}"


@dataclass(frozen=True)
class Backend:
    """What an entry point of the group `srbench.backends` yields: a way to run a network.

    `wrap(network, example, precision, option)` takes a torch module in evaluation mode from one `(n, c, h, w)` tensor
    to another, and a tensor as the module is given it, on the device in question; it returns a function of such tensors
    of any n, h and w. None runs the module as it is. Under a precision other than fp32 the function is called within
    `torch.autocast`. `option` says what may follow the name after a colon; empty where nothing may. `devices` are the
    torch device types that it runs on; empty for all.
    """

    name: str
    wrap: Callable[[nn.Module, Tensor, str, str], Callable[[Tensor], Tensor]] | None
    precisions: tuple[str, ...] = PRECISIONS
    devices: tuple[str, ...] = ()
    option: str = ""
    summary: str = ""


def weights_digest(spec: ModelSpec, scale: int) -> str:
    """sha256 (hex) of what the model's output depends on at a scale: the spec's own digest, else its weights file's.

    Fetches the file if need be. Empty for a model without weights. Raises `UnavailableError` where the file cannot be
    had.
    """
    if spec.digest is not None:
        return spec.digest(scale)
    return digest(locate(spec.weights[scale])) if scale in spec.weights else ""
