"""`srbench train`: from a recipe and folders of images to weights.

A checkout that is not installed runs it as `python -m reference_models.cli`.
"""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli.options import FOLDER, srbench_command


@srbench_command(
    help="Train a model by a recipe (srbench list recipes), and keep its best and last weights in OUT.\n\n"
    "A training that was stopped goes on with --resume."
)
@click.argument("recipe")
@click.option(
    "--data", "folders", type=FOLDER, multiple=True, required=True, help="A folder of images; may be repeated."
)
@click.option("--val", type=FOLDER, help="A folder to validate on: Kodak24, never a test set.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Replace a field of the recipe.")
@click.option("--degradation", help="How LR is made from HR; random ones draw once an image.  [default: the recipe's]")
@click.option("--resume", is_flag=True, help="Go on from OUT/last.ckpt.")
@click.option("--out", type=FOLDER, help="[default: runs/RECIPE]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--devices", type=click.IntRange(min=1), default=1, show_default=True, help="Processes, one a device.")
@click.option("--val-limit", type=click.IntRange(min=0), default=0, help="Only the first N validation images.")
@click.option("--tensorboard", is_flag=True, help="Write scalars and images to OUT/tensorboard.")
def command(
    recipe: str, folders: tuple[Path, ...], val: Path | None, settings: tuple[str, ...], resume: bool, out: Path | None,
    device: str, devices: int, val_limit: int, tensorboard: bool, degradation: str | None,
) -> None:  # fmt: skip
    from reference_models.recipes import RECIPES, override
    from reference_models.train import train
    from srbench.base.registry import load
    from srbench.images.degrade import check_degradation

    settings = (*settings, *([f"degradation={degradation}"] if degradation else []))
    chosen = override(RECIPES.get(recipe) or load("recipes", recipe), settings)
    check_degradation(chosen.degradation, chosen.scale)
    target = out or Path("runs") / recipe
    train(
        chosen,
        folders,
        val,
        target,
        device=device,
        devices=devices,
        resume=resume,
        val_limit=val_limit,
        tensorboard=tensorboard,
    )


if __name__ == "__main__":
    command()
