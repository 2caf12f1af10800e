"""What a machine tells of itself while it is timed: clocks, throttling, other load, energy.

What it does not tell is left out, never guessed.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.threads import are_pinned

if TYPE_CHECKING:
    import torch

CPUS = Path("/sys/devices/system/cpu")
STAT = Path("/proc/stat")
MUCH = 0.25
"""Of a processor: less is the noise of the system's own clocks over a second or two."""


@dataclass(frozen=True)
class State:
    """A moment of a device.

    `throttled` counts how often a CPU was, or holds the reasons why a GPU is (bits of NVML); `energy_mj` was used since
    the driver was loaded. `busy_s` are the seconds that all processors have worked since the start, `own_s` those that
    they did for this process, and `clock_s` is the time.
    """

    clock_mhz: float | None = None
    throttled: int = 0
    energy_mj: int | None = None
    busy_s: float | None = None
    own_s: float = 0.0
    clock_s: float = 0.0


def look(device: torch.device) -> State:
    """The state of the device now."""
    return _gpu(device) if device.type == "cuda" else _cpu()


def notes(device: torch.device, before: State, after: State) -> list[str]:
    """What a reader of a timing should know of the machine: a changed clock, throttling, other work on it."""
    found = []
    if before.clock_mhz and after.clock_mhz:
        found.append(f"clock {before.clock_mhz:.0f} MHz before, {after.clock_mhz:.0f} MHz after")
    if was_throttled(device, before, after):
        gpu = f"GPU throttled (NVML reasons {after.throttled:#x})"
        found.append(gpu if device.type == "cuda" else f"CPU throttled {after.throttled - before.throttled} times")
    others = other_work(before, after)
    if others is not None and others > MUCH:
        told = f"other work took {others:.1f} of {os.cpu_count() or 1} processors meanwhile"
        found.append(told + ("" if are_pinned() else ", and the number of threads was left open (--threads)"))
    return found


def other_work(before: State, after: State) -> float | None:
    """How many processors other programs took between two moments; None where the system does not tell."""
    elapsed = after.clock_s - before.clock_s
    if before.busy_s is None or after.busy_s is None or elapsed <= 0:
        return None
    return max(0.0, (after.busy_s - before.busy_s) - (after.own_s - before.own_s)) / elapsed


def clock_moved(before: State, after: State) -> float | None:
    """By what part of it the clock changed between two moments; None where the system does not tell."""
    if not before.clock_mhz or not after.clock_mhz:
        return None
    return abs(after.clock_mhz / before.clock_mhz - 1.0)


def was_throttled(device: torch.device, before: State, after: State) -> bool:
    return bool(after.throttled) if device.type == "cuda" else after.throttled > before.throttled


def joules(before: State, after: State) -> float | None:
    """Energy between two moments, the whole device's; None where it is not counted."""
    if before.energy_mj is None or after.energy_mj is None:
        return None
    return (after.energy_mj - before.energy_mj) / 1e3


def _cpu() -> State:
    clocks = _numbers("cpufreq/scaling_cur_freq")
    clock = sum(clocks) / len(clocks) / 1e3 if clocks else None
    throttled = sum(_numbers("thermal_throttle/*_throttle_count"))
    return State(clock, throttled, None, _busy_s(), time.process_time(), time.perf_counter())


def _busy_s() -> float | None:
    """From Linux's first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, in ticks."""
    try:
        user, nice, system, _, _, irq, soft = map(int, STAT.read_text().split(maxsplit=8)[1:8])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def _numbers(name: str) -> list[int]:
    """What Linux tells of each core under a name; nothing on other systems and on most virtual machines."""
    found = []
    for path in CPUS.glob(f"cpu[0-9]*/{name}"):
        with suppress(OSError, ValueError):
            found.append(int(path.read_text()))
    return found


def _gpu(device: torch.device) -> State:
    """By NVML, where its package is installed; each question alone, since devices answer some and not others."""
    import torch

    try:
        import pynvml
    except ImportError:
        return State()
    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(device).uuid  # torch numbers what CUDA_VISIBLE_DEVICES leaves, NVML all
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return State()

    def ask(question: str, *words: Any) -> Any:
        with suppress(pynvml.NVMLError, AttributeError):
            return getattr(pynvml, question)(handle, *words)
        return None

    reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
    return State(
        clock_mhz=ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM),
        throttled=reasons & ~(pynvml.nvmlClocksThrottleReasonGpuIdle | pynvml.nvmlClocksThrottleReasonNone),
        energy_mj=ask("nvmlDeviceGetTotalEnergyConsumption"),
    )
