"""How a network is run: as it is, compiled, as CUDA graphs, by ONNX Runtime, by OpenVINO, or by whatever is registered.

A backend replaces a network, which is a torch module from one tensor to one, by a function that does the same faster.
An upscaler that is no such module as a whole may have one inside, as its attribute `network` (SRCNN, whose bicubic is
not torch): then that is replaced. An upscaler without any, such as bicubic, runs as it is under every backend.

`NAME:OPTION` gives a backend an option: `onnx:tensorrt` is ONNX Runtime with that execution provider.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from srbench.base.assets import cache_folder
from srbench.base.errors import JobError, UnavailableError, UsageError, first_line
from srbench.base.packages import install_hint
from srbench.base.registry import load_as
from srbench.models.spec import Backend
from srbench.models.wrap import Scaled

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from srbench.models.spec import Upscaler

Function = Callable[["Tensor"], "Tensor"]


def find_backend(name: str, precision: str = "fp32") -> tuple[Backend, str]:
    """The backend behind `NAME` or `NAME:OPTION`, and the option.

    Raises `UsageError` for an unknown name, an option that it does not take, or a precision that it lacks.
    """
    key, _, option = name.partition(":")
    backend = load_as("backends", key, Backend)
    if option and not backend.option:
        raise UsageError(f"backend {key} takes no option; write --backend {key}")
    if precision not in backend.precisions:
        raise UsageError(f"backend {key} runs in {' or '.join(backend.precisions)}, not in {precision}")
    return backend, option


def accelerated(upscaler: Upscaler, name: str, device: torch.device, precision: str) -> Upscaler:
    """An upscaler whose network runs on a backend; what is given stays as it is, and is returned where it has none.

    Raises `UsageError` as `find_backend` does and where the device is not the backend's, `UnavailableError` without its
    packages, and `JobError` where the network cannot be brought to it.
    """
    from torch import nn

    backend, option = find_backend(name, precision)
    if backend.devices and device.type not in backend.devices:
        raise UsageError(f"backend {backend.name} needs --device {' or '.join(backend.devices)}, not {device.type}")
    if isinstance(upscaler, Scaled):
        inside = accelerated(cast("Upscaler", upscaler.function), name, device, precision)
        if inside is upscaler.function:
            return upscaler
        wrapper = copy.copy(upscaler)
        wrapper.function = inside
        return wrapper
    if backend.wrap is None or not isinstance(upscaler, nn.Module):
        return upscaler
    inner = getattr(upscaler, "network", None)
    network = inner if isinstance(inner, nn.Module) else upscaler
    function = backend.wrap(network, _example(upscaler, network, device), precision, option)
    swapped = _accelerated_class()(network, function)
    if network is upscaler:
        return cast("Upscaler", swapped)
    outer = copy.copy(upscaler)
    outer._modules = {**upscaler._modules, "network": swapped}
    return cast("Upscaler", outer)


def _accelerated_class() -> Any:
    """A module in whose place a function runs; it keeps its scale and its parameters, which are counted."""
    from torch import nn

    class Accelerated(nn.Module):
        def __init__(self, network: nn.Module, function: Function) -> None:
            super().__init__()
            self.scale = getattr(network, "scale", None)
            self.weights = nn.ParameterList(network.parameters())
            self.function = function

        def forward(self, x: Tensor) -> Tensor:
            return self.function(x)

    return Accelerated


def _example(upscaler: nn.Module, network: nn.Module, device: torch.device) -> Tensor:
    """What the network is given when the upscaler is given a picture of 32x24."""
    import torch

    seen: list[Tensor] = []
    hook = network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        with torch.no_grad():
            upscaler(torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(0)).to(device))
    except Exception as error:
        raise JobError(f"{type(error).__name__}: {first_line(error)}") from error
    finally:
        hook.remove()
    return seen[0]


def _channels_last(network: nn.Module, example: Tensor, precision: str, option: str) -> Function:
    import torch

    placed = copy.deepcopy(network).to(memory_format=torch.channels_last)
    return lambda x: placed(x.contiguous(memory_format=torch.channels_last))


def _compile(network: nn.Module, example: Tensor, precision: str, option: str) -> Function:
    """What a module does in numpy or scipy stays outside the compiled graph."""
    import torch
    import torch._dynamo

    torch._dynamo.config.trace_numpy = False
    return cast(Function, torch.compile(network))


def _cuda_graphs(network: nn.Module, example: Tensor, precision: str, option: str) -> Function:
    """One graph a size; torch runs what exceeds its limit of recompilations (8 sizes by default) eagerly."""
    import torch

    graphed = torch.compile(network, mode="reduce-overhead", dynamic=False)

    def run(x: Tensor) -> Tensor:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return cast("Tensor", graphed(x)).clone()  # the next replay writes into the same memory

    return run


def _onnx(network: nn.Module, example: Tensor, precision: str, option: str) -> Function:
    from srbench.models.loaders.onnx import open_function

    return open_function(exported(network, example), example.device.type, option)


def _openvino(network: nn.Module, example: Tensor, precision: str, option: str) -> Function:
    """OpenVINO's CPU plugin, with as many threads as torch has; the option names another of its devices."""
    import torch

    try:
        import openvino
    except ImportError:
        raise UnavailableError(f"backend openvino is not installed: {install_hint('openvino')}") from None
    core = openvino.Core()
    device = option.upper() or "CPU"
    if device not in core.available_devices:
        raise UnavailableError(f"OpenVINO has no device {device}; it has {', '.join(core.available_devices)}")
    if precision == "bf16" and "BF16" not in core.get_property(device, "OPTIMIZATION_CAPABILITIES"):
        raise UsageError("OpenVINO has no bf16 on this processor, and would run fp32 under its name: --precision fp32")
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision]}
    if device == "CPU":
        settings["INFERENCE_NUM_THREADS"] = str(torch.get_num_threads())
    compiled = core.compile_model(core.read_model(exported(network, example)), device, settings)
    return OpenVinoFunction(compiled)


