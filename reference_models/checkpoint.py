"""The state of a training: everything that a resumed one needs to go on as if it had never stopped."""

from __future__ import annotations

import io
import math
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from reference_models.recipes import Recipe
from srbench.base.errors import InputError
from srbench.base.temporary import atomic_file

if TYPE_CHECKING:
    from reference_models.validation import Validation

MAY_CHANGE = {
    "name", "summary", "model", "steps", "epochs", "minutes", "validate_every", "patience", "compile", "channels_last",
    "checkpointing", "resumable",
}  # fmt: skip
"""Fields of a recipe that a resumed training may have otherwise: its length, and what does not decide its steps."""

KEPT = re.compile(r"best-[0-9]{7,}\.safetensors")
"""What `name_of_kept` gives; a `best-paper.safetensors` beside it is a user's."""

SCORES = ("psnr_y", "ssim_y", "lpips")


@dataclass
class Clock:
    """How far a training is. `seconds` is the time that it has run, over all its sessions."""

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    waited: int = 0
    curve: list[list[float]] = field(default_factory=list)
    """Rows of step, seconds, mean loss, and the `SCORES` of a validation; NaN where one was not taken."""
    ranking: list[tuple[float, int]] = field(default_factory=list)
    """What each validation was worth, and its step; the best first."""
    loss: float = 0.0
    losses: int = 0
    """Sum and number of the losses since the last validation."""

    def add(self, loss: float, count: int) -> None:
        """Add the sum of the losses of `count` steps."""
        self.loss, self.losses = self.loss + loss, self.losses + count

    @property
    def mean_loss(self) -> float:
        """Of the steps since the last validation; 0 where there was none."""
        return self.loss / self.losses if self.losses else 0.0

    def observe(self, scores: Mapping[str, float], validation: Validation) -> bool:
        """Note a validation; whether it is the best so far. Without samples, the last always is."""
        found = [scores.get(name, math.nan) for name in SCORES]
        self.curve.append([self.step, round(self.seconds, 1), self.mean_loss, *found])
        self.loss, self.losses = 0.0, 0
        worth = validation.worth(scores)
        if math.isnan(worth):
            return True
        self.ranking = sorted([*self.ranking, (worth, self.step)], key=lambda row: -row[0])
        better = worth > self.best
        self.best, self.waited = (worth, 0) if better else (self.best, self.waited + 1)
        return better

    def best_steps(self, count: int) -> list[int]:
        """The steps of the best validations."""
        return [step for _, step in self.ranking[:count]]

    @property
    def scores_here(self) -> dict[str, float]:
        """The scores of the validation at this very step; empty where there was none."""
        if not self.curve or self.curve[-1][0] != self.step:
            return {}
        return {name: value for name, value in zip(SCORES, self.curve[-1][3:], strict=True) if math.isfinite(value)}

    def before_the_first_step(self, validation: Validation) -> float:
        """What the weights that it began from are worth; NaN where they were not validated."""
        if not self.curve or self.curve[0][0] != 0:
            return math.nan
        return validation.worth(dict(zip(SCORES, self.curve[0][3:], strict=True)))

    def tick(self, seconds: float) -> None:
        """One more step; the training has run for `seconds` altogether."""
        self.step += 1
        self.seconds = seconds

    def progress(self, recipe: Recipe) -> float:
        """From 0 to 1, by time where the recipe gives `minutes`, else by steps."""
        done = self.seconds / (60.0 * recipe.minutes) if recipe.minutes else self.step / recipe.steps
        return min(done, 1.0)

    def goes_on(self, recipe: Recipe) -> bool:
        """Whether there is time left, and patience."""
        return self.progress(recipe) < 1.0 and not (recipe.patience and self.waited >= recipe.patience)

    def is_due(self, recipe: Recipe) -> bool:
        """Whether it is time to validate: every so many steps, and at the end."""
        return self.step % recipe.validate_every == 0 or self.progress(recipe) >= 1.0


def save_checkpoint(path: Path, clock: Clock, parts: dict[str, Any], terms: Mapping[str, Any]) -> None:
    """Write the clock, the terms and the `state_dict()` of every part; the file appears whole or not at all."""
    buffer = io.BytesIO()
    torch.save({"clock": asdict(clock), "terms": dict(terms), **states_of(parts)}, buffer)
    with atomic_file(path) as file:
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())  # else a power cut may leave the new name with nothing behind it


