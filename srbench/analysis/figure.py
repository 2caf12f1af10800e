"""What the figure of every paper shows: one crop of an image by each model beside HR, with its scores.

Everything is taken from saved SR images, and each must be the image that was scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import InputError, UsageError
from srbench.base.registry import refuse_unknown
from srbench.images.files import to_rgb
from srbench.images.windows import largest_window
from srbench.results.saved import dataset_of, read_sr, sr_path
from srbench.results.summary import heading

if TYPE_CHECKING:
    from srbench.images.files import Image
    from srbench.results.records import Row, Run
    from srbench.results.results import Results

Crop = tuple[int, int, int, int]
"""Left, top, width and height in pixels of HR."""

SHARE = 5
"""Without a crop, a window of a fifth of each side is shown, where the models differ most."""


@dataclass(frozen=True)
class Panel:
    """A crop `(h, w, 3)` uint8, whose it is, and its scores over the whole image."""

    name: str
    scores: str
    crop: Image


@dataclass(frozen=True)
class Strip:
    """All that is shown of one image: the whole HR `(h, w, 3)` with the crop's place, HR's crop and every model's.

    `source` is HR's file, where the data set is a folder.
    """

    image: str
    dataset: str
    scale: int
    whole: Image
    crop: Crop
    panels: tuple[Panel, ...]
    source: Path | None = None


def strips(
    results: Results,
    images: Sequence[str],
    crops: Sequence[Crop] = (),
    models: Sequence[str] = (),
    metrics: Sequence[str] = (),
    *,
    dataset: str = "",
    scale: int | None = None,
    root: Path | None = None,
) -> list[Strip]:
    """The strips of some images: one crop each, one for all of them, or none, and then where the models differ most.

    `models` are in the order wanted; all of the results where none are given. `metrics` are shown under the names; the
    first two of the results where none are given. Raises `UsageError` for names that the results do not hold, and
    `InputError` where SR images were not saved, or are not those that were scored.
    """
    if len(crops) not in (0, 1, len(images)):
        raise UsageError(f"{len(crops)} crops for {len(images)} images: give one for each, or one for all")
    each: Sequence[Crop | None] = [*crops] * len(images) if len(crops) == 1 else crops or [None] * len(images)
    refuse_unknown("metric", metrics, results.metrics)
    found = []
    for image, crop in zip(images, each, strict=True):
        runs = _runs_with(results, image, models or results.models, dataset, scale)
        found.append(_strip(results, image, runs, crop, metrics or results.metrics[:2], root))
    return found


def _runs_with(results: Results, image: str, models: Sequence[str], dataset: str, scale: int | None) -> list[Run]:
    """The run of each model on the one data set that holds the image."""
    refuse_unknown("model", models, results.models)
    refuse_unknown("image", [image], {row.image for run in results for row in run.rows})
    scored = [run for run in results if any(row.image == image for row in run.rows)]
    places = {run.identity.setting for run in scored}
    places = {place for place in places if dataset in ("", place[0]) and scale in (None, place[1])}
    if len(places) != 1:
        texts = " or ".join(f"--dataset {name} --scale {times}" for name, times in sorted(places))
        raise UsageError(f"image {image}: say which: {texts}" if texts else f"image {image} is in no such results")
    runs = {run.identity.model: run for run in scored if run.identity.setting in places}
    for model in models:
        if model not in runs:
            raise InputError(f"{model} has no scores of {image}. Make them: srbench run --save-images")
    return [runs[model] for model in models]


def _strip(
    results: Results, image: str, runs: Sequence[Run], crop: Crop | None, metrics: Sequence[str], root: Path | None
) -> Strip:
    identity, samples = runs[0].identity, dataset_of(runs[0], root)
    hr = to_rgb(samples[samples.ids.index(image)].reference)
    pictures = [_saved(results, run, image) for run in runs]
    crop = crop or _where_they_differ(pictures)
    left, top, width, height = crop
    if left + width > hr.shape[1] or top + height > hr.shape[0]:
        raise UsageError(
            f"--crop {','.join(map(str, crop))} reaches out of {image}, {hr.shape[1]}x{hr.shape[0]} pixels"
        )
    window = np.s_[top : top + height, left : left + width]
    panels = [
        Panel(run.identity.model, _scores(_row(run, image), metrics), picture[window])
        for run, picture in zip(runs, pictures, strict=True)
    ]
    names = " / ".join(heading(metric).label for metric in metrics)
    shown = (Panel("HR", names, hr[window]), *panels)
    source = getattr(samples, "hr", {}).get(image)
    return Strip(image, identity.dataset, identity.scale, hr, crop, shown, source)


def _row(run: Run, image: str) -> Row:
    return next(row for row in run.rows if row.image == image)


def _saved(results: Results, run: Run, image: str) -> Image:
    if results.folder is None:
        raise InputError("results made in memory have no saved images")
    if not sr_path(results.folder, run, image).is_file():
        model = run.identity.model
        again = f"srbench run --models {model} --datasets {run.source} --out {results.folder} --save-images"
        raise InputError(f"{model} has no saved image of {image}. Make it: {again}")
    return to_rgb(read_sr(results.folder, run, image))


def _where_they_differ(pictures: Sequence[Image]) -> Crop:
    height, width = (max(side // SHARE, min(side, 32)) for side in pictures[0].shape[:2])
    spread = np.stack(pictures).astype(np.float32).std(axis=0).mean(axis=2)
    rows, columns = largest_window(spread, height, width)
    return columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start


def _scores(row: Row, metrics: Sequence[str]) -> str:
    """`28.42 / 0.8101`; a dash for what was not scored."""
    return " / ".join(heading(name).format(row.scores[name]) if name in row.scores else "–" for name in metrics)
