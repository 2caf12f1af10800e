"""Training on pixels: SRCNN, SRResNet, ESRNet. Read `fit` from top to bottom; `session` has what is around it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from reference_models.checkpoint import Clock
from reference_models.losses import PIXEL
from reference_models.machine import optimiser_for
from reference_models.parts import centre, set_rate, step
from reference_models.patches import Pool
from reference_models.recipes import Recipe
from reference_models.session import begin
from reference_models.validation import Validation
from reference_models.watch import Watch

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fit(
    recipe: Recipe, pool: Pool, validation: Validation, out: Path, fabric: Fabric, watch: Watch, *,
    resume: bool = False, keep: int = 1, deadline: float = math.inf,
) -> Clock:  # fmt: skip
    """Train, and leave `best.safetensors`, `last.safetensors` and `last.ckpt` in the folder `out`.

    Without validation samples the last weights are the best; with `keep` above 1 the weights of so many best
    validations stay, as `best-STEP.safetensors`. With a `deadline` (`time.time()`) the training takes what time there
    is until then, in place of the recipe's `minutes`. Raises `DivergedError` where the loss stops being finite,
    `StoppedError` after a signal, and `InputError` where `resume` finds nothing or a checkpoint of another training.
    """
    session = begin(recipe, pool, validation, out, fabric, watch, keep=keep, deadline=deadline)
    optimiser = optimiser_for(session.network, recipe)
    clock = session.start(resume=resume, optimiser=optimiser)
    model, stepper = fabric.setup(session.compiled(), optimiser)
    model.train()

    def one_step() -> dict[str, Tensor]:
        lr, hr = session.feed()
        sr = model(lr)
        loss = PIXEL[recipe.loss](sr, centre(hr, sr))
        step(fabric, model, stepper, loss, recipe.clip)
        return {"loss": loss.detach()}

    session.rehearse(one_step)
    while session.goes_on():
        rate = set_rate(optimiser, recipe.lr * session.share())
        session.stepped(one_step(), rate)
    return clock
