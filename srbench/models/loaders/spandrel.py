"""Community checkpoints by spandrel, an optional package that knows some forty architectures by their tensor names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from srbench.base.errors import InputError, UnavailableError, first_line
from srbench.base.packages import install_hint
from srbench.models.spec import ModelSpec
from srbench.models.wrap import parameters_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.models.loaders.checkpoint import Checkpoint
    from srbench.models.spec import Upscaler


FAMILIES = "the architectures of spandrel (SwinIR, HAT, DAT, SRVGGNetCompact, SAFMN, SPAN and some thirty more)"


class Described:
    """A spandrel descriptor as an upscaler: one image at a time, padded to the sizes that the network wants.

    The descriptor's own call also clamps to [0, 1], which would be the end of a network that returns 0 to 255; so the
    network is called as the descriptor calls it, without that.
    """

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor
        self.scale = int(descriptor.scale)

    def parameters(self) -> Iterable[Any]:
        return parameters_of(self.descriptor.model)

    def __call__(self, lr: Tensor) -> Tensor:
        import torch

        return torch.cat([self._one(image) for image in torch.split(lr, 1)])

    def _one(self, lr: Tensor) -> Tensor:
        import torch

        height, width = lr.shape[-2:]
        right, below = self.descriptor.size_requirements.get_padding(width, height)
        inner_right, inner_below = min(right, width - 1), min(below, height - 1)  # reflection reaches no further
        lr = torch.nn.functional.pad(lr, (0, inner_right, 0, inner_below), "reflect")
        lr = torch.nn.functional.pad(lr, (0, right - inner_right, 0, below - inner_below), "replicate")
        sr = self.descriptor._call_fn(self.descriptor.model, lr)
        return torch.as_tensor(sr[..., : height * self.scale, : width * self.scale])


def load(checkpoint: Checkpoint) -> ModelSpec | None:
    """The model that spandrel sees in a checkpoint; None where it sees none.

    Raises `UnavailableError` without spandrel, and `InputError` for a model that is not RGB to RGB.
    """
    if checkpoint.is_onnx or checkpoint.is_program:
        return None
    try:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
    except ImportError:
        raise UnavailableError(f"not installed: {install_hint('spandrel')}") from None
    try:
        descriptor = ModelLoader("cpu").load_from_state_dict(dict(checkpoint.tensors))
    except UnsupportedModelError:
        return None
    except (RuntimeError, KeyError, ValueError, AssertionError) as error:
        raise InputError(f"{type(error).__name__}: {first_line(error, 120)}") from error
    architecture = descriptor.architecture.name
    if not isinstance(descriptor, ImageModelDescriptor) or descriptor.input_channels != 3:
        raise InputError(f"{architecture} is not a model from an RGB image to an RGB image")
    descriptor.eval()

    def build(scale: int, device: torch.device) -> Upscaler:
        return Described(descriptor.to(device))

    summary = f"{architecture}, by spandrel"
    return ModelSpec(checkpoint.path.stem, (int(descriptor.scale),), build, summary=summary, probe=True)
