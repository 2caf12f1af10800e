"""Architectures, each as its paper has it, by name.

`build("rrdb", 4, blocks=6)` makes a network with fresh weights; its hyper-parameters travel with its weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from torch import nn

from reference_models.architectures.msrresnet import MSRResNet
from reference_models.architectures.rrdb import RRDBNet
from reference_models.architectures.srcnn import SRCNN
from reference_models.architectures.srresnet import SRResNet
from srbench.base.errors import InputError
from srbench.base.registry import refuse_unknown
from srbench.images.degrade import SCALES

ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "srcnn": SRCNN,
    "srresnet": SRResNet,
    "msrresnet": MSRResNet,
    "rrdb": RRDBNet,
}


LEAST = {"features": 3}
"""Of options that are numbers, where it is not 1: RGB is carried through three features."""
MOST = 4096
"""Of options that are numbers: far beyond any network there is, and what torch can still count."""


def build(architecture: str, scale: int, /, **options: Any) -> nn.Module:
    """A network with fresh weights. Raises `UsageError` for an unknown name, `InputError` for options it lacks."""
    refuse_unknown("architecture", [architecture], ARCHITECTURES)
    make = ARCHITECTURES[architecture]
    known = dict(inspect.signature(make, eval_str=True).parameters)
    if surplus := set(options) - (set(known) - {"scale"}):
        raise InputError(f"architecture {architecture!r} has no option {min(surplus)!r}")
    for name, value in options.items():
        _refuse_unfit(architecture, name, value, known[name].annotation)
    if scale not in SCALES and make is not SRCNN:
        raise InputError(f"architecture {architecture!r} has scales {', '.join(map(str, SCALES))}; not {scale}")
    return make(scale=scale, **options)


def _refuse_unfit(architecture: str, name: str, value: Any, hint: Any) -> None:
    """Raise `InputError` for an option of another type, or one that there is not."""
    if get_origin(hint) is Literal:
        fits, expected = value in get_args(hint), " or ".join(map(repr, get_args(hint)))
    else:
        least = LEAST.get(name, 1)
        whole = isinstance(value, int) and not isinstance(value, bool)
        fits, expected = whole and least <= value <= MOST, f"a whole number from {least} to {MOST}"
    if not fits:
        raise InputError(f"architecture {architecture!r}: option {name}={value!r}; expected {expected}")
