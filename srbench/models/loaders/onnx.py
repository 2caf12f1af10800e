"""ONNX files by onnxruntime, an optional package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.errors import InputError, UnavailableError, first_line
from srbench.base.packages import install_hint
from srbench.models.spec import ModelSpec
from srbench.models.wrap import Scaled, measured_scale

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.models.loaders.checkpoint import Checkpoint
    from srbench.models.spec import Upscaler

VALUES = "srbench.values"
"""The metadata by which `srbench export` says that a file takes and returns RGB in [0, 1]."""

OTHER_SIZE = (64, 96)
"""Height and width of an image that is not the one by which a scale is measured; multiples of usual windows."""

FLOATS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}


class OnnxFunction:
    """An onnxruntime session as a function of images: through main memory, batches of a fixed size one by one."""

    def __init__(self, session: Any, reopen: Callable[..., Any] | None = None) -> None:
        """`reopen(arena=False)` opens the same session again."""
        self.reopen = reopen
        self.session = session
        (image,) = session.get_inputs()
        self.input, self.dtype, self.batch = image.name, FLOATS[image.type], image.shape[0]

    @contextmanager
    def giving_back(self) -> Iterator[None]:
        """Within it a session runs that gives memory back after use, where the usual one keeps it for later calls."""
        kept = self.session
        self.session = kept if self.reopen is None else self.reopen(arena=False)
        try:
            yield
        finally:
            self.session = kept

    def __call__(self, lr: Tensor) -> Tensor:
        import numpy as np
        import torch

        pixels = lr.float().cpu().numpy().astype(self.dtype)
        parts = np.split(pixels, len(pixels)) if self.batch == 1 else [pixels]
        made = [self.session.run(None, {self.input: part})[0] for part in parts]
        return torch.from_numpy(np.concatenate(made)).to(lr.device).float()


def load(checkpoint: Checkpoint) -> ModelSpec | None:
    """The model in an `.onnx` file; None for other files.

    Raises `UnavailableError` without onnxruntime, and `InputError` for a graph that is not from one image to one.
    """
    if not checkpoint.is_onnx:
        return None
    path = checkpoint.path
    external_files(path)  # what it must not read is refused before onnxruntime reads it
    session = open_session(path, "cpu")
    _check(path, session)
    scale = checkpoint.hints.scale or measured_scale(OnnxFunction(session), path)
    _refuse_baked_sizes(OnnxFunction(session), scale)

    def build(scale: int, device: torch.device) -> Upscaler:
        return Scaled(open_function(path, device.type), scale)

    ours = VALUES in session.get_modelmeta().custom_metadata_map
    return ModelSpec(path.stem, (scale,), build, summary="ONNX, by onnxruntime", probe=not ours)


def external_files(path: Path) -> list[Path]:
    """The files in which an ONNX graph keeps weights, sorted: they make the model as much as the graph does.

    Raises `InputError` for a damaged graph, and for one that names a file that is missing or outside its own folder,
    and `UnavailableError` without the package onnx.
    """
    try:
        import onnx
    except ImportError:
        raise UnavailableError(f"onnx is not installed: {install_hint('onnx')}") from None
    try:
        graph = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's errors share no base class
        raise InputError(f"{path}: not an ONNX graph, or a damaged one ({type(error).__name__})") from error
    home = path.resolve().parent
    found = {entry.value for tensor in _tensors(graph) for entry in tensor.external_data if entry.key == "location"}
    files = {name: (home / name).resolve() for name in found}
    for name, file in files.items():
        if not file.is_relative_to(home):
            raise InputError(f"{path}: keeps weights in {name!r}, outside its own folder. Move them beside it")
        if not file.is_file():
            raise InputError(f"{path}: keeps weights in {name!r}, which is not beside it")
    return sorted(files.values())


def _tensors(message: Any) -> Iterator[Any]:
    """Every tensor at any depth of a protobuf message: initialisers, attributes, subgraphs, functions."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _tensors(part)


def open_function(path: Path, device: str, provider: str = "") -> OnnxFunction:
    """A file as a function of images; raises as `open_session`."""
    reopen = partial(open_session, path, device, provider)
    return OnnxFunction(reopen(), reopen)


def open_session(path: Path, device: str, provider: str = "", *, arena: bool = True) -> Any:
    """An inference session on `cpu` or `cuda`, or on a named execution provider, such as `tensorrt` or `OpenVINO`.

    Raises `UnavailableError` without onnxruntime, or without the provider, and `InputError` for a damaged file.
    """
    import torch

    try:
        import onnxruntime
    except ImportError:
        raise UnavailableError(f"not installed: {install_hint('onnx')}") from None
    wanted = (provider or device).lower().removesuffix("executionprovider")
    present = onnxruntime.get_available_providers()
    found = next((name for name in present if name.lower() == f"{wanted}executionprovider"), None)
    if found is None:
        remedy = "pip install onnxruntime-gpu, or use --device cpu" if wanted == "cuda" else f"has {', '.join(present)}"
        raise UnavailableError(f"onnxruntime has no execution provider {wanted}: {remedy}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # warnings are about its own optimiser, and errors are raised too
    options.intra_op_num_threads = torch.get_num_threads()  # so that timings compare
    options.enable_cpu_mem_arena = arena
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[found])
    except Exception as error:  # onnxruntime's errors share no base class
        raise InputError(f"onnxruntime: {first_line(error)}") from error


def _refuse_baked_sizes(function: OnnxFunction, scale: int) -> None:
    """Raise `InputError` where the graph takes any size, and was made for one: a shape that the exporter wrote down."""
    import torch

    height, width = OTHER_SIZE
    expected = (1, 3, height * scale, width * scale)
    try:
        found = tuple(function(torch.full((1, 3, height, width), 0.5)).shape)
    except Exception as error:  # onnxruntime's errors share no base class
        told = f"fails ({' '.join(str(error).split())[:100]}…)"
    else:
        if found == expected:
            return
        told = f"returns shape {found}, not {expected}"
    raise InputError(
        f"on an image of {width}x{height} pixels it {told}: a size is fixed inside the graph. Export it anew with "
        f"dynamic height and width, from code that takes no size from its example"
    )


def _check(path: Path, session: Any) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(f"has {len(inputs)} inputs and {len(outputs)} outputs; expected one image in, one out")
    shape = inputs[0].shape
    if inputs[0].type not in FLOATS or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise InputError(f"takes {inputs[0].type} of shape {shape}; expected floats (n, 3, h, w)")
    if fixed := [side for side in shape[2:] if isinstance(side, int)]:
        raise InputError(f"takes images of fixed size {fixed} only; export it with dynamic height and width")
