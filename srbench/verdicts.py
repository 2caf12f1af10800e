"""How a verdict is told: to people, as text."""

from __future__ import annotations

from collections.abc import Iterator

from srbench.check import Finding, Kind, Verdict, worst

SHOWN = 20
"""Lines of one kind before "and N more": a broken metric moves every score there is."""

TITLES: dict[Kind, str] = {
    "failed": "Failed",
    "missing": "Missing",
    "changed": "Changed where nothing should",
    "regression": "Worse than the baseline",
    "improvement": "Better than the baseline",
    "new": "Not in the baseline",
    "weights": "Other weights",
}


def as_text(verdict: Verdict, baseline: str) -> str:
    """The verdict in lines: the worst findings of each kind, then one line that sums up."""
    lines = []
    for kind, title in TITLES.items():
        found = verdict.of(kind)
        if found:
            lines += [f"{title}:", *(f"  {finding}" for finding in worst(found, SHOWN))]
            lines += [f"  and {len(found) - SHOWN} more"] * (len(found) > SHOWN)
    return "\n".join([*lines, summary(verdict, baseline)])


def summary(verdict: Verdict, baseline: str) -> str:
    """`FAILED: 3 worse, 1 missing, of 120 scores in tests/baseline.json`, and what to do next."""
    counts = ", ".join(_counts(verdict.findings)) or "no difference"
    line = f"{'ok' if verdict.passed else 'FAILED'}: {counts}; {verdict.compared} scores held against {baseline}"
    if verdict.of("improvement", "new", "weights") and verdict.passed:
        line += ". To keep the new state as the baseline: add --update"
    return line


def _counts(findings: list[Finding]) -> Iterator[str]:
    words: dict[Kind, str] = {
        "failed": "failed", "missing": "missing", "changed": "changed", "regression": "worse",
        "improvement": "better", "new": "new", "weights": "with other weights",
    }  # fmt: skip
    for kind, word in words.items():
        count = sum(finding.kind == kind for finding in findings)
        if count:
            yield f"{count} {word}"
