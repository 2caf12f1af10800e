"""Weights files: safetensors with what is needed to build the network in the metadata. Nothing is ever unpickled.

Metadata (all strings): `architecture`, `scale`, `options` (JSON), and the facts of the training as they are known.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from reference_models.architectures import build
from reference_models.architectures.srcnn import SRCNN, BicubicUpscaler, LumaUpscaler
from reference_models.names import recognise
from srbench.base.documents import Count, Scale, parse
from srbench.base.errors import InputError, SrbenchError
from srbench.base.temporary import write_file
from srbench.models.loaders.checkpoint import Checkpoint
from srbench.models.spec import ModelSpec

if TYPE_CHECKING:
    from srbench.models.spec import Upscaler

State = Mapping[str, Tensor]

FAMILIES = "SRCNN, SRResNet, MSRResNet and RRDBNet, of srbench train and of other repositories"


def save_weights(path: Path, state: State, metadata: Mapping[str, Any], *, half: bool = False) -> None:
    """Write weights; with `half` in fp16, which halves the file. The file appears whole or not at all.

    The same weights and metadata make the same bytes, so that writing them again changes no digest.
    """
    tensors = {name: _stored(tensor, half) for name, tensor in state.items()}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    write_file(path, _sorted(save(tensors, texts)))


def _sorted(blob: bytes) -> bytes:
    """A safetensors file with its header in alphabetical order: the library has the metadata in a random one."""
    end = 8 + int.from_bytes(blob[:8], "little")
    header = json.dumps(json.loads(blob[8:end]), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + blob[end:]


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() else tensor


def read_weights(path: Path) -> Checkpoint:
    """The tensors and metadata of a weights file, read without running any of its code.

    Raises `InputError` for a missing, damaged or unsafe file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    return Checkpoint(path)


def load_network(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """The network behind a weights file, in evaluation mode. Raises `InputError` for a file that is not one of ours."""
    network = network_of(read_weights(path))
    if network is None:
        raise InputError(f"{path}: has no metadata of ours and is no RRDBNet")
    return network.to(device)


def interpolated(start: Path, end: Path, share: float) -> nn.Module:
    """The network whose weights are (1 - share) of `start`'s and share of `end`'s, batch-norm statistics included.

    Raises `InputError` where the two files are of different networks.
    """
    network, first = load_network(end), load_network(start).state_dict()
    mixed = network.state_dict()
    if {name: tensor.shape for name, tensor in mixed.items()} != {name: t.shape for name, t in first.items()}:
        raise InputError(f"{start.name} and {end.name} are different networks; their weights cannot be mixed")
    for name, tensor in mixed.items():
        if tensor.is_floating_point():
            tensor.lerp_(first[name], 1.0 - share)  # exact at both ends
    return network


def network_of(checkpoint: Checkpoint) -> nn.Module | None:
    """The network of a checkpoint with our metadata, or of an RRDBNet in any spelling; None for others.

    It is on the CPU, in evaluation mode and channels_last. Raises `InputError` where tensors are missing or too many.
    """
    facts, tensors = checkpoint.metadata, checkpoint.tensors
    if "architecture" in facts:
        network = _described(checkpoint)
    else:
        found = recognise(tensors, checkpoint.hints.scale)
        if found is None:
            return None
        network, tensors = found
    try:
        network.load_state_dict(tensors)  # fp16 becomes fp32 here
    except RuntimeError as error:
        raise InputError(f"{checkpoint.path}: {' '.join(str(error).split())[:200]}") from None
    network.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def _described(checkpoint: Checkpoint) -> nn.Module:
    """The network that the metadata describe, with fresh weights. Raises `InputError` where they describe none.

    It is tried without memory first: a network that the file's tensors do not fill, in name and shape, is never built,
    so that none is larger than its file.
    """
    where, facts = f"{checkpoint.path}: not weights of srbench", checkpoint.metadata
    scale = parse(facts.get("scale", "null").encode(), Scale, f"{where}: metadata `scale`")
    options = parse(facts.get("options", "{}").encode(), dict[str, Count | str], f"{where}: metadata `options`")
    if not isinstance(blocks := options.get("blocks", 0), int) or blocks > len(checkpoint.tensors):
        raise InputError(
            f"{where}: metadata `options` has {blocks!r} blocks, the file {len(checkpoint.tensors)} tensors"
        )
    try:
        with torch.device("meta"):
            sketch = build(facts["architecture"], scale, **options)
            sketch.load_state_dict({name: tensor.to("meta") for name, tensor in checkpoint.tensors.items()})
    except SrbenchError:
        raise
    except RuntimeError as error:
        raise InputError(f"{checkpoint.path}: {' '.join(str(error).split())[:200]}") from None
    except Exception as error:  # whatever an architecture makes of options that it was never meant to have
        raise InputError(f"{where}: no network has its metadata ({type(error).__name__}: {error})"[:300]) from error
    return build(facts["architecture"], scale, **options)


def load(checkpoint: Checkpoint) -> ModelSpec | None:
    """The loader that srbench finds under `srbench.loaders`: a weights file of ours, or an RRDBNet, as a model."""
    if checkpoint.is_onnx or checkpoint.is_program:
        return None
    network = network_of(checkpoint)
    if network is None:
        return None
    upscaler = as_upscaler(network)

    def build_on(scale: int, device: torch.device) -> Upscaler:
        return as_upscaler(copy.deepcopy(network).to(device))

    foreign = "architecture" not in checkpoint.metadata
    summary = type(network).__name__
    return ModelSpec(checkpoint.path.stem, (upscaler.scale,), build_on, summary=summary, probe=foreign)


def as_upscaler(network: nn.Module) -> Upscaler:
    """RGB in, RGB out: networks behind bicubic are wrapped, the others are upscalers as they are."""
    if not isinstance(network, SRCNN):
        return network  # type: ignore[return-value]
    return LumaUpscaler(network) if network.channels == 1 else BicubicUpscaler(network)
