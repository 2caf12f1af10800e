"""`srbench upscale`: an image, a folder or a video, larger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from srbench.base.progress import Bar
from srbench.cli.listing import tell
from srbench.cli.options import (
    EXISTING,
    FILE,
    device_option,
    model_options,
    now_kept,
    srbench_command,
    tell_remark,
    threads_option,
)
from srbench.cli.values import Factor, complete

if TYPE_CHECKING:
    from srbench.apps.upscale.pixels import Enlarger
    from srbench.models.inference import Inference
    from srbench.models.spec import ModelSpec
    from srbench.models.values import Hints


USUAL = "srresnet"
"""What most people want of a photograph: details, and none that were not there. docs/upscale.md says when another."""


@srbench_command(
    help="Upscale INPUT, an image, a folder of images or a video, to OUTPUT.\n\n"
    "A folder's tree is kept, and images that OUTPUT already holds are left alone.",
)
@click.argument("source", metavar="INPUT", type=EXISTING)
@click.argument("target", metavar="OUTPUT", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "ref",
    default=USUAL,
    show_default=True,
    metavar="REF",
    shell_complete=complete("models"),
    help="A name, a file, module:factory, or A+B.",
)
@model_options
@click.option("--scale", type=Factor(min=1, max=16), help="Any factor.  [default: the model's, or 4]")
@click.option("--tile", default="auto", show_default=True, help="auto, none, or a number of LR pixels.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--self-ensemble", is_flag=True, help="Average over the eight flips and quarter turns.")
@click.option(
    "--compare",
    "sheet",
    metavar="SHEET",
    type=FILE,
    help="Also write, side by side: details of an image as a PNG, or the whole of a video as a video.",
)
@click.option("--force", is_flag=True, help="Do again, and write over, what is already there.")
@device_option
@threads_option
def command(
    source: Path, target: Path, ref: str, hints: Hints, scale: float | None, tile: str,
    precision: str, self_ensemble: bool, sheet: Path | None, force: bool, device: str,
) -> int:  # fmt: skip
    from srbench.apps.upscale.pixels import Enlarger
    from srbench.models import find_model
    from srbench.models.inference import prepare, select_device
    from srbench.models.tiles import check_tile

    check_tile(tile)
    single = target / source.name if target.is_dir() else target
    if sheet:
        _check_sheet(source, sheet)
    if not source.is_dir():
        _refuse_file(source, single, sheet, force=force)
    spec = find_model(ref, hints)
    tell_remark(spec)
    own = _own_scale(spec, scale)
    inference = prepare(spec, own, select_device(device), precision=precision, tile=tile, self_ensemble=self_ensemble)
    enlarger = Enlarger(inference, scale or own)
    if source.is_dir():
        return _folder(source, target, spec, enlarger, force)
    return _file(source, single, enlarger, spec.name, sheet)


def _check_sheet(source: Path, sheet: Path) -> None:
    from srbench.apps.upscale import video
    from srbench.base.errors import UsageError

    if source.is_dir():
        raise UsageError(f"--compare {sheet}: for one image or video at a time, and {source} is a folder")
    wanted = video.SUFFIXES if source.suffix.lower() in video.SUFFIXES else (".png",)
    if sheet.suffix.lower() not in wanted:
        raise UsageError(f"--compare {sheet}: beside {source.name} it ends in {' or '.join(wanted)}")


def _refuse_file(source: Path, target: Path, sheet: Path | None, *, force: bool) -> None:
    """Raise for a file that cannot or may not be written, before a model is built."""
    from srbench.apps.upscale import video
    from srbench.apps.upscale.pictures import check_target
    from srbench.base.outputs import refuse_overwriting

    refuse_overwriting([target, *([sheet] if sheet else [])], [source], force=force)
    if source.suffix.lower() not in video.SUFFIXES:
        check_target(target)


def _own_scale(spec: ModelSpec, wanted: float | None) -> int:
    """The model's scale to work at: the smallest that is not below the one wanted, else the largest."""
    if wanted is None:
        return 4 if 4 in spec.scales else max(spec.scales)
    return min((scale for scale in spec.scales if scale >= wanted), default=max(spec.scales))


