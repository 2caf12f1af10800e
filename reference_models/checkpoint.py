"""The state of a training: everything that a resumed one needs to go on as if it had never stopped."""

from __future__ import annotations

import io
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reference_models.recipes import Recipe
from srbench.base.errors import InputError
from srbench.images.files import atomic_file


@dataclass
class Clock:
    """How far a training is. `seconds` is the time that it has run, over all its sessions."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    waited: int = 0
    curve: list[list[float]] = field(default_factory=list)
    """Rows of step, seconds, mean loss, validation PSNR in dB."""

    def observe(self, loss: float, psnr: float) -> bool:
        """Note a validation; whether it is the best so far."""
        self.curve.append([self.step, round(self.seconds, 1), loss, psnr])
        better = psnr > self.best
        self.best, self.waited = (psnr, 0) if better else (self.best, self.waited + 1)
        return better

    def tick(self, seconds: float) -> None:
        """One more step; the training has run for `seconds` altogether."""
        self.step += 1
        self.seconds = seconds

    def progress(self, recipe: Recipe) -> float:
        """From 0 to 1, by time where the recipe gives `minutes`, else by steps."""
        done = self.seconds / (60.0 * recipe.minutes) if recipe.minutes else self.step / recipe.steps
        return min(done, 1.0)

    def goes_on(self, recipe: Recipe) -> bool:
        return self.progress(recipe) < 1.0 and not (recipe.patience and self.waited >= recipe.patience)

    def is_due(self, recipe: Recipe) -> bool:
        """Whether it is time to validate and save: every so many steps, and at the end."""
        return self.step % recipe.validate_every == 0 or self.progress(recipe) >= 1.0


def save_checkpoint(path: Path, clock: Clock, parts: dict[str, Any]) -> None:
    """Write the clock and the `state_dict()` of every part; plain states (tensors, dictionaries) go in as they are."""
    content = {"clock": asdict(clock), **{name: _state(part) for name, part in parts.items()}}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_file(path) as file:
        file.write(buffer.getbuffer())


def load_checkpoint(path: Path, parts: dict[str, Any]) -> Clock:
    """Put the saved states back into the parts and return the clock. Raises `InputError` where that cannot be done."""
    if not path.is_file():
        raise InputError(f"{path}: there is nothing to resume. Start without --resume")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)  # the parts know where they live
    except Exception as error:  # torch raises anything for a damaged file
        reason = (str(error).splitlines() or [""])[0][:120]
        raise InputError(f"{path}: damaged ({reason}). Start without --resume") from error
    try:
        for name, part in parts.items():
            if isinstance(part, torch.Generator):
                part.set_state(content[name])
            else:
                part.load_state_dict(content[name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise InputError(
            f"{path}: was made by another recipe ({' '.join(str(error).split())[:120]}). Use another --out"
        ) from error
    return Clock(**content["clock"])


def _state(part: Any) -> Any:
    return part.get_state() if isinstance(part, torch.Generator) else part.state_dict()


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of weights and batch-norm statistics; early on the decay is `(1 + n) / (10 + n)`."""
    decay = min(decay, (1 + step) / (10 + step))
    theirs = network.state_dict()
    ours = average.state_dict()
    floats = [name for name, tensor in ours.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([ours[name] for name in floats], [theirs[name] for name in floats], 1.0 - decay)
    for name in ours.keys() - set(floats):
        ours[name].copy_(theirs[name])
