"""Four CSV files: `summary.csv` (means), `images.csv` (every score), `speed.csv` (every timing), `signatures.csv`.

Scores of images are written with every digit, means and interval ends rounded to 1e-6. Infinite scores are `inf`.
There is no row where there is no score.
"""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.temporary import write_file
from srbench.benchmark.speed.steadiness import doubts
from srbench.results.summary import in_order, summarise

if TYPE_CHECKING:
    import pandas as pd

    from srbench.results.results import Results

SUMMARY = ("dataset", "scale", "model", "metric", "mean", "ci_low", "ci_high", "n")


def write(results: Results, out: Path) -> list[Path]:
    """Write the four files into the folder `out`; raises `IncomparableError` for results that do not mix."""
    frames = {
        "summary": _summary(results),
        "images": replace(results, runs=tuple(in_order(results))).frame(),
        "speed": _speeds(results),
        "signatures": _signatures(results),
    }
    texts = {name: frame.to_csv(index=False, lineterminator="\n") for name, frame in frames.items()}
    return [write_file(out / f"{name}.csv", text) for name, text in texts.items()]


def _summary(results: Results) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (*astuple(score)[:4], score.mean, score.interval.low, score.interval.high, score.interval.n)
        for score in summarise(results)
        if score.interval.n
    ]
    return pd.DataFrame(rows, columns=list(SUMMARY)).round(9)  # so many that rounding once more is rounding once


def _speeds(results: Results) -> pd.DataFrame:
    """Every field of a timing, and in words why it is not steady; empty where it is."""
    frame = results.speed_frame()
    words = [" ".join(row.uncounted) for row in results.speeds], [", ".join(doubts(row)) for row in results.speeds]
    return frame.assign(uncounted=words[0], not_steady=words[1])


def _signatures(results: Results) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (*run.identity.key, metric, run.signature(metric))
        for run in in_order(results)
        for metric in run.metrics
        if run.values(metric)
    ]
    return pd.DataFrame(rows, columns=[*SUMMARY[:4], "signature"])
