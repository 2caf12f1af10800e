"""Throughput: fixed input sizes, warm-up, device synchronisation, medians with spread.

The first call at a size is reported apart (`first_ms`, cold): it pays for memory, compilation and algorithm choice, and
belongs in no average. On a GPU, CUDA events take the time between the first kernel's turn and the end of the last.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.benchmark.speed import machine
from srbench.benchmark.speed.macs import count_macs
from srbench.models.inference import Inference, as_job_error, check_sr, synchronise
from srbench.models.wrap import giving_memory_back, parameters_of
from srbench.results import environment
from srbench.results.records import SpeedRow

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Size = tuple[int, int]
"""Width and height of LR, in pixels."""

DEFAULT_SIZES: tuple[Size, ...] = ((120, 80),)
"""A B100 photograph at x4: small enough that a 16.7-million-parameter model is timed in seconds on a CPU."""

MIN_REPEATS = 5
PATIENCE = 10
MAX_REPEATS = 100
FEWEST_FOR_P95 = 20
"""Of fewer repeats the 95th percentile is the longest one, or near it; then none is given."""

MIB = 2**20


@dataclass(frozen=True)
class Timed:
    """A timing with its repeats (in ms) and what the machine told of itself meanwhile."""

    row: SpeedRow
    times_ms: tuple[float, ...]
    notes: tuple[str, ...]


def time_sizes(
    inference: Inference, name: str, sizes: Sequence[Size] = DEFAULT_SIZES, *, batch: int = 1, budget_s: float = 2.0
) -> list[Timed]:
    """Time a model at each size: at least 5 and at most 100 repeats, until the budget is spent; fewer than 5
    where these would take ten times the budget, and ten seconds.

    Raises `JobError` where the model fails.
    """
    with as_job_error("while being timed: "):
        return [_time_size(inference, name, size, batch, budget_s) for size in sizes]


def _time_size(inference: Inference, name: str, size: Size, batch: int, budget_s: float) -> Timed:
    import numpy as np
    import torch

    width, height = size
    scale, device = inference.upscaler.scale, inference.device
    x = noise(batch, size, device)
    graphs_before = graph_memory(device)
    first = seconds(inference, x)
    macs = count_macs(inference, x)  # the second warm-up
    before = machine.look(device)
    times = [seconds(inference, x)]
    while _wants_more(times, budget_s):
        times.append(seconds(inference, x))
    after = machine.look(device)
    energy, others = machine.joules(before, after), machine.other_work(before, after)
    p25, p50, p75, p95 = np.percentile(np.array(times) * 1e3, [25, 50, 75, 95])
    row = SpeedRow(
        model=name,
        scale=scale,
        device=str(device),
        precision=inference.precision,
        backend=inference.backend,
        width=width,
        height=height,
        batch=batch,
        p50_ms=float(p50),
        p95_ms=float(p95) if len(times) >= FEWEST_FOR_P95 else None,
        output_mp_per_s=batch * width * height * scale**2 / 1e3 / float(p50),
        peak_memory_mib=peak_memory_mib(inference, x, graphs_before),
        gmacs=(macs.giga or None) if macs else None,
        params=count_parameters(inference.upscaler),
        first_ms=first * 1e3,
        repeats=len(times),
        uncounted=macs.unknown if macs else (),
        processor=environment.device_name(str(device)),
        energy_j=None if energy is None else energy / len(times) / batch,
        threads=0 if device.type == "cuda" else torch.get_num_threads(),
        other_work=None if others is None else round(others, 2),
        spread=round(float((p75 - p25) / p50), 3),
        clock_moved=machine.clock_moved(before, after),
        throttled=machine.was_throttled(device, before, after),
    )
    notes = machine.notes(device, before, after)
    if inference.upscaler is inference.plain:
        notes = [f"{name} has no network that {inference.backend} could run: it was timed as it is", *notes]
    return Timed(row, tuple(1e3 * time for time in times), tuple(notes))


def _wants_more(times: Sequence[float], budget_s: float) -> bool:
    """Whether there are too few repeats; what would take ten times the budget for the usual five gets fewer."""
    if len(times) < MIN_REPEATS:
        return sum(times) < PATIENCE * max(budget_s, 1.0)
    return sum(times) < budget_s and len(times) < MAX_REPEATS


def noise(batch: int, size: Size, device: torch.device) -> Tensor:
    """Uniform noise on the 8-bit grid, the same at every call: time must not depend on a picture."""
    import torch

    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (batch, 3, size[1], size[0]), generator=generator)
    return (pixels.float() / 255.0).to(device)


def seconds(inference: Inference, x: Tensor) -> float:
    """Of one call, from an idle device until it is idle again. Raises `JobError` for what is no SR."""
    sr, taken = (_by_events if inference.device.type == "cuda" else _by_clock)(inference, x)
    check_sr(sr, x, inference.upscaler.scale)
    return taken


def _by_clock(inference: Inference, x: Tensor) -> tuple[Tensor, float]:
    synchronise(inference.device)
    start = time.perf_counter()
    sr = inference(x)
    synchronise(inference.device)
    return sr, time.perf_counter() - start


def _by_events(inference: Inference, x: Tensor) -> tuple[Tensor, float]:
    """The GPU's own clock: the time that Python needs to notice the end is not in it, that for launching kernels is."""
    import torch

    with torch.cuda.device(inference.device):  # events belong to the current device's stream
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        synchronise(inference.device)
        start.record()
        sr = inference(x)
        end.record()
        end.synchronize()
    return sr, start.elapsed_time(end) / 1e3


