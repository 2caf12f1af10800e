"""Architectures, each as its paper has it, by name.

`build("rrdb", scale=4, blocks=6)` makes a network with fresh weights; its hyper-parameters travel with its weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from reference_models.architectures.msrresnet import MSRResNet
from reference_models.architectures.rrdb import RRDBNet
from reference_models.architectures.srcnn import SRCNN
from reference_models.architectures.srresnet import SRResNet
from srbench.base.errors import InputError
from srbench.base.registry import unknown

ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "srcnn": SRCNN,
    "srresnet": SRResNet,
    "msrresnet": MSRResNet,
    "rrdb": RRDBNet,
}


def build(architecture: str, scale: int, **options: Any) -> nn.Module:
    """A network with fresh weights. Raises `UsageError` for an unknown name, `InputError` for options it lacks."""
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)
    make = ARCHITECTURES[architecture]
    if surplus := set(options) - set(inspect.signature(make).parameters):
        raise InputError(f"architecture {architecture!r} has no option {min(surplus)!r}")
    return make(scale=scale, **options)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
