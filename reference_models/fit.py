"""Training on pixels: SRCNN, SRResNet, ESRNet. Read `fit` from top to bottom."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reference_models.checkpoint import Clock, load_checkpoint, update_average
from reference_models.losses import PIXEL
from reference_models.parts import (
    centre,
    compiled,
    fresh_network,
    keep,
    placed,
    set_rate,
    settle,
    step,
    take_stock,
    time_since,
)
from reference_models.patches import Pool
from reference_models.recipes import Recipe
from reference_models.schedules import Plateau, factor
from reference_models.soap import Soap
from reference_models.watch import Watch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from srbench.datasets.sample import Sample

OPTIMISERS = {"adam": torch.optim.Adam, "soap": Soap}


def fit(
    recipe: Recipe,
    pool: Pool,
    samples: Sequence[Sample],
    out: Path,
    fabric: Fabric,
    watch: Watch,
    *,
    resume: bool = False,
) -> Clock:
    """Train, and leave `best.safetensors`, `last.safetensors` and `last.ckpt` in the folder `out`.

    `samples` are validated on; without any, the last weights are the best. Raises `DivergedError` where the loss stops
    being finite, and `InputError` where `resume` finds nothing or a checkpoint of another recipe.
    """
    settle(recipe)
    network = placed(fresh_network(recipe), recipe, fabric)
    average = deepcopy(network).requires_grad_(False) if recipe.ema else network
    optimiser = OPTIMISERS[recipe.optimiser](network.parameters(), lr=recipe.lr, betas=(recipe.beta1, recipe.beta2))
    draws = torch.Generator(fabric.device).manual_seed(recipe.seed)
    plateau = Plateau(recipe.decay)
    parts: dict[str, Any] = {
        "network": network,
        "average": average,
        "optimiser": optimiser,
        "draws": draws,
        "plateau": plateau,
        "precision": fabric.strategy.precision,  # the loss scale of fp16
    }
    clock = load_checkpoint(out / "last.ckpt", parts) if resume else Clock()
    model, stepper = fabric.setup(compiled(network, recipe), optimiser)
    model.train()
    mine = slice(fabric.global_rank, None, fabric.world_size)
    losses: list[Tensor] = []
    started = time.perf_counter() - clock.seconds

    while clock.goes_on(recipe):
        rate = set_rate(optimiser, recipe.lr * factor(recipe, clock.progress(recipe)) * plateau.factor)
        lr, hr = pool.draw(recipe.batch, recipe.patch, draws, mine)
        sr = model(lr)
        loss = PIXEL[recipe.loss](sr, centre(hr, sr))
        step(fabric, model, stepper, loss, recipe.clip)
        if recipe.ema:
            update_average(average, network, recipe.ema, clock.step)
        losses.append(loss.detach())
        clock.tick(time_since(started, fabric))
        watch.step(clock, {"loss": losses[-1]}, rate)
        if clock.is_due(recipe):
            better = take_stock(clock, losses, average, samples, fabric, out)
            if recipe.schedule == "plateau":
                plateau.observe(clock.curve[-1][-1])
            keep(out, recipe, average, clock, parts, pool, fabric, better=better)
            watch.validated(clock, average, samples)
    return clock
