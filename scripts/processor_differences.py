"""By how much a score of one signature differs between processors, threads and batches: the figures of conventions.md.

python scripts/processor_differences.py [--models srcnn,srresnet] [--dataset Set5] [--side 48]

Other processors are played by this one: environment variables keep torch's libraries from its newer instructions.
Scored are squares out of the middle of each image, which bounds the time; a larger image averages over more pixels.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

METRICS = ("psnr_y", "ssim_y", "lpips")
SCALE = 4
KERNELS: dict[str, dict[str, str]] = {
    "all instructions": {},
    "AVX2 at most": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "SSE only": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}
WAYS = {"1 thread": (1, 1), "2 threads": (2, 1), "a batch of 2": (1, 2)}
"""Threads and images in a batch; the reference is the first."""

Scores = dict[str, float]


def measure(models: list[str], dataset: str, side: int) -> dict[str, dict[str, Scores]]:
    """Scores by way and by model and image, with the instructions that this process may use."""
    return {way: dict(_scores(models, dataset, side, *how)) for way, how in WAYS.items()}


def _scores(models: list[str], dataset: str, side: int, threads: int, batch: int) -> Iterator[tuple[str, Scores]]:
    import torch

    from srbench.datasets import open_dataset
    from srbench.metrics.scorer import Scorer
    from srbench.models import find_model
    from srbench.models.inference import prepare

    torch.set_num_threads(threads)
    scorer = Scorer(METRICS)
    for model in models:
        inference = prepare(find_model(model), SCALE, torch.device("cpu"))
        samples = open_dataset(dataset, SCALE)
        for sample in (samples[index] for index in range(len(samples))):
            lr, hr = middle(sample.lr, side), middle(sample.reference, side * SCALE)
            sr = inference.upscale_together([lr] * batch)[-1].sr
            yield f"{model} {sample.id}", scorer(sr, hr, SCALE)


def middle(image: Any, side: int) -> Any:
    """The square of that side in the middle of an image `(h, w, …)`; of one that is smaller, what there is."""
    top, left = (max(length - side, 0) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="srcnn,srresnet,srgan,esrgan-6b")
    parser.add_argument("--dataset", default="Set5")
    parser.add_argument("--side", type=int, default=48, help="of the squares, in pixels of LR")
    parser.add_argument("--measure", action="store_true", help="only print the scores of this process, as JSON")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.models.split(","), given.dataset, given.side)))  # noqa: T201
        return

    asked = ["--models", given.models, "--dataset", given.dataset, "--side", str(given.side)]
    command = [sys.executable, __file__, *asked, "--measure"]
    running = {
        name: subprocess.Popen(command, env=os.environ | caps, stdout=subprocess.PIPE, text=True)
        for name, caps in KERNELS.items()
    }
    ended = {name: process.communicate()[0] for name, process in running.items()}
    if failed := [name for name, process in running.items() if process.returncode]:
        raise SystemExit(f"no scores with {', '.join(failed)}: see above")
    seen = {f"{name}, {way}": by_image for name in ended for way, by_image in json.loads(ended[name]).items()}
    (_, reference), *others = seen.items()
    print("| largest difference of an image's score | " + " | ".join(METRICS) + " |\n|---|" + "---|" * len(METRICS))  # noqa: T201
    for name, by_image in others:
        largest = (max(abs(scores[key] - reference[of][key]) for of, scores in by_image.items()) for key in METRICS)
        print(f"| {name} | " + " | ".join(f"{value:.1e}" for value in largest) + " |")  # noqa: T201


if __name__ == "__main__":
    main()
