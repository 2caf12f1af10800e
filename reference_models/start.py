"""Where a network begins: with fresh weights, with those of another, or with another's and more blocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from reference_models.architectures import build
from reference_models.recipes import Recipe
from reference_models.settings import FRESH
from reference_models.weights import load_network
from srbench.base.errors import InputError

PACKAGED = Path(__file__).parent / "weights"


def first_network(recipe: Recipe) -> tuple[nn.Module, int]:
    """The recipe's network, and how many of its blocks are new beside those of `start`; 0 without one.

    Raises `InputError` where `start` is not there, or is of another network.
    """
    network, added = build(recipe.architecture, recipe.scale, **recipe.options), 0
    if recipe.start and recipe.start != FRESH:
        path = start_file(recipe)
        try:
            added = begin_from(network, load_network(path).state_dict())
        except RuntimeError as error:
            why = " ".join(str(error).split())[:120]
            raise InputError(f"{path} does not fit recipe {recipe.name!r}: {why}") from None
    if recipe.checkpointing and not hasattr(network, "checkpointing"):
        raise InputError(f"architecture {recipe.architecture!r} has no gradient checkpointing; leave it false")
    if recipe.checkpointing:
        network.checkpointing = True  # type: ignore[assignment]
    return network, added


def start_file(recipe: Recipe) -> Path:
    """The weights file that `start` means: a path, or the name of a packaged model. Raises `InputError` for neither."""
    path = Path(recipe.start)
    packaged = PACKAGED / f"{recipe.start}-x{recipe.scale}.safetensors"
    for found in (path, packaged):
        if found.is_file():
            return found
    raise InputError(f"start={recipe.start} is no weights file, and no packaged model has that name at x{recipe.scale}")


def begin_from(network: nn.Module, weights: Mapping[str, Tensor]) -> int:
    """Load weights into a network that may have more blocks, which begin as identity; returns how many.

    So a deeper network starts at the score of the shallower (Chen et al., "Net2Net", ICLR 2016). Raises `RuntimeError`
    where anything else differs.
    """
    theirs, ours = blocks_in(weights), blocks_in(network.state_dict())
    if not 0 < theirs < ours:
        network.load_state_dict(weights)
        return 0
    new = list(network.body)[theirs:]  # type: ignore[arg-type]
    beyond = {name: tensor for name, tensor in network.state_dict().items() if _block(name) >= theirs}
    network.load_state_dict({**weights, **beyond})
    for block in new:
        network.make_identity(block)  # type: ignore[operator]
    return len(new)


def blocks_in(weights: Mapping[str, Tensor]) -> int:
    """How many blocks the body of a network has, by the names of its tensors."""
    return 1 + max(map(_block, weights), default=-1)


def _block(name: str) -> int:
    """The number of the block that a tensor is in; -1 where it is in none."""
    match = re.match(r"body\.(\d+)\.", name)
    return int(match[1]) if match else -1
