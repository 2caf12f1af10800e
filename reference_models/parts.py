"""What both training loops are made of: a fresh network, its compilation, taking stock, keeping what was reached."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from reference_models.architectures import build
from reference_models.checkpoint import Clock, save_checkpoint
from reference_models.patches import Pool
from reference_models.recipes import Recipe
from reference_models.validation import mean_psnr_y
from reference_models.weights import load_network, save_weights
from srbench.base.errors import InputError, SrbenchError
from srbench.results.environment import device_name

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer

    from srbench.datasets.sample import Sample


class DivergedError(SrbenchError):
    """The loss is no longer finite; the last good state is on disk."""


def settle(recipe: Recipe) -> None:
    """Seed the initial weights; let matrix products use TF32 and cuDNN look for the fastest algorithm."""
    torch.manual_seed(recipe.seed)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def fresh_network(recipe: Recipe) -> nn.Module:
    """The recipe's network: with fresh weights, or with those of `start`. Raises `InputError` where they do not fit."""
    network = build(recipe.architecture, recipe.scale, **recipe.options)
    if recipe.start:
        try:
            network.load_state_dict(load_network(Path(recipe.start)).state_dict())
        except RuntimeError as error:
            raise InputError(
                f"{recipe.start} does not fit recipe {recipe.name!r}: {' '.join(str(error).split())[:120]}"
            ) from None
    if recipe.checkpointing and not hasattr(network, "checkpointing"):
        raise InputError(f"architecture {recipe.architecture!r} has no gradient checkpointing; leave it false")
    if recipe.checkpointing:
        network.checkpointing = True  # type: ignore[assignment]
    return network


def placed(network: nn.Module, recipe: Recipe, fabric: Fabric) -> nn.Module:
    """The network on its device and in the recipe's layout; on several GPUs batch norm takes statistics over them all.

    torch has no such batch norm for CPUs: there every process normalises by its own part of the batch.
    """
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(fabric.device, memory_format=layout)  # type: ignore[call-overload]
    return network


def compiled(network: nn.Module, recipe: Recipe) -> nn.Module:
    """The network, with torch.compile where the recipe asks for it; tensor names stay as they are.

    Of a deep body each block is compiled by itself: all share one graph, so that 23 blocks compile as fast as one.
    """
    if recipe.compile:
        body = getattr(network, "body", None)
        for part in body if isinstance(body, nn.Sequential) else [network]:
            part.compile(mode=recipe.compile)
    return network


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> float:
    """Give every parameter group this learning rate, and return it."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    return rate


def time_since(started: float, fabric: Fabric) -> float:
    """Seconds since `started`, the same on every rank, so that all stop at the same step."""
    seconds = time.perf_counter() - started
    return float(fabric.broadcast(seconds)) if fabric.world_size > 1 else seconds


def step(fabric: Fabric, model: _FabricModule, stepper: _FabricOptimizer, loss: Tensor, clip: float) -> None:
    """Backward, clip, step, and forget the gradients. Under fp16 a step whose gradients overflow is skipped."""
    fabric.backward(loss)
    if clip:
        fabric.clip_gradients(model, stepper, max_norm=clip, error_if_nonfinite=False)
    stepper.step()
    stepper.zero_grad(set_to_none=True)


def centre(target: Tensor, output: Tensor) -> Tensor:
    """The middle of `target`, as large as `output`: what an unpadded network can answer for."""
    down, across = ((theirs - ours) // 2 for theirs, ours in zip(target.shape[-2:], output.shape[-2:], strict=True))
    return target[..., down : down + output.shape[-2], across : across + output.shape[-1]]


def take_stock(
    clock: Clock, losses: list[Tensor], average: nn.Module, samples: Sequence[Sample], fabric: Fabric, out: Path
) -> bool:
    """Validate, note it on the clock, empty `losses`; whether it is the best so far. Raises `DivergedError`."""
    mean = float(torch.as_tensor(fabric.all_reduce(torch.stack(losses).mean())))
    losses.clear()
    if not math.isfinite(mean):
        raise DivergedError(
            f"the loss is {mean} after step {clock.step}; {out / 'last.ckpt'} is the last good state. "
            f"Try a lower rate (--set lr=…) or --set clip=1"
        )
    scored = mean_psnr_y(average, samples, fabric.device) if samples else math.nan
    return clock.observe(mean, scored) or not samples


def keep(
    out: Path,
    recipe: Recipe,
    average: nn.Module,
    clock: Clock,
    parts: dict[str, Any],
    pool: Pool,
    fabric: Fabric,
    *,
    better: bool,
) -> None:
    """Write `last.safetensors`, `best.safetensors` if it is the best, and `last.ckpt`; rank 0 does, the others wait."""
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        facts = training_facts(recipe, clock, pool, fabric.device)
        for name in ("last", "best") if better else ("last",):
            save_weights(out / f"{name}.safetensors", average.state_dict(), facts)
        save_checkpoint(out / "last.ckpt", clock, parts)
    fabric.barrier()


def training_facts(recipe: Recipe, clock: Clock, pool: Pool, device: torch.device) -> dict[str, Any]:
    """What the weights file says of its making."""
    return {
        "architecture": recipe.architecture,
        "scale": recipe.scale,
        "options": dict(recipe.options),
        "recipe": {**asdict(recipe), "start": Path(recipe.start).name},
        "steps": clock.step,
        "minutes": round(clock.seconds / 60, 1),
        "device": device_name(str(device)),
        "data": {"images": pool.images, "fingerprint": pool.fingerprint},
        "validation_psnr_y": clock.curve[-1][-1] if math.isfinite(clock.curve[-1][-1]) else None,
        "curve": clock.curve,
        "torch": torch.__version__,
    }
