"""Tables before they are Markdown, LaTeX or a terminal: which scores stand where, which is best, what the caption says.

A score has four axes: scale, dataset, metric, model. A layout puts some on rows and some on columns; each combination
of the others makes a table of its own. Best and second best are always among the models of one data set, scale and
metric, wherever the layout puts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from reports import published
from srbench.analysis.compare import compare_overall, told_from_best
from srbench.base.errors import UsageError
from srbench.base.registry import refuse_unknown
from srbench.base.text import counted
from srbench.results.records import Run
from srbench.results.results import Results
from srbench.results.statistics import ALPHA
from srbench.results.summary import STUDIED, MeanScore, heading, in_order, summarise

if TYPE_CHECKING:
    from srbench.analysis.claims import Claim

Item = TypeVar("Item")
Contest = tuple[str, str, int]
"""Metric, data set and scale, within which models are ranked."""

AXES = ("scale", "dataset", "metric", "model")
ROWS = ("model",)
COLUMNS = ("dataset", "metric")
BEST = "the best, and those after it, to the first that its data set or all together tell from it (p < 0.025, Holm)"
"""What is bold in every format."""


@dataclass(frozen=True)
class Cell:
    """One score as it is shown. `rank` is 1 for the best, 2 for the second best, 0 for all others."""

    text: str
    rank: int = 0
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """A table ready to be rendered: labels of rows and columns are one string an axis."""

    title: str
    corner: tuple[str, ...]
    columns: list[tuple[str, ...]]
    rows: list[tuple[tuple[str, ...], list[Cell]]]
    caption: str
    signatures: list[tuple[str, str]]
    notes: list[str] = field(default_factory=list)


def build(
    results: Results, rows: Sequence[str] = ROWS, columns: Sequence[str] = COLUMNS, papers: bool = False
) -> list[Table]:
    """Every table of the results in a layout; with `papers`, published numbers stand in a row under a model's.

    Raises `UsageError` for an axis that is unknown, missing from the rows, or on both sides, and `IncomparableError`
    for results that do not mix.
    """
    refuse_unknown("axis", (*rows, *columns), AXES)
    if not rows or len({*rows, *columns}) < len(rows) + len(columns):
        sides = f"--rows {','.join(rows)} --columns {','.join(columns)}"
        raise UsageError(f"{sides}: an axis goes to one side, and rows need one")
    if papers and "model" not in rows:
        raise UsageError("--papers puts rows under those of models: have model among --rows")
    scores = summarise(results)
    ranks = table_ranks(results, scores)
    # Beside each score the published number under the same convention; of several, the first.
    claimed = {pair.score: pair.claim for pair in reversed(published.pairs(results, scores))} if papers else {}
    others = [axis for axis in AXES if axis not in (*rows, *columns)]
    tables = []
    for section in _distinct(_key(score, others) for score in scores):
        here = [score for score in scores if _key(score, others) == section]
        remarks = notes(here, ranks, scores)
        tables.append(_table(results, here, ranks, claimed, rows, columns, others, remarks))
    return tables


def table_ranks(results: Results, scores: Iterable[MeanScore]) -> dict[MeanScore, int]:
    """1 for the best of each data set, scale and metric and for all that tie with it, 2 for the best of the others.

    Where all tie with the best there is none: nothing has a rank, and `notes` says so.

    Two tie where they are equal as printed, or where their paired differences do not tell them apart: neither those of
    this data set nor those of all that both were scored on (see `srbench.analysis.compare`), at half the level each.
    What is below a model that does not tie does not, either, whatever its own test says: few images tell a steady
    difference apart sooner than a large one. Only complete runs are ranked: fewer images are other images.
    """
    groups = _contests(scores)
    told = _told_from_best(results, groups)
    ranks: dict[MeanScore, int] = {}
    for group in groups.values():
        best = _shown(group[0])
        apart = [index for index, score in enumerate(group) if score in told and _shown(score) != best]
        behind = group[apart[0] :] if apart else []
        for score in group if behind else ():
            ranks[score] = 1 if score not in behind else 2 if _shown(score) == _shown(behind[0]) else 0
    return ranks


def _contests(scores: Iterable[MeanScore]) -> dict[Contest, list[MeanScore]]:
    """The scores that are ranked, best first: of each metric, data set and scale with two complete runs or more."""
    groups: dict[Contest, list[MeanScore]] = {}
    for score in scores:
        if score.status == "scored" and heading(score.metric).higher_is_better is not None:
            groups.setdefault((score.metric, score.dataset, score.scale), []).append(score)
    for (metric, *_), group in groups.items():
        group.sort(key=lambda score: score.mean, reverse=bool(heading(metric).higher_is_better))
    return {key: group for key, group in groups.items() if len(group) > 1}


def _shown(score: MeanScore) -> str:
    return heading(score.metric).format(score.mean)


def _told_from_best(results: Results, groups: Mapping[Contest, list[MeanScore]]) -> set[MeanScore]:
    """The scores that differ from the first of their group; of what raters said, those that print other."""
    runs = {run.identity.key: run for run in results}
    found = {score for group in groups.values() for score in group[1:] if score.metric in STUDIED}
    for metric in _distinct(key[0] for key in groups):
        paired = {
            key: [(score, _in_one_order(runs[score.key], score.metric)) for score in group]
            for key, group in groups.items()
            if key[0] == metric and metric not in STUDIED
        }
        found |= {score for _, score in told_from_best(paired, ALPHA / 2)}
        found |= _told_by_all(results, paired.values(), metric)
    return found


def _told_by_all(
    results: Results, groups: Iterable[list[tuple[MeanScore, list[float]]]], metric: str
) -> set[MeanScore]:
    """The scores of models that all data sets together call worse than the best of their group."""
    pairs = {score: (best.model, score.model) for (best, _), *others in groups for score, _ in others}
    tested = compare_overall(results, dict.fromkeys(pairs.values()), metric)
    worse = {(row.scale, row.a, row.b) for row in tested if row.p_holm < ALPHA / 2 and row.better == row.a}
    return {score for score, pair in pairs.items() if (score.scale, *pair) in worse}


def _in_one_order(run: Run, metric: str) -> list[float]:
    """The scores of a complete run by the name of the image."""
    return [row.scores[metric] for row in sorted(run.rows, key=lambda row: row.image) if metric in row.scores]


def _table(
    results: Results,
    scores: list[MeanScore],
    ranks: dict[MeanScore, int],
    claimed: Mapping[MeanScore, Claim],
    rows: Sequence[str],
    columns: Sequence[str],
    others: Sequence[str],
    remarks: Sequence[str],
) -> Table:
    across = _distinct(_key(score, columns) for score in scores)
    cells = {(_key(score, rows), _key(score, columns)): _cell(score, ranks.get(score, 0)) for score in scores}
    papers = {(_key(score, rows), _key(score, columns)): claimed[score] for score in scores if score in claimed}
    body = []
    for key in _distinct(_key(score, rows) for score in scores):
        labels = tuple(map(_label, rows, key))
        body.append((labels, [cells.get((key, column), Cell("–")) for column in across]))
        if any(row == key for row, _ in papers):
            texts = [papers[key, column].text if (key, column) in papers else "–" for column in across]
            labels = tuple(label + ", published" * (axis == "model") for axis, label in zip(rows, labels, strict=True))
            body.append((labels, [Cell(text) for text in texts]))
    sources = _distinct(claim.source for claim in papers.values())
    return Table(
        title=" ".join(_label(axis, value) for axis, value in zip(others, _key(scores[0], others), strict=True)),
        corner=tuple(rows),
        columns=[tuple(map(_label, columns, key)) for key in across],
        rows=body,
        caption=caption(results, scores),
        signatures=signatures(results, scores),
        notes=[*remarks, *([f"Published: {'; '.join(sources)}"] if sources else [])],
    )


def _key(score: MeanScore, axes: Iterable[str]) -> tuple[str | int, ...]:
    return tuple(getattr(score, axis) for axis in axes)


def _label(axis: str, value: str | int) -> str:
    if axis == "metric":
        return heading(str(value)).text
    return f"×{value}" if axis == "scale" else str(value)


def _distinct(items: Iterable[Item]) -> list[Item]:
    return list(dict.fromkeys(items))


def _cell(score: MeanScore, rank: int) -> Cell:
    shown = heading(score.metric).format
    if score.status == "failed":
        return Cell("failed")
    if not score.interval.n:
        return Cell("n/a" if score.status == "unavailable" else "–")
    part = f" ({score.interval.n}/{score.expected})" if score.status == "partial" else ""
    interval = f"[{shown(score.interval.low)}, {shown(score.interval.high)}]" if score.interval.n > 1 else "n/a"
    return Cell(shown(score.mean) + part, rank, interval)


def caption(results: Results, scores: Sequence[MeanScore]) -> str:
    """Convention, degradation, number of images and versions behind a table, in one paragraph."""
    runs = _runs_of(results, scores)
    identities = [run.identity for run in runs]
    counts = _distinct((score.dataset, score.expected) for score in scores if score.metric not in STUDIED)
    sentences = [
        f"Mean over images: {', '.join(f'{dataset} n = {count}' for dataset, count in counts)}",
        f"Convention: {', '.join(_conventions(runs, _distinct(score.metric for score in scores)))}",
        f"LR by {_listed(identity.degradation for identity in identities)}, "
        f"{_listed(f'×{identity.scale}' for identity in identities)}, "
        f"{_listed(f'{identity.precision} {identity.backend}' for identity in identities)}",
        *_asked(results, scores),
        f"Made with {', '.join(_versions(runs))}" if any(run.environments for run in runs) else "",
    ]
    return ". ".join(filter(None, sentences)) + "."


def _asked(results: Results, scores: Sequence[MeanScore]) -> list[str]:
    """`Elo by raters: 90 answers of 3 people on samples`, for each column that people filled."""
    shown = {(score.metric, score.dataset, score.scale) for score in scores}
    rows = [row for row in results.studies if (row.metric, row.dataset, row.scale) in shown]
    return _distinct(
        f"{heading(row.metric).label}: {row.answers} answers of {row.raters} people "
        f"on {row.images} images of {row.dataset}"
        for row in rows
    )


def _runs_of(results: Results, scores: Iterable[MeanScore]) -> list[Run]:
    wanted = {score.key for score in scores}
    return [run for run in in_order(results) if run.identity.key in wanted]


def _conventions(runs: Sequence[Run], metrics: Iterable[str]) -> list[str]:
    """`PSNR-Y, SSIM-Y matlab`: each convention after the metrics taken under it."""
    taken: dict[str, list[str]] = {}
    for metric in metrics:
        name = next((run.metrics[metric] for run in runs if metric in run.metrics), None)
        if name:
            taken.setdefault(name, []).append(heading(metric).label)
    return [f"{' and '.join(labels)} {name}" for name, labels in taken.items()] or ["none, nothing was scored"]


def _versions(runs: Iterable[Run]) -> list[str]:
    """`srbench 0.1.0, torch 2.14.1`, or every version where several were used."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for environment in run.environments:
            for package, version in environment.get("versions", {}).items():
                found.setdefault(package, []).append(version)
    return [f"{package} {_listed(versions)}" for package, versions in found.items()]


