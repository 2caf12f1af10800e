"""TorchScript (`.pt`) and torch.export (`.pt2`) files, by torch itself.

Both are programs, not weights. TorchScript has an operation that writes files, and a torch.export graph may name any
function of torch; so neither is run unless the user says that it is to be trusted.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.errors import InputError, first_line
from srbench.models.spec import ModelSpec
from srbench.models.wrap import measured_scale

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.models.loaders.checkpoint import Checkpoint
    from srbench.models.spec import Upscaler

TRUST = "SRBENCH_TRUST_PROGRAMS"


class Program:
    """A loaded program as an upscaler, on the device on which it was loaded."""

    def __init__(self, function: Any, scale: int) -> None:
        self.function, self.scale = function, scale

    def __call__(self, lr: Tensor) -> Tensor:
        import torch

        with torch.no_grad():
            return torch.as_tensor(self.function(lr))


def load(checkpoint: Checkpoint) -> ModelSpec | None:
    """The model in a program; None for other files. Raises `InputError` where it is not trusted, or does not load."""
    if not checkpoint.is_program:
        return None
    path = checkpoint.path
    if not os.environ.get(TRUST):
        raise InputError(f"is a program, and running it could do harm. If you trust it, set {TRUST}=1")
    scale = checkpoint.hints.scale or measured_scale(open_program(path, "cpu"), path)

    def build(scale: int, device: torch.device) -> Upscaler:
        return Program(open_program(path, device), scale)

    kind = "torch.export" if path.suffix.lower() == ".pt2" else "TorchScript"
    return ModelSpec(path.stem, (scale,), build, summary=kind, probe=True)


def open_program(path: Path, device: torch.device | str) -> Any:
    """The function in a file, on a device; raises `InputError` for a damaged file.

    A torch.export program is moved as a module: constants that its graph makes by itself stay on the CPU.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript says that it is deprecated
            if path.suffix.lower() == ".pt2":
                return torch.export.load(path).module().to(device)
            return torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise InputError(f"torch: {first_line(error)}") from error
