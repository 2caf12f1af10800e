"""`srbench data`: the standard sets, listed, prepared, verified, audited for leaks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.options import EXISTING, FOLDER, NAMES, data_root_option, srbench_command
from srbench.errors import InputError

if TYPE_CHECKING:
    from srbench.datasets.audit import Leak
    from srbench.datasets.verify import Verification


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """List, prepare, verify and audit data sets."""


@command.command("list", cls=type(srbench_command()(lambda: None)))
@data_root_option
def list_(data_root: Path | None) -> None:
    """Which standard sets are here, what they are worth, and how to get the rest."""
    from srbench.datasets import data_root as find_root
    from srbench.datasets.table import STANDARD_SETS

    root = find_root(data_root)
    click.echo(f"under {root}:\n")
    for row in STANDARD_SETS.values():
        state = _state(row.name, root)
        click.echo(f"{row.name:20} {row.role:11} {row.count:4} images  {state}")
        click.echo(f"{'':20} {row.citation}. Terms: {row.terms}.")
        if row.note:
            click.echo(f"{'':20} {row.note}.")


def _state(name: str, root: Path) -> str:
    from srbench.datasets.verify import verify

    if not (root / name / "HR").is_dir():
        return f"not here: srbench data prepare {name}"
    try:
        return _verdict(verify(name, root / name))
    except InputError as error:
        return f"here, but {error}"


def _verdict(verification: Verification) -> str:
    """In a few words, at which scales a folder is the set."""
    scales = verification.scales()
    counts = ", ".join(f"{count} {status}" for status, count in verification.counts().items())
    if len(scales) == 4:
        return f"verifies ({counts})"
    if scales:
        return f"verifies at {', '.join(f'x{scale}' for scale in scales)} only ({counts})"
    return f"does not verify ({counts})"
