"""Where a score was made: versions, device, processor, git state and command line."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from srbench.base.packages import DISTRIBUTION
from srbench.metrics import numba_switch

PACKAGES = (DISTRIBUTION, "torch", "torchvision", "numpy", "pillow", "lpips")


def describe(device: str) -> dict[str, Any]:
    """The environment of this process as plain JSON values."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join([Path(sys.argv[0]).name.replace("__main__.py", "srbench"), *sys.argv[1:]]),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {"srbench" if name == DISTRIBUTION else name: _version(name) for name in PACKAGES},
        "device": device,
        "device_name": device_name(device),
        "cpu": cpu_name(),
        "threads": threads(),
        "metrics": numba_switch.describe(device),
        "git": _git_state(),
    }


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # running from a source tree that is not installed
        return "not installed"


def device_name(device: str) -> str:
    """The name of a torch device as its vendor prints it."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    return cpu_name()


@cache
def cpu_name() -> str:
    """The processor as its vendor prints it, or its architecture where the system does not tell."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


INSTRUCTIONS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "AVX-512 BF16", "amx_tile": "AMX", "sve": "SVE"}
"""What decides which kernels a convolution runs in, by Linux's name for it."""


def instruction_sets() -> str:
    """Which of `INSTRUCTIONS` the processor has: `AVX2, AVX-512`; `unknown` where the system does not tell."""
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return ", ".join(name for flag, name in INSTRUCTIONS.items() if flag in flags) or ("none" if flags else "unknown")


def _cpuinfo(field: str) -> str:
    """A field of the first processor in Linux's /proc/cpuinfo; empty on other systems and other processors."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")


def threads() -> int:
    """How many threads torch computes with."""
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch else os.cpu_count() or 1


@cache
def _git_state() -> str:
    """Commit of the checkout that srbench runs from, with `+changes` where it has any; empty outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, timeout=5)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        if not git("ls-files", "--error-unmatch", Path(__file__).name):  # installed inside somebody else's checkout
            return ""
        commit, changes = git("rev-parse", "--short=12", "HEAD"), git("status", "--porcelain", "--untracked-files=no")
        return commit + ("+changes" if changes else "")
    except (OSError, subprocess.SubprocessError):
        return ""
