"""What a training asks of the machine that it runs on: a precision, an optimiser's kernels, compiled parts."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from torch import nn

from reference_models.parts import parameter_groups
from reference_models.recipes import Recipe
from reference_models.soap import Soap
from srbench.base.errors import JobError
from srbench.models.tiles import is_out_of_memory

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor

CPU_FACTS = Path("/proc/cpuinfo")


@contextmanager
def within_memory(recipe: Recipe) -> Iterator[None]:
    """Raise `JobError` with what takes less, where memory runs out."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        less = f"a smaller batch (now {recipe.batch}) or patch ({recipe.patch}), or fewer options.features"
        raise JobError(f"out of memory. Less is needed with {less}, or with --set checkpointing=true") from None


def with_precision(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with `precision=auto` decided: bf16 where the machine multiplies it faster, else fp32."""
    if recipe.precision != "auto":
        return recipe
    return replace(recipe, precision="bf16-mixed" if multiplies_bf16(device) else "32-true")


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has units for products of bf16: a GPU's tensor cores, or a processor's AMX.

    Processors with AVX512-BF16 alone, and those without, compute bf16 more slowly than fp32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return CPU_FACTS.is_file() and "amx_bf16" in CPU_FACTS.read_text()


def optimiser_for(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; Adam in one kernel for all tensors, except under fp16, where Fabric could not clip.

    `rates` are those of the generator: a discriminator's tensors have other names.
    """
    groups, betas = parameter_groups(network, recipe), (recipe.beta1, recipe.beta2)
    if recipe.optimiser == "soap":
        return Soap(groups, lr=recipe.lr, betas=betas)
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.beta1)
    fused = not recipe.precision.startswith("16")
    return torch.optim.Adam(groups, lr=recipe.lr, betas=betas, fused=fused)


def compiled(network: nn.Module, example: Tensor, mode: str, fabric: Fabric) -> nn.Module:
    """A twin of the network, of the same tensors and with compiled parts, tried on an input; the network for no `mode`.

    The network itself stays eager, for validation at sizes that no patch has, and where compiling fails it is what is
    returned, with a line that says why. Of a deep body each block is compiled by itself: all share one graph, so that
    23 blocks compile as fast as one.
    """
    if not mode:
        return network
    tensors = (*network.parameters(), *network.buffers())
    twin = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    if isinstance(body := getattr(twin, "body", None), nn.Sequential):
        for part in [*body, *(part for name, part in twin.named_children() if name == "head")]:
            part.compile(mode=mode, dynamic=False)
        rest: Any = twin.reconstruct
        twin.__dict__["reconstruct"] = torch.compile(rest, mode=mode, dynamic=False)
    else:
        twin.compile(mode=mode, dynamic=False)
    try:
        with unchanged(network), fabric.autocast(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"The \.grad attribute of a Tensor")  # the compiler looks at it
            twin.train()(example).mean().backward()
    except Exception as error:  # whatever a compiler raises: eager trains as well
        why = " ".join(str(error).split())[:160]
        click.echo(f"torch.compile fails ({type(error).__name__}: {why}); training goes on without it", err=True)
        return network
    return twin


@contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Put back what a forward and a backward pass leave in a network: running statistics and gradients."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in zip(network.buffers(), before, strict=True):
                buffer.copy_(value)
        network.zero_grad(set_to_none=True)
