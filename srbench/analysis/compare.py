"""Is one model better than another? Paired differences, image by image, and what they allow one to say.

Two models are told apart on a data set where the test of their mean difference (`statistics.mean_tests`) gives p < 0.05
after Holm's correction over all data sets and pairs looked at together.
Over all data sets together they are told apart by a permutation within sets (`statistics.stratified`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import TypeVar

import numpy as np

from srbench.base.errors import InputError
from srbench.base.registry import meant, refuse_unknown
from srbench.results.records import OWN, Run, refuse_differences
from srbench.results.results import Results
from srbench.results.shown import Shown
from srbench.results.statistics import ALPHA, Interval, holm, mean_interval, mean_tests, stratified
from srbench.results.summary import heading, in_order, refuse_mixed_conventions

Group = TypeVar("Group", bound=Hashable)
Model = TypeVar("Model", bound=Hashable)


@dataclass(frozen=True)
class Difference:
    """Model `a` minus model `b` on the images that both have scored; `n` of them are in `interval`.

    p           two-sided p-value of this comparison. Of a single one it is below 0.05 where the interval leaves out
                zero; of one among several it is that or larger (`statistics.mean_p`)
    p_holm      Holm's correction of the column p, over everything tested together; of a single one the same as p
    wins        images on which `a` is better, and `losses`, on which `b` is; the rest are equal
    """

    dataset: str
    scale: int
    metric: str
    a: str
    b: str
    interval: Interval
    p: float
    p_holm: float
    wins: int
    losses: int

    @property
    def distinguishable(self) -> bool:
        """Whether the images tell the models apart, all that was tested together considered."""
        return self.p_holm < ALPHA

    @property
    def better(self) -> str:
        """The better model, or "" where they are not distinguishable."""
        if not self.distinguishable:
            return ""
        return self.a if heading(self.metric).better(self.interval.mean, 0.0) else self.b

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.better:
            other = self.b if self.better == self.a else self.a
            return f"{self.better} is better than {other}"
        if self.wins == self.losses == 0:
            return "equal on every image"
        return "not distinguishable" if self.interval.n > 1 else "not distinguishable: one image is too few"


@dataclass(frozen=True)
class Place:
    """A model's rank on a data set: 1 + the number of models that are distinguishably better, so that ties show.

    It is no better than the rank of a model with a better mean.
    """

    dataset: str
    scale: int
    metric: str
    model: str
    mean: float
    rank: int


def _signed(value: float, digits: int) -> str:
    return "n/a" if math.isnan(value) else f"{value:+.{digits}f}"


def _interval_cell(difference: Difference) -> str:
    digits, interval = heading(difference.metric).digits, difference.interval
    return f"[{_signed(interval.low, digits)}, {_signed(interval.high, digits)}]"


def _tally(difference: Difference) -> str:
    equal = difference.interval.n - difference.wins - difference.losses
    return f"{difference.wins}:{equal}:{difference.losses}"


DIFFERENCE_COLUMNS: dict[str, Callable[[Difference], str]] = {
    "data set": lambda row: f"{row.dataset} ×{row.scale}",
    "A": lambda row: row.a,
    "B": lambda row: row.b,
    "n": lambda row: str(row.interval.n),
    "A − B": lambda row: _signed(row.interval.mean, heading(row.metric).digits),
    "95 % interval": _interval_cell,
    "better:equal:worse": _tally,
    "p": lambda row: f"{row.p:.2g}",
    "p (Holm)": lambda row: f"{row.p_holm:.2g}",
    "verdict": lambda row: row.verdict,
}
PLACE_COLUMNS: dict[str, Callable[[Place], str]] = {
    "data set": lambda row: f"{row.dataset} ×{row.scale}",
    "rank": lambda row: str(row.rank),
    "model": lambda row: row.model,
    "mean": lambda row: f"{heading(row.metric).format(row.mean)} ({heading(row.metric).label})",
}


def compare(results: Results, a: str, b: str, metric: str = "psnr_y") -> Shown[Difference]:
    """Compare two models on every data set and scale that both have scored; the list shows itself as a table.

    `results` is what `load_results` returns. Raises `UsageError` for a model or metric that the results do not hold,
    `InputError` where the two have no image in common, and `IncomparableError` for runs that do not compare.
    """
    return Shown(compare_all(results, [(a, b)], metric), DIFFERENCE_COLUMNS)


def compare_all(results: Results, pairs: Iterable[tuple[str, str]], metric: str) -> list[Difference]:
    """Compare several pairs of models; Holm's correction is over all of them and all data sets together."""
    refuse_mixed_conventions(results)
    pairs = [(meant(one, results.models), meant(other, results.models)) for one, other in pairs]
    refuse_unknown("model", (model for pair in pairs for model in pair), results.models)
    refuse_unknown("metric", [metric], results.metrics)
    found = [(one, other) for pair in pairs for one, other in _shared(results, pair, metric)]
    if pairs and not found:
        names = " and ".join(pairs[0])
        raise InputError(f"{names} have no image with {metric} in common. Run both on the same data set: srbench run")
    values = [[_minus(a, b) for a, b in _paired(one, other, metric)] for one, other in found]
    return [
        _difference(one, other, metric, minus, tested)
        for (one, other), minus, tested in zip(found, values, mean_tests(values), strict=True)
    ]


