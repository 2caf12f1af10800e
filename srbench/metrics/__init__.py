"""Metrics: one file each, a pure function of two views, tested against an outside oracle.

`resolve("psnr_y@basicsr")` finds a metric by name, with its own convention or the one after the `@`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from srbench.base.errors import UsageError
from srbench.base.registry import entries, load, meant, registered_name
from srbench.metrics.conventions import CONVENTIONS, Convention, convention, parted

if TYPE_CHECKING:
    from srbench.metrics.metric import Metric

DEFAULT = ("psnr_y", "ssim_y", "lpips")
ALEX = re.compile("lpips[@_-]alex(net)?", re.IGNORECASE)
"""The trunk that LPIPS has where none is named."""


@dataclass(frozen=True)
class BoundMetric:
    """A metric with the convention under which it is taken; `name` is what the user typed, and a column's name."""

    name: str
    metric: Metric
    convention: Convention

    @property
    def label(self) -> str:
        """The heading of its column: `PSNR-Y`, `PSNR-Y@basicsr`."""
        base, _ = parted(self.name)
        return (self.metric.label or base) + self.name[len(base) :]


def resolve(name: str) -> BoundMetric:
    """Find `NAME` or `NAME@CONVENTION`, NAME also a reference (see `srbench.metrics.reference`).

    Raises `UsageError` for unknown names and undefined combinations, `UnavailableError` without a reference's package.
    """
    name = usual_name(name)
    base, wanted = parted(name)
    if ":" in base:
        from srbench.metrics.reference import metric_by_reference

        metric = metric_by_reference(base)
    else:
        metric = load("metrics", base)
    chosen = convention(wanted or metric.convention)
    if metric.channel not in chosen.channels:
        raise UsageError(
            f"{name}: convention {chosen.name!r} has no channel {metric.channel!r}, which {base} is taken on"
        )
    return BoundMetric(name, metric, chosen)


def refuse_unknown_metrics(names: Iterable[str]) -> None:
    """Raise `UsageError` for names that `resolve` does not know, before anything heavy is imported for the others."""
    for name in names:
        if ":" not in name:  # a reference is imported, and its package may be missing
            resolve(name)


def usual_name(name: str) -> str:
    """`psnr_y@basicsr` of `PSNR-Y@BasicSR`, as columns are called; what is not known stays.

    `lpips_vgg` of `lpips@vgg`, as people write it: a variant that is a metric of its own, and no convention; and
    `lpips` of `lpips@alex`.
    """
    base, wanted = parted(name)
    at = name[len(base) :][:1]
    wanted = meant(wanted, CONVENTIONS)
    if ALEX.fullmatch(name):
        return "lpips"
    whole = registered_name("metrics", name.replace("@", "_"))
    if whole in entries("metrics") and wanted not in CONVENTIONS:
        return whole
    return (base if ":" in base else registered_name("metrics", base)) + at + wanted
