"""Adversarial training: SRGAN, ESRGAN. Read `fit_gan` from top to bottom; `fit` with a second network."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from reference_models.architectures.discriminators import discriminator
from reference_models.checkpoint import Clock
from reference_models.losses import PIXEL, discriminator_loss, generator_loss
from reference_models.machine import optimiser_for
from reference_models.parts import centre, placed, set_rate, step
from reference_models.patches import Pool
from reference_models.perceptual import STRIDE, StagedLoss
from reference_models.recipes import GanRecipe
from reference_models.session import begin
from reference_models.settings import judged_side
from reference_models.validation import Validation
from reference_models.watch import Watch

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fit_gan(
    recipe: GanRecipe, pool: Pool, validation: Validation, out: Path, fabric: Fabric, watch: Watch, *,
    resume: bool = False, keep: int = 1, deadline: float = math.inf,
) -> Clock:  # fmt: skip
    """Train a generator against a discriminator; files, errors and arguments are those of `fit`.

    The generator minimises perceptual + pixel + adversarial loss, each with its weight (ESRGAN, equation 3). Its best
    is by LPIPS, since PSNR falls by design; where LPIPS cannot be had, its best is its last. Without `start` the
    generator begins from nothing.
    """
    session = begin(recipe, pool, validation, out, fabric, watch, keep=keep, deadline=deadline)
    fresh = discriminator(recipe.discriminator, judged_side(recipe), recipe.discriminator_features)
    critic = placed(fresh, recipe, fabric)
    optimiser = optimiser_for(session.network, recipe)
    critic_optimiser = optimiser_for(critic, replace(recipe, rates={}))
    clock = session.start(resume=resume, optimiser=optimiser, critic=critic, critic_optimiser=critic_optimiser)
    model, stepper = fabric.setup(session.compiled(), optimiser)
    judge, judge_stepper = fabric.setup(critic, critic_optimiser)
    perceptual = placed(StagedLoss(recipe.perceptual), recipe, fabric)
    model.train()
    judge.train()

    def one_step() -> dict[str, Tensor]:
        lr, hr = session.feed()
        progress = clock.progress(session.recipe)
        shift = divmod(clock.step * 37 % STRIDE**2, STRIDE)  # each of the 64 once in 64 steps

        sr = model(lr)
        sr, hr = (image.expand(-1, 3, -1, -1) for image in (sr, centre(hr, sr)))  # Y is judged as a grey picture

        critic.requires_grad_(False)
        with torch.no_grad():
            real = judge(hr) if recipe.adversarial == "relativistic" else None
        with fabric.autocast():
            terms = {
                "pixel": recipe.pixel_weight * PIXEL[recipe.loss](sr, hr),
                "perceptual": recipe.perceptual_weight * perceptual(progress, sr, hr, shift),
                "adversarial": recipe.adversarial_weight * generator_loss(recipe.adversarial, real, judge(sr)),
            }
        loss = torch.stack(list(terms.values())).sum()
        step(fabric, model, stepper, loss, recipe.clip)

        critic.requires_grad_(True)
        blame = discriminator_loss(recipe.adversarial, judge(hr), judge(sr.detach()))
        step(fabric, judge, judge_stepper, blame, recipe.clip)

        return {name: value.detach() for name, value in {"loss": loss, "judge": blame, **terms}.items()}

    session.rehearse(one_step)
    while session.goes_on():
        share = session.share()
        rate = set_rate(optimiser, recipe.lr * share)
        set_rate(critic_optimiser, (recipe.discriminator_lr or recipe.lr) * share)
        session.stepped(one_step(), rate)
    return clock
