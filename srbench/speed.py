"""Throughput: fixed input sizes, warm-up, device synchronisation, medians with spread.

The first call at a size is reported apart (`first_ms`): it pays for memory, compilation and algorithm choice, and
belongs in no average.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.errors import JobError
from srbench.inference import Inference, check_sr, synchronise
from srbench.models.wrap import parameters_of
from srbench.results import SpeedRow

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Size = tuple[int, int]
"""Width and height of LR, in pixels."""

DEFAULT_SIZES: tuple[Size, ...] = ((120, 80),)
"""A B100 photograph at x4: small enough that a 16.7-million-parameter model is timed in seconds on a CPU."""

MIN_REPEATS = 5
MAX_REPEATS = 100
MIB = 2**20


def parse_size(text: str) -> Size:
    """`120x80` to `(120, 80)`; raises `ValueError` for anything else."""
    match = re.fullmatch(r"([1-9]\d*)[x×]([1-9]\d*)", text)
    if not match:
        raise ValueError(f"write a size as WIDTHxHEIGHT, not {text!r}")
    return int(match[1]), int(match[2])


def time_model(
    inference: Inference, name: str, sizes: Sequence[Size] = DEFAULT_SIZES, *, batch: int = 1, budget_s: float = 2.0
) -> list[SpeedRow]:
    """Time a model at each size: at least 5 and at most 100 repeats, until the budget is spent.

    Raises `JobError` where the model fails.
    """
    try:
        return [_time_size(inference, name, size, batch, budget_s) for size in sizes]
    except JobError:
        raise
    except Exception as error:
        raise JobError(f"while being timed: {type(error).__name__}: {error}") from error


def _time_size(inference: Inference, name: str, size: Size, batch: int, budget_s: float) -> SpeedRow:
    import numpy as np

    width, height = size
    scale, device = inference.upscaler.scale, inference.device
    x = _noise(batch, size, device)
    first = _seconds(inference, x)
    gmacs = count_gmacs(inference, x)  # the second warm-up
    times = [_seconds(inference, x) for _ in range(MIN_REPEATS)]
    while sum(times) < budget_s and len(times) < MAX_REPEATS:
        times.append(_seconds(inference, x))
    p50, p95 = np.percentile(np.array(times) * 1e3, [50, 95])
    return SpeedRow(
        model=name,
        scale=scale,
        device=str(device),
        precision=inference.precision,
        backend=inference.backend,
        width=width,
        height=height,
        batch=batch,
        p50_ms=float(p50),
        p95_ms=float(p95),
        output_mp_per_s=batch * width * height * scale**2 / 1e3 / float(p50),
        peak_memory_mib=peak_memory_mib(inference, x),
        gmacs=gmacs,
        params=count_parameters(inference.upscaler),
        first_ms=first * 1e3,
        repeats=len(times),
    )


def _noise(batch: int, size: Size, device: torch.device) -> Tensor:
    """Uniform noise on the 8-bit grid, the same at every call: time must not depend on a picture."""
    import torch

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size[1], size[0]), generator=generator)
    return (pixels.float() / 255.0).to(device)


def _seconds(inference: Inference, x: Tensor) -> float:
    synchronise(inference.device)
    start = time.perf_counter()
    sr = inference(x)
    synchronise(inference.device)
    seconds = time.perf_counter() - start
    check_sr(sr, x, inference.upscaler.scale)
    return seconds


def count_gmacs(inference: Inference, x: Tensor) -> float | None:
    """Multiply-accumulates of one forward pass in 1e9, by torch's FlopCounterMode (convolutions and products).

    None where it counts nothing, as for interpolations or compiled models.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with counter:
        inference(x)
    return counter.get_total_flops() / 2e9 or None


def count_parameters(upscaler: object) -> int:
    """Parameters of an upscaler that is a torch module; 0 for any other."""
    return sum(parameter.numel() for parameter in parameters_of(upscaler))


def peak_memory_mib(inference: Inference, x: Tensor) -> float | None:
    """Memory that one forward pass takes beyond what was held before, at its peak; None where it cannot be told.

    On a GPU what torch allocates; on Linux's CPU what the process has resident, after freed memory went back to the
    system. Taken apart from the timing, which it would slow down.
    """
    import torch

    if inference.device.type == "cuda":
        before = torch.cuda.memory_allocated(inference.device)
        torch.cuda.reset_peak_memory_stats(inference.device)
        inference(x)
        return (torch.cuda.max_memory_allocated(inference.device) - before) / MIB
    if not _return_freed_memory():
        return None
    before_mib = _status_mib("VmRSS")
    inference(x)
    return max(_status_mib("VmHWM") - before_mib, 0.0)


def _return_freed_memory() -> bool:
    """Give free memory back and reset the recorded peak; False on a system that is not Linux with glibc."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError, TypeError):
        return False
    return True


def _status_mib(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1024
