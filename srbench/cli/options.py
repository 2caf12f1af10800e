"""What commands share: the command class with its switches, and the options that several have."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from srbench.base.errors import StoppedError, UsageError
from srbench.base.registry import entries
from srbench.cli.examples import examples_of
from srbench.cli.values import CommaList, Device, Names, Scale, complete
from srbench.models.spec import PRECISIONS

if TYPE_CHECKING:
    from srbench.models.spec import ModelSpec
    from srbench.results.results import Results

Function = TypeVar("Function", bound=Callable[..., Any])


DAMAGED = "srbench.damaged"
KEPT = "srbench.kept"


class Command(click.Command):
    """A command that also takes `--debug` and `--offline`, which travel as environment variables.

    Its exit status is 1 at least where it had to leave out damaged files, see `read_results`.
    `kept` is what its user is told on Ctrl-C: what is there of the work, and how to go on. Its help ends in `examples`;
    those of the built-in commands are in `srbench.cli.examples`. `section` is the heading under which the help of
    srbench has the command of a package.
    """

    def __init__(
        self,
        *args: Any,
        kept: str = "nothing was kept",
        examples: tuple[str, ...] = (),
        section: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kept, self.examples, self.section = kept, examples, section
        self.params += [
            _switch("--offline", "SRBENCH_OFFLINE", "Fetch nothing; what is missing is shown as n/a."),
            _switch("--debug", "SRBENCH_DEBUG", "Show the traceback of an error."),
        ]

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        if examples := self.examples or examples_of(context.command_path):
            with formatter.section("Examples"):
                formatter.write("".join(f"  {line}\n" for line in examples))

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """`--model` means `--models` where only that is an option, and the other way round; so for every plural.

        A negative number is a value, where click takes all that begins with a hyphen for an option.
        """
        args = [f" {word}" if re.fullmatch(r"-(\d+\.?\d*|\.\d+)", word) else word for word in args]
        known = {name for param in self.params for name in param.opts if isinstance(param, click.Option)}
        try:
            return super().parse_args(context, [_as_known(word, known) for word in args])
        except click.NoSuchOption as error:  # click guesses by likeness alone: --batch for --data, before --datasets
            begun = [name for name in known if name.startswith(error.option_name)] or error.possibilities
            raise click.NoSuchOption(error.option_name, possibilities=begun, ctx=context) from None

    def make_parser(self, ctx: click.Context) -> Any:
        """That of click, which of an option given again keeps the last value: here lists add up, others are refused."""
        parser = super().make_parser(ctx)
        once = {param.name: param for param in self.params if isinstance(param, click.Option) and _has_one_value(param)}
        for name, param in once.items():
            parser.add_option(param, param.opts, name, "append")
        parse = parser.parse_args

        def parse_all(args: list[str]) -> Any:
            found, rest, order = parse(args)
            merged = {name: _one_of(once[name], found[name], ctx) for name in found if name in once}
            return {**found, **merged}, rest, order

        parser.parse_args = parse_all  # type: ignore[method-assign]
        return parser

    def invoke(self, ctx: click.Context) -> Any:
        try:
            status = super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)  # closes the terminal's ^C
            raise StoppedError(f"interrupted; {ctx.meta.get(KEPT, self.kept)}") from None
        return (status or 1) if ctx.meta.get(DAMAGED) else status


def _as_known(word: str, known: set[str]) -> str:
    name, equals, value = word.partition("=")
    if not name.startswith("--") or name in known:
        return word
    other = name.removesuffix("s") if name.endswith("s") else name + "s"
    return other + equals + value if other in known else word


def _has_one_value(option: click.Option) -> bool:
    return not (option.is_flag or option.count or option.multiple or option.nargs != 1)


def _one_of(param: click.Option, values: list[str], context: click.Context) -> str:
    """What an option's values come to; raises `click.UsageError` for different ones where it takes one."""
    if isinstance(param.type, CommaList):
        return ",".join(values)
    if len(set(values)) > 1 and not context.resilient_parsing:
        told = f"{param.opts[-1]} takes one value, and is given {' and '.join(dict.fromkeys(values))}"
        raise click.UsageError(told, context)
    return values[-1]


def read_results(folder: Path, data_root: Path | None = None) -> Results:
    """Everything in a results folder; damaged files are left out, named on stderr, and make the exit status 1."""
    from srbench.results.store import load_results

    results = load_results(folder, data_root)
    tell_damaged(results)
    return results


