"""`srbench check`: did anything get worse?"""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli.options import EXISTING, CommaList, srbench_command


def _tolerance(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    if not name or not value or float(value) < 0:
        raise ValueError("expected METRIC=NUMBER, such as psnr_y=0.02")
    return name, float(value)


@srbench_command(help="Compare the results folder RESULTS with a baseline, image by image; exit 1 on a regression.")
@click.argument("results", type=EXISTING)
@click.option("--baseline", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The baseline file.")
@click.option("--update", is_flag=True, help="Write the results as the new baseline.")
@click.option(
    "--tolerance",
    "tolerances",
    type=CommaList(_tolerance, "METRIC=NUMBER,…"),
    default=(),
    help="How far a score may move.  [default: psnr=0.01,ssim=0.0001,lpips=0.001]",
)
def command(results: Path, baseline: Path, update: bool, tolerances: tuple[tuple[str, float], ...]) -> int:
    from srbench.baseline import read_baseline, write_baseline
    from srbench.check import Tolerances, compare
    from srbench.store import load_results
    from srbench.verdicts import as_text

    loaded = load_results(results)
    if update:
        write_baseline(baseline, loaded.runs)
        click.echo(f"{baseline}: {len(loaded.runs)} runs, {sum(len(run.rows) for run in loaded.runs)} images")
        return 0
    verdict = compare(loaded, read_baseline(baseline), Tolerances(dict(tolerances)))
    click.echo(as_text(verdict, str(baseline)))
    return 0 if verdict.passed else 1
