"""Results that no model made, for tests of what comes after a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from srbench.results.records import Identity, Row, Run, SpeedRow
from srbench.results.results import Results
from srbench.results.store import RunWriter, run_path, write_speeds

CONVENTIONS = {"psnr_y": "matlab", "ssim_y": "matlab", "lpips": "nocrop"}
ENVIRONMENT = {"versions": {"srbench": "0.1.0", "torch": "2.11.0"}, "device": "cpu"}

Scores = Mapping[str, Sequence[float]]


def made_run(model: str, scores: Scores, dataset: str = "Set5", images: Sequence[str] = (), **identity: object) -> Run:
    """A run whose scores are given a metric at a time: `made_run("bicubic", {"psnr_y": [28.0, 29.0]})`."""
    count = max((len(values) for values in scores.values()), default=0)
    names = list(images) or [f"img{index:03d}" for index in range(count)]
    rows = tuple(
        Row(
            names[index],
            {metric: values[index] for metric, values in scores.items()},
            hr=f"hr{index}", lr=f"lr{index}", sr=f"{model}{index}",
        )
        for index in range(count)
    )  # fmt: skip
    key = Identity(model, "", dataset, f"{dataset.lower()}0" * 8, 4, "matlab")
    return Run(
        replace(key, **identity),  # type: ignore[arg-type]
        {metric: CONVENTIONS.get(metric, "matlab") for metric in scores},
        rows,
        environments=(ENVIRONMENT,),
        source=dataset,
    )


def failed_run(model: str, dataset: str = "Set5") -> Run:
    run = made_run(model, {"psnr_y": [0.0, 0.0]}, dataset)
    rows = tuple(replace(row, scores={}, sr="", error="RuntimeError: shape | mismatch") for row in run.rows)
    return replace(run, rows=rows, error="RuntimeError: shape | mismatch")


def made_speed(model: str, p50: float = 10.0, **changes: object) -> SpeedRow:
    times = (p50, p50 * 1.1, 153.6 / p50)
    row = SpeedRow(model, 4, "cpu", "fp32", "eager", 120, 80, 1, *times, None, None, 0, first_ms=p50)
    return replace(row, **changes)  # type: ignore[arg-type]


def saved(folder: Path, results: Results) -> Path:
    """The results as a folder on disk."""
    for run in results.runs:
        with RunWriter(run_path(folder, run.identity), replace(run, rows=())) as writer:
            for row in run.rows:
                writer.append(row)
            writer.finish([row.image for row in run.rows], run.error)
    for model in {row.model for row in results.speeds}:
        weights = [run.identity.weights for run in results.runs if run.identity.model == model]
        write_speeds(folder, weights[0] if weights else "", [row for row in results.speeds if row.model == model])
    return folder
