"""What `srbench train` does: opens the data, makes the fabric, and calls the loop of the recipe."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from reference_models import signals
from reference_models.checkpoint import Clock, forget_training_in, refuse_training_in
from reference_models.fit import fit
from reference_models.fit_gan import fit_gan
from reference_models.machine import with_precision
from reference_models.patches import open_pool, refuse_test_set
from reference_models.recipes import GanRecipe, Recipe
from reference_models.validation import Validation
from reference_models.watch import Silent, watch_for
from srbench.datasets.folder import open_folder
from srbench.errors import InputError, UnavailableError
from srbench.inference import select_device
from srbench.scoring import Scorer

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
    force: bool = False,
    keep: int = 1,
    val_limit: int = 0,
    tensorboard: bool = False,
    deadline: float = math.inf,
) -> Clock:
    """Train by a recipe; see `reference_models.fit.fit`.

    Raises `InputError` where `out` holds a training already and neither `resume` nor `force` says what to do with it.
    """
    if not (resume or force):
        refuse_training_in(out)
    place = select_device(device)
    recipe = with_precision(recipe, place)
    fabric = make_fabric(place, devices, recipe.precision)
    pool = open_pool(folders, recipe.scale, recipe.patch, fabric.device, luma=recipe.luma)
    validation = open_validation(val, recipe, val_limit)
    if not validation.samples and (recipe.schedule == "plateau" or recipe.patience or keep > 1):
        raise InputError(f"recipe {recipe.name!r} goes by its validation; give a folder for it: --val Kodak24")
    watch = watch_for(recipe, out, tensorboard=tensorboard) if fabric.is_global_zero else Silent()
    if force and not resume and fabric.is_global_zero:
        forget_training_in(out)
    with signals.noted():
        if isinstance(recipe, GanRecipe):
            clock = fit_gan(recipe, pool, validation, out, fabric, watch, resume=resume, keep=keep, deadline=deadline)
        else:
            clock = fit(recipe, pool, validation, out, fabric, watch, resume=resume, keep=keep, deadline=deadline)
    if fabric.is_global_zero:
        best = out / "best.safetensors"
        click.echo(f"{clock.step} steps, {clock.seconds / 60:.1f} minutes; weights in {best}", err=True)
    return clock


def open_validation(folder: Path | None, recipe: Recipe, limit: int = 0) -> Validation:
    """What a training by `recipe` is validated on and by. Raises `InputError` for a standard test set."""
    if folder is None:
        return Validation()
    refuse_test_set(folder)
    dataset = open_folder(folder, recipe.scale, "matlab")
    samples = [dataset[index] for index in range(min(limit or len(dataset), len(dataset)))]
    metrics: tuple[str, ...] = ("psnr_y", "ssim_y")
    if not isinstance(recipe, GanRecipe):
        return Validation(samples, metrics, "psnr_y", f"{dataset.fingerprint}:{len(samples)}")
    if reason := Scorer(["lpips"]).unavailable.get("lpips"):
        if recipe.patience:
            raise UnavailableError(f"patience of a GAN counts by LPIPS. {reason}")
        click.echo(f"LPIPS is n/a, so that the last weights count as the best. {reason}", err=True)
        return Validation(samples, metrics, "", f"{dataset.fingerprint}:{len(samples)}")
    return Validation(samples, (*metrics, "lpips"), "lpips", f"{dataset.fingerprint}:{len(samples)}")


def make_fabric(device: torch.device, devices: int, precision: str) -> Fabric:
    """lightning-fabric for one or several processes; under `torchrun` or Slurm it joins those that were started."""
    library = _lightning_fabric()
    here = int(os.environ.get("LOCAL_WORLD_SIZE", devices))  # torchrun has started this many already
    nodes = max(1, int(os.environ.get("WORLD_SIZE", here)) // here)
    strategy: Any = "auto"
    launched = "TORCHELASTIC_RUN_ID" in os.environ or library.plugins.environments.SLURMEnvironment.detect()
    plugins = [] if here * nodes > 1 and launched else [library.plugins.environments.LightningEnvironment()]
    if here * nodes > 1:
        backend = "gloo" if device.type == "cpu" else None
        strategy = library.strategies.DDPStrategy(process_group_backend=backend, **{_buffers_option(): False})
    fabric: Fabric = library.Fabric(
        accelerator=device.type, devices=here, num_nodes=nodes, precision=precision, strategy=strategy, plugins=plugins
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
