"""From answers to strengths: Bradley and Terry's model for pairs, means for opinions, both with bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from srbench.apps.study.answers import Answers
from srbench.apps.study.make import RATINGS, Question, Study, read_study
from srbench.base.errors import InputError
from srbench.results import student
from srbench.results.records import StudyRow
from srbench.results.summary import STUDIED

ELO = 400.0 / math.log(10.0)
RESAMPLES = 1000
PRIOR = 0.5
METRICS: dict[str, Literal["elo", "mos"]] = {"pairs": "elo", "opinion": "mos"}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ModelRating:
    """`value` is in Elo points around 0 for pairs (100 points: preferred in 64 % of cases), from 1 to 5 for opinions.

    It is NaN for a model that never met the others, not even through third ones. `low` and `high` bound the 95 %
    interval, and are NaN where one rater or one image alone was asked; `n` counts the answers that showed the model.
    """

    model: str
    value: float
    low: float
    high: float
    n: int


Answer = tuple[str, Question, str]
"""Rater, question, choice."""


def score_study(folder: Path) -> tuple[Study, list[ModelRating]]:
    """The study and the scores of its models, best first; raises `InputError` where nobody has answered."""
    study, given = _read(folder)
    return study, sorted(_scores(study, given), key=lambda score: (math.isnan(score.value), -score.value))


def study_rows(folder: Path) -> list[StudyRow]:
    """The scores of each data set and scale by itself, as `srbench.results.store.write_study` keeps them.

    Raises `InputError` where nobody has answered.
    """
    study, given = _read(folder)
    rows = []
    for dataset, scale in dict.fromkeys((question.dataset, question.scale) for _, question, _ in given):
        here = [answer for answer in given if (answer[1].dataset, answer[1].scale) == (dataset, scale)]
        raters, images = ({answer[0] for answer in here}, {answer[1].image for answer in here})
        rows += [
            StudyRow(METRICS[study.mode], dataset, scale, score.model, score.value, score.low, score.high,
                     len(images), len(here), len(raters), study.weights.get(f"{dataset}/x{scale}/{score.model}", ""))
            for score in _scores(study, here) if math.isfinite(score.value)
        ]  # fmt: skip
    return rows


def _read(folder: Path) -> tuple[Study, list[Answer]]:
    study, answers = read_study(folder), Answers(folder).all()
    known = {question.id: question for question in study.questions}
    given = [(rater, known[id], choice) for rater, id, choice in answers if id in known]
    for rater, question, choice in given:
        if choice not in ((*question.models, "same") if study.mode == "pairs" else RATINGS):
            raise InputError(
                f"{folder}: rater {rater[:6]} answered {choice!r}, which question {question.id} does not offer"
            )
    if not given:
        raise InputError(f"{folder}: nobody has answered yet. Ask people: srbench study serve {folder}")
    return study, given


def _scores(study: Study, given: Sequence[Answer]) -> list[ModelRating]:
    models = sorted({model for question in study.questions for model in question.models})
    images = [f"{question.dataset}/x{question.scale}/{question.image}" for _, question, _ in given]
    tabulate, estimate = (_wins, bradley_terry) if study.mode == "pairs" else (_ratings, _means)
    table = np.stack([tabulate(models, question.models, choice) for _, question, choice in given])
    raters = [rater for rater, _, _ in given]
    values, low, high = _with_interval(table, raters, images, estimate)
    counts = [sum(model in question.models for _, question, _ in given) for model in models]
    low, high = (end.clip(*STUDIED[METRICS[study.mode]].bounds) for end in (low, high))
    return [ModelRating(*row) for row in zip(models, values.tolist(), low.tolist(), high.tolist(), counts, strict=True)]


def _wins(models: Sequence[str], shown: Sequence[str], choice: str) -> Floats:
    """`(m, m)`: who beat whom in one answer; `same` is half a win for each."""
    table = np.zeros((len(models), len(models)))
    a, b = (models.index(model) for model in shown)
    share = 0.5 if choice == "same" else float(choice == shown[0])
    table[a, b], table[b, a] = share, 1.0 - share
    return table


def _ratings(models: Sequence[str], shown: Sequence[str], choice: str) -> Floats:
    """`(m, 2)`: the sum and number of ratings."""
    table = np.zeros((len(models), 2))
    table[models.index(shown[0])] = float(choice), 1.0
    return table


def _means(totals: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(totals[:, 0] / totals[:, 1])


def bradley_terry(wins: Floats) -> Floats:
    """Strengths in Elo points, mean 0, that make `wins[i, j]`, how often i beat j, most likely.

    i beats j with probability `1 / (1 + exp(b_j - b_i))` (Bradley and Terry, Biometrika 39, 1952); b by Newton's
    method. Half a win for and against is added to each pair that met, which keeps a model that never lost finite.
    Models that never met the others, not even through third ones, have no place on their scale: NaN.
    """
    together = connected(wins + wins.T)
    if not together.all():
        values = np.full(len(wins), np.nan)
        values[together] = bradley_terry(wins[np.ix_(together, together)])
        return values
    wins = wins + PRIOR * (wins + wins.T > 0)
    games, strength = wins + wins.T, np.zeros(len(wins))
    for _ in range(100):
        chance = 1.0 / (1.0 + np.exp(strength[None, :] - strength[:, None]))
        weight = games * chance * (1.0 - chance)
        slope = (wins - games * chance).sum(axis=1)
        step = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight) @ slope  # of least norm: the mean stays 0
        strength += step.clip(-2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray((strength - strength.mean()) * ELO)


def connected(games: Floats) -> npt.NDArray[np.bool_]:
    """Which models are in the largest group of those that met, directly or through others; of two the first."""
    from scipy.sparse.csgraph import connected_components

    _, label = connected_components(games > 0, directed=False)
    return np.asarray(label == np.argmax(np.bincount(label)))


def _with_interval(
    table: Floats, raters: Sequence[str], images: Sequence[str], estimate: Callable[[Floats], Floats]
) -> tuple[Floats, Floats, Floats]:
    """The estimate over all answers and its 95 % interval, for other raters and other images than these.

    Raters and images are resampled both, each with all of its answers (the pigeonhole bootstrap, Owen, Annals of
    Applied Statistics 1, 2007), which gives a standard error. The interval reaches Student's t of it, with as many
    degrees of freedom as the fewer of both allow. One rater or one image tells nothing of others: there is none then.
    """
    value = estimate(table.sum(axis=0))
    (rater, people), (image, pictures) = (np.unique(names, return_inverse=True) for names in (raters, images))
    fewest = min(len(rater), len(image))
    if fewest < 2:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        times = [random.multinomial(len(names), np.full(len(names), 1 / len(names))) for names in (rater, image)]
        drawn.append(estimate(np.tensordot(times[0][people] * times[1][pictures], table, axes=1)))
    error = np.nanstd(np.stack(drawn), axis=0) * math.sqrt(fewest / (fewest - 1))
    reach = float(student.ppf(0.975, fewest - 1)) * error
    return value, value - reach, value + reach
