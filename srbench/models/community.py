"""Community checkpoints by spandrel, an optional package that knows some forty architectures by their tensor names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from srbench.errors import InputError, UnavailableError
from srbench.models.wrap import parameters_of
from srbench.types import ModelSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.models.checkpoint import Checkpoint
    from srbench.types import Upscaler


class Described:
    """A spandrel descriptor as an upscaler: one image at a time, padded to the sizes that the network wants."""

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor
        self.scale = int(descriptor.scale)

    def parameters(self) -> Iterable[Any]:
        return parameters_of(self.descriptor.model)

    def __call__(self, lr: Tensor) -> Tensor:
        import torch

        return torch.cat([self.descriptor(image) for image in torch.split(lr, 1)])


def load(checkpoint: Checkpoint) -> ModelSpec | None:
    """The model that spandrel sees in a checkpoint; None where it sees none.

    Raises `UnavailableError` without spandrel, and `InputError` for a model that is not RGB to RGB.
    """
    if checkpoint.is_onnx:
        return None
    try:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
    except ImportError:
        raise UnavailableError("not installed: pip install 'srbench[spandrel]'") from None
    try:
        descriptor = ModelLoader("cpu").load_from_state_dict(dict(checkpoint.tensors))
    except UnsupportedModelError:
        return None
    except (RuntimeError, KeyError, ValueError, AssertionError) as error:
        raise InputError(f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}") from error
    architecture = descriptor.architecture.name
    if not isinstance(descriptor, ImageModelDescriptor) or descriptor.input_channels != 3:
        raise InputError(f"{architecture} is not a model from an RGB image to an RGB image")
    descriptor.eval()

    def build(scale: int, device: torch.device) -> Upscaler:
        return Described(descriptor.to(device))

    return ModelSpec(checkpoint.path.stem, (int(descriptor.scale),), build, summary=f"{architecture}, by spandrel")
