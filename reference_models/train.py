"""What `srbench train` does: opens the data, makes the fabric, and calls the loop of the recipe."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import click
import torch

from reference_models import signals
from reference_models.checkpoint import Clock, files_of_a_training, forget_training_in, refuse_training_in, told_of
from reference_models.fit import fit
from reference_models.fit_gan import fit_gan
from reference_models.machine import optimiser_for, with_precision
from reference_models.patches import Pool
from reference_models.perceptual import StagedLoss
from reference_models.pool import PoolRequest, open_pool
from reference_models.recipes import GanRecipe, Recipe
from reference_models.settings import FRESH, check
from reference_models.sources import Source, open_sources, split_off
from reference_models.start import first_network, start_file
from reference_models.validation import Validation
from reference_models.watch import Watch, refuse_missing_extra, watch_for
from srbench.base.errors import InputError, StoppedError, UnavailableError, UsageError
from srbench.datasets.folder import FileDataset
from srbench.images.degrade import degradation_of, is_given
from srbench.images.tensors import image_tensor
from srbench.metrics.scorer import Scorer
from srbench.models.inference import select_device
from srbench.results.summary import heading

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from srbench.datasets.sample import Sample


@dataclass(frozen=True)
class Data:
    """What a training is fed with.

    `train` are folders, names of standard sets, or lists; `val` is one such to validate on, or `val_split` the share
    of the training images that is set apart for it. `degradation` makes the LR of both.
    """

    train: Sequence[str | Path]
    val: str | Path | None = None
    val_split: float = 0.0
    val_limit: int = 0
    degradation: str = "matlab"
    root: Path | None = None
    cache: Path | None = None

    def open(self, recipe: Recipe) -> tuple[list[Source], list[Source]]:
        """Sources to train and to validate on. Raises as `open_sources` does, and `UsageError` for what cannot act."""
        if is_given(self.degradation) and recipe.zooms:
            raise UsageError("resized copies of an image have no LR file: --set zooms= leaves them out")
        if not is_given(self.degradation) and not degradation_of(self.degradation).rounded:
            raise UsageError(f"--degradation {self.degradation} rounds no LR, and patches have 8 bits; take matlab")
        train, val = open_sources(self.train, recipe.scale, self.degradation, self.root)
        if (self.val is not None) + bool(self.val_split) + bool(val) > 1:
            raise UsageError("--val, --val-split and the split of a list say what to validate on: give one of them")
        if self.val is not None:
            whole, marked = open_sources([self.val], recipe.scale, self.degradation, self.root, to_train=False)
            val = marked or whole
        elif self.val_split:
            train, val = split_off(train, self.val_split)
        learned, judged = ({pair.digest.sha256 for source in side for pair in source.pairs} for side in (train, val))
        if both := len(learned & judged):
            click.echo(
                f"{both} of the {len(judged)} images to validate on are trained on too: no blind score", err=True
            )
        return train, val

    def request(self, recipe: Recipe, *, prepare: bool = False) -> PoolRequest:
        """What the pool is asked for; `prepare` has it decoded into files whatever its size."""
        return PoolRequest(
            recipe.scale, recipe.patch, recipe.kind, self.degradation, (1.0, *recipe.zooms), recipe.flips, recipe.turns,
            self.cache, prepare,
        )  # fmt: skip


def train(
    recipe: Recipe,
    data: Data,
    out: Path,
    *,
    device: str = "auto",
    devices: int = 1,
    resume: bool = False,
    force: bool = False,
    keep: int = 1,
    tensorboard: bool = False,
    deadline: float = math.inf,
) -> Clock:
    """Train by a recipe; see `reference_models.fit.fit`.

    Raises `InputError` where `out` holds a training already and neither `resume` nor `force` says what to do with it.
    """
    check(recipe)
    if not (resume or force):
        refuse_training_in(out)
    if force and not resume:
        refuse_to_remove_start(recipe, out)
    refuse_unwritable(out)
    refuse_missing_extra(tensorboard)
    place = select_device(device)
    recipe = with_precision(recipe, place)
    refuse_unfit(recipe, place)
    fabric = make_fabric(place, devices, recipe.precision)
    refuse_uneven(recipe, fabric.world_size)
    sources, to_validate = data.open(recipe)
    if out.resolve() in [source.home for source in (*sources, *to_validate)]:
        raise InputError(f"{out} holds the images: validation.png would be one of them. Take another --out")
    if not to_validate and (recipe.schedule == "plateau" or recipe.patience or keep > 1 or data.val_limit):
        raise InputError(f"recipe {recipe.name!r} goes by its validation; give a folder for it: --val Kodak24")
    validation = open_validation(to_validate, recipe, data, lpips=tensorboard, keep=keep)
    pool = open_pool(sources, data.request(recipe), fabric.device)
    recipe = in_steps(recipe, pool)
    if force and not resume and fabric.is_global_zero:
        forget_training_in(out)
    watch = watch_for(recipe, out, tensorboard=tensorboard) if fabric.is_global_zero else Watch()
    loop: Callable[..., Clock] = fit_gan if isinstance(recipe, GanRecipe) else fit
    try:
        with signals.noted(), closing(watch):
            clock = loop(recipe, pool, validation, out, fabric, watch, resume=resume, keep=keep, deadline=deadline)
    except KeyboardInterrupt:  # the second signal, which does not wait for the end of a step
        raise StoppedError(f"interrupted amid a step; {told_of(out)}") from None
    if fabric.is_global_zero:
        for line in told_at_the_end(clock, validation, out):
            click.echo(line, err=True)
        click.echo(f"Next: srbench run {out / 'best.safetensors'} bicubic --scale {recipe.scale}", err=True)
    return clock


def told_at_the_end(clock: Clock, validation: Validation, out: Path) -> Iterator[str]:
    """What was done, where the weights are, and whether they are chosen, and better than what they were made from."""
    if not validation.samples:
        yield "nothing was validated, so the last weights count as the best; --val DIR chooses among them"
    began = clock.before_the_first_step(validation)
    if clock.ranking and clock.best < began:
        scores = f"{heading(validation.by).label} {abs(clock.best):.4f}, and {abs(began):.4f} there"
        yield f"no validation was as good as before the first step: {scores}"
    yield f"{clock.step} steps, {clock.seconds / 60:.1f} minutes; weights in {out / 'best.safetensors'}"


def refuse_unwritable(out: Path) -> None:
    """Raise `OSError` where nothing can be written into `out`: now, and not once there are steps that would be lost."""
    whole = out.absolute()
    there = next(folder for folder in (whole, *whole.parents) if folder.exists())
    try:
        TemporaryFile(dir=there).close()
    except OSError as error:
        error.filename = str(out)
        raise


def refuse_to_remove_start(recipe: Recipe, out: Path) -> None:
    """Raise `InputError` where `start` is among what `forget_training_in(out)` removes, whatever leads to it."""
    if recipe.start in ("", FRESH):
        return
    start = start_file(recipe)
    if any(path.exists() and start.samefile(path) for path in files_of_a_training(out)):
        raise InputError(f"start={start} lies in {out}, whose training --force removes. Take another --out")


def refuse_unfit(recipe: Recipe, device: torch.device) -> None:
    """Raise where the network cannot be built or begun, its loss has no trunk, or the device cannot compute so."""
    if recipe.precision == "16-mixed" and device.type == "cpu":
        raise UsageError("precision=16-mixed: a CPU has no fp16 training; --set precision=bf16-mixed, or 32-true")
    network, _ = first_network(recipe)  # with the weights of `start`, before anything of an earlier training goes
    optimiser_for(network, recipe)
    if isinstance(recipe, GanRecipe):
        StagedLoss(recipe.perceptual)


def refuse_uneven(recipe: Recipe, devices: int) -> None:
    """Raise `UsageError` where devices would have parts of a batch of different sizes, whose mean is another loss; and
    where each would have one pixel, whose spread batch norm cannot take."""
    if recipe.batch % devices:
        near = max(devices, recipe.batch // devices * devices)
        raise UsageError(f"batch={recipe.batch} cannot be shared by {devices} devices evenly: --set batch={near}")
    if recipe.architecture == "srresnet" and recipe.batch * recipe.patch**2 == devices:
        raise UsageError(f"batch={recipe.batch}, patch=1: batch norm needs more than a pixel: --set patch=24")


def in_steps(recipe: Recipe, pool: Pool) -> Recipe:
    """The recipe with `epochs` as steps: as many as show, in patches, that many times the pixels there are."""
    if not recipe.epochs:
        return recipe
    seen = recipe.batch * recipe.patch**2
    return replace(recipe, steps=max(1, math.ceil(recipe.epochs * pool.pixels / seen)))


def prepare(recipe: Recipe, data: Data) -> None:
    """Decode the training images into the cache, and nothing else."""
    sources, _ = data.open(recipe)
    open_pool(sources, data.request(recipe, prepare=True), torch.device("cpu"))


def open_validation(
    sources: Sequence[Source], recipe: Recipe, data: Data, *, lpips: bool = False, keep: int = 1
) -> Validation:
    """What a training by `recipe` is validated on and by: a GAN by LPIPS; with `lpips`, others are told it too.

    Raises `UnavailableError` where a GAN is to be stopped, or its best chosen, by LPIPS that cannot be had.
    """
    if not sources:
        return Validation()
    samples, fingerprint = _samples(sources, recipe.scale, data)
    metrics: tuple[str, ...] = ("psnr_y", "ssim_y")
    by = "psnr_y"
    if isinstance(recipe, GanRecipe) or lpips:
        reason = Scorer(["lpips"]).unavailable.get("lpips")
        if not reason:
            metrics, by = (*metrics, "lpips"), "lpips" if isinstance(recipe, GanRecipe) else by
        elif isinstance(recipe, GanRecipe):
            if recipe.patience or keep > 1:
                what = "patience" if recipe.patience else "--keep"
                raise UnavailableError(f"{what} of a GAN counts by LPIPS. {reason}")
            click.echo(f"LPIPS is n/a, so that the last weights count as the best. {reason}", err=True)
            by = ""
    smallest = min(samples, key=lambda sample: min(sample.lr.shape[:2]))
    try:
        Scorer(metrics)(image_tensor(smallest.reference, "cpu"), smallest.reference, recipe.scale)
    except InputError as error:  # now, and not once there are steps that would be lost
        raise InputError(f"{smallest.id}, to validate on: {error}. Leave such images out") from None
    return Validation(samples, metrics, by, fingerprint)


def _samples(sources: Sequence[Source], scale: int, data: Data) -> tuple[list[Sample], str]:
    """The images decoded, at most `val_limit`, and their fingerprint.

    Ids are file names; where they are not unique, their source, their folder and a number go before them.
    """
    found = [(source.name, pair) for source in sources for pair in source.pairs][: data.val_limit or None]
    ids = [pair.hr.stem for _, pair in found]
    for more in ([name for name, _ in found], [pair.hr.parent.name for _, pair in found], range(len(found))):
        ids = [id if ids.count(id) == 1 else f"{part}-{id}" for id, part in zip(ids, more, strict=True)]
    hr = {id: pair.hr for id, (_, pair) in zip(ids, found, strict=True)}
    lr = {id: pair.lr for id, (_, pair) in zip(ids, found, strict=True) if pair.lr}
    dataset = FileDataset("validation", hr, scale, data.degradation, lr or None)
    return [dataset[index] for index in range(len(dataset))], dataset.fingerprint


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
