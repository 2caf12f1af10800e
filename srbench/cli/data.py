"""`srbench data`: the standard sets, listed, prepared, verified, audited for leaks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from srbench.base.errors import InputError, UsageError
from srbench.cli.listing import tell
from srbench.cli.options import EXISTING, FILE, OVER, Command, data_root_option, force_option
from srbench.cli.values import Names, begun

if TYPE_CHECKING:
    from srbench.datasets.standard.verify import Verification

MAX_LINES = 20
"""How many findings are listed for one set."""


def _sets(context: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    from srbench.datasets.standard.table import STANDARD_SETS

    return begun(typed, STANDARD_SETS)


@click.group()
def command() -> None:
    """List, prepare, verify and audit data sets."""


@command.command("list", cls=Command)
@data_root_option
def list_command(data_root: Path | None) -> None:
    """Which standard sets are here, what they are worth, and how to get the rest."""
    from srbench.datasets import data_root as find_root
    from srbench.datasets.standard.table import STANDARD_SETS

    root = find_root(data_root)
    click.echo(f"Under {root}:\n")
    for row in STANDARD_SETS.values():
        tell(f"{row.name:20} {row.role:11} {row.count:4} images  {_state(row.name, root)}", under=21)
        tell(f"{'':20} {row.citation}. Terms: {row.terms}.")
        if row.note:
            tell(f"{'':20} {row.note}.")


def _state(name: str, root: Path) -> str:
    from srbench.datasets.standard.verify import verify

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
    if len(scales) == len(verification.tried):
        return f"verifies ({counts})"
    if verification.known:
        right = ", ".join(f"x{scale}" for scale in scales) or "no scale"
        return f"cropped copies, whose HR is right at {right} ({counts})"
    return f"does not verify ({counts})"


@command.command("prepare", cls=Command, kept="the sets prepared so far are kept")
@click.argument("names", nargs=-1, required=True, metavar="NAME…", shell_complete=_sets)
@click.option("--from", "source", type=EXISTING, help="A folder, zip or tar in any layout.  [default: fetched]")
@click.option("--with-lr", is_flag=True, help="Also take the LR files that are with the HR images.")
@force_option("Replace a set that is there already.")
@data_root_option
def prepare_command(
    names: tuple[str, ...], source: Path | None, with_lr: bool, force: bool, data_root: Path | None
) -> int:
    """Lay standard sets out under the data root; images are found by their pixels, whatever they are called."""
    from srbench.base.errors import SrbenchError
    from srbench.datasets import data_root as find_root
    from srbench.datasets.standard.prepare import prepare, standard_set

    root, failed = find_root(data_root), 0
    for row in [standard_set(name) for name in names]:
        try:
            done = prepare(row.name, root, source, with_lr=with_lr, force=force, report=_remark)
        except SrbenchError as error:
            if len(names) == 1:
                raise
            _remark(str(error))
            failed += 1
            continue
        _print_verification(done, root / row.name)
    return int(failed > 0)


def _remark(text: str) -> None:
    click.echo(text, err=True)


@command.command("verify", cls=Command)
@click.argument("names", nargs=-1, metavar="[NAME…]", shell_complete=_sets)
@click.option("--at", type=EXISTING, help="Hold this folder against the set, not the one under the data root.")
@data_root_option
def verify_command(names: tuple[str, ...], at: Path | None, data_root: Path | None) -> int:
    """Hold sets against the pixels that they should have.  [default: every standard set found]"""
    from srbench.datasets import data_root as find_root
    from srbench.datasets.standard.prepare import standard_set
    from srbench.datasets.standard.table import STANDARD_SETS
    from srbench.datasets.standard.verify import verify

    root = find_root(data_root)
    rows = [standard_set(name) for name in names] or [
        row for row in STANDARD_SETS.values() if (root / row.name / "HR").is_dir()
    ]
    if at and len(names) != 1:
        raise UsageError("--at takes one set: srbench data verify Set5 --at FOLDER")
    if not rows:
        raise InputError(f"no standard set is under {root}. Get one: srbench data prepare Set5; or set SRBENCH_DATA")
    wrong = 0
    for row in rows:
        home = at or root / row.name
        found = verify(row.name, home)
        _print_verification(found, home)
        wrong += not found.known
    return int(wrong > 0)


def _print_verification(verification: Verification, home: Path) -> None:
    """What a folder is; a line for each image that is not as it was published, up to a limit, and one on LR files."""
    from srbench.datasets.folder import open_folder
    from srbench.datasets.standard.lr_files import origins, worded
    from srbench.images.degrade import FILES

    click.echo(f"{verification.set}: {_verdict(verification)}; in {home}")
    wrong = [item for item in verification.findings if item.status not in ("exact", "cropped")]
    for item in wrong[:MAX_LINES]:
        click.echo(f"  {item.id}: {item.status}" + (f": {item.detail}" if item.detail else ""))
    if len(wrong) > MAX_LINES:
        click.echo(f"  and {len(wrong) - MAX_LINES} more")
    for folder in sorted((home / "LR_bicubic").glob("X*")):
        scale = int(folder.name.removeprefix("X"))
        try:
            click.echo(f"  {worded(origins(open_folder(home, scale, FILES, name=verification.set)), scale)}")
        except InputError as error:
            click.echo(f"  LR at x{scale}: {error}")


@command.command("audit", cls=Command)
@click.option("--train", "folders", type=EXISTING, multiple=True, required=True, help="A training folder; repeatable.")
@click.option(
    "--against",
    type=Names("datasets", "all"),
    default="all",
    show_default=True,
    help="Test sets or folders, with commas.",
)
@click.option("--sheet", type=FILE, default=Path("leaks.png"), show_default=True)
@force_option(OVER)
@data_root_option
def audit_command(
    folders: tuple[Path, ...], against: tuple[str, ...], sheet: Path, force: bool, data_root: Path | None
) -> int:
    """Find test images inside training folders: whole, turned, regraded, cropped. Exit status 1 if there are any."""
    from srbench.base.outputs import refuse_overwriting
    from srbench.datasets import data_root as find_root
    from srbench.datasets.leaks.audit import audit, pictures_of, test_pictures
    from srbench.datasets.leaks.contact_sheet import write_contact_sheet

    tests = test_pictures(against, find_root(data_root))
    training = pictures_of(folders)
    refuse_overwriting([sheet], [*training, *tests], force=force)
    leaks = audit(training, tests, _remark if sys.stderr.isatty() else lambda text: None)
    for leak in leaks:
        click.echo(str(leak))
    click.echo(f"{len(training)} training images against {len(tests)} test images: {len(leaks) or 'no'} leaks")
    if leaks:
        write_contact_sheet(sheet, leaks)
        click.echo(f"Look at them: {sheet}")
    return int(bool(leaks))
