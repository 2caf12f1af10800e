"""One score a run and metric: the mean, how sure it is, and why there is none where there is none.

Tables, plots, the page and the CSV files all start from `summarise`, so that they cannot disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

from srbench.base.errors import IncomparableError, UnavailableError, UsageError
from srbench.datasets.standard.table import papers_order
from srbench.metrics import resolve
from srbench.results.records import Run, RunKey, Setting
from srbench.results.results import Results
from srbench.results.statistics import Interval, mean_interval

Status = Literal["scored", "partial", "failed", "unavailable", "absent"]


@dataclass(frozen=True)
class MeanScore:
    """The mean of one metric over one run.

    status      `scored`; `partial`: images failed or are still to come; `failed`: no image succeeded; `unavailable`:
                the metric could not be computed here; `absent`: it was not asked for
    expected    how many images a complete run of this data set has
    infinite    how many of the scores are infinite
    reason      why the status is not `scored`
    """

    dataset: str
    scale: int
    model: str
    metric: str
    interval: Interval
    expected: int
    infinite: int = 0
    status: Status = "scored"
    reason: str = ""

    @property
    def key(self) -> RunKey:
        """The run that it is of."""
        return RunKey(self.dataset, self.scale, self.model)

    @property
    def mean(self) -> float:
        """In the metric's unit; NaN where nothing was scored."""
        return self.interval.mean


@dataclass(frozen=True)
class Heading:
    """What a table says of a metric; `higher_is_better` is None for one whose package is not installed.

    `bounds` are the least and the largest score there can be.
    """

    name: str
    label: str
    digits: int
    higher_is_better: bool | None
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @property
    def text(self) -> str:
        """The label, with an arrow towards the better end."""
        return self.label + {True: " ↑", False: " ↓", None: ""}[self.higher_is_better]

    def format(self, value: float) -> str:
        """A score with the metric's digits; `∞`, and `n/a` for NaN."""
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        return "n/a" if math.isnan(value) else f"{value:.{self.digits}f}"

    def better(self, a: float, b: float) -> bool:
        """Whether score `a` is strictly better than `b`."""
        return a > b if self.higher_is_better else a < b


STUDIED = {"elo": Heading("elo", "Elo by raters", 0, True), "mos": Heading("mos", "MOS by raters", 2, True, (1.0, 5.0))}
"""What people said, as columns beside the metrics; see `srbench.apps.study`."""

OTHER_WEIGHTS = "raters saw other weights of the model. Make a new study: srbench study make"


@cache
def heading(metric: str) -> Heading:
    """Label, digits and direction of a metric; stored scores outlive the plugin that made them."""
    if metric in STUDIED:
        return STUDIED[metric]
    try:
        bound = resolve(metric)
    except (UsageError, UnavailableError):
        return Heading(metric, metric, 4, None)
    return Heading(metric, bound.label, bound.metric.digits, bound.metric.higher_is_better, bound.metric.bounds)


def summarise(results: Results) -> list[MeanScore]:
    """A score for every run and every metric that any run has, data sets in the field's order, models in the results'.

    What raters said of a run's model and data set stands after its metrics.

    Raises `IncomparableError` where runs of one data set and scale differ in more than the model.
    """
    results.refuse_mixtures()
    refuse_mixed_conventions(results)
    expected = _expected(results)
    return [
        _rated(results, run, metric) if metric in STUDIED else _score(run, metric, expected[run.identity.setting])
        for run in in_order(results)
        for metric in columns(results)
    ]


def columns(results: Results) -> tuple[str, ...]:
    """Every metric of any run, then what raters were asked for."""
    return (*results.metrics, *dict.fromkeys(row.metric for row in results.studies))


def in_order(results: Results) -> list[Run]:
    """The runs by scale, then data set in the field's order (Set5, Set14, …), then model."""
    datasets = sorted({run.identity.dataset for run in results}, key=papers_order)
    models = list(results.models)
    return sorted(
        results,
        key=lambda run: (run.identity.scale, datasets.index(run.identity.dataset), models.index(run.identity.model)),
    )


def refuse_mixed_conventions(results: Results) -> None:
    """Raise `IncomparableError` where a metric was taken under two conventions: its column would mix them."""
    first: dict[str, Run] = {}
    for run in results:
        for metric, convention in run.metrics.items():
            other = first.setdefault(metric, run)
            if other.metrics[metric] != convention:
                raise IncomparableError(
                    f"{metric} is under {other.metrics[metric]} for {other.identity.model} and under {convention} for "
                    f"{run.identity.model}; these do not compare. Score again: srbench score RESULTS --metrics {metric}"
                )


def _expected(results: Results) -> dict[Setting, int]:
    """How many images a complete run of each data set has."""
    counts: dict[Setting, int] = {}
    for run in results:
        setting = run.identity.setting
        counts[setting] = max(counts.get(setting, 0), len(run.rows), run.of)
    return counts


def _score(run: Run, metric: str, expected: int) -> MeanScore:
    values = run.values(metric)
    status, reason = _status(run, metric, len(values), expected)
    infinite = sum(map(math.isinf, values))
    interval = mean_interval(values).within(*heading(metric).bounds)
    return MeanScore(*run.identity.key, metric, interval, expected, infinite, status, reason)


def _rated(results: Results, run: Run, metric: str) -> MeanScore:
    """What raters said of a run's model on its data set: the interval is over the images that they were shown."""
    key = run.identity.key
    for row in results.studies:
        if (row.metric, row.dataset, row.scale, row.model) == (metric, *key):
            if row.weights != run.identity.weights:
                return MeanScore(*key, metric, mean_interval([]), 0, status="unavailable", reason=OTHER_WEIGHTS)
            return MeanScore(*key, metric, Interval(row.value, row.low, row.high, row.images), row.images)
    return MeanScore(*key, metric, mean_interval([]), 0, status="absent")


def _status(run: Run, metric: str, scored: int, expected: int) -> tuple[Status, str]:
    failure = run.first_error
    if scored and scored >= expected:
        return "scored", ""
    if scored:
        return "partial", f"{scored} of {expected} images" + (f"; {failure}" if failure else "")
    if failure:
        return "failed", failure
    if metric in run.unavailable:
        return "unavailable", run.unavailable[metric]
    return "absent", ""
