"""Whether the images of a run fit into memory, asked before anything is computed: a killed process says nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.errors import InputError

if TYPE_CHECKING:
    from srbench.datasets.sample import Dataset

USUAL, LPIPS = 110, 260
"""Bytes that scoring takes on a processor, for a pixel of HR: by PSNR and SSIM, and by LPIPS. `pytest -m slow -k
bytes_a_pixel` measures them; a network's own memory, which tiles bound, is not in them.
"""


def refuse_what_does_not_fit(
    datasets: Iterable[Dataset], metrics: Iterable[str], at_once: int, limit: int | None = None
) -> None:
    """Raise `InputError`, naming the image, where `at_once` of its size take more memory than there is."""
    lpips = any(name.startswith("lpips") for name in metrics)
    each, there = (LPIPS if lpips else USUAL), memory_bytes()
    for dataset in datasets:
        sizes = getattr(dataset, "lr_pixels", ())[:limit]
        if not sizes or not there:
            continue
        pixels, id = max(zip(sizes, dataset.ids, strict=False))
        pixels *= getattr(dataset, "scale", 1) ** 2
        if pixels * each * at_once > there:
            path = getattr(dataset, "hr", {}).get(id, id)
            beside = f", {at_once} at once" if at_once > 1 else ""
            remedy = "Leave out LPIPS (--metrics psnr_y,ssim_y), or cut it up" if lpips else "Cut it up"
            raise InputError(
                f"{path}: {pixels / 1e6:.0f} megapixels; to score it takes some {each} bytes a pixel{beside}, "
                f"and there are {there / 2**30:.1f} GiB of memory. {remedy}"
            )


def memory_bytes() -> int:
    """What this machine has, or the container that we are in; 0 where it does not say."""
    found = []
    with suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # "max" where there is no limit
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(found, default=0)
