"""How a verdict is told: to people as text, to CI as JUnit XML, to GitHub as annotations and a step summary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from srbench.analysis.check.baseline import Baseline
from srbench.analysis.check.check import FAILING, Finding, Kind, Verdict, worst
from srbench.base.documents import dumps
from srbench.base.text import markdown
from srbench.results.records import RunKey

ACCEPT = "add --update"
SUITES = "srbench check"
"""The name by which JUnit XML is known as ours."""

SHOWN = 20
"""Lines of one kind before "and N more": a broken metric moves every score there is."""

WORDS: dict[Kind, tuple[str, str]] = {
    "failed": ("failed", "Failed"),
    "missing": ("missing", "Missing"),
    "changed": ("changed", "Changed where nothing should"),
    "regression": ("worse", "Worse than the baseline"),
    "improvement": ("better", "Better than the baseline"),
    "new": ("new", "Not in the baseline"),
    "network": ("with another network", "Another network under the same name"),
    "slower": ("slower", "Slower (advisory)"),
}
"""What is said of findings of a kind behind their number, and above their list."""


def as_text(verdict: Verdict, baseline: str, accept: str = ACCEPT) -> str:
    """The verdict in lines: the worst findings of each kind, then one line that sums up and says how to `accept`."""
    lines = []
    for kind, (_, title) in WORDS.items():
        found = verdict.of(kind)
        if found:
            lines += [f"{title}:", *(f"  {finding}" for finding in worst(found, SHOWN))]
            lines += [f"  and {len(found) - SHOWN} more"] * (len(found) > SHOWN)
    return "\n".join([*lines, summary(verdict, baseline, accept)])


def summary(verdict: Verdict, baseline: str, accept: str = ACCEPT) -> str:
    """`FAILED: 3 worse, 1 missing; 120 scores held against tests/baseline.json`, and what to do next."""
    word = "ok" if verdict.passed else "FAILED"
    line = f"{word}: {_counted(verdict)}; {verdict.compared} scores held against {baseline}"
    if verdict.of("improvement", "new", "network") and verdict.passed:
        line += f". To keep the new state as the baseline: {accept}"
    elif not verdict.passed and not verdict.of("failed"):
        line += f". If this is meant, make it the baseline: {accept}"
    return line


def as_json(verdict: Verdict, baseline: str) -> str:
    """The verdict as a document: `passed`, `compared`, and every finding with its kind, place, scores and sentence."""
    findings = [
        {
            **{name: value for name, value in asdict(item).items() if name != "key"},
            **item.key._asdict(),
            "failing": item.kind in FAILING,
            "text": str(item),
        }
        for item in verdict.findings
    ]
    head = {"passed": verdict.passed, "compared": verdict.compared, "baseline": baseline}
    return dumps({**head, "findings": findings})


def _counted(verdict: Verdict) -> str:
    counts = ((len(verdict.of(kind)), word) for kind, (word, _) in WORDS.items())
    return ", ".join(f"{count} {word}" for count, word in counts if count) or (
        "no difference" if verdict.compared else "nothing to compare"
    )


def is_junit(path: Path) -> bool:
    """Whether a file is JUnit XML that `as_junit` wrote."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'<testsuites name="{SUITES}"'.encode() in file.read(200)


def as_junit(verdict: Verdict, baseline: Baseline) -> str:
    """JUnit XML: a suite a run, a case an image, with every failing score of the image in its failure."""
    root = ElementTree.Element("testsuites", name=SUITES)
    for key in dict.fromkeys([*baseline.runs, *(finding.key for finding in verdict.failures)]):
        _suite(root, key, baseline, [finding for finding in verdict.failures if finding.key == key])
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
    return re.sub(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text
    )  # XML has none of these


def _suite(root: ElementTree.Element, key: RunKey, baseline: Baseline, failures: list[Finding]) -> None:
    title = str(key)
    images = [row.image for row in baseline.runs[key].rows] if key in baseline.runs else []
    failed = {finding.image for finding in failures}
    cases = [*images, *sorted(failed - set(images))]
    suite = ElementTree.SubElement(root, "testsuite", name=title, tests=str(len(cases)), failures=str(len(failed)))
    for image in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=title, name=image or "the run")
        lines = [str(finding) for finding in failures if finding.image == image]
        if lines:
            ElementTree.SubElement(case, "failure", message=lines[0]).text = "\n".join(lines)


def as_annotations(verdict: Verdict) -> Iterator[str]:
    """GitHub workflow commands: an error for each run that fails, with its worst finding, a warning for the rest."""
    for kinds, level in ((FAILING, "error"), (("slower", "improvement"), "warning")):
        found = verdict.of(*kinds)
        for key in dict.fromkeys(finding.key for finding in found):
            here = [finding for finding in found if finding.key == key]
            more = f" (and {len(here) - 1} more)" if len(here) > 1 else ""
            yield f"::{level} title={_property(str(key))}::{_message(str(worst(here, 1)[0]) + more)}"


def as_markdown(verdict: Verdict, baseline: str) -> str:
    """A GitHub step summary: the verdict and a table of the worst findings."""
    lines = [f"### srbench check: {summary(verdict, baseline)}", ""]
    shown = worst(verdict.failures, SHOWN) or worst(verdict.findings, SHOWN)
    if shown:
        lines += [
            "| | finding |",
            "|---|---|",
            *(f"| {WORDS[item.kind][0]} | {markdown(str(item))} |" for item in shown),
        ]
    return "\n".join(lines) + "\n"


def _message(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