def now_kept(text: str) -> None:
    """What is told on Ctrl-C from here on, in place of the command's own `kept`."""
    click.get_current_context().meta[KEPT] = text


def tell_damaged(results: Results) -> None:
    """Name the files of a results folder that are left out, and have the exit status say so."""
    for problem in results.damaged:
        click.echo(f"srbench: left out: {problem}", err=True)
    if results.damaged:
        click.get_current_context().meta[DAMAGED] = True


def _switch(flag: str, variable: str, help: str) -> click.Option:
    def remember(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value:
            os.environ[variable] = "1"

    return click.Option([flag], is_flag=True, expose_value=False, is_eager=True, callback=remember, help=help)


def srbench_command(**settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Decorator: `click.command` with the shared switches."""
    return click.command(cls=Command, **settings)


MODELS = Names("models", "all")
NAMES = CommaList()

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)


def named_models(refs: tuple[tuple[str, ...], ...], models: tuple[str, ...] | None) -> tuple[str, ...]:
    """The models of `--models` and those typed as arguments, which go on with its list where commas were left out; all
    where there are none. Raises `UsageError` for the name of a data set or a metric.
    """
    from srbench.datasets import list_datasets, usual_name
    from srbench.metrics import usual_name as usual_metric

    named = (*(models or ()), *(name for names in refs for name in names))
    no_models = {name for name in named if name not in entries("models") and not Path(name).exists()}
    sets = [name for name in named if name in no_models and usual_name(name) in list_datasets()]
    metrics = [name for name in named if name in no_models and usual_metric(name).split("@")[0] in entries("metrics")]
    for kind, option, found in (("data set", "--datasets", sets), ("metric", "--metrics", metrics)):
        if found:
            told = f"{found[0]} is a {kind} and no model. srbench run takes it as {option} {','.join(found)}"
            raise UsageError(f"{told}; between several put commas: {option} A,B")
    return named or ("all",)


def tell_remark(spec: ModelSpec) -> None:
    """What was chosen of a weights file, or found out about it."""
    if spec.remark:
        click.echo(f"{spec.name}: {spec.remark}", err=True)


def data_root_option(function: Function) -> Function:
    help = "Where the standard sets are.  [default: $SRBENCH_DATA]"
    return click.option("--data-root", type=FOLDER, is_eager=True, help=help)(function)


def force_option(help: str) -> Callable[[Function], Function]:
    """`--force`, as the argument `force`; what it does is the command's, see `srbench.base.outputs`."""
    return click.option("--force", is_flag=True, help=help)


OVER = "Write over files that are there already."


def device_option(function: Function) -> Function:
    help = "auto, cpu, cuda or cuda:N."
    return click.option("--device", type=Device(), default="auto", show_default=True, help=help)(function)


def threads_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--threads`, in force before anything is built."""

    @wraps(function)
    def with_threads(*args: Any, threads: int | None, **options: Any) -> Any:
        if threads:
            from srbench.base.threads import use_threads

            use_threads(threads)
        return function(*args, **options)

    help = "Processor threads that torch uses; kept with scores, timings and weights.  [default: as torch finds]"
    return click.option("--threads", type=click.IntRange(min=1), help=help)(with_threads)


def model_options(function: Function) -> Function:
    """What cannot be read off every weights file, as the argument `hints`; see `srbench.models.values`."""

    @wraps(function)
    def with_hints(
        *args: Any, model_scale: int | None, model_range: str | None, model_channels: str | None, **options: Any
    ) -> Any:
        from srbench.models.values import make_hints

        return function(*args, hints=make_hints(model_scale, model_range, model_channels), **options)

    scale = "Scale of a weights file or factory that does not tell its own."
    values = "Values that a weights file or factory takes and returns.  [default: found out, else 0..1]"
    order = "Order of its channels.  [default: found out, else rgb]"
    for option in (
        click.option("--model-channels", type=click.Choice(["rgb", "bgr"]), help=order),
        click.option("--model-range", metavar="LOW..HIGH", help=values),
        click.option("--model-scale", type=Scale(), help=scale),
    ):
        with_hints = option(with_hints)
    return with_hints  # type: ignore[return-value]


def precision_option(function: Function) -> Function:
    return click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True)(function)


def degradation_option(function: Function) -> Function:
    found = complete("degradations")
    return click.option(
        "--degradation", default="matlab", show_default=True, shell_complete=found, help="How LR is made from HR."
    )(function)
