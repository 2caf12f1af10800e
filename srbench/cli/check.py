"""`srbench check`: did anything get worse?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.listing import tell
from srbench.cli.options import FILE, FOLDER, OVER, data_root_option, force_option, read_results, srbench_command
from srbench.cli.values import CommaList, one_value_each

if TYPE_CHECKING:
    from srbench.analysis.check.baseline import Baseline
    from srbench.analysis.check.check import Verdict
    from srbench.results.records import Run
    from srbench.results.results import Results


def _tolerance(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if not name or not value or not float(value) >= 0:
        raise ValueError("expected METRIC=NUMBER, such as psnr_y=0.02")
    return name, float(value)


@srbench_command(
    help="Compare the results folder RESULTS with a baseline, image by image; exit 1 on a regression.\n\n"
    "Tolerances come from --tolerance, --config, or the table tool.srbench.check of ./pyproject.toml; "
    "the defaults are psnr=0.01, ssim=0.0001, lpips=0.001."
)
@click.argument("results", type=FOLDER)
@click.option("--baseline", type=FILE, help="The baseline file.")
@click.option("--update", is_flag=True, help="Put the results into the baseline; others stay.")
@click.option(
    "--tolerance",
    type=CommaList(_tolerance, "METRIC=NUMBER,…"),
    default=(),
    callback=one_value_each,
    help="How far a score may move.",
)
@click.option("--config", type=FILE, help="A TOML file with tolerances.")
@click.option("--calibrate", type=CommaList(Path, "FOLDER,…"), help="Reruns: print how far scores move by themselves.")
@click.option("--junit", type=FILE, help="Also write JUnit XML.")
@click.option("--crops", type=FOLDER, help="Also write pictures of the worst images there.")
@click.option("--github/--no-github", default=None, help="Annotations and step summary.  [default: in GitHub Actions]")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@force_option(OVER + " srbench's own JUnit, crops and baselines are replaced without it.")
@data_root_option
def command(
    results: Path,
    baseline: Path | None,
    update: bool,
    tolerance: tuple[tuple[str, float], ...],
    config: Path | None,
    calibrate: tuple[Path, ...] | None,
    junit: Path | None,
    crops: Path | None,
    github: bool | None,
    style: str,
    force: bool,
    data_root: Path | None,
) -> int:
    from srbench.analysis.check.baseline import is_baseline, read_baseline
    from srbench.analysis.check.check import check_results
    from srbench.analysis.check.crops import write_crops
    from srbench.analysis.check.formats import as_json, as_text, is_junit
    from srbench.analysis.check.tolerances import as_toml, noise_floors, read_tolerances
    from srbench.base.errors import InputError, UsageError
    from srbench.base.outputs import refuse_overwriting
    from srbench.base.own_files import own_files

    loaded = read_results(results)
    if calibrate:
        click.echo(as_toml(noise_floors(loaded, [read_results(folder) for folder in calibrate])))
        return 0
    if baseline is None:
        raise UsageError("check needs --baseline FILE; make one with --update")
    if update and loaded.damaged:
        raise InputError("a baseline of the rest would no longer watch what was left out. Mend it, or move it away")
    inputs = [*results.rglob("*.json"), *([config] if config else [])]
    if update:
        refuse_overwriting([baseline], inputs, force=force or is_baseline(baseline))
    if junit:
        refuse_overwriting([junit], [*inputs, baseline], force=force or is_junit(junit))
    if update:
        _update(baseline, loaded)
        return 0
    expected = read_baseline(baseline)
    verdict = check_results(loaded, expected, read_tolerances(config).updated(dict(tolerance)))
    if style == "json":
        click.echo(as_json(verdict, str(baseline)))
    else:
        tell(as_text(verdict, str(baseline)))
    if crops:
        with own_files(crops, force=force) as making:
            paths = write_crops(verdict, loaded, making, data_root)
        for path in paths:
            click.echo(f"HR | SR | difference: {crops / path.name}", err=style == "json")
    _tell_machines(verdict, expected, str(baseline), junit, github, err=style == "json")
    return 0 if verdict.passed else 1


def _update(path: Path, results: Results) -> None:
    """Put the runs of the results into a baseline, new or old; what else it holds stays, and is told."""
    from srbench.analysis.check.baseline import Baseline, read_baseline, write_baseline
    from srbench.base.errors import InputError
    from srbench.base.text import counted

    try:
        before = read_baseline(path)
    except InputError:  # there is none, or it holds nothing, or --force replaces another file
        before = Baseline({})
    updated = before.updated(results)
    write_baseline(path, updated)
    images = sum(len(run.rows) for run in results.runs)
    tell(f"{path}: {counted(len(results.runs), 'run')}, {counted(images, 'image')}")
    now = {run.identity.key: run for run in results.runs}
    kept = [str(key) for key in before.runs if key not in now]
    if kept:
        tell(f"kept as they were: {_some(kept)}; to drop them, delete {path} first")
    if lost := [f"{key} ({n})" for key, run in now.items() if (n := len(_scored(before.runs.get(key)) - _scored(run)))]:
        tell(f"dropped, since the results lack them: scores of {', '.join(lost)}")
    if before.speeds.keys() - updated.speeds.keys():
        click.echo(f"dropped: timings of another machine ({before.machine})")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3) + f" ({len(names)})"


def _scored(run: Run | None) -> set[tuple[str, str]]:
    """Image and metric of each score."""
    return {(row.image, metric) for row in run.rows for metric in row.scores} if run else set()


def _tell_machines(
    verdict: Verdict, expected: Baseline, name: str, junit: Path | None, github: bool | None, *, err: bool
) -> None:
    """JUnit, annotations and the step summary; annotations go to stderr where stdout is a document."""
    from srbench.analysis.check.formats import as_annotations, as_junit, as_markdown
    from srbench.base.temporary import write_file

    if junit:
        write_file(junit, as_junit(verdict, expected))
    if github if github is not None else os.environ.get("GITHUB_ACTIONS") == "true":
        for line in as_annotations(verdict):
            click.echo(line, err=err)
        if page := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(page).open("a", encoding="utf-8") as file:
                file.write(as_markdown(verdict, name))
