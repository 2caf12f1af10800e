"""Published numbers beside ours, with the gap; the numbers are in `published.toml`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srbench.analysis.claims import Claim, read_claims
from srbench.base.errors import UsageError
from srbench.metrics import resolve
from srbench.results.results import Results
from srbench.results.summary import Score, heading

DATA = Path(__file__).with_name("published.toml")
BICUBIC = ("matlab", "files")
"""How the names of degradations begin that papers mean by bicubic."""
HEADINGS = ("model", "data set", "scale", "metric", "published", "ours", "gap", "source")


@dataclass(frozen=True)
class Pair:
    """A published number and our score of the same model, data set, scale, metric and convention."""

    claim: Claim
    score: Score

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of text under `HEADINGS`."""
        return (
            self.score.model,
            self.score.dataset,
            f"×{self.score.scale}",
            heading(self.score.metric).label,
            self.claim.text,
            f"{self.score.mean:.{self.claim.digits + 1}f}",
            f"{self.score.mean - self.claim.number:+.{self.claim.digits + 1}f}",
            self.claim.source,
        )


def pairs(results: Results, scores: Iterable[Score]) -> list[Pair]:
    """Every complete score of ours for which a number was published under the same convention, in the scores' order.

    Published are numbers of LR by bicubic, by some version of MATLAB or as files, and of networks as they are: a run of
    blurred, noisy or compressed LR, or of a self-ensemble, has none beside it.
    """
    taken = {metric: convention for run in results for metric, convention in run.metrics.items()}
    alike = {
        run.identity.key
        for run in results
        if run.identity.degradation.startswith(BICUBIC) and not run.identity.self_ensemble
    }
    claims = read_claims(DATA)
    return [
        Pair(claim, score)
        for score in scores
        if score.status == "scored" and score.key in alike
        for claim in claims
        if (claim.dataset, claim.scale, claim.model) == score.key and _same(claim.metric, score.metric, taken)
    ]


def _same(published: str, ours: str, taken: dict[str, str]) -> bool:
    """Whether two names mean one metric under one convention: `psnr_y` is `psnr_y@matlab`."""
    try:
        meant = resolve(published)
    except UsageError:
        return False
    return (meant.metric.name, meant.convention.name) == (ours.partition("@")[0], taken.get(ours))
