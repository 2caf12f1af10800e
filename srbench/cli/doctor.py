"""`srbench doctor`: what is here and what is missing, for a bug report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.listing import tell
from srbench.cli.options import data_root_option, srbench_command

if TYPE_CHECKING:
    from srbench.apps.doctor import Fact

WIDTH = 20


@srbench_command(help="Say what is installed, where things are and what is missing: for a bug report.")
@data_root_option
@click.option("--format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(data_root: Path | None, format: str) -> None:
    from dataclasses import asdict

    from srbench.apps.doctor import examine

    sections = examine(data_root)
    if format == "json":
        document = {title: [asdict(each) for each in findings] for title, findings in sections.items()}
        return click.echo(json.dumps(document, indent=1, ensure_ascii=False))
    for title, findings in sections.items():
        _print_section(title, findings)
    lacking = dict.fromkeys(each.name for findings in sections.values() for each in findings if each.remedy)
    return tell(f"Missing or wrong: {', '.join(lacking)}. What helps is beside each." if lacking else "All is here.")


def _print_section(title: str, findings: list[Fact]) -> None:
    click.echo(title)
    for each in findings or ():
        tell(f"  {each.name:{WIDTH}} {each.state}" + (f"  → {each.remedy}" if each.remedy else ""), under=WIDTH + 3)
    if not findings:
        click.echo("  none")
    click.echo()
