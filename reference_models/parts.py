"""What both training loops are made of: seeds, a network's place, a step of its optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from reference_models.recipes import Recipe
from srbench.base.errors import UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer


def prepare_torch(recipe: Recipe) -> None:
    """Seed the initial weights; let matrix products use TF32 and cuDNN look for the fastest algorithm."""
    torch.manual_seed(recipe.seed)
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def placed(network: nn.Module, recipe: Recipe, fabric: Fabric) -> nn.Module:
    """The network on its device and in the recipe's layout; on several GPUs batch norm takes statistics over them all.

    torch has no such batch norm for CPUs: there every process normalises by its own part of the batch.
    """
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(fabric.device, memory_format=layout)  # type: ignore[call-overload]
    return network


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> float:
    """Give every parameter group this learning rate, times its own factor, and return it."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)
    return rate


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The parameter groups of an optimiser, one for each factor in `rates`. Raises `UsageError` for a name of none."""
    groups: dict[str, list[nn.Parameter]] = {prefix: [] for prefix in ("", *recipe.rates)}
    names = [name for name, _ in network.named_parameters()]
    for prefix in recipe.rates:
        if not any(name.startswith(prefix) for name in names):
            raise UsageError(f"rates.{prefix}: no tensor begins so; those of {recipe.architecture!r}: {names[0]}, …")
    for name, parameter in network.named_parameters():
        groups[max((prefix for prefix in groups if name.startswith(prefix)), key=len)].append(parameter)
    return [{"params": found, "factor": recipe.rates.get(prefix, 1.0)} for prefix, found in groups.items() if found]


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
