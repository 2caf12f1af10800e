"""Multiply-accumulates of one forward pass, as the network is defined.

Counted are products of matrices and convolutions, wherever they come from: fused operators (attention, whole encoder
layers) are taken apart for the counting pass. Left out, as everywhere: additions, norms, activations, interpolation,
products of single elements, even where they are summed afterwards (`torch.linalg.vecdot`).
A module that computes its result in another way than it is defined, to be faster, may say so by a method
`multiply_adds(output)`; then that is counted, and nothing inside. An operator that may multiply and is not
known is named.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.models.inference import Inference


@dataclass(frozen=True)
class Macs:
    """How many, in 1e9; `unknown` names the operators that were not counted, and makes the number a lower bound."""

    giga: float
    unknown: tuple[str, ...] = ()


def _matrices(a: Tensor, b: Tensor) -> int:
    """`(…, m, k) @ (…, k, n)`, also where the second is a vector; of a sparse one, the values that it holds."""
    if _is_sparse(b):
        return a.numel() // a.shape[-1] * _held(b)
    return _held(a) * (b.shape[-1] if b.dim() > 1 else 1)


def _held(x: Tensor) -> int:
    if not _is_sparse(x):
        return x.numel()
    return (x._values() if x.is_sparse else x.values()).numel()


def _is_sparse(x: Tensor) -> bool:
    import torch

    return x.layout != torch.strided and x.layout != torch._mkldnn  # type: ignore[attr-defined]


def _convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    """Each output, or for a transposed one each input, times the kernel's values that it meets."""
    transposed = bool(rest[4]) if len(rest) > 4 else False
    return (x if transposed else out).numel() * math.prod(weight.shape[1:])


COUNTED: dict[str, Callable[..., int]] = {
    "aten::mm": lambda out, a, b, *rest: _matrices(a, b),
    "aten::mv": lambda out, a, b, *rest: _matrices(a, b),
    "aten::dot": lambda out, a, b, *rest: a.numel(),
    "aten::vdot": lambda out, a, b, *rest: a.numel(),
    "aten::addr": lambda out, *rest: out.numel(),
    "aten::bmm": lambda out, a, b, *rest: _matrices(a, b),
    "aten::addmm": lambda out, c, a, b, *rest: _matrices(a, b),
    "aten::_addmm_activation": lambda out, c, a, b, *rest: _matrices(a, b),
    "aten::addmv": lambda out, c, a, b, *rest: _matrices(a, b),
    "aten::baddbmm": lambda out, c, a, b, *rest: _matrices(a, b),
    "aten::addbmm": lambda out, c, a, b, *rest: _matrices(a, b),
    "aten::_int_mm": lambda out, a, b, *rest: _matrices(a, b),
    "aten::convolution": _convolution,
    "aten::_convolution": _convolution,
    "aten::conv_tbc": lambda out, x, weight, *rest: out.numel() * math.prod(weight.shape[:2]),
    "torchvision::deform_conv2d": lambda out, x, weight, *rest: out.numel() * math.prod(weight.shape[1:]),
}

HEAVY = ("scaled_dot_product", "flash", "efficient", "native_multi_head", "transformer", "_fft", "cdist", "euclidean",
         "mkldnn", "cudnn", "miopen", "thnn", "cslt", "_sparse", "weight_int", "quantized", "trilinear", "linear",
         "lstm", "gru", "rnn", "embedding_bag", "slow_conv", "conv_", "linalg_", "cholesky", "lu_", "geqrf", "ormqr",
         "triangular_solve", "pdist", "matrix_exp")  # fmt: skip
"""How names of torch's own operators begin that multiply, and that `COUNTED` and decomposition leave over."""

HEAVY_INSIDE = ("matmul", "convolution", "gemm", "grouped_mm", "scaled_mm", "attention")
"""What such names have anywhere; others end in `mm`."""

LIGHT = ("aten::linalg_vector_norm", "aten::linalg_cross", "aten::linalg_diagonal", "aten::_linalg_check_errors")
"""Norms, and what multiplies single elements, though it is called as heavy ones are."""


def count_macs(inference: Inference, x: Tensor) -> Macs | None:
    """Of one pass over `x` by the network itself, where a backend runs something made of it.

    None where nothing is to be seen, as for interpolations and foreign programs.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    total, unknown, hidden = 0, dict[str, None](), 0

    class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
        @classmethod
        def _should_skip_dynamo(cls) -> bool:  # which imports it, for two seconds, though nothing here was compiled
            return "torch._dynamo" in sys.modules

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal total
            name, kwargs = func.name().partition(".")[0].removesuffix("_"), kwargs or {}  # `addmm_` is `addmm` in place
            if name not in COUNTED:
                with self:
                    taken_apart = func.decompose(*args, **kwargs)
                if taken_apart is not NotImplemented:
                    return taken_apart
            out = func(*args, **kwargs)
            if hidden:
                return out
            if name in COUNTED:
                total += COUNTED[name](out, *args)
            elif _may_multiply(name):
                unknown[name] = None
            return out

    def enter(module: torch.nn.Module, _: Any) -> None:
        nonlocal hidden
        hidden += 1

    def leave(module: torch.nn.Module, _: Any, out: Tensor) -> None:
        nonlocal hidden, total
        hidden -= 1
        if not hidden:
            total += module.multiply_adds(out)  # type: ignore[operator]

    parts = _modules(inference.plain or inference.upscaler)
    modules = [module for module in parts if callable(getattr(module, "multiply_adds", None))]
    hooks = [module.register_forward_pre_hook(enter) for module in modules]
    hooks += [module.register_forward_hook(leave) for module in modules]
    try:
        with _taken_apart(), Counter():  # type: ignore[no-untyped-call]
            inference.plainly(x)
    except NotImplementedError as error:  # torch's operators of functions, as flex_attention, cannot be watched
        unknown[str(error).partition("HigherOrderOperator ")[2].partition(" ")[0] or "an operator of functions"] = None
    finally:
        for hook in hooks:
            hook.remove()
    return Macs(total / 1e9, tuple(unknown)) if total or unknown else None


def _may_multiply(name: str) -> bool:
    """Whether an operator that is not counted must be named: heavy ones of torch, and all that others define."""
    if not name.startswith(("aten::", "prim::")):
        return True
    bare = name.removeprefix("aten::")
    heavy = (
        bare.startswith(HEAVY)
        or bare.lstrip("_").startswith(HEAVY)
        or bare.endswith("mm")
        or any(part in bare for part in HEAVY_INSIDE)
    )
    return heavy and name not in LIGHT


def _modules(thing: Any) -> Iterator[torch.nn.Module]:
    """The torch modules inside an upscaler, through its wrappers, and those of each member of a mean."""
    import torch

    from srbench.models.ensemble import Mean

    while thing is not None:
        if isinstance(thing, torch.nn.Module):
            yield from thing.modules()
            return
        if isinstance(thing, Mean):
            for member in thing.members:
                yield from _modules(member)
            return
        thing = getattr(thing, "function", None) or getattr(thing, "network", None)


@contextmanager
def _taken_apart() -> Iterator[None]:
    """Attention as the products that it is: without torch's fused paths."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