class OpenVinoFunction:
    """A compiled model of OpenVINO as a function of images, through main memory."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self.keeps = True

    @contextmanager
    def giving_back(self) -> Iterator[None]:
        """Within it memory goes back after each call, where it is kept for later ones otherwise."""
        self.keeps = False
        try:
            yield
        finally:
            self.keeps = True

    def __call__(self, x: Tensor) -> Tensor:
        import torch

        made = self.compiled(x.detach().float().cpu().contiguous().numpy())[0]
        sr = torch.from_numpy(made.copy()).to(x.device)  # its memory is written again by the next call
        if not self.keeps:
            self.compiled.release_memory()
        return sr


def exported(network: nn.Module, example: Tensor) -> Path:
    """The network as an ONNX file in the cache, written once for the same code, weights and torch.

    Raises `InputError` for a network that does not consist of torch operations, and `UnavailableError` without the
    packages.
    """
    from srbench.base.temporary import in_the_making
    from srbench.models.export import write

    path = cache_folder() / "backends" / f"{_fingerprint(network, example)}.onnx"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = in_the_making(path.parent, path.suffix)
        try:
            write(copy.deepcopy(network).cpu().eval(), "onnx", unfinished, type(network).__name__, example.cpu())
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    return path


def _fingerprint(network: nn.Module, example: Tensor) -> str:
    """sha256 (hex) of everything that the file depends on."""
    import torch

    total = hashlib.sha256(f"{torch.__version__} {tuple(example.shape)} {network!r}".encode())
    for kind in sorted({type(part) for part in network.modules()}, key=lambda kind: kind.__qualname__):
        total.update(_source(kind).encode())
    for name, tensor in sorted(network.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def _source(kind: type) -> str:
    """The code of a class; where there is no file of it, something that no other process has."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return f"{kind} {os.getpid()}"


EAGER = Backend("eager", None, summary="torch, operation by operation")
CHANNELS_LAST = Backend("channels-last", _channels_last, summary="eager, with the channels of a pixel side by side")
COMPILE = Backend("compile", _compile, summary="torch.compile")
CUDA_GRAPHS = Backend("cuda-graphs", _cuda_graphs, devices=("cuda",), summary="torch.compile, replayed as CUDA graphs")
ONNX = Backend(
    "onnx", _onnx, precisions=("fp32",), option="PROVIDER", summary="ONNX Runtime; onnx:tensorrt and other providers"
)
OPENVINO = Backend(
    "openvino", _openvino, precisions=("fp32", "bf16"), devices=("cpu",), option="DEVICE", summary="OpenVINO"
)
