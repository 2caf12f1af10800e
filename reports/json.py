"""`results.json`: all that the tables and files say, in one document for machines.

Numbers have all their digits; an infinite score is the word `inf`, since JSON has none. `format` moves when a field
changes its meaning.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports import published
from srbench.base.documents import dumps
from srbench.base.temporary import write_file
from srbench.results.summary import heading, in_order, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srbench.results.records import Run
    from srbench.results.results import Results
    from srbench.results.summary import MeanScore

FORMAT = 1


def write(results: Results, out: Path) -> list[Path]:
    """Write `results.json` into the folder `out`; raises `IncomparableError` for results that do not mix."""
    return [write_file(out / "results.json", dumps(document(results)) + "\n")]


def document(results: Results) -> dict[str, Any]:
    """The means with their signatures, published numbers beside them, every image's scores, and the timings."""
    scores = summarise(results)
    runs = {run.identity.key: run for run in in_order(results)}
    return {
        "format": FORMAT,
        "scores": [_mean(score, runs[score.key]) for score in scores],
        "published": _published(results, scores),
        "images": [
            {**run.identity.key._asdict(), "image": row.image, "scores": dict(row.scores)}
            for run in in_order(results)
            for row in run.rows
        ],
        "failures": [
            {**run.identity.key._asdict(), "image": row.image, "reason": row.error}
            for run in in_order(results)
            for row in run.failures
        ],
        "speed": [asdict(row) for row in results.speeds],
    }


def _mean(score: MeanScore, run: Run) -> dict[str, Any]:
    """One mean; without a number, the reason stands beside null."""
    known = bool(score.interval.n)
    return {
        **run.identity.key._asdict(),
        "metric": score.metric,
        "mean": score.mean if known else None,
        "ci_low": score.interval.low if known else None,
        "ci_high": score.interval.high if known else None,
        "images": score.interval.n,
        "expected": score.expected,
        "infinite": score.infinite,
        "status": score.status,
        "reason": score.reason,
        "higher_is_better": heading(score.metric).higher_is_better,
        "signature": run.signature(score.metric) if known and score.metric in run.metrics else None,
    }


def _published(results: Results, scores: Sequence[MeanScore]) -> list[dict[str, Any]]:
    return [
        {
            **pair.score.key._asdict(),
            "metric": pair.score.metric,
            "value": pair.claim.number,
            "gap": pair.gap,
            "source": pair.claim.source,
        }
        for pair in published.pairs(results, scores)
    ]
