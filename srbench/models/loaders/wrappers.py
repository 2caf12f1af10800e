"""The generator's tensors out of what a trainer saved: its dictionary under whatever name, its names without prefixes.

Where averaged weights (EMA) lie beside the last ones, they are meant: that is what trainers publish scores of, and what
BasicSR's own test scripts take. Which ones were taken is told wherever there was a choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from srbench.base.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]

WRAPPERS = ("params_ema", "ema", "params", "generator", "net_g", "netG", "state_dict", "model_state_dict", "model")
"""Keys under which trainers put a generator's weights, in the order in which they are preferred."""

AVERAGED = re.compile(r"(^|_)(ema|swa|averaged?|avg)(_|$)", re.IGNORECASE)
"""What names of averaged weights have in them."""

NO_GENERATOR = re.compile(
    r"optim|sched|discr|(^|_)(net_?)?d(_|$)|critic|loss|(^|_)scaler|rng|vgg|metric", re.IGNORECASE
)
"""Names of what is saved beside a generator, and holds tensors too."""

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

GENERATORS = ("generator", "net_g", "netG", "net_G")
"""Modules in which GAN trainers that keep both networks in one, as Lightning does, have the generator."""

HOLDERS = ("model", "net", "network", "module", "ema_model", "model_ema")
"""Modules in which others have the network, beside losses and metrics; some networks use these names themselves."""


DEPTH = 8
"""How many dictionaries deep a generator is looked for; a file may hold itself."""


def unwrapped(content: Any) -> tuple[State, str]:
    """The innermost dictionary of tensors, without its entries that are no tensors; and what was chosen, in a line.

    Empty where there is none. Raises `InputError` where several could be the generator's, naming them.
    """
    from torch import Tensor

    told = ""
    for _ in range(DEPTH):  # a pickle may hold itself
        if not isinstance(content, Mapping):
            break
        inside = {str(key): value for key, value in content.items() if _holds_tensors(value)}
        key = _choice(inside, any(isinstance(value, Tensor) for value in content.values()))
        if not key:
            return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}, told
        told = told or _told(key, inside)
        content = inside[key]
    return {}, told


def _choice(inside: Mapping[str, Any], has_tensors: bool) -> str:
    """The key to go on under; empty where there is none, or the tensors beside it are the network's."""
    known = [key for key in inside if key in WRAPPERS]
    others = [key for key in inside if not NO_GENERATOR.search(key)] if not has_tensors else []
    if averaged := [key for key in known + others if AVERAGED.search(key)]:
        return averaged[0]
    if known:
        return min(known, key=WRAPPERS.index)
    if len(others) > 1:
        raise InputError(
            f"holds several dictionaries of tensors: {', '.join(others)}. Save the generator's alone: "
            f"torch.save(torch.load(FILE)[{others[0]!r}], 'net.pth')"
        )
    return others[0] if others else ""


def _holds_tensors(value: object, depth: int = DEPTH) -> bool:
    """Whether a value is a dictionary of tensors by name, or has one in it; the state of an optimiser is none."""
    from torch import Tensor

    if not depth or not isinstance(value, Mapping) or "param_groups" in value:
        return False
    named = any(isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items())
    return named or any(_holds_tensors(item, depth - 1) for item in value.values())


def _told(key: str, others: Iterable[str]) -> str:
    """What was chosen of several that could have been meant: averaged weights, or those that are not."""
    meant = [other for other in others if other in WRAPPERS or AVERAGED.search(other)]
    rest = [other for other in meant if other != key and not NO_GENERATOR.search(other)]
    return f"weights {key} taken, not {', '.join(rest)}" if rest and AVERAGED.search(key) else ""


def without_prefixes(tensors: Mapping[str, Tensor]) -> State:
    """The names without any of `PREFIXES` that all of them share, as often as they do."""
    names = dict(tensors)
    while names and (prefix := next((one for one in PREFIXES if all(name.startswith(one) for name in names)), "")):
        names = {name.removeprefix(prefix): tensor for name, tensor in names.items()}
    return names


def generator_of(tensors: Mapping[str, Tensor]) -> tuple[State, str]:
    """The tensors of the module that is called as one of `GENERATORS`, averaged ones first, and what was chosen.

    Where there is none, all of them: a discriminator or a loss beside it would upscale nothing.
    """
    heads = dict.fromkeys(name.partition(".")[0] for name in tensors if "." in name)
    found = [head for head in heads if head in GENERATORS or AVERAGED.sub("", head) in GENERATORS]
    found.sort(key=lambda head: not AVERAGED.search(head))
    if not found:
        return dict(tensors), ""
    told = f"weights {found[0]} taken, not {', '.join(found[1:])}" if len(found) > 1 else ""
    return inside(tensors, found[0]), told


def inside(tensors: Mapping[str, Tensor], head: str) -> State:
    """The tensors of one module, by the names that they have in it."""
    prefix = f"{head}."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    return without_prefixes(own)


def held(tensors: Mapping[str, Tensor]) -> list[State]:
    """The tensors of each module that is called as one of `HOLDERS`, averaged ones first: other readings of a file."""
    heads = dict.fromkeys(name.partition(".")[0] for name in tensors if "." in name)
    found = [head for head in heads if head in HOLDERS or len(heads) == 1]
    found.sort(key=lambda head: not AVERAGED.search(head))
    return [inside(tensors, head) for head in found]
