"""Weights files: safetensors with what is needed to build the network in the metadata. Nothing is ever unpickled.

Metadata (all strings): `architecture`, `scale`, `options` (JSON), and the facts of the training as they are known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from reference_models.architectures import build
from reference_models.architectures.srcnn import SRCNN, LumaUpscaler
from reference_models.names import recognise
from srbench.errors import InputError
from srbench.images import atomic_file

if TYPE_CHECKING:
    from srbench.types import Upscaler

State = Mapping[str, Tensor]


def save_weights(path: Path, state: State, metadata: Mapping[str, Any], *, half: bool = False) -> None:
    """Write weights; with `half` in fp16, which halves the file. The file appears whole or not at all."""
    tensors = {name: _stored(tensor, half) for name, tensor in state.items()}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in metadata.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        file.write(save(tensors, texts))


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.half() if half and tensor.is_floating_point() else tensor


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors on the CPU and metadata of a `.safetensors` file, or of a `.pth` file that holds tensors only.

    Raises `InputError` for a missing or damaged file, and for a pickle that would run code.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    try:
        if path.suffix != ".safetensors":
            return _read_pth(path), {}
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: not a weights file ({str(error).splitlines()[0][:100]})") from error


def _read_pth(path: Path) -> dict[str, Tensor]:
    from pickle import UnpicklingError

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (KeyError, IndexError, AttributeError) as error:  # what the reader of pickles stumbles over in other files
        raise ValueError(f"{type(error).__name__}: {error}") from None
    except UnpicklingError:
        raise InputError(
            f"{path}: holds more than tensors; loading it could run code. Save its state_dict anew"
        ) from None
    for key in ("params_ema", "params", "state_dict"):  # BasicSR, KAIR and others wrap the tensors
        content = content.get(key, content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: expected a dictionary of tensors")
    return content


def load_network(path: Path, device: torch.device | str = "cpu") -> nn.Module:
    """The network behind a weights file, in evaluation mode. Raises `InputError` for a file that is not one of ours."""
    tensors, metadata = read_weights(path)
    if "architecture" in metadata:
        network = build(metadata["architecture"], int(metadata["scale"]), **json.loads(metadata.get("options", "{}")))
    else:
        network, tensors = recognise(tensors, path)
    try:
        network.load_state_dict(tensors)  # fp16 becomes fp32 here
    except RuntimeError as error:
        raise InputError(f"{path}: {' '.join(str(error).split())[:200]}") from None
    return network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def as_upscaler(network: nn.Module) -> Upscaler:
    """RGB in, RGB out: networks on Y are wrapped, the others are upscalers as they are."""
    return LumaUpscaler(network) if isinstance(network, SRCNN) else network  # type: ignore[return-value]
