"""Results against a baseline, image by image: what got worse, what got better, what is missing, and where it began.

A score may move within its tolerance where SR has changed: other kernels, threads or devices round differently. Where
HR and SR are the same pixels, only the metric can have moved the score, and where HR is the same but LR is not, only
the degradation can: both are failures in either direction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from srbench.analysis.check.baseline import Baseline, baseline_of, speed_key
from srbench.analysis.check.tolerances import Tolerances
from srbench.base.errors import IncomparableError
from srbench.benchmark.speed.steadiness import doubts
from srbench.results.records import Row, Run, RunKey, refuse_differences
from srbench.results.results import Results
from srbench.results.summary import heading

SAME_PIXELS = 0.1
"""Share of the tolerance that is left to a metric on unchanged pixels: it may run on another device, in float32."""

STAGES = {
    "HR": "HR has changed",
    "LR": "the first change is in LR: the degradation",
    "SR": "the first change is in SR: the model",
    "metric": "HR and SR are the same pixels: the metric has changed",
}

Kind = Literal["regression", "improvement", "missing", "failed", "changed", "new", "network", "slower"]
FAILING: tuple[Kind, ...] = ("regression", "missing", "failed", "changed")


@dataclass(frozen=True)
class Finding:
    """One difference. `was` and `now` are scores; `stage` is the first that changed, a key of `STAGES`, or ""."""

    kind: Kind
    key: RunKey
    image: str = ""
    metric: str = ""
    was: float | None = None
    now: float | None = None
    tolerance: float = 0.0
    stage: str = ""
    detail: str = ""

    @property
    def change(self) -> float:
        """How far the score moved, in the metric's unit; infinite where one end is."""
        if self.was is None or self.now is None or self.was == self.now:
            return 0.0
        return self.now - self.was

    def __str__(self) -> str:
        where = " ".join(filter(None, [str(self.key), self.image, self.metric]))
        if self.was is None or self.now is None:
            return f"{where}: {self.detail or self.kind}"
        shown = heading(self.metric).format
        moved = f"{shown(self.was)} -> {shown(self.now)} ({self.change:+.2g}, tolerance {self.tolerance:g})"
        return f"{where}: {moved}" + (f"; {STAGES[self.stage]}" if self.stage else "")


@dataclass(frozen=True)
class Verdict:
    """What a check found. `compared` is how many scores were held against the baseline."""

    findings: list[Finding] = field(default_factory=list)
    compared: int = 0

    @property
    def failures(self) -> list[Finding]:
        """The findings for which a check fails."""
        return [finding for finding in self.findings if finding.kind in FAILING]

    @property
    def passed(self) -> bool:
        """Whether something was compared, and nothing of it failed."""
        return self.compared > 0 and not self.failures

    def of(self, *kinds: Kind) -> list[Finding]:
        """The findings of these kinds."""
        return [finding for finding in self.findings if finding.kind in kinds]


def check_results(results: Results, baseline: Baseline, tolerances: Tolerances | None = None) -> Verdict:
    """Hold every score of the baseline against the results. Speed is advisory: slower is told, and does not fail.

    Raises `IncomparableError` where a run differs from the baseline in more than its weights, and `UsageError` for a
    tolerance of what is no metric, or a slip of a data set's name.
    """
    runs = (*results.runs, *baseline.runs.values())
    known = {metric for run in runs for metric in run.metrics}, {run.identity.dataset for run in runs}
    tolerances = (tolerances or Tolerances()).of_known(*known)
    now = {run.identity.key: run for run in results}
    findings: list[Finding] = []
    compared = 0
    for key, was in baseline.runs.items():
        if key not in now:
            findings.append(Finding("missing", key, detail="in the baseline, but not in the results"))
            continue
        refuse_incomparable(was, now[key])
        findings += _run_findings(was, now[key], tolerances)
        compared += sum(len(row.scores) for row in was.rows)
    findings += [Finding("new", key, detail="not in the baseline") for key in now if key not in baseline.runs]
    return Verdict([*findings, *_slower(results, baseline, tolerances)], compared)


