"""Results as a notebook or a prompt shows them: the means, in a table. Reports say more; see `srbench report`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from srbench.base.errors import IncomparableError
from srbench.results.summary import columns, heading, in_order, summarise

if TYPE_CHECKING:
    from srbench.results.records import Results


def as_text(results: Results) -> str:
    """One line on what there is, and the means as an aligned table."""
    from tabulate import tabulate

    body = _body(results)
    if not body:
        return headline(results)
    return f"{headline(results)}\n{tabulate(body, _head(results), disable_numparse=True)}"


def as_html(results: Results) -> str:
    """The same as an HTML table; every text in it is escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in _head(results))
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in _body(results))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
    return f"<p>{escape(headline(results))}</p>{table}"


def headline(results: Results) -> str:
    """`<Results: 2 models on 1 data set, 12 images scored, 1 failure>`"""
    datasets = {run.identity.dataset for run in results}
    scored = sum(len(run.rows) - len(run.failures) for run in results)
    failures = sum(len(run.failures) + bool(run.error) for run in results)
    parts = [
        f"{_count(len(results.models), 'model')} on {_count(len(datasets), 'data set')}",
        f"{_count(scored, 'image')} scored",
        *([_count(failures, "failure")] if failures else []),
        *([f"in {results.folder}"] if results.folder else []),
    ]
    return f"<Results: {', '.join(parts)}>"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _head(results: Results) -> list[str]:
    return ["data set", "model", *(heading(metric).text for metric in columns(results)), "images"]


def _body(results: Results) -> list[list[str]]:
    """A row a run. Where runs do not compare there is no table: what differs is what `srbench report` refuses."""
    try:
        scores = summarise(results)
    except IncomparableError:
        return []
    width = len(columns(results))
    cells: list[Sequence[str]] = [
        [
            heading(score.metric).format(score.mean) if score.interval.n else "–"
            for score in scores[start : start + width]
        ]
        for start in range(0, len(scores), width or 1)
    ]
    return [
        [f"{run.identity.dataset} ×{run.identity.scale}", run.identity.model, *row, str(len(run.rows))]
        for run, row in zip(in_order(results), cells or [()] * len(results.runs), strict=True)
    ]
