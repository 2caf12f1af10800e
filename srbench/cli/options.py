"""What commands share: the command class with its switches, comma-separated lists, common options."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from srbench.models.spec import PRECISIONS

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(click.Command):
    """A command that also takes `--debug` and `--offline`, which travel as environment variables."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            _switch("--offline", "SRBENCH_OFFLINE", "Fetch nothing; what is missing is shown as n/a."),
            _switch("--debug", "SRBENCH_DEBUG", "Show the traceback of an error."),
        ]


def _switch(flag: str, variable: str, help: str) -> click.Option:
    def remember(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value:
            os.environ[variable] = "1"

    return click.Option([flag], is_flag=True, expose_value=False, is_eager=True, callback=remember, help=help)


def srbench_command(**settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Decorator: `click.command` with the shared switches."""
    return click.command(cls=Command, **settings)


class CommaList(click.ParamType[tuple[Any, ...]]):
    """`a,b,c` to a tuple of what `item` makes of each; empty parts are refused."""

    def __init__(self, item: Callable[[str], Any] = str, name: str = "A,B,…") -> None:
        self.item = item
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(parts):
            self.fail(f"{value!r} has an empty part; write {self.name}", param, context)
        try:
            return tuple(self.item(part) for part in parts)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, context)


class Finite(click.FloatRange):
    """A number in a range; `nan`, which compares with nothing, is in none."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, param, context)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, context)
        return number


NAMES = CommaList()
FOLDER = click.Path(path_type=Path, file_okay=False)
EXISTING = click.Path(path_type=Path, exists=True)


def data_root_option(function: Function) -> Function:
    help = "Where the standard sets are.  [default: $SRBENCH_DATA]"
    return click.option("--data-root", type=FOLDER, help=help)(function)


def device_option(function: Function) -> Function:
    return click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")(function)


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
        click.option("--model-scale", type=click.IntRange(min=1), help=scale),
    ):
        with_hints = option(with_hints)
    return with_hints  # type: ignore[return-value]


def backend_options(function: Function) -> Function:
    """How a network is run; see `srbench.backends`. Names are checked later, since packages add more."""
    backend = "How networks run: eager, channels-last, compile, cuda-graphs, onnx[:PROVIDER], openvino."
    precision = click.option("--precision", type=click.Choice(PRECISIONS), default="fp32", show_default=True)
    return precision(click.option("--backend", default="eager", show_default=True, help=backend)(function))


def degradation_option(function: Function) -> Function:
    return click.option("--degradation", default="matlab", show_default=True, help="How LR is made from HR.")(function)
