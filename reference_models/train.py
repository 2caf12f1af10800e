"""What `srbench train` does: opens the data, makes the fabric, and calls the loop of the recipe."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from reference_models.checkpoint import Clock
from reference_models.fit import fit
from reference_models.fit_gan import fit_gan
from reference_models.patches import open_pool
from reference_models.recipes import GanRecipe, Recipe
from reference_models.validation import validation_samples
from reference_models.watch import Silent, watch_for
from srbench.base.errors import InputError
from srbench.models.inference import select_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def train(
    recipe: Recipe,
    folders: Sequence[Path],
    val: Path | None,
    out: Path,
    *,
    device: str = "auto",
    devices: int = 1,
    resume: bool = False,
    val_limit: int = 0,
    tensorboard: bool = False,
) -> Clock:
    """Train by a recipe; see `reference_models.fit.fit`."""
    fabric = make_fabric(select_device(device), devices, recipe.precision)
    pool = open_pool(
        folders, recipe.scale, recipe.patch, fabric.device, luma=recipe.luma, degradation=recipe.degradation
    )
    samples = validation_samples(val, recipe.scale, val_limit, recipe.degradation) if val else []
    if not samples and (recipe.schedule == "plateau" or recipe.patience):
        raise InputError(f"recipe {recipe.name!r} goes by its validation; give a folder for it: --val Kodak24")
    watch = watch_for(recipe, out, tensorboard=tensorboard) if fabric.is_global_zero else Silent()
    if isinstance(recipe, GanRecipe):
        clock = fit_gan(recipe, pool, samples, out, fabric, watch, resume=resume)
    else:
        clock = fit(recipe, pool, samples, out, fabric, watch, resume=resume)
    if fabric.is_global_zero:
        best = out / "best.safetensors"
        click.echo(f"{clock.step} steps, {clock.seconds / 60:.1f} minutes; weights in {best}", err=True)
    return clock


def make_fabric(device: torch.device, devices: int, precision: str) -> Fabric:
    """lightning-fabric for one or several processes; under `torchrun` or Slurm it joins those that were started."""
    library = _lightning_fabric()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", devices))  # torchrun has started this many already
    nodes = max(1, int(os.environ.get("WORLD_SIZE", here)) // here)
    strategy: Any = "auto"
    if here * nodes > 1:
        backend = "gloo" if device.type == "cpu" else None
        strategy = library.strategies.DDPStrategy(process_group_backend=backend, **{_buffers_option(): False})
    fabric: Fabric = library.Fabric(
        accelerator=device.type, devices=here, num_nodes=nodes, precision=precision, strategy=strategy
    )
    fabric.launch()
    return fabric


def _buffers_option() -> str:
    """What DDP calls the sending of batch-norm statistics before each forward pass; torch 2.14 renamed it.

    They stay with each rank: sending them amid two forward passes of one network, as a discriminator makes them, would
    overwrite what the backward pass needs.
    """
    known = inspect.signature(torch.nn.parallel.DistributedDataParallel.__init__).parameters
    return "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"


def _lightning_fabric() -> Any:
    """The library alone, or as the umbrella package `lightning` holds it."""
    try:
        import_module("lightning_fabric.strategies")
        return import_module("lightning_fabric")
    except ImportError:
        import_module("lightning.fabric.strategies")
        return import_module("lightning.fabric")
