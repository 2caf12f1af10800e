"""How long a step of a training takes, on noise; and the batch at which the most patches are seen in a second.

python -m reference_models.throughput srresnet-gpu-9min --to settings.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch

from reference_models.losses import PIXEL
from reference_models.machine import compiled, optimiser_for, with_precision
from reference_models.parts import centre, placed, prepare_torch, step
from reference_models.recipes import GanRecipe, Recipe
from reference_models.settings import find_recipe, override
from reference_models.start import first_network
from reference_models.train import make_fabric
from srbench.cli.values import one_value_each
from srbench.models.inference import select_device, synchronise

NEARLY = 0.93
"""A smaller batch is taken where it reaches this share of the best: more steps are worth more than idle units."""

GAN_FACTOR = 3.0
"""A step of a GAN beside one of its generator alone, roughly."""


def seconds_a_step(recipe: Recipe, device: torch.device, steps: int = 5, warm: int = 3) -> float:
    """Of one step of the pixel loop: forward, loss, backward, clipping, optimiser; drawing and averaging left out.

    Raises `torch.OutOfMemoryError` where the batch does not fit.
    """
    prepare_torch(recipe)
    recipe = with_precision(recipe, device)
    fabric = make_fabric(device, 1, recipe.precision)
    network = placed(first_network(recipe)[0], recipe, fabric)
    channels, ratio = (1, 1) if recipe.architecture == "srcnn" else (3, recipe.scale)
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    lr, hr = (
        torch.rand(recipe.batch, channels, side, side, device=device).contiguous(memory_format=layout)
        for side in (recipe.patch, recipe.patch * ratio)
    )
    optimiser = optimiser_for(network, replace(recipe, lr=1e-9))
    model, stepper = fabric.setup(compiled(network, lr, recipe.compile, fabric), optimiser)
    model.train()
    began = 0.0
    for index in range(warm + steps):
        if index == warm:
            synchronise(device)
            began = time.perf_counter()
        sr = model(lr)
        step(fabric, model, stepper, PIXEL[recipe.loss](sr, centre(hr, sr)), recipe.clip)
    synchronise(device)
    return (time.perf_counter() - began) / steps


def with_best_batch(recipe: Recipe, device: torch.device, budget: float = 10.0) -> tuple[Recipe, float]:
    """The recipe with its batch, half or twice of it, whichever sees most patches a second; and a step's seconds.

    Probed without torch.compile, within about `budget` seconds. The rate goes with the square root of the batch.
    """
    plain, found, began = replace(recipe, compile=""), dict[int, float](), time.perf_counter()
    for batch in (recipe.batch, recipe.batch // 2, recipe.batch * 2):
        if found and (time.perf_counter() - began > budget or not batch):
            continue
        try:
            found[batch] = seconds_a_step(replace(plain, batch=batch), device)
        except torch.OutOfMemoryError:
            continue
    if not found:
        return with_best_batch(replace(recipe, batch=recipe.batch // 4, lr=recipe.lr / 2), device, budget)
    most = max(batch / seconds for batch, seconds in found.items())
    batch = min(batch for batch, seconds in found.items() if batch / seconds >= NEARLY * most)
    return replace(recipe, batch=batch, lr=recipe.lr * (batch / recipe.batch) ** 0.5), found[batch]


@click.command(help=__doc__)
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, callback=one_value_each, metavar="KEY=VALUE")
@click.option("--device", default="auto", show_default=True)
@click.option("--validate-within", type=float, default=30.0, show_default=True, help="Seconds between validations.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="Fields to replace, as JSON.")
def main(recipe: str, settings: Sequence[str], device: str, validate_within: float, to: Path) -> None:
    given, place = override(find_recipe(recipe), settings), select_device(device)
    fixed = isinstance(given, GanRecipe) or any(setting.startswith("batch=") for setting in settings)
    best, seconds = (
        (given, seconds_a_step(replace(given, compile=""), place)) if fixed else with_best_batch(given, place)
    )
    if isinstance(given, GanRecipe):
        seconds *= GAN_FACTOR
    every = max(20, int(validate_within / seconds))
    click.echo(f"batch {best.batch}, rate {best.lr:.2g}, {1e3 * seconds:.1f} ms a step without torch.compile")
    to.write_text(json.dumps({"batch": best.batch, "lr": best.lr, "validate_every": every}), encoding="utf-8")


if __name__ == "__main__":
    main()
