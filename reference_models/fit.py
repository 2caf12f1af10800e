"""Training on pixels: SRCNN, SRResNet, ESRNet. Read `fit` from top to bottom; `session` has what is around it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from reference_models.checkpoint import Clock
from reference_models.losses import PIXEL
from reference_models.parts import centre, compiled, set_rate, step
from reference_models.patches import Pool
from reference_models.recipes import Recipe
from reference_models.session import begin
from reference_models.soap import Soap
from reference_models.validation import Validation
from reference_models.watch import Watch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

OPTIMISERS = {"adam": torch.optim.Adam, "soap": Soap}


def fit(
    recipe: Recipe,
    pool: Pool,
    validation: Validation,
    out: Path,
    fabric: Fabric,
    watch: Watch,
    *,
    resume: bool = False,
    keep: int = 1,
) -> Clock:
    """Train, and leave `best.safetensors`, `last.safetensors` and `last.ckpt` in the folder `out`.

    Without validation samples the last weights are the best; with `keep` above 1 the weights of so many best
    validations stay, as `best-STEP.safetensors`. Raises `DivergedError` where the loss stops being finite,
    `StoppedError` after a signal, and `InputError` where `resume` finds nothing or a checkpoint of another training.
    """
    session = begin(recipe, pool, validation, out, fabric, watch, keep=keep)
    betas = (recipe.beta1, recipe.beta2)
    optimiser = OPTIMISERS[recipe.optimiser](session.network.parameters(), lr=recipe.lr, betas=betas)
    clock = session.start(resume=resume, optimiser=optimiser)
    model, stepper = fabric.setup(compiled(session.network, recipe), optimiser)
    model.train()

    while clock.goes_on(recipe):
        rate = set_rate(optimiser, recipe.lr * session.share())
        lr, hr = session.draw()
        sr = model(lr)
        loss = PIXEL[recipe.loss](sr, centre(hr, sr))
        step(fabric, model, stepper, loss, recipe.clip)
        session.stepped({"loss": loss.detach()}, rate)
    return clock
