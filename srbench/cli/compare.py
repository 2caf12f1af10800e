"""`srbench compare`: does one model differ from another, or do the images happen to fall that way?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.base.documents import dumps
from srbench.base.text import counted
from srbench.cli.listing import grid, tell
from srbench.cli.names import models_meant
from srbench.cli.options import FOLDER, MODELS, read_results, srbench_command
from srbench.cli.values import complete

if TYPE_CHECKING:
    from srbench.analysis.compare import Difference, Overall, Place


FOOTNOTE = (
    "A − B: the mean of paired differences, with its interval. p: two-sided, {test}. p (Holm): p corrected over the "
    '{count} above. Told apart where p (Holm) < 0.05. How it is computed: docs/reports.md, "How sure".'
)
FEW = 30
"""Of fewer images skewed differences are taken for a gain more often than in 5 % of cases; see docs/reports.md."""

CAUTION = (
    "{names}: fewer than {few} images do not show a tail. Where most images lose a little and few gain a lot, models "
    "that do not differ are told apart there more often than the test says (docs/reports.md has how often)."
)


@srbench_command(help="Compare models of the results folder RESULTS image by image, and rank them, ties included.")
@click.argument("results", type=FOLDER)
@click.option("--models", type=MODELS, help="Two or more models.  [default: all]")
@click.option("--metric", default="psnr_y", show_default=True, shell_complete=complete("metrics"))
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def command(results: Path, models: tuple[str, ...] | None, metric: str, style: str) -> int:
    from srbench.analysis.compare import compare_all, compare_overall, rank
    from srbench.base.errors import UsageError
    from srbench.metrics import usual_name

    loaded = read_results(results)
    chosen = models_meant(loaded, models)
    if len(chosen) < 2:
        raise UsageError(f"comparing takes two models, got {', '.join(chosen)}. Use --models A,B")
    metric = usual_name(metric)
    differences = compare_all(loaded, combinations(chosen, 2), metric)
    places = rank(loaded, metric, chosen)
    if style == "json":
        click.echo(as_json(differences, places))
        return 0
    _print_differences(differences)
    _print_overall(compare_overall(loaded, combinations(chosen, 2), metric))
    if len(chosen) > 2:
        _print_ranks(places)
    test = "by the interval's test" if len(differences) == 1 else "by a stricter test, as several are compared"
    tell(FOOTNOTE.format(test=test, count=counted(len(differences), "comparison")))
    if few := dict.fromkeys(one.dataset for one in differences if one.better and one.interval.n < FEW):
        tell(CAUTION.format(names=", ".join(few), few=FEW))
    return 0


def as_json(differences: Sequence[Difference], places: Sequence[Place]) -> str:
    """Both tables as one document: `differences`, each with its `verdict` and `better`, and `ranks`."""
    paired = [asdict(one) | {"better": one.better, "verdict": one.verdict} for one in differences]
    return dumps({"differences": paired, "ranks": [asdict(place) for place in places]})


def _print_differences(differences: Iterable[Difference]) -> None:
    from srbench.analysis.compare import DIFFERENCE_COLUMNS

    rows = [[show(difference) for show in DIFFERENCE_COLUMNS.values()] for difference in differences]
    click.echo(grid(list(DIFFERENCE_COLUMNS), rows, keys=3))
    click.echo()


def _print_overall(found: Sequence[Overall]) -> None:
    """`all 5 data sets ×4: lanczos is better than bicubic, p 0.0001, p (Holm) 0.0003`"""
    for item in found:
        pair = "" if item.p_holm < 0.05 else f"{item.a} and {item.b} are "
        where = f"all {len(item.datasets)} data sets ×{item.scale} (permutation within sets)"
        tell(f"{where}: {pair}{item.verdict}, p {item.p:.2g}, p (Holm) {item.p_holm:.2g}")
    if found:
        click.echo()


def _print_ranks(places: Sequence[Place]) -> None:
    """`Set5 ×4: 1 lanczos 28.796, 1 bicubic 28.416, 3 nearest 26.250`: who shares a rank is not told apart."""
    from srbench.results.summary import heading

    for scale, dataset in dict.fromkeys((place.scale, place.dataset) for place in places):
        here = [place for place in places if (place.scale, place.dataset) == (scale, dataset)]
        metric, sharing = heading(here[0].metric), Counter(place.rank for place in here)
        shown = ", ".join(
            f"{place.rank}{'=' if sharing[place.rank] > 1 else '.'} {place.model} {metric.format(place.mean)}"
            for place in here
        )
        tell(f"{dataset} ×{scale}, {metric.label}: {shown}")
    click.echo()
