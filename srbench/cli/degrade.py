"""`srbench degrade`: write LR images."""

from __future__ import annotations

from pathlib import Path

import click

from srbench.cli.options import EXISTING, OVER, degradation_option, force_option, srbench_command
from srbench.cli.values import Scale


@srbench_command(
    help="Make LR from HR: an image, or a folder of them. Names are kept, and files are lossless.",
    kept="the images written so far are kept; --force makes them again",
)
@click.argument("source", metavar="INPUT", type=EXISTING)
@click.argument("target", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option("--scale", type=Scale(2), default=4, show_default=True)
@degradation_option
@force_option(OVER)
def command(source: Path, target: Path, scale: int, degradation: str, force: bool) -> None:
    from srbench.base.errors import InputError
    from srbench.base.outputs import refuse_overwriting
    from srbench.base.text import counted
    from srbench.images.degrade import degrade
    from srbench.images.files import LOSSLESS, list_images, read_image, write_image

    if source.is_dir():
        images = {target / f"{path.stem}.png": path for path in list_images(source).values()}
        if not images:
            raise InputError(f"{source}: no images in it")
    else:
        single = target / f"{source.stem}.png" if target.is_dir() else target
        images = {single: source}
        if single.suffix.lower() not in LOSSLESS:
            raise InputError(f"{single}: LR must be stored without loss; write {single.with_suffix('.png').name}")
    refuse_overwriting(images, images.values(), force=force)
    for out, path in images.items():
        write_image(out, degrade(read_image(path), scale, degradation))
    click.echo(f"{counted(len(images), 'LR image')}, {degradation} x{scale}, in {target}", err=True)
