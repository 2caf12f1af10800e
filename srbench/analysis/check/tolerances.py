"""How far a score may move before a check says so: defaults, a TOML table, the command line, or what was measured.

[tool.srbench.check]                     # in pyproject.toml; in a file of its own without `tool.srbench.`
tolerance = { psnr = 0.02, lpips = 0.002 }
speed = 0.3                              # latency may grow by 30 % before it is mentioned

[tool.srbench.check.dataset.Set5]
tolerance = { psnr_y = 0.05 }
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from srbench.base.documents import Tolerance, read_toml
from srbench.base.errors import InputError
from srbench.base.registry import entries, meant, near, refuse_unknown
from srbench.datasets import list_datasets
from srbench.metrics import usual_name
from srbench.metrics.conventions import convention, parted
from srbench.results.results import Results

DEFAULTS = {"psnr": 0.01, "ssim": 1e-4, "lpips": 1e-3}
"""Absolute, an image: in dB for PSNR. A name stands for itself and for what begins with it and an underscore."""

OTHER_METRICS = 1e-3
SPEED = 0.25
SLIP = 0.85
"""How alike a name is to a known one that it is taken for a slip: `Sampels` is, `Set12` is another set than `Set14`."""
SAFETY = 3.0
"""A tolerance from measured noise is this many times the largest difference seen."""


@dataclass(frozen=True)
class Tolerances:
    """Looked up by data set first, then by metric, by the part before `@`, and by the part before `_`."""

    by_metric: Mapping[str, float] = field(default_factory=dict)
    by_dataset: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    speed: float = SPEED

    def of(self, metric: str, dataset: str = "") -> float:
        """The absolute tolerance of a metric on a data set, in the metric's unit."""
        base = parted(metric)[0]
        names = (metric, base, base.partition("_")[0])
        tables = (self.by_dataset.get(dataset, {}), self.by_metric, DEFAULTS)
        return next((table[name] for table in tables for name in names if name in table), OTHER_METRICS)

    def updated(self, by_metric: Mapping[str, float]) -> Tolerances:
        """These tolerances with some metrics replaced, on every data set."""
        return replace(self, by_metric={**self.by_metric, **by_metric}, by_dataset={} if by_metric else self.by_dataset)

    def of_known(self, metrics: Collection[str], datasets: Collection[str]) -> Tolerances:
        """These tolerances with names as results have them, beside which `metrics` and `datasets` are known.

        Raises `UsageError`, with the nearest names, for what is no metric or family of metrics, and for a slip of a
        data set's name: a tolerance that nothing goes by would pass for one that is kept. Other sets are of results
        that are not here.
        """
        metrics, datasets = {*entries("metrics"), *metrics}, {*list_datasets(), *datasets}

        def known(table: Mapping[str, float]) -> dict[str, float]:
            return {_metric(name, metrics): value for name, value in table.items()}

        names = {name: meant(name, datasets) for name in self.by_dataset}
        slips = [name for name in names.values() if near(name, datasets, SLIP)]
        refuse_unknown("data set", slips, datasets)
        by_dataset = {names[name]: known(table) for name, table in self.by_dataset.items()}
        return replace(self, by_metric=known(self.by_metric), by_dataset=by_dataset)


def _metric(name: str, metrics: Collection[str]) -> str:
    """A metric, with a convention or without, or a family, as results call it; one by reference is anybody's."""
    families = {metric.partition("_")[0] for metric in metrics}
    name = meant(usual_name(name), {*metrics, *families})
    base, wanted = parted(name)
    if name in metrics or ":" in base:
        return name
    refuse_unknown("metric", [base], metrics if wanted else {*metrics, *families}, hint="srbench list metrics")
    return base + (f"@{convention(wanted).name}" if wanted else "")


@dataclass(frozen=True)
class OfDataset:
    """The table of one data set, `[tool.srbench.check.dataset.NAME]`."""

    tolerance: Mapping[str, Tolerance]


@dataclass(frozen=True)
class Table:
    """The table as it is written; see the head of this file."""

    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    dataset: Mapping[str, OfDataset] = field(default_factory=dict)
    speed: Tolerance = SPEED


def read_tolerances(path: Path | None) -> Tolerances:
    """The tolerances of a TOML file; of `./pyproject.toml`, where it has a table of ours, for None.

    Raises `InputError` for a missing file and for anything in the table that is not known.
    """
    given = path or Path("pyproject.toml")
    if path is None and not given.is_file():
        return Tolerances()
    inside, optional = ("tool", "srbench", "check"), given.name == "pyproject.toml"
    table = read_toml(given, Table, "tolerances of srbench", inside, optional=optional)
    by_dataset = {name: dict(one.tolerance) for name, one in table.dataset.items()}
    return Tolerances(dict(table.tolerance), by_dataset, table.speed)


def noise_floors(results: Results, reruns: Sequence[Results]) -> dict[str, dict[str, float]]:
    """The largest difference of any image's score between runs of the same thing, by data set and metric.

    The reruns are of the same models on other threads, devices or days. Raises `InputError` where they share no image.
    """
    floors: dict[str, dict[str, float]] = {}
    first = _scores(results)
    for rerun in reruns:
        for place, value in _scores(rerun).items():
            if place in first:
                dataset, metric = place[0], place[-1]
                here = floors.setdefault(dataset, {})
                apart = 0.0 if first[place] == value else abs(first[place] - value)  # infinities, of equal images
                here[metric] = max(here.get(metric, 0.0), apart)
    if not floors:
        raise InputError("the reruns have no image and metric in common with the results. Run the same models again")
    return floors


def _scores(results: Results) -> dict[tuple[str, int, str, str, str], float]:
    return {
        (*run.identity.key, row.image, metric): value
        for run in results
        for row in run.rows
        for metric, value in row.scores.items()
    }


def as_toml(floors: Mapping[str, Mapping[str, float]]) -> str:
    """The noise floors as the table that `read_tolerances` reads, with the measured floor in a comment."""
    lines = []
    for dataset, metrics in floors.items():
        lines.append(f'[tool.srbench.check.dataset."{dataset}".tolerance]')
        lines += [
            f'"{metric}" = {_tolerance(floor):g}  # largest difference seen: {floor:.3g}'
            for metric, floor in metrics.items()
        ]
        lines.append("")
    return "\n".join(lines).rstrip()


def _tolerance(floor: float) -> float:
    """Three times the floor, rounded up to one digit, and never below the 1e-6 to which a baseline is rounded."""
    wanted = max(SAFETY * floor, 2e-6)
    if not math.isfinite(wanted):
        return wanted
    step = 10.0 ** math.floor(math.log10(wanted))
    return math.ceil(wanted / step - 1e-9) * step
