"""`srbench verify`: make the score of a signature again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.options import data_root_option, device_option, model_options, srbench_command

if TYPE_CHECKING:
    from srbench.models.values import Hints


@srbench_command(
    help="Make the score of SIGNATURE again, and say whether VALUE holds, to the digits that it has.\n\n"
    "Exit status 1 where it does not; 2 where weights or images here are not those of the signature."
)
@click.argument("signature")
@click.argument("value")
@click.option("--model", default="", help="A model REF.  [default: the signature's name]")
@click.option("--dataset", default="", help="A data set or folder.  [default: the signature's name]")
@model_options
@device_option
@data_root_option
def command(
    signature: str, value: str, model: str, dataset: str, hints: Hints, device: str, data_root: Path | None
) -> int:
    from srbench.analysis.verify import verify_score

    found = verify_score(
        signature, value.strip(), model=model, dataset=dataset, hints=hints, device=device, root=data_root
    )
    click.echo(f"{found.sentence}\n{found.signature}")
    return int(not found.holds)
