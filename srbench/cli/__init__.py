"""The command line. A command's module is imported when the command is used, so that help is instant.

Every built-in command NAME is the object `command` of `srbench.cli.NAME`; packages add more through the entry-point
group `srbench.commands`, each a `click.Command`.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import click

from srbench import __version__
from srbench.base.errors import SrbenchError, UsageError
from srbench.base.registry import entries, load_as, package_of, unknown

SECTIONS = {
    "Measure": {
        "run": "Score models on data sets, and time them.",
        "measure": "Score two images, or two folders of them.",
        "score": "Score the saved images of earlier runs again.",
        "speed": "Time models over a list of input sizes.",
        "check": "Compare results with a baseline; fail on a regression.",
    },
    "Look": {
        "report": "Turn results into tables, plots and a page.",
        "figure": "Draw crops by every model beside HR: the figure of a paper.",
        "compare": "Compare two models image by image, with statistics.",
        "choose": "Name the best model within a budget of time or memory.",
        "study": "Ask people which model they prefer.",
        "explain": "Say which convention gives a number.",
        "claims": "Check a list of published numbers.",
        "verify": "Make the score of a signature again.",
    },
    "Train": {},
    "Use": {
        "upscale": "Upscale an image, a folder of them, or a video.",
        "export": "Write a model as ONNX, TorchScript or torch.export.",
    },
    "Prepare": {
        "data": "List, prepare, verify and audit data sets.",
        "degrade": "Make LR images from HR images.",
        "list": "List models, data sets, metrics, conventions and more.",
        "doctor": "Say what is installed and what is missing, for a bug report.",
    },
}
"""The built-in commands by what they are for; commands of packages join a section by their `section`."""

OTHER = "From other packages"
LINE = 70
BUILT_IN = {name: text for commands in SECTIONS.values() for name, text in commands.items()}


NO_ARGUMENTS: type[click.UsageError] | tuple[()] = getattr(click.exceptions, "NoArgsIsHelpError", ())
"""A group without a command shows its help: click before 8.2 prints it and returns 0, a later one raises this."""


class LazyGroup(click.Group):
    """Knows its commands by name; imports one when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*BUILT_IN, *entries("commands")]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in BUILT_IN:
            command: click.Command = importlib.import_module(f"srbench.cli.{name}").command
            return command
        return load_as("commands", name, click.Command) if name in entries("commands") else None

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(context, args[0]) is None:
            raise _unknown_command(args[0], self.list_commands(context))
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        sections = {title: [*commands.items()] for title, commands in SECTIONS.items()}
        for name in entries("commands"):
            title, told = self._told(name)
            sections.setdefault(title, []).append((name, told))
        width = max(len(name) for lines in sections.values() for name, _ in lines)
        for title, lines in sections.items():
            if lines:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), told) for name, told in lines])

    def _told(self, name: str) -> tuple[str, str]:
        """Section and line of a command of a package, as it says itself, else where it comes from."""
        try:
            command = load_as("commands", name, click.Command)
        except SrbenchError as error:
            return OTHER, str(error)
        section = getattr(command, "section", "")
        told = command.get_short_help_str(LINE) or f"From {package_of(entries('commands')[name])}."
        return section if section in SECTIONS else OTHER, told


def _unknown_command(name: str, known: Sequence[str]) -> UsageError:
    """Of what can be listed, the command that lists it."""
    from srbench.cli.kinds import KINDS

    if kind := next((kind for kind in KINDS if name in (kind, kind.removesuffix("s"))), None):
        return UsageError(f"unknown command {name!r}. Did you mean srbench list {kind}?")
    return unknown("command", name, known, hint="srbench --help")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="srbench")
def cli() -> None:
    """Measure image super-resolution: how good, how fast, at what cost, and how sure we are.

    Start with:  srbench run --models all
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 fine, 1 a job failed or a score regressed, 2 bad input."""
    _make_printable()
    for library in ("ONEDNN", "DNNL"):  # or fp32 could mean bf16 on some processors, under the signature of fp32
        os.environ[f"{library}_DEFAULT_FPMATH_MODE"] = "STRICT"
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged files, in many lines; the error says it in one
    if "_SRBENCH_COMPLETE" in os.environ:
        importlib.import_module("srbench.cli.completion").mend()
    with _ending_like_ctrl_c():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        status = cli.main(arguments, prog_name="srbench", standalone_mode=False)
        sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
        return status if isinstance(status, int) else 0
    except click.Abort as error:  # click's word for EOFError too, which is no Ctrl-C
        return _bug(error.__cause__) if isinstance(error.__cause__, EOFError) else _complain("interrupted", 130)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except NO_ARGUMENTS as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        text, context = error.format_message(), getattr(error, "ctx", None)
        stop = "" if text.endswith(("?", ".")) else "."
        return _complain(f"{text}{stop} See: {context.command_path if context else 'srbench'} --help", 2)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except SrbenchError as error:
        return _complain(str(error), error.exit_status)
    except OSError as error:
        at = f" at {error.filename}" if error.filename else ""
        if error.errno == errno.ENOSPC:
            remedy = "What was finished is kept; free some space and run the same command (--force over its own files)"
            return _complain(f"the disk is full{at}. {remedy}", 1)
        return _complain(f"{error.strerror or error}{at}", 1)
    except Exception as error:
        from srbench.models.tiles import is_out_of_memory

        if is_out_of_memory(error):
            (why,) = str(error).splitlines()[:1] or [type(error).__name__]
            remedy = "Give --tile 128, or --batch 1, or smaller pictures; what was computed is kept"
            return _complain(f"out of memory ({why}). {remedy}", 1)
        if str(error).startswith("Symlink loop"):  # as pathlib has it before Python 3.13
            return _complain(f"{error}, a link that leads to itself. Remove it", 2)
        return _bug(error)


def _bug(error: BaseException) -> int:
    what = f"{type(error).__name__}: {error}"
    return _complain(f"{what}. This is a bug of srbench, or of a plugin; --debug shows where", 1)


def _make_printable() -> None:
    """What a terminal cannot encode is shown as `?`, and a closed stdout or stderr swallows what is said."""
    for number in range(3):  # or the next file opened would take its place, and get what libraries print
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or stream.closed:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as we run
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


@contextmanager
def _ending_like_ctrl_c() -> Iterator[None]:
    """SIGTERM interrupts as Ctrl-C does: locks are released and temporary files removed."""
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _complain(message: str, status: int) -> int:
    with suppress(OSError, ValueError):  # a stderr that is full or gone
        if os.environ.get("SRBENCH_DEBUG"):
            traceback.print_exc()
        click.echo(f"srbench: {message}", err=True)
    return status
