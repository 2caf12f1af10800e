"""`srbench claims`: do published numbers come out, and if not, why?"""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli.listing import tell
from srbench.cli.options import FILE, FOLDER, data_root_option, device_option, read_results, srbench_command


@srbench_command(
    help="Check the published numbers in FILE against our own outputs: which convention, or mistake, gives each?\n\n"
    "FILE is TOML with [[claim]] tables: model, dataset, scale, value, and if known metric and source. "
    "Exit status 1 where a number stays unexplained, or cannot be checked."
)
@click.argument("file", type=FILE)
@click.option("--results", type=FOLDER, help="Use the SR images saved in this folder.")
@device_option
@data_root_option
def command(file: Path, results: Path | None, device: str, data_root: Path | None) -> int:
    from srbench.analysis.claims import read_claims
    from srbench.analysis.explain import Subject, explain
    from srbench.base.errors import InputError, JobError, UnavailableError, UsageError
    from srbench.base.text import counted

    if results:
        read_results(results)  # names what is damaged
    claims = read_claims(file)
    unexplained = checked = 0
    for claim in claims:
        of = f"{claim.model} on {claim.dataset} x{claim.scale}, {claim.source or 'no source'}"
        try:
            found = explain(claim, Subject(claim.model, claim.dataset, claim.scale, results, device, data_root))
        except (InputError, JobError, UnavailableError, UsageError) as error:
            tell(f"{of}: cannot be checked: {error}")
            continue
        tell(f"{of}: {found.sentences}")
        checked += 1
        unexplained += not found.explained
    if not checked:
        raise InputError(f"{file}: none of its {counted(len(claims), 'claim')} could be checked")
    left = {"unexplained": unexplained, "not checked": len(claims) - checked}
    told = ", ".join(f"{count} {what}" for what, count in left.items() if count)
    click.echo(told or "every claim is explained")
    return int(bool(told))
