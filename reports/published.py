"""Published numbers beside ours, with the gap; the numbers are in `published.toml`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srbench.analysis.claims import Claim, read_claims
from srbench.base.errors import UsageError
from srbench.images.degrade import FILES
from srbench.metrics import resolve
from srbench.results.results import Results
from srbench.results.summary import MeanScore, heading

DATA = Path(__file__).with_name("published.toml")
BICUBIC = ("matlab", "matlab-legacy", "matlab-double", FILES)
"""What a claim of LR by `matlab` may stand beside: 8-bit LR by MATLAB, whose version papers do not say."""
HEADINGS = ("model", "data set", "scale", "metric", "published", "ours", "gap", "source")


@dataclass(frozen=True)
class Pair:
    """A published number and our score of the same model, data set, scale, metric and convention."""

    claim: Claim
    score: MeanScore

    @property
    def gap(self) -> float | None:
        """Ours minus theirs; None where the two are not trainings of one model."""
        return None if self.claim.note else self.score.mean - self.claim.number

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
            f"{self.gap:+.{self.claim.digits + 1}f}" if self.gap is not None else "–",
            self.claim.source + f" ({self.claim.note})" * bool(self.claim.note),
        )


def pairs(results: Results, scores: Iterable[MeanScore]) -> list[Pair]:
    """Every complete score of ours for which a number was published that was taken likewise, in the scores' order.

    Likewise is: under the same convention, of LR by the same degradation, and by the network as it is: a self-ensemble
    has none beside it.
    """
    taken = {metric: convention for run in results for metric, convention in run.metrics.items()}
    made_by = {run.identity.key: run.identity.degradation for run in results if not run.identity.self_ensemble}
    claims = read_claims(DATA)
    return [
        Pair(claim, score)
        for score in scores
        if score.status == "scored" and score.key in made_by
        for claim in claims
        if (claim.dataset, claim.scale, claim.model) == score.key
        and of_that_lr(claim, made_by[score.key])
        and _same(claim.metric, score.metric, taken)
    ]


def of_that_lr(claim: Claim, degradation: str) -> bool:
    """Whether a claim's LR is what a degradation of ours makes."""
    return degradation.partition(":")[0] in (BICUBIC if claim.degradation == "matlab" else (claim.degradation,))


def _same(published: str, ours: str, taken: dict[str, str]) -> bool:
    """Whether two names mean one metric under one convention: `psnr_y` is `psnr_y@matlab`."""
    try:
        meant = resolve(published)
    except UsageError:
        return False
    return (meant.metric.name, meant.convention.name) == (ours.partition("@")[0], taken.get(ours))
