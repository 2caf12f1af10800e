"""The best model within a budget: scores beside timings of one size, and which models a budget leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from shlex import quote
from statistics import fmean
from typing import TYPE_CHECKING

from srbench.base.errors import InputError, UsageError
from srbench.base.registry import refuse_unknown
from srbench.benchmark.speed.steadiness import FEW_REPEATS, MARK, doubts
from srbench.benchmark.speed.timing import PATIENCE
from srbench.results.summary import heading, summarise

if TYPE_CHECKING:
    from srbench.results.records import SpeedRow
    from srbench.results.results import Results


DISTURBED = 10.0
"""How many times as long as on an idle machine a timing that is not steady may be: nine other programs on every
processor leave a tenth of it. Other work makes times longer, never shorter."""


@dataclass(frozen=True)
class Budget:
    """Upper bounds, each None where it does not matter: milliseconds (median), MiB at the peak, parameters."""

    ms: float | None = None
    mib: float | None = None
    params: float | None = None

    def exceeded(self, row: SpeedRow) -> str:
        """The first bound that a timing breaks, in words; what was not measured breaks its bound.

        With a mark before it where a timing that is not steady may keep to its bound on an idle machine.
        """
        for name, most, value in (
            ("MiB", self.mib, row.peak_memory_mib),
            ("parameters", self.params, row.params),
            ("ms", self.ms, row.p50_ms),
        ):
            if most is not None and (value is None or value > most):
                maybe = name == "ms" and doubts(row) and row.p50_ms <= DISTURBED * most
                return f"{name} not measured" if value is None else f"{MARK * bool(maybe)}over {most:g} {name}"
        return ""


@dataclass(frozen=True)
class Candidate:
    """A model under one backend: the mean of its score over data sets, its timing, and why it is out ("" if not).

    `images` says where scores are of a part of a data set, as `--limit` has it.
    """

    model: str
    metric: str
    score: float
    speed: SpeedRow
    out: str = ""
    images: str = ""

    @property
    def maybe(self) -> bool:
        """Whether it is out for its milliseconds alone, and may be within the budget on an idle machine."""
        return self.out.startswith(MARK)


def candidates(
    results: Results, metric: str, budget: Budget, *, scale: int = 4, size: tuple[int, int] | None = None
) -> list[Candidate]:
    """Every model that was scored on all data sets of the results, on as many images as any other, and timed at `size`
    (width, height), best first; those that break the budget come last.

    Timings in another precision than the scores are left out. Without `size`, the timings must be of one size. Raises
    `UsageError` for an unknown metric or an open size, and `InputError` where scores or timings are missing.
    """
    scores, images = _means(results, metric, scale)
    precisions = {run.identity.model: run.identity.precision for run in results if run.identity.scale == scale}
    rows = [row for row in _timings(results, scale, size) if row.model in scores]
    rows = [row for row in rows if row.precision == precisions.get(row.model)]
    found = [Candidate(row.model, metric, scores[row.model], row, budget.exceeded(row), images) for row in rows]
    if not found:
        raise InputError(f"no model was both scored and timed at x{scale}. Do it: srbench run --scale {scale} --speed")
    sign = -1.0 if heading(metric).higher_is_better else 1.0
    return sorted(found, key=lambda one: (bool(one.out), sign * one.score, bool(doubts(one.speed)), one.speed.p50_ms))


def to_time_again(found: Sequence[Candidate]) -> list[Candidate]:
    """Those that a timing on an idle machine could make the best: maybe within the budget, and of a better score than
    any that is. What is within it by a timing that is not steady is so by a steady one, too."""
    best = None if found[0].out else found[0]
    return [one for one in found if one.maybe and (not best or heading(one.metric).better(one.score, best.score))]


def timing_commands(found: Sequence[Candidate], refs: Mapping[str, str], folder: Path) -> list[str]:
    """The commands that time these anew, each as it was: what is kept of them in the folder is replaced.

    `refs` says by which reference a model is found. What had few repeats gets the seconds for more.
    """
    alike: dict[tuple[object, ...], list[SpeedRow]] = {}
    for row in (one.speed for one in found):
        alike.setdefault((row.backend, row.device, row.precision, row.threads, row.width, row.height), []).append(row)
    return [_timing_command(rows, refs, folder) for rows in alike.values()]


def _timing_command(rows: Sequence[SpeedRow], refs: Mapping[str, str], folder: Path) -> str:
    row = rows[0]
    slow = max((row.p50_ms for row in rows if row.repeats < FEW_REPEATS and doubts(row)), default=0.0)
    seconds = ceil(slow / 1e3 * FEW_REPEATS / PATIENCE)
    options = {
        "models": ",".join(refs[row.model] for row in rows),
        "scale": row.scale,
        "sizes": f"{row.width}x{row.height}",
        "backend": "" if row.backend == "eager" else row.backend,
        "precision": "" if row.precision == "fp32" else row.precision,
        "device": row.device,
        "threads": row.threads,
        "budget": seconds if seconds > 2 else 0,
        "out": folder,
    }
    return "srbench speed " + " ".join(f"--{name} {quote(str(value))}" for name, value in options.items() if value)


def _means(results: Results, metric: str, scale: int) -> tuple[dict[str, float], str]:
    """Of each model with as many scores on every data set as any has, the mean over data sets; and what these lack."""
    if not results.metrics:
        raise InputError(
            f"there are timings and no scores. Make some: srbench run --scale {scale} --out {results.folder}"
        )
    refuse_unknown("metric", [metric], results.metrics)
    here = [score for score in summarise(results) if (score.metric, score.scale) == (metric, scale)]
    most = {score.dataset: max(one.interval.n for one in here if one.dataset == score.dataset) for score in here}
    means: dict[str, dict[str, float]] = {}
    for score in here:
        if score.interval.n == most[score.dataset] > 0:
            means.setdefault(score.model, {})[score.dataset] = score.mean
    lacking = {
        f"{most[one.dataset]} of {one.expected} images of {one.dataset}": 0
        for one in here
        if most[one.dataset] < one.expected
    }
    complete = {model: fmean(values.values()) for model, values in means.items() if set(values) == set(most)}
    return complete, ", ".join(lacking)


def _timings(results: Results, scale: int, size: tuple[int, int] | None) -> Sequence[SpeedRow]:
    rows = [row for row in results.speeds if row.scale == scale and row.batch == 1]
    sizes = sorted({(row.width, row.height) for row in rows})
    texts = [f"{width}x{height}" for width, height in sizes]
    if not sizes:
        raise InputError(f"no timings at x{scale}. Take some: srbench speed --scale {scale} --out {results.folder}")
    if size is None and len(sizes) > 1:
        raise UsageError(f"timings are of several sizes; say which: --size {' or '.join(texts)}")
    chosen = size or sizes[0]
    if chosen not in sizes:
        raise UsageError(f"nothing was timed at {chosen[0]}x{chosen[1]}, only at {', '.join(texts)}")
    return [row for row in rows if (row.width, row.height) == chosen]