@dataclass(frozen=True)
class Overall:
    """Model `a` against model `b` on all data sets of one scale that both have scored; `p_holm` is over all pairs."""

    scale: int
    metric: str
    a: str
    b: str
    datasets: tuple[str, ...]
    better: str
    p: float
    p_holm: float

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.p_holm >= ALPHA:
            return "not distinguishable"
        return f"{self.better} is better than {self.b if self.better == self.a else self.a}"


def compare_overall(results: Results, pairs: Iterable[tuple[str, str]], metric: str) -> list[Overall]:
    """Compare pairs of models on all data sets together, where both have scored two or more at a scale."""
    found, tests = [], []
    for a, b in pairs:
        shared = _shared(results, (a, b), metric)
        for scale in dict.fromkeys(one.identity.scale for one, _ in shared):
            here = [(one, other) for one, other in shared if one.identity.scale == scale]
            if len(here) > 1:
                groups = [[_minus(x, y) for x, y in _paired(one, other, metric)] for one, other in here]
                names = tuple(one.identity.dataset for one, _ in here)
                found.append(Overall(scale, metric, a, b, names, "", math.nan, math.nan))
                tests.append(groups)
    tested = stratified(tests)
    corrected = holm([p for p, _ in tested])
    return [
        replace(item, better=item.a if heading(metric).better(leaning, 0.0) else item.b, p=p, p_holm=p_holm)
        for item, (p, leaning), p_holm in zip(found, tested, corrected, strict=True)
    ]


def rank(results: Results, metric: str = "psnr_y", models: Sequence[str] = ()) -> Shown[Place]:
    """Rank models on every data set and scale, best first; models that are not distinguishable may share a rank."""
    models = models or results.models
    differences = compare_all(results, combinations(models, 2), metric)
    places = []
    for run in in_order(results):
        if run.identity.model in models and run.values(metric):
            beaten_by = sum(_beats(difference, run) for difference in differences)
            mean = float(np.mean(run.values(metric)))
            places.append(Place(*run.identity.setting, metric, run.identity.model, mean, 1 + beaten_by))
    sign = -1.0 if heading(metric).higher_is_better else 1.0
    order = list(dict.fromkeys((place.scale, place.dataset) for place in places))
    places.sort(key=lambda place: (order.index((place.scale, place.dataset)), sign * place.mean, place.rank))
    for index, (above, place) in enumerate(pairwise(places)):
        if (above.dataset, above.scale) == (place.dataset, place.scale):
            places[index + 1] = replace(place, rank=max(places[index].rank, place.rank))
    return Shown(places, PLACE_COLUMNS)


def _beats(difference: Difference, run: Run) -> bool:
    """Whether a difference says that another model is better than this run's, on this run's data set."""
    identity = run.identity
    here = (difference.dataset, difference.scale) == identity.setting
    return here and identity.model in (difference.a, difference.b) and difference.better not in ("", identity.model)


def _shared(results: Results, pair: tuple[str, str], metric: str) -> list[tuple[Run, Run]]:
    """The runs of two models on the same data set and scale, both with scores."""
    a, b = ([run for run in in_order(results) if run.identity.model == model and run.values(metric)] for model in pair)
    both = [(one, other) for one in a for other in b if one.identity.setting == other.identity.setting]
    for one, other in both:
        refuse_differences(one.identity, other.identity, OWN)
    return [(one, other) for one, other in both if _paired(one, other, metric)]


def _difference(
    one: Run, other: Run, metric: str, differences: Sequence[float], tested: tuple[float, float]
) -> Difference:
    higher = bool(heading(metric).higher_is_better)
    return Difference(
        dataset=one.identity.dataset,
        scale=one.identity.scale,
        metric=metric,
        a=one.identity.model,
        b=other.identity.model,
        interval=_interval(differences),
        p=tested[0],
        p_holm=tested[1],
        wins=sum(value > 0 if higher else value < 0 for value in differences),
        losses=sum(value < 0 if higher else value > 0 for value in differences),
    )


def _paired(one: Run, other: Run, metric: str) -> list[tuple[float, float]]:
    theirs = {row.image: row.scores[metric] for row in other.rows if metric in row.scores}
    return [(row.scores[metric], theirs[row.image]) for row in one.rows if metric in row.scores and row.image in theirs]


def _minus(a: float, b: float) -> float:
    """`a - b`, zero where both are the same infinity."""
    return 0.0 if a == b else a - b


def _interval(differences: Sequence[float]) -> Interval:
    """The mean difference; where images are infinitely better in both directions it is not defined."""
    if math.inf in differences and -math.inf in differences:
        return Interval(math.nan, math.nan, math.nan, len(differences))
    return mean_interval(differences)


def told_from_best(
    groups: Mapping[Group, Sequence[tuple[Model, Sequence[float]]]], alpha: float = ALPHA
) -> set[tuple[Group, Model]]:
    """Which models of each group differ from its first, the best: paired by position, Holm over all groups together.

    A group is one data set, scale and metric; its scores are an image each, in one order. What is not in the result
    ties with the best, as far as these images can tell.
    """
    differences = {
        (group, model): [_minus(a, b) for a, b in zip(best, values, strict=True)]
        for group, ((_, best), *others) in groups.items()
        for model, values in others
    }
    tested = mean_tests(list(differences.values()))
    return {key for key, (_, p_holm) in zip(differences, tested, strict=True) if p_holm < alpha}