def _slower(results: Results, baseline: Baseline, tolerances: Tolerances) -> Iterator[Finding]:
    """Latencies that grew by more than their share; on another machine than the baseline's there is nothing to say."""
    now = baseline_of(results)
    if now.machine != baseline.machine:
        return
    unsteady = {speed_key(row): doubts(row) for row in results.speeds}
    for key, was in baseline.speeds.items():
        ms = now.speeds.get(key, 0.0)
        if ms > was * (1.0 + tolerances.speed):
            where = f"{key.width}x{key.height}, batch {key.batch}, {key.device} {key.precision} {key.backend}"
            detail = f"slower, {was:.2f} -> {ms:.2f} ms (+{ms / was - 1:.0%}, tolerance {tolerances.speed:.0%})"
            if why := unsteady[key]:
                detail = f"{ms:.2f} ms where it was {was:.2f}, which says nothing: {', '.join(why)}. Time it again"
            yield Finding("slower", RunKey("speed", key.scale, key.model), where, detail=detail)


def refuse_incomparable(was: Run, now: Run) -> None:
    """Raise `IncomparableError` naming the field, and where images differ the first that does."""
    try:
        refuse_differences(was.identity, now.identity, ("weights",))
        for metric, taken in was.metrics.items():
            if now.metrics.get(metric, taken) != taken:
                raise IncomparableError(f"{metric} is under {taken} in one and {now.metrics[metric]} in the other;")
    except IncomparableError as error:
        before = {row.image: row.hr for row in was.rows}
        other = [row.image for row in now.rows if before.get(row.image, row.hr) != row.hr]
        images = f" HR has changed: {', '.join(other[:3])}." if other else ""
        what = str(error).replace("these do not compare.", "").strip(" ;") + "."
        message = f"baseline, then results: {what} These do not compare.{images} If this is meant: --update"
        raise IncomparableError(message) from None


def _run_findings(was: Run, now: Run, tolerances: Tolerances) -> Iterator[Finding]:
    key = was.identity.key
    if was.identity.weights != now.identity.weights:
        digests = f"{was.identity.weights[:12]} -> {now.identity.weights[:12]}"
        yield Finding("network", key, detail=f"another network: weights or code have changed, {digests}")
    if now.error:
        yield Finding("failed", key, detail=now.error)
    rows = {row.image: row for row in now.rows}
    for row in was.rows:
        yield from _row_findings(key, row, rows.get(row.image), tolerances)
    known = {row.image for row in was.rows}
    yield from (Finding("new", key, image, detail="not in the baseline") for image in rows if image not in known)


def _row_findings(key: RunKey, was: Row, now: Row | None, tolerances: Tolerances) -> Iterator[Finding]:
    if now is None:
        yield Finding("missing", key, was.image, detail="this image has no scores in the results")
        return
    if now.error:
        yield Finding("failed", key, was.image, detail=now.error)
        return
    stage = first_change(was, now)
    if stage == "LR":
        detail = f"LR is not what it was ({was.lr} -> {now.lr}), HR is: the degradation has changed"
        yield Finding("changed", key, was.image, detail=detail, stage=stage)
    for metric, score in was.scores.items():
        if metric not in now.scores:
            yield Finding("missing", key, was.image, metric, detail="not in the results")
        else:
            yield from _score_findings(key, was.image, metric, score, now.scores[metric], stage, tolerances)


def _score_findings(
    key: RunKey, image: str, metric: str, was: float, now: float, stage: str, tolerances: Tolerances
) -> Iterator[Finding]:
    tolerance = tolerances.of(metric, key.dataset) * (SAME_PIXELS if stage == "metric" else 1.0)
    if was == now or abs(now - was) <= tolerance:
        return
    known = heading(metric).higher_is_better is not None  # of a metric whose plugin is gone, no change is good
    kind: Kind = "improvement" if known and heading(metric).better(now, was) else "regression"
    if stage == "metric":
        kind = "changed"
    yield Finding(kind, key, image, metric, was, now, tolerance, stage)


def first_change(was: Row, now: Row) -> str:
    """The first stage with other pixels than before: HR, LR or SR; `metric` where all are the same; "" if unknown."""
    for stage in ("hr", "lr", "sr"):
        before, after = getattr(was, stage), getattr(now, stage)
        if not before or not after:
            return ""
        if before != after:
            return stage.upper()
    return "metric"


def worst(findings: list[Finding], count: int) -> list[Finding]:
    """The findings that exceed their tolerance by most, each measured in its own tolerance."""
    return sorted(findings, key=lambda finding: -abs(finding.change) / (finding.tolerance or 1.0))[:count]