def _file(source: Path, target: Path, enlarger: Enlarger, name: str, sheet: Path | None) -> int:
    from srbench.apps.upscale import video
    from srbench.apps.upscale.forecast import LARGE, forecast
    from srbench.apps.upscale.pictures import enlarge, read_picture, refuse_unwritable, write_picture

    start = time.monotonic()
    if source.suffix.lower() in video.SUFFIXES:
        return _video(source, target, enlarger, name, sheet)
    lr = read_picture(source)
    refuse_unwritable(target, lr, enlarger.scale)
    if lr.colour.shape[0] * lr.colour.shape[1] >= LARGE:
        tell(f"{source.name}, by {name}: {forecast(enlarger, lr.colour)}", err=True)
    with Bar(source.name, unit="tile") as bar:
        picture = enlarge(lr, enlarger, bar.to)
    write_picture(target, picture)
    now_kept(f"{target} is kept")
    if sheet:
        from srbench.apps.upscale.sheet import write_sheet

        write_sheet(sheet, lr.colour, picture.colour, name)
    _tell(target, f"{picture.colour.shape[1]}x{picture.colour.shape[0]} by {name}{_resized(enlarger)}", start)
    if sheet:
        _tell(sheet, "its details beside LR and bicubic")
    return 0


def _video(source: Path, target: Path, enlarger: Enlarger, name: str, sheet: Path | None) -> int:
    from srbench.apps.upscale.video import upscale_video
    from srbench.base.text import counted

    start = time.monotonic()
    with Bar(source.name, unit="frame") as bar:
        count, notes = upscale_video(source, target, enlarger, bar.to, sheet)
    for note in notes:
        click.echo(f"{target}: {note}", err=True)
    _tell(target, f"{counted(count, 'frame')} by {name}{_resized(enlarger)}", start)
    if sheet:
        _tell(sheet, f"bicubic on the left, {name} on the right")
    return 0


def _tell(path: Path, what: str, start: float | None = None) -> None:
    """What was written, and in what time."""
    from srbench.base.text import duration

    click.echo(
        f"{path}: {what}" + (f", in {duration(time.monotonic() - start)}" if start is not None else ""), err=True
    )


def _resized(enlarger: Enlarger) -> str:
    """What a bicubic resize does behind the model, where that does not give the factor that is wanted."""
    own = enlarger.inference.upscaler.scale
    return "" if own == enlarger.scale else f" x{own}, then resized to x{enlarger.scale:g} by bicubic"


def _options(inference: Inference) -> str:
    """Options that change pixels, where they are not the defaults."""
    precision = inference.precision if inference.precision != "fp32" else ""
    tile = f"tile={inference.tile}" if inference.tile != "auto" else ""
    return " ".join(filter(None, (precision, tile, "self-ensemble" if inference.self_ensemble else "")))


def _folder(source: Path, target: Path, spec: ModelSpec, enlarger: Enlarger, force: bool) -> int:
    from srbench.apps.upscale.folders import Maker, passed_over, plan_folder, upscale_folder, work_in
    from srbench.base.text import counted
    from srbench.models.spec import weights_digest

    weights = weights_digest(spec, enlarger.inference.upscaler.scale)
    start = time.monotonic()
    maker = Maker(spec.name, weights, f"x{enlarger.scale:g}", _options(enlarger.inference))
    with work_in(target):
        plan = plan_folder(source, target, maker, force=force)
        again = "the same command without --force" if force else "the same command"
        now_kept(f"the images written so far are kept in {target}; {again} goes on with the others")
        with Bar(source.name, len(plan.todo), "image") as bar:
            failed = upscale_folder(plan, enlarger, lambda path, error: bar.advance())
    for _, error in failed:
        click.echo(f"srbench: {error}", err=True)
    if others := passed_over(source, target):
        names = ", ".join(str(path.relative_to(source)) for path in others[:5]) + ", …" * (len(others) > 5)
        click.echo(f"passed over, being no images: {names} ({len(others)})", err=True)
    done_now = counted(len(plan.todo) - len(failed), "image")
    made = f" by {spec.name}{resized}" if (resized := _resized(enlarger)) else ""
    _tell(target, f"{done_now} done{made}, {len(failed)} failed", start)
    return int(bool(failed))