def load_checkpoint(path: Path, parts: dict[str, Any], terms: Mapping[str, Any]) -> Clock:
    """Put the saved states back into the parts and return the clock.

    Raises `InputError` for a missing or damaged file, and where it was made on other terms, naming the first that
    differs.
    """
    content = read_checkpoint(path)
    _refuse_other_terms(path, content["terms"], terms)
    try:
        put_back(parts, content)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise InputError(
            f"{path}: was made by another recipe ({' '.join(str(error).split())[:120]}). Use another --out"
        ) from error
    return Clock(**content["clock"])


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `save_checkpoint` wrote. Raises `InputError` for a file that is missing, damaged, or something else."""
    if not path.is_file():
        raise InputError(f"{path}: there is nothing to resume. Start without --resume")
    with suppress(Exception):  # zip, pickle and torch each have their own for damage, and none says what helps
        content = torch.load(path, map_location="cpu", weights_only=True)  # the parts know where they live
        if isinstance(content, dict) and isinstance(content["clock"]["step"], int) and "terms" in content:
            return content
    weights = path.with_name("last.safetensors")
    remedy = f"another from the weights beside it: --out NEW --set start={weights}"
    remedy = remedy if weights.is_file() else "anew: --force"
    raise InputError(f"{path}: is no state of a training, or a damaged one. Begin {remedy}")


def told_of(out: Path) -> str:
    """What a folder keeps of a training that ended at once."""
    try:
        path = out / "last.ckpt"
        return f"step {read_checkpoint(path)['clock']['step']} is kept in {path}. Go on: the same command with --resume"
    except InputError:
        return "no state was written to go on from"


def refuse_training_in(out: Path) -> None:
    """Raise `InputError` where a folder holds a training already: a new one would write over it."""
    if not (found := files_of_a_training(out)):
        return
    try:
        where = f"at step {read_checkpoint(out / 'last.ckpt')['clock']['step']}"
    except InputError:  # its weights are there, and no state to go on from
        raise InputError(f"{out} holds a training ({found[0].name}). Take another --out, or --force") from None
    raise InputError(f"{out} holds a training ({where}). Go on with --resume, or take another --out, or --force")


def forget_training_in(out: Path) -> None:
    """Remove what an earlier training left, so that nothing of it is taken for the new one's; its curves too."""
    for path in (*files_of_a_training(out), *out.glob("tensorboard/events.out.tfevents.*")):
        path.unlink(missing_ok=True)


def files_of_a_training(out: Path) -> list[Path]:
    """What a training leaves in its folder, by the names that it gives: other files there are the user's."""
    names = ("last.ckpt", "best.safetensors", "last.safetensors", "best-*.safetensors", "validation.png")
    found = [path for name in names for path in sorted(out.glob(name))]
    return [path for path in found if not path.name.startswith("best-") or KEPT.fullmatch(path.name)]


def name_of_kept(step: int) -> str:
    """The file of the weights that `keep` keeps of a step."""
    return f"best-{step:07d}.safetensors"


def _refuse_other_terms(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    old, new = before["recipe"], now["recipe"]
    for key in sorted((old.keys() | new.keys()) - MAY_CHANGE):
        if old.get(key) != new.get(key):
            raise InputError(
                f"{path}: was made with {key}={old.get(key)}, not {new.get(key)}. Resume it with that, or begin "
                f"another from its weights: --out NEW --set start={path.with_name('last.safetensors')}"
            )
    made_by = before.get("degradation", now["degradation"])  # older checkpoints have it among the images alone
    if made_by != now["degradation"]:
        raise InputError(
            f"{path}: was made with --degradation {made_by}, not {now['degradation']}. Resume it with that, or use "
            "another --out"
        )
    for key, option in (("data", "--data"), ("validation", "--val")):
        if before[key] != now[key]:
            raise InputError(
                f"{path}: was made with other images ({option}). Resume it with those, or use another --out"
            )


def states_of(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The state of each part, in the part's own tensors: whoever keeps them must copy them."""
    return {name: part.state_dict() for name, part in parts.items()}


def put_back(parts: Mapping[str, Any], states: Mapping[str, Any]) -> None:
    """Give each part the state of its name."""
    for name, part in parts.items():
        part.load_state_dict(states[name])
