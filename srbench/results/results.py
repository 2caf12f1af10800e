"""Everything in a results folder as one thing: what reports, checks and comparisons read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from html import escape
from statistics import fmean
from typing import TYPE_CHECKING, Protocol

from srbench.base.text import counted
from srbench.results.records import OWN, Identity, Run, Setting, SpeedRow, StudyRow, refuse_differences

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True, repr=False)
class Results:
    """Every run, timing and rating of a results folder: what reports, checks and comparisons read.

    `folder` is where they were read from, and where saved SR images lie; None for results made in memory.
    `damaged` says of each file that was left out what is wrong with it.
    `data_root` is where the data sets behind them are, None for the usual place.
    """

    runs: tuple[Run, ...]
    speeds: tuple[SpeedRow, ...] = ()
    folder: Path | None = None
    studies: tuple[StudyRow, ...] = ()
    damaged: tuple[str, ...] = ()
    data_root: Path | None = None

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __repr__(self) -> str:
        """One line on what there is, and the means as a table; reports say more, see `srbench report`."""
        return "\n".join([self._headline(), *([self._means().to_string(index=False)] if self._scored() else [])])

    def _repr_html_(self) -> str:
        """What notebooks show: the same, every text in it escaped."""
        return f"<p>{escape(self._headline())}</p>{self._means().to_html(index=False) if self._scored() else ''}"

    def _headline(self) -> str:
        """`<Results: 2 models on 1 data set, 12 images scored, 1 failure>`"""
        failures = sum(len(run.failures) + bool(run.error) for run in self.runs)
        datasets = {run.identity.dataset for run in self.runs}
        parts = [
            f"{counted(len(self.models), 'model')} on {counted(len(datasets), 'data set')}",
            f"{counted(self._scored(), 'image')} scored",
            *([counted(failures, "failure")] if failures else []),
            *([f"{counted(len(self.damaged), 'damaged file')} left out"] if self.damaged else []),
            *([f"in {self.folder}"] if self.folder else []),
        ]
        return f"<Results: {', '.join(parts)}>"

    def _scored(self) -> int:
        return sum(len(run.rows) - len(run.failures) for run in self.runs)

    def _means(self) -> pd.DataFrame:
        """A row a run: data set, scale, model, the mean of each metric, how many images."""
        import pandas as pd

        def mean(values: Sequence[float]) -> float:
            return fmean(values) if values else math.nan

        return pd.DataFrame(
            {
                **run.identity.key._asdict(),
                **{metric: round(mean(run.values(metric)), 4) for metric in self.metrics},
                "images": len(run.rows),
            }
            for run in self.runs
        )

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Every metric of any run, in the order first met."""
        names = [name for run in self.runs for name in (*run.metrics, *run.unavailable)]
        return tuple(dict.fromkeys(names))

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Every model, in the order first met: those without weights first, then by name."""
        ordered = sorted(self.runs, key=lambda run: (bool(run.identity.weights), run.identity.model))
        return tuple(dict.fromkeys(run.identity.model for run in ordered))

    def only(self, identities: Iterable[Identity]) -> Results:
        """The runs of these identities, and the timings of their models."""
        wanted = set(identities)
        models = {(identity.model, identity.scale) for identity in wanted}
        return replace(
            self,
            runs=tuple(run for run in self.runs if run.identity in wanted),
            speeds=tuple(row for row in self.speeds if (row.model, row.scale) in models),
            studies=tuple(row for row in self.studies if (row.model, row.scale) in models),
        )

    def with_metrics(self, names: Iterable[str]) -> Results:
        """These results with some of their metrics only."""
        wanted = set(names)
        return replace(
            self,
            runs=tuple(run.with_metrics(wanted) for run in self.runs),
            studies=tuple(row for row in self.studies if row.metric in wanted),
        )

    def frame(self) -> pd.DataFrame:
        """Columns `dataset, scale, model, image, metric, value`: one row a score; infinite scores stay infinite."""
        import pandas as pd

        rows = [
            (*run.identity.key, row.image, metric, value)
            for run in self.runs
            for row in run.rows
            for metric, value in row.scores.items()
        ]
        return pd.DataFrame(rows, columns=["dataset", "scale", "model", "image", "metric", "value"])

    def speed_frame(self) -> pd.DataFrame:
        """One row a timing, a column for each field of `SpeedRow`."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.speeds], columns=[item.name for item in fields(SpeedRow)])

    def refuse_mixtures(self) -> None:
        """Raise `IncomparableError` where runs of one data set and scale differ in more than the model."""
        first: dict[Setting, Identity] = {}
        for identity in (run.identity for run in self.runs):
            refuse_differences(
                first.setdefault(identity.setting, identity), identity, OWN, "Keep them in separate folders."
            )


class Report(Protocol):
    """What an entry point of the group `srbench.reports` yields.

    It may also take `rows`, `columns` (axes of its tables) and `papers` (whether published numbers stand among ours) by
    name; `srbench report` gives them where it does.
    """

    def __call__(self, results: Results, out: Path, /) -> list[Path]:
        """Write the report into the folder `out` and return the files written."""
