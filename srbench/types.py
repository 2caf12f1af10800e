"""The nouns: plain frozen dataclasses and protocols, with no library in them.

A third-party package needs this module and `srbench.base.errors`, and nothing else, to add a model, a metric,
a data set or a report.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from srbench.results import Results


class Report(Protocol):
    """What an entry point of the group `srbench.reports` yields."""

    def __call__(self, results: Results, out: Path, /) -> list[Path]:
        """Write the report into the folder `out` and return the files written."""
