"""`srbench train`: from a recipe and folders of images to weights.

A checkout that is not installed runs it as `python -m reference_models.cli`.
"""

from __future__ import annotations

import math
import time
from dataclasses import fields
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from srbench.base.errors import SrbenchError, UsageError
from srbench.cli.options import FOLDER, data_root_option, degradation_option, now_kept, srbench_command, threads_option
from srbench.cli.values import Device, Finite, argument_before, begun, complete, one_value_each

SOURCE = "A folder of images, a standard set's name, or a list (.csv, .json) with hr, lr, split."


def _fields(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    from reference_models.settings import find_recipe

    try:
        recipe = find_recipe(argument_before(context, "recipe"))
    except SrbenchError:
        return []
    return begun(typed, sorted(f"{field.name}=" for field in fields(recipe)))


@srbench_command(
    help="Train a model by RECIPE, a name (srbench list recipes) or a TOML file, and keep its best and last weights in "
    "OUT.\n\n"
    "A training that was stopped goes on with --resume.",
    short_help="Train a model by a recipe, from folders of images to weights.",
    section="Train",
    kept="nothing was trained yet, or since OUT/last.ckpt, if that is there: --resume goes on from it",
    examples=(
        "srbench train srcnn-quick --data my/training/images",
        "srbench train srresnet-quick --data DIV2K-train --val Kodak24 --out runs/mine",
    ),
)
@click.argument("recipe", shell_complete=complete("recipes"))
@click.option("--data", "sources", multiple=True, metavar="DIR", help=f"{SOURCE} May be repeated.")
@click.option(
    "--val", metavar="DIR", help=f"To validate on: {SOURCE[0].lower()}{SOURCE[1:]} Kodak24, never a test set."
)
@click.option("--val-split", type=Finite(0, 1, max_open=True), default=0.0, help="Or this share of --data.")
@click.option("--val-limit", type=click.IntRange(min=0), default=0, help="Only the first N validation images.")
@degradation_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    callback=one_value_each,
    shell_complete=_fields,
    metavar="KEY=VALUE",
    help="Replace a field of the recipe.",
)
@click.option("--resume", is_flag=True, help="Go on from OUT/last.ckpt.")
@click.option("--force", is_flag=True, help="Begin anew in a folder that holds a training: its files go.")
@click.option("--keep", type=click.IntRange(min=1), default=1, help="Keep the weights of the N best validations.")
@click.option("--within", type=Finite(min=0, min_open=True), help="Be done in so many minutes from now.")
@click.option("--out", type=FOLDER, help="[default: runs/RECIPE]")
@click.option("--device", type=Device(), default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="Processes, one a device.")
@click.option("--cache", type=FOLDER, help="Where sets too large for memory are decoded to.  [default: user's cache]")
@click.option("--prepare-only", is_flag=True, help="Decode the images of --data there, and stop.")
@click.option("--show", is_flag=True, help="Print the recipe as TOML, with what each field means, and stop.")
@threads_option
@click.option("--tensorboard", is_flag=True, help="Write scalars and images to OUT/tensorboard.")
@data_root_option
def command(
    recipe: str, sources: tuple[str, ...], val: str | None, val_split: float, val_limit: int, degradation: str,
    settings: tuple[str, ...], resume: bool, force: bool, keep: int, out: Path | None, device: str, devices: int,
    cache: Path | None, prepare_only: bool, show: bool, tensorboard: bool, data_root: Path | None,
    within: float | None,
) -> None:  # fmt: skip
    deadline = time.time() + 60.0 * within if within else math.inf
    from reference_models.settings import LENGTHS, check, find_recipe, override, recipe_as_toml
    from reference_models.sources import refuse_missing

    chosen = override(find_recipe(recipe), settings)
    if within and (lengths := [text for text in settings if text.partition("=")[0].strip() in LENGTHS]):
        raise UsageError(f"--within and --set {lengths[0]} are two lengths; give one of them")
    if show:
        click.echo(recipe_as_toml(chosen))
        return
    if not sources:
        raise UsageError("nothing to train on: --data with a folder of images, a set's name, or a list")
    check(chosen)
    refuse_missing([*sources, *([val] if val else [])], chosen.scale, degradation, data_root)
    from reference_models.machine import within_memory
    from reference_models.train import Data, prepare, train

    data = Data(sources, val, val_split, val_limit, degradation, data_root, cache)
    if prepare_only:
        now_kept("the images decoded so far are kept; the same command goes on with the others")
        prepare(chosen, data)
        return
    with within_memory(chosen):
        train(
            chosen, data, out or Path("runs") / chosen.name, device=device, devices=devices, resume=resume, force=force,
            keep=keep, tensorboard=tensorboard, deadline=deadline,
        )  # fmt: skip


if __name__ == "__main__":
    command()