def count_parameters(upscaler: object) -> int:
    """Parameters of an upscaler that is a torch module; 0 for any other."""
    return sum(parameter.numel() for parameter in parameters_of(upscaler))


def peak_memory_mib(inference: Inference, x: Tensor, graphs_before: int = 0) -> float | None:
    """Memory that one forward pass takes beyond what was held before, at its peak; None where it cannot be told.

    On a GPU what torch allocates; on Linux's CPU what the process has resident, after freed memory went back to the
    system. Taken apart from the timing, which it would slow down. A CUDA graph allocates nothing when it is replayed:
    what it uses was set aside when it was captured, and stays so. That counts too, as far as it is more than
    `graphs_before`, in bytes; a size whose graph finds room in what earlier ones set aside adds nothing.
    ONNX Runtime and OpenVINO, which keep what they once took for later calls, are asked to give it back: the meaning
    is the same for every backend.
    """
    import torch

    if inference.device.type == "cuda":
        before = torch.cuda.memory_allocated(inference.device)
        torch.cuda.reset_peak_memory_stats(inference.device)
        inference(x)
        replayed = max(graph_memory(inference.device) - graphs_before, 0)
        return (torch.cuda.max_memory_allocated(inference.device) - before + replayed) / MIB
    with giving_memory_back(inference.upscaler) as otherwise_kept:
        if otherwise_kept:
            inference(x)  # what is set up anew for this is no part of a pass
        passes = [_growth_mib(inference, x) for _ in range(2)]  # one may find room that what was before has left
    return max((growth for growth in passes if growth is not None), default=None)


def _growth_mib(inference: Inference, x: Tensor) -> float | None:
    if not _return_freed_memory():
        return None
    before_mib = _status_mib("VmRSS")
    inference(x)
    return max(_status_mib("VmHWM") - before_mib, 0.0)


def graph_memory(device: torch.device) -> int:
    """Bytes that CUDA graphs have set aside on a device, in pools of their own; 0 on a CPU."""
    import torch

    if device.type != "cuda":
        return 0
    segments = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]
    index = torch.cuda.current_device() if device.index is None else device.index
    pools = [s for s in segments if s["device"] == index and tuple(s.get("segment_pool_id", (0, 0))) != (0, 0)]
    return sum(segment["total_size"] for segment in pools)


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
