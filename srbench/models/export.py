"""Models written as ONNX, TorchScript or torch.export, with dynamic sizes, and compared with what they came from."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.errors import InputError, JobError, UnavailableError, first_line
from srbench.base.packages import install_hint
from srbench.base.temporary import in_the_making
from srbench.models.values import USUAL

if TYPE_CHECKING:
    from torch import Tensor, nn

    from srbench.models.spec import ModelSpec, Upscaler

SUFFIXES = {"onnx": ".onnx", "torchscript": ".pt", "torch-export": ".pt2"}
HARDLY_ANY = 1 << 20
"""Bytes of free space below which a failure to write is the disk's."""

NUMPY = "it computes with numpy, as bicubic of srbench does, and srcnn, which begins with that; srresnet does not"
"""What exporters say of it is of their own tensors, and each says something else."""

TRACED = (1, 3, 24, 32)
PARITY = ((1, 3, 24, 32), (2, 3, 37, 29))
"""The shape that is traced, and one that differs from it in every number that may."""


def export(spec: ModelSpec, scale: int, format: str, out: Path, tolerance: float = 1e-4) -> float:
    """Write a model, run the file at two sizes, and return the largest difference from the model itself.

    LR `(n, 3, h, w)` and SR are floats in [0, 1]; n, h and w are free. The file appears when the check has passed.
    Raises `InputError` for a suffix that the format does not have, and for a model that does not consist of torch
    operations, `UnavailableError` without the packages, and `JobError` above the tolerance.
    """
    import torch

    if out.suffix != SUFFIXES[format]:
        others = ", ".join(f"--format {name} for {suffix}" for name, suffix in SUFFIXES.items() if name != format)
        told = f"{format} files end in {SUFFIXES[format]}; write {out.stem}{SUFFIXES[format]}"
        raise InputError(f"{out}: {told}, or give {others}")
    module = as_module(spec.build(scale, torch.device("cpu")))
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = in_the_making(out.parent, out.suffix)
    try:
        write(module, format, unfinished, spec.name)
        difference = _largest_difference(module, open_exported(unfinished, format))
        if not difference <= tolerance:
            raise JobError(f"{out}: differs from {spec.name} by {difference:.2e}, more than {tolerance:g}; not kept")
        os.replace(unfinished, out)
    finally:
        unfinished.unlink(missing_ok=True)
    return difference


def as_module(upscaler: Upscaler) -> nn.Module:
    """An upscaler as a torch module, in evaluation mode."""
    from torch import nn

    if isinstance(upscaler, nn.Module):
        return upscaler.eval()

    class Upscale(nn.Module):
        def forward(self, lr: Tensor) -> Tensor:
            return upscaler(lr)

    return Upscale().eval()


def write(module: nn.Module, format: str, path: Path, name: str, example: Tensor | None = None) -> None:
    """Write a module that is on the CPU, in evaluation mode; `example` is an input, LR unless another is given.

    Raises `InputError` for one that does not consist of torch operations, and `UnavailableError` without the packages.
    """
    import torch

    lr = torch.rand(TRACED, generator=torch.Generator().manual_seed(0)) if example is None else example
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # exporters warn of each other's deprecation; parity is what counts
            _WRITERS[format](module, lr, path)
    except ImportError as error:
        raise UnavailableError(f"{format} needs {error.name}: {install_hint('onnx')}") from error
    except Exception as error:
        if (cause := system_error(error, path.parent)) is not None:
            raise cause from error
        first: BaseException = error
        while first.__cause__ is not None:  # the exporter's own is a page of steps to take
            first = first.__cause__
        why = NUMPY if "numpy" in str(first) else f"{type(first).__name__}: {first_line(first)}"
        told = f"{name} cannot be written as {format} ({why})"
        raise InputError(f"{told}. Every step of its forward pass must be a torch operation") from error


def system_error(error: BaseException, folder: Path) -> OSError | None:
    """What the system said where it is at fault and not the model: exporters wrap it, and some only stop writing."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.errno is not None:
            return link
        link = link.__cause__ or link.__context__
    if shutil.disk_usage(folder).free < HARDLY_ANY:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    return None


def _write_onnx(module: nn.Module, lr: Tensor, path: Path) -> None:
    import onnxscript  # noqa: F401 - torch imports it late, and complains in many lines
    import torch

    torch.onnx.export(
        module,
        (lr,),
        str(path),
        input_names=["lr"],
        output_names=["sr"],
        dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    _say_values(path)


def _say_values(path: Path) -> None:
    """Note in the file that it takes RGB in [0, 1], which `srbench.models.loaders.onnx` then need not find out."""
    import onnx

    from srbench.models.loaders.onnx import VALUES

    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {VALUES: str(USUAL)})
    onnx.save(graph, path)


def _write_torchscript(module: nn.Module, lr: Tensor, path: Path) -> None:
    import torch

    torch.jit.trace(module, lr, check_trace=False).save(str(path))  # type: ignore[no-untyped-call]


def _write_torch_export(module: nn.Module, lr: Tensor, path: Path) -> None:
    import torch

    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC)
    torch.export.save(torch.export.export(module, (lr.expand(2, -1, -1, -1),), dynamic_shapes=(sizes,)), path)


_WRITERS: dict[str, Callable[[Any, Any, Path], None]] = {
    "onnx": _write_onnx,
    "torchscript": _write_torchscript,
    "torch-export": _write_torch_export,
}


def open_exported(path: Path, format: str) -> Callable[[Tensor], Tensor]:
    """The function in a file that this process has just written; those of others: `srbench.models.loaders.files`."""
    if format == "onnx":
        from srbench.models.loaders.onnx import open_function

        return open_function(path, "cpu")
    from srbench.models.loaders.torch_program import open_program

    function: Callable[[Tensor], Tensor] = open_program(path, "cpu")
    return function


def _largest_difference(module: nn.Module, exported: Callable[[Tensor], Tensor]) -> float:
    """Over both shapes; infinite where the exported function fails or returns another size."""
    import torch

    largest = 0.0
    for seed, shape in enumerate(PARITY, start=1):
        lr = torch.rand(shape, generator=torch.Generator().manual_seed(seed))
        try:
            with torch.no_grad():
                ours, theirs = module(lr), exported(lr)
        except Exception as error:
            reason = first_line(error)
            raise JobError(f"the exported file fails on {shape[3]}x{shape[2]} pixels: {reason}") from error
        if ours.shape != theirs.shape:
            return float("inf")
        largest = max(largest, float((ours - theirs).abs().max()))
    return largest
