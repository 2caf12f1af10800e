"""Adversarial training: SRGAN, ESRGAN. Read `fit_gan` from top to bottom; `fit` with a second network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from reference_models.architectures.discriminators import discriminator
from reference_models.checkpoint import Clock, load_checkpoint, update_average
from reference_models.losses import PIXEL, discriminator_loss, generator_loss
from reference_models.parts import compiled, fresh_network, keep, placed, set_rate, settle, step, take_stock, time_since
from reference_models.patches import Pool
from reference_models.perceptual import STRIDE, PerceptualLoss
from reference_models.recipes import GanRecipe
from reference_models.schedules import factor
from reference_models.watch import Watch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from srbench.datasets.sample import Sample


def fit_gan(
    recipe: GanRecipe,
    pool: Pool,
    samples: Sequence[Sample],
    out: Path,
    fabric: Fabric,
    watch: Watch,
    *,
    resume: bool = False,
) -> Clock:
    """Train a generator against a discriminator; files, errors and arguments are those of `fit`.

    The generator minimises perceptual + pixel + adversarial loss, each with its weight (ESRGAN, equation 3). Since PSNR
    falls by design, `best.safetensors` is the last. Without `start` the generator begins from nothing.
    """
    settle(recipe)
    network = placed(fresh_network(recipe), recipe, fabric)
    size = recipe.patch * recipe.scale
    critic = placed(discriminator(recipe.discriminator, size, recipe.discriminator_features), recipe, fabric)
    average = deepcopy(network).requires_grad_(False) if recipe.ema else network
    betas = (recipe.beta1, recipe.beta2)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.lr, betas=betas)
    critic_optimiser = torch.optim.Adam(critic.parameters(), lr=recipe.lr, betas=betas)
    draws = torch.Generator(fabric.device).manual_seed(recipe.seed)
    parts: dict[str, Any] = {"network": network, "average": average, "optimiser": optimiser, "draws": draws}
    parts |= {"critic": critic, "critic_optimiser": critic_optimiser, "precision": fabric.strategy.precision}
    clock = load_checkpoint(out / "last.ckpt", parts) if resume else Clock()
    model, stepper = fabric.setup(compiled(network, recipe), optimiser)
    judge, judge_stepper = fabric.setup(critic, critic_optimiser)
    perceptual = placed(PerceptualLoss(recipe.perceptual), recipe, fabric)
    mine = slice(fabric.global_rank, None, fabric.world_size)
    losses: list[Tensor] = []
    started = time.perf_counter() - clock.seconds
    model.train()
    judge.train()

    while clock.goes_on(recipe):
        share = factor(recipe, clock.progress(recipe))
        rate = set_rate(optimiser, recipe.lr * share)
        set_rate(critic_optimiser, (recipe.discriminator_lr or recipe.lr) * share)
        lr, hr = pool.draw(recipe.batch, recipe.patch, draws, mine)
        shift = divmod(clock.step * 37 % STRIDE**2, STRIDE)  # each of the 64 once in 64 steps

        critic.requires_grad_(False)
        with torch.no_grad():
            real = judge(hr) if recipe.adversarial == "relativistic" else None
        sr = model(lr)
        with fabric.autocast():
            terms = {
                "pixel": recipe.pixel_weight * PIXEL[recipe.loss](sr, hr),
                "perceptual": recipe.perceptual_weight * perceptual(sr, hr, shift),
                "adversarial": recipe.adversarial_weight * generator_loss(recipe.adversarial, real, judge(sr)),
            }
        loss = torch.stack(list(terms.values())).sum()
        step(fabric, model, stepper, loss, recipe.clip)

        critic.requires_grad_(True)
        blame = discriminator_loss(recipe.adversarial, judge(hr), judge(sr.detach()))
        step(fabric, judge, judge_stepper, blame, recipe.clip)

        if recipe.ema:
            update_average(average, network, recipe.ema, clock.step)
        losses.append(loss.detach() + 0.0 * blame.detach())  # so that a judge that diverged is noticed too
        clock.tick(time_since(started, fabric))
        watch.step(
            clock, {"loss": loss.detach(), "judge": blame.detach(), **{k: v.detach() for k, v in terms.items()}}, rate
        )
        if clock.is_due(recipe):
            take_stock(clock, losses, average, samples, fabric, out)
            keep(out, recipe, average, clock, parts, pool, fabric, better=True)
            watch.validated(clock, average, samples)
    return clock
