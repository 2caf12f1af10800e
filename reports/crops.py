"""The picture of a report in Markdown: of each data set one image, as every model upscaled it, beside HR."""

from __future__ import annotations

import math
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from srbench.analysis.figure import strips
from srbench.analysis.figure_page import write_figure
from srbench.base.errors import SrbenchError
from srbench.base.text import as_file_name
from srbench.base.text import markdown as escape
from srbench.results.saved import sr_path
from srbench.results.summary import in_order

if TYPE_CHECKING:
    from srbench.results.records import Run
    from srbench.results.results import Results

FOLDER = "crops"


def write_crops(results: Results, out: Path) -> tuple[list[Path], list[str]]:
    """The pictures written into `out/crops`, and the Markdown that shows them, a paragraph each.

    Nothing of data sets whose SR images were not saved; of one that cannot be shown, the reason.
    """
    written: list[Path] = []
    shown: list[str] = []
    if (folder := results.folder) is None:
        return written, shown
    for (dataset, scale), group in groupby(in_order(results), key=lambda run: run.identity.setting):
        runs = list(group)
        image = _most_contested(runs)
        models = [run.identity.model for run in runs if image and sr_path(folder, run, image).is_file()]
        if not models:
            continue
        title = f"{dataset} ×{scale}: {image}"
        try:
            shown_there = strips(results, [image], models=models, dataset=dataset, scale=scale, root=results.data_root)
        except SrbenchError as error:
            shown.append(f"{escape(title)} is not shown: {escape(str(error))}")
            continue
        path = out / FOLDER / f"{as_file_name(f'{dataset}-x{scale}')}.png"
        written += write_figure(shown_there, path)
        shown.append(f"![{escape(title)}]({quote(path.relative_to(out).as_posix())})")
    return written, shown


def _most_contested(runs: list[Run]) -> str:
    """The image over which the scores of models are farthest apart, by the first metric; the first of equals."""
    metric = next(iter(runs[0].metrics), "")
    scores: dict[str, list[float]] = {}
    for run in runs:
        for row in run.rows:
            scores.setdefault(row.image, []).extend(
                value for value in [row.scores.get(metric, math.inf)] if math.isfinite(value)
            )
    return max(scores, key=lambda image: max(scores[image], default=0.0) - min(scores[image], default=0.0), default="")
