"""The README's picture: one crop of one image by every model, beside HR, with its scores; from saved SR images.

srbench run --models all --datasets samples --save-images --out results
python scripts/comparison_picture.py results samples chelsea 100,60,132,88 docs/images/comparison.png

The photograph is CC0, so that the picture may be shown anywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import matplotlib.pyplot as plt

from srbench.images.files import to_rgb
from srbench.results.records import Results, Run
from srbench.results.saved import dataset_of, read_sr
from srbench.results.store import load_results

if TYPE_CHECKING:
    from srbench.images.files import Image


def main(folder: str, dataset: str, image: str, crop: str, target: str) -> None:
    left, top, width, height = map(int, crop.split(","))
    results = load_results(folder)
    runs = by_psnr(results, dataset)
    if not runs:
        raise SystemExit(f"{folder}: no results on {dataset}")
    samples = dataset_of(runs[0])
    hr = to_rgb(samples[samples.ids.index(image)].reference)
    pictures = {caption(run, image): read_sr(Path(folder), run, image) for run in runs}
    pictures[f"HR\n{image}, {dataset} ×{runs[0].identity.scale}"] = hr
    crops = {title: to_rgb(picture)[top : top + height, left : left + width] for title, picture in pictures.items()}
    draw(crops, Path(target))


def by_psnr(results: Results, dataset: str) -> list[Run]:
    """The runs on a data set, by mean PSNR."""
    runs = [run for run in results if run.identity.dataset == dataset]
    return sorted(runs, key=lambda run: sum(run.values("psnr_y")))


def caption(run: Run, image: str) -> str:
    scores = next(row.scores for row in run.rows if row.image == image)
    lpips = f", LPIPS {scores['lpips']:.3f}" if "lpips" in scores else ""
    return f"{run.identity.model}\n{scores['psnr_y']:.2f} dB{lpips}"


def draw(crops: dict[str, Image], target: Path) -> None:
    mpl.rcParams.update({"font.size": 9, "font.family": "DejaVu Sans"})
    height, width = next(iter(crops.values())).shape[:2]
    columns = min((3, 4, 5), key=lambda count: -len(crops) % count)  # the fewest empty places
    rows = -(-len(crops) // columns)
    tall = 2.4 * height / width + 0.45
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.5 * columns, tall * rows), squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, crop) in zip(axes.flat, crops.items(), strict=False):
        axis.imshow(crop, interpolation="nearest")
        axis.set_title(title)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    if len(sys.argv) != 6:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
