"""What is around the steps of a training, the same for both loops: its state, its validations, what it leaves on disk.

A loop asks for a batch, makes a step, and reports it; whether it is time to validate, to save or to stop is decided
here. All that a later `--resume` needs is in `Session.parts` and on the clock.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from torch import Tensor, nn

from reference_models import signals
from reference_models.average import Average
from reference_models.checkpoint import (
    SCORES,
    Clock,
    load_checkpoint,
    name_of_kept,
    put_back,
    save_checkpoint,
    states_of,
)
from reference_models.machine import compiled
from reference_models.parts import placed, prepare_torch
from reference_models.patches import Feed, Pool
from reference_models.recipes import Recipe
from reference_models.schedules import Plateau, factor
from reference_models.start import first_network
from reference_models.validation import Validation
from reference_models.watch import Watch
from reference_models.weights import save_weights
from srbench.base.errors import SrbenchError, StoppedError
from srbench.results.environment import device_name, threads

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SAVE_EVERY = 180.0
"""Seconds after which the state is written, whether a validation is due or not: what a kill costs at most."""


class DivergedError(SrbenchError):
    """The loss or a weight is no longer finite; the last good state stays as it was."""


@dataclass
class Session:
    """A training under way. `parts` are saved and resumed; the loops add their optimisers to them."""

    recipe: Recipe
    pool: Pool
    validation: Validation
    out: Path
    fabric: Fabric
    watch: Watch
    network: nn.Module
    feed: Feed
    keep: int = 1
    added: int = 0
    """Blocks that the network has beyond those of `start`."""
    deadline: float = math.inf
    """`time.time()` at which everything is written, whatever the preparations took; it replaces `minutes`."""
    plateau: Plateau = field(init=False)
    parts: dict[str, Any] = field(init=False)
    average: nn.Module = field(init=False)
    clock: Clock = field(default_factory=Clock)
    losses: list[Tensor] = field(default_factory=list)
    """Those of the steps since the last look at them, on the device."""

    def __post_init__(self) -> None:
        self.plateau = Plateau(self.recipe.decay)
        self._averaged = Average(self.network) if self.recipe.ema else None
        self.average = self._averaged.network if self._averaged else self.network
        self.parts = {
            "network": self.network,
            "average": self.average,
            "draws": self.feed,
            "plateau": self.plateau,
            "precision": self.fabric.strategy.precision,  # the loss scale of fp16
        }

    def start(self, *, resume: bool, **parts: Any) -> Clock:
        """Begin, or go on from `last.ckpt` with everything in `parts` as it was; the clock runs from here on.

        Raises `InputError` where there is nothing to resume, or a checkpoint of another training.
        """
        self.parts |= parts
        if resume:
            self.clock = load_checkpoint(self.last, self.parts, self._terms())
        self._started = time.perf_counter() - self.clock.seconds
        self._saved_at, self._saved_step = self.clock.seconds, self.clock.step if resume else None
        return self.clock

    @property
    def last(self) -> Path:
        """The file from which the training goes on."""
        return self.out / "last.ckpt"

    @property
    def _kept_in(self) -> Path:
        return self.last if self.recipe.resumable else self.out / "last.safetensors"

    def compiled(self) -> nn.Module:
        """The network as it is trained: compiled where the recipe wants that and it works; the record says so."""
        lr, _ = self.feed.example()
        trained = compiled(self.network, lr, self.recipe.compile, self.fabric)
        if trained is self.network:
            self.recipe = replace(self.recipe, compile="")
        return trained

    def rehearse(self, once: Callable[[], object]) -> None:
        """Make a step of which nothing stays and validate once, then start the clock that the schedule follows.

        So what is made once is in no schedule: compiled graphs, cuDNN's search, a trunk's weights. Left out on a CPU
        that neither compiles nor goes on from something, where there is nothing to prepare.
        """
        began = time.perf_counter()
        looked = 0.0
        if self.fabric.device.type != "cpu" or self.recipe.compile or self.recipe.start or self.deadline < math.inf:
            before = deepcopy(states_of(self.parts))
            once()
            put_back(self.parts, before)
            if self.validation.samples and not self.clock.step:
                looking = time.perf_counter()
                self._look_before_the_first_step()
                looked = time.perf_counter() - looking
        self._started = time.perf_counter() - self.clock.seconds
        if (took := time.perf_counter() - began) > 5.0 and self.fabric.is_global_zero:
            click.echo(f"prepared in {took:.0f} s, which no schedule counts", err=True)
        if self.deadline < math.inf:
            left = self.deadline - time.time() - 2.0 * looked - 1.0  # the last validation, and writing
            self.recipe = replace(self.recipe, minutes=(self.clock.seconds + max(left, 1.0)) / 60.0)
        if self.clock.step and not self.goes_on() and self.fabric.is_global_zero:
            what = f"nothing is left to do after step {self.clock.step}, and nothing is written anew"
            click.echo(f"{what}. To go on, give a greater length: --set steps=…, minutes=… or patience=…", err=True)

    def _look_before_the_first_step(self) -> None:
        """Where the training begins, as the first row of the curve."""
        scores = self.fabric.broadcast(self.validation(self.average, self.fabric.device))
        self.clock.curve.append([0, 0.0, math.nan, *(scores.get(name, math.nan) for name in SCORES)])
        if self.fabric.is_global_zero:
            told = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            click.echo(f"before the first step: {told}", err=True)

    def goes_on(self) -> bool:
        """Whether another step is to be made."""
        return self.clock.goes_on(self.recipe)

    def share(self) -> float:
        """What the recipe's rates are multiplied with at this step."""
        return factor(self.recipe, self.clock.progress(self.recipe)) * self.plateau.factor

    def stepped(self, losses: Mapping[str, Tensor], rate: float) -> None:
        """One step is done: average, validate and save where it is time. The first loss goes into the curve.

        Raises `DivergedError` where any of them stopped being finite, and `StoppedError` after a signal.
        """
        if self._averaged:
            self._averaged.update(self.recipe.ema, self.clock.step)
        first, *others = losses.values()
        self.losses.append(first + 0.0 * torch.stack(others).sum() if others else first)
        seconds, stop = self._agreed()
        self.clock.tick(seconds)
        self.watch.step(self.clock, losses, rate)
        if self.clock.is_due(self.recipe):
            self._validate()
        elif stop or seconds - self._saved_at >= SAVE_EVERY:
            self._refuse_divergence()
            self._save(better=not self.validation.samples)
        if stop:
            raise StoppedError(self._farewell(), 128 + stop)

    def _agreed(self) -> tuple[float, int]:
        """Seconds since the start and the signal that came, the same on every rank: all must stop at one step."""
        seconds, stop = time.perf_counter() - self._started, signals.asked()
        if self.fabric.world_size == 1:
            return seconds, stop
        mine = [seconds, float(stop)] if self.fabric.is_global_zero else [0.0, 0.0]
        word = torch.tensor(mine, dtype=torch.float64, device=self.fabric.device)
        seconds, stop = torch.as_tensor(self.fabric.all_reduce(word, reduce_op="sum")).tolist()
        return seconds, int(stop)

    def _validate(self) -> None:
        """Validate, note it on the clock, and keep what was reached."""
        self._refuse_divergence()
        scores = self.fabric.broadcast(self.validation(self.average, self.fabric.device))
        better = self.clock.observe(scores, self.validation)
        if self.recipe.schedule == "plateau":
            self.plateau.observe(scores["psnr_y"])
        self._save(better=better)
        self.watch.validated(self.clock, self.average, self.validation.samples)

    def _refuse_divergence(self) -> None:
        """Settle the losses on the clock. Raises `DivergedError` before anything of it reaches the disk."""
        if self.losses:
            total = torch.as_tensor(self.fabric.all_reduce(torch.stack(self.losses).double().mean()))
            self.clock.add(float(total) * len(self.losses), len(self.losses))
            self.losses.clear()
        mean = self.clock.mean_loss
        if math.isfinite(mean) and _finite(self.network):
            return
        what = f"the loss is {mean}" if not math.isfinite(mean) else "a weight is not finite"
        good = f"{self._kept_in} is the last good state, of step {self._saved_step}"
        good = good if self._saved_step is not None else "nothing good was written yet"
        raise DivergedError(
            f"{what} after step {self.clock.step}; {good}. Try a lower rate (--set lr=…) or --set clip=1"
        )

    def _save(self, *, better: bool) -> None:
        """Write weights and `last.ckpt`, which is last: whatever is killed before it comes again. Rank 0 does it."""
        if self.fabric.is_global_zero:
            self.out.mkdir(parents=True, exist_ok=True)
            facts = self._facts()
            best = ["best.safetensors"] if better else []
            for name in ("last.safetensors", *best, *self._ranked()):
                save_weights(self.out / name, self.average.state_dict(), facts)
            if self.recipe.resumable:
                save_checkpoint(self.last, self.clock, self.parts, self._terms())
        self.fabric.barrier()
        self._saved_at, self._saved_step = self.clock.seconds, self.clock.step

    def _ranked(self) -> list[str]:
        """With `keep` above 1: the name of this validation's weights if it is one of the best; others go."""
        if self.keep < 2 or not self.validation.samples or self.clock.step not in self.clock.best_steps(self.keep):
            return []
        wanted = self.clock.best_steps(self.keep)
        for _, step in self.clock.ranking:  # this training's own: what else is in the folder is not its to remove
            if step not in wanted:
                (self.out / name_of_kept(step)).unlink(missing_ok=True)
        return [name_of_kept(self.clock.step)]

    def _terms(self) -> dict[str, Any]:
        """What a resumed training must have in common with the one that it goes on from."""
        return {
            "recipe": asdict(self.recipe),
            "degradation": self.pool.degradation,
            "data": self.pool.fingerprint,
            "validation": self.validation.fingerprint,
        }

    def _facts(self) -> dict[str, Any]:
        """What the weights file says of its making."""
        recipe, scores = self.recipe, self.clock.scores_here
        return {
            "architecture": recipe.architecture,
            "scale": recipe.scale,
            "options": dict(recipe.options),
            "recipe": {**asdict(recipe), "start": Path(recipe.start).name},
            **({"blocks_added_as_identity": self.added} if self.added else {}),
            "steps": self.clock.step,
            "minutes": round(self.clock.seconds / 60, 1),
            "device": device_name(str(self.fabric.device)),
            "threads": threads(),
            "data": {"images": self.pool.images, "fingerprint": self.pool.fingerprint},
            **{f"validation_{name}": scores.get(name) for name in SCORES},
            "curve": [[value if math.isfinite(value) else None for value in row] for row in self.clock.curve],
            "torch": torch.__version__,
        }

    def _farewell(self) -> str:
        how = "interrupted" if signals.asked() == signal.SIGINT else "told to stop"
        told = f"{how} after step {self.clock.step}, which is kept in {self._kept_in}"
        return f"{told}. Go on: the same command with --resume" if self.recipe.resumable else told


def begin(
    recipe: Recipe, pool: Pool, validation: Validation, out: Path, fabric: Fabric, watch: Watch, *, keep: int = 1,
    deadline: float = math.inf,
) -> Session:  # fmt: skip
    """Seed, build and place the network, and what goes with it whatever the loop."""
    prepare_torch(recipe)
    network, added = first_network(recipe)
    network = placed(network, recipe, fabric)
    mine = slice(fabric.global_rank, None, fabric.world_size)
    feed = Feed(pool, recipe.batch, recipe.patch, recipe.seed, fabric.device, mine)
    return Session(recipe, pool, validation, out, fabric, watch, network, feed, keep, added, deadline)


def _finite(network: nn.Module) -> bool:
    tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    return bool(torch.stack([tensor.isfinite().all() for tensor in tensors]).all())
