"""`srbench export`: a model for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.cli.options import FILE, OVER, force_option, model_options, srbench_command, tell_remark
from srbench.cli.values import Finite, Scale

if TYPE_CHECKING:
    from srbench.models.values import Hints


@srbench_command(
    help="Write the model REF to OUT with dynamic sizes, and compare the file with the model.\n\n"
    "An ONNX file is a REF itself: srbench run --models OUT"
)
@click.argument("ref", metavar="REF")
@click.argument("out", type=FILE)
@click.option("--format", type=click.Choice(["onnx", "torchscript", "torch-export"]), default="onnx", show_default=True)
@click.option("--scale", type=Scale(), help="[default: 4, or the model's own]")
@click.option(
    "--tolerance", type=Finite(min=0), default=1e-4, show_default=True, help="The difference that is allowed."
)
@force_option(OVER)
@model_options
def command(
    ref: str,
    out: Path,
    format: str,
    scale: int | None,
    tolerance: float,
    force: bool,
    hints: Hints,
) -> None:
    from srbench.base.errors import UsageError
    from srbench.base.outputs import refuse_overwriting
    from srbench.models import files_of, find_model
    from srbench.models.export import export

    refuse_overwriting([out], files_of(ref), force=force)
    spec = find_model(ref, hints)
    tell_remark(spec)
    chosen = scale or (4 if 4 in spec.scales else max(spec.scales))
    if chosen not in spec.scales:
        raise UsageError(f"{ref} has no scale {chosen}; it has {', '.join(map(str, spec.scales))}")
    difference = export(spec, chosen, format, out, tolerance)
    click.echo(f"{out}: {spec.name} x{chosen}, {format}; largest difference from the model {difference:.1e}")
    trust = "" if format == "onnx" else "SRBENCH_TRUST_PROGRAMS=1 "
    click.echo(f"Next: {trust}srbench run {out} --scale {chosen}", err=True)