def _listed(values: Iterable[str]) -> str:
    return "/".join(_distinct(values)) or "unknown"


def signatures(results: Results, scores: Sequence[MeanScore]) -> list[tuple[str, str]]:
    """Column and whole signature of every score: what `srbench verify` takes."""
    runs = {run.identity.key: run for run in _runs_of(results, scores)}
    found: dict[str, list[str]] = {}
    for score in scores:
        run = runs[score.key]
        if score.interval.n and score.metric in run.metrics:
            column = f"{score.dataset} ×{score.scale} {heading(score.metric).label}"
            found.setdefault(column, []).append(run.signature(score.metric))
    return [(column, signature) for column, lines in found.items() for signature in lines]


def notes(scores: Sequence[MeanScore], ranks: Mapping[MeanScore, int], among: Iterable[MeanScore]) -> list[str]:
    """Where nothing is bold, and why a cell is not a plain number, one line each.

    `among` are the scores that were ranked together, of which `scores` are shown.
    """
    lines = _without_best(set(scores), ranks, among)
    for score in scores:
        where = f"{score.model} on {score.dataset} ×{score.scale}"
        if score.status == "unavailable":
            whose = f" of {where}" if score.metric in STUDIED else ""
            lines.append(f"{heading(score.metric).label}{whose} is n/a: {score.reason}")
        elif score.status in ("failed", "partial"):
            lines.append(f"{where} {'failed' if score.status == 'failed' else 'is not complete'}: {score.reason}")
        if score.infinite:
            count = f"{score.infinite} of {score.interval.n}"
            why = "images equal HR, so" if score.metric.startswith("psnr") else "images are so scored that"
            lines.append(f"{where}: {count} {why} their {heading(score.metric).label} is infinite")
    return _distinct(lines)


def _without_best(scores: set[MeanScore], ranks: Mapping[MeanScore, int], among: Iterable[MeanScore]) -> list[str]:
    """`Nothing is bold in PSNR-Y and LPIPS of Set5 ×4: 5 images are too few to tell its models apart.`"""
    found: dict[tuple[str, int, str], list[str]] = {}
    for (metric, dataset, scale), group in _contests(among).items():
        if not ranks.keys() & set(group) and not scores.isdisjoint(group):
            images = group[0].interval.n
            few = f"{counted(images, 'image')} {'is' if images == 1 else 'are'} too few to tell the models apart"
            reason = "all models tie" if len(set(map(_shown, group))) == 1 else few
            found.setdefault((dataset, scale, reason), []).append(heading(metric).label)
    return [
        f"Nothing is bold in {', '.join(labels)} of {dataset} ×{scale}: {reason}"
        for (dataset, scale, reason), labels in found.items()
    ]
