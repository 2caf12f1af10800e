"""`srbench list`: what there is, with what one chooses by. Nothing heavy is imported, and no network is built."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import fill

import click

from srbench.base.registry import refuse_unknown
from srbench.cli.kinds import KINDS
from srbench.cli.listing import as_text, terminal_width
from srbench.cli.options import data_root_option, srbench_command


class _What(click.Choice):  # type: ignore[type-arg]  # a generic only since click 8.2
    """A kind, one of it or several: `model` is `models`."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name = value.casefold()
        name = name + "s" if f"{name}s" in self.choices else name
        refuse_unknown("list", [name], self.choices, hint="srbench list")
        return name


@srbench_command(help="List models, data sets, metrics, conventions, recipes and more, with what one chooses by.")
@click.argument("what", required=False, type=_What(list(KINDS)), metavar="[WHAT]")
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
@data_root_option
def command(what: str | None, style: str, data_root: Path | None) -> None:
    if what is None:
        names = [f"srbench list {kind}" for kind in KINDS]
        return click.echo(json.dumps(list(KINDS)) if style == "json" else "\n".join(names))
    kind = KINDS[what]
    records = kind.records(data_root)
    if style == "json":
        return click.echo(json.dumps(records, indent=1, ensure_ascii=False))
    click.echo(as_text(records, kind.columns, kind.about, terminal_width()))
    if note := kind.note(data_root):
        click.echo("\n" + fill(note, terminal_width(), break_on_hyphens=False))
    return None
