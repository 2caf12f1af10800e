"""Score the saved SR images of earlier runs again: other metrics or conventions, without the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from srbench.base.errors import InputError
from srbench.images.tensors import image_tensor
from srbench.metrics import refuse_unknown_metrics
from srbench.metrics.scorer import ScoreError, Scorer
from srbench.models.inference import select_device
from srbench.results import environment
from srbench.results.records import Run
from srbench.results.saved import dataset_of, read_sr
from srbench.results.store import RunWriter, load_results, run_path


def rescore(folder: Path, metrics: Sequence[str], *, device: str = "auto", root: Path | None = None) -> dict[str, str]:
    """Add scores to every run of a results folder from its saved images.

    Returns, for each run or metric left out, the reason. Raises `IncomparableError` where the data set is no longer
    the one that was scored.
    """
    refuse_unknown_metrics(metrics)
    results = load_results(folder)  # first, so that a slip is told before torch is imported
    scorer = Scorer(metrics, select_device(device))
    left_out = dict(scorer.unavailable)
    left_out |= {problem.partition(": ")[0]: f"left out: {problem.partition(': ')[2]}" for problem in results.damaged}
    for run in results.runs:
        if scorer.degradation != run.identity.degradation:
            scorer = Scorer(metrics, scorer.device, run.identity.degradation)
        try:
            rescore_run(folder, run, scorer, root)
        except InputError as error:
            left_out[str(run.identity.key)] = str(error)
    return left_out


def rescore_run(folder: Path, run: Run, scorer: Scorer, root: Path | None) -> Run:
    """Score one run's saved images.

    Raises `InputError` where they or the data set's are missing, or have changed since; and, once all else is scored,
    where a metric fails on one.
    """
    path = run_path(folder, run.identity)
    dataset = dataset_of(run, root)
    position = {id: index for index, id in enumerate(dataset.ids)}
    begun = replace(run, rows=(), metrics=scorer.conventions, environments=(environment.describe(str(scorer.device)),))
    failed = ""
    with RunWriter(path, begun) as writer:
        for row in run.rows:
            names = [name for name in scorer.metrics if name not in row.scores]
            if names and (row.sr or not row.error):
                sr, hr = read_sr(folder, run, row.image), dataset[position[row.image]].reference
                try:
                    scores = scorer(image_tensor(sr, scorer.device), hr, run.identity.scale, names)
                except ScoreError as failure:
                    scores = failure.scores
                    failed = failed or f"{row.image}: {failure}"
                writer.append(replace(row, scores=scores))
        finished = writer.finish(dataset.ids, run.error)
    if failed:
        raise InputError(failed)
    return finished
