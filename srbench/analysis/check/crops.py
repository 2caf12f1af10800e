"""Pictures of what a check found: for the worst images HR, SR and their difference, where it is largest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import SrbenchError
from srbench.base.text import as_file_name
from srbench.images.files import to_rgb, write_image
from srbench.images.windows import largest_window
from srbench.results.saved import dataset_of, read_sr

if TYPE_CHECKING:
    from srbench.analysis.check.check import Verdict
    from srbench.images.files import Image
    from srbench.results.records import Run
    from srbench.results.results import Results

SIDE = 96
"""Pixels of HR along a crop's side; each is drawn as a square of `ENLARGED` pixels."""

ENLARGED = 3
GAIN = 6
IMAGES = 6


def write_crops(verdict: Verdict, results: Results, out: Path, data_root: Path | None = None) -> list[Path]:
    """Write HR | SR | difference (times 6) for the worst failing images, as `<dataset>-x<scale>-<model>-<image>.png`.

    Images that were not saved, or whose data set is not here, are left out.
    """
    from srbench.analysis.check.check import worst

    runs = {run.identity.key: run for run in results}
    found = worst(verdict.failures, len(verdict.failures))
    images = dict.fromkeys((finding.key, finding.image) for finding in found if finding.key in runs)
    paths: list[Path] = []
    for key, image in images:
        strip = _strip(results, runs[key], image, data_root)
        if strip is not None:
            paths.append(out / f"{as_file_name(f'{key.dataset}-x{key.scale}-{key.model}-{image}')}.png")
            write_image(paths[-1], strip)
        if len(paths) == IMAGES:
            break
    return paths


def _strip(results: Results, run: Run, image: str, root: Path | None) -> Image | None:
    if results.folder is None:
        return None
    try:
        dataset = dataset_of(run, root)
        hr = to_rgb(dataset[dataset.ids.index(image)].reference)
        sr = to_rgb(read_sr(results.folder, run, image))
    except (SrbenchError, ValueError):  # not saved, no such set here, no such image in it
        return None
    return side_by_side(hr, sr) if hr.shape == sr.shape else None


def side_by_side(hr: Image, sr: Image) -> Image:
    """HR, SR and six times their difference, `(h, w, 3)` uint8, cropped to where the difference is largest."""
    difference = np.abs(hr.astype(np.int16) - sr)
    side = min(SIDE, *hr.shape[:2])
    window = largest_window(difference.mean(axis=2), side, side)
    shown = (hr[window], sr[window], np.minimum(GAIN * difference[window], 255).astype(np.uint8))
    gap = np.full((side, 2, 3), 255, np.uint8)
    strip = np.concatenate([shown[0], gap, shown[1], gap, shown[2]], axis=1)
    return np.ascontiguousarray(strip.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1))
