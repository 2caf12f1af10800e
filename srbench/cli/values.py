"""The values of options as people type them: names with commas, which the shell completes, and scales such as `x4`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from srbench.base.registry import load, plain, registered_name
from srbench.base.text import is_whole


class CommaList(click.ParamType):  # type: ignore[type-arg]  # a generic only since click 8.4
    """`a,b,c`, or with `spaces` `a b c`, to a tuple of what `item` makes of each; empty parts are refused."""

    def __init__(self, item: Callable[[str], Any] = str, name: str = "A,B,…", *, spaces: bool = True) -> None:
        self.item = item
        self.name = name
        self.spaces = spaces

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(parts):
            self.fail(f"{value!r} has an empty part; write {self.name}", param, context)
        if self.spaces:
            parts = [word for part in parts for word in ([part] if self.is_one(part, context) else part.split())]
        try:
            return tuple(self.item(part) for part in parts)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, context)

    def is_one(self, part: str, context: click.Context | None) -> bool:
        """Whether what holds a space is one all the same: a file, a folder, or `FILE.py:name` that is there."""
        return Path(part).exists() or Path(part.rpartition(":")[0] or part).is_file()


class Names(CommaList):
    """Names of one kind (`models`, `datasets`, `metrics`, …) with commas; the last one is completed in the shell."""

    def __init__(self, kind: str, *more: str, spaces: bool = True) -> None:
        super().__init__(spaces=spaces)
        self.kind = kind
        self.more = more

    def is_one(self, part: str, context: click.Context | None) -> bool:
        """A model may also be `A + B`, or `name=file`; a data set lies under the data root."""
        if super().is_one(part, context):
            return True
        if self.kind == "models":
            words = [word.strip() for word in re.split("[+=]", part)]
            return len(words) > 1 and all(" " not in word or Path(word).exists() for word in words)
        if self.kind == "datasets" and " " in part:
            from srbench.datasets import data_root

            return (data_root(context.params.get("data_root") if context else None) / part).is_dir()
        return False

    def shell_complete(self, context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        found = begun(last, self._names(last), before + comma)
        return found or [CompletionItem(incomplete, type="file")]  # or a folder, perhaps: the shell knows those

    def _names(self, last: str) -> list[str]:
        """All names, and behind `psnr_y@` those of the conventions that have its channel, and `lpips@vgg`."""
        from srbench.cli.kinds import KINDS

        base, at, _ = last.partition("@")
        names = [*self.more, *KINDS[self.kind].names()]
        base = registered_name("metrics", base)
        if self.kind != "metrics" or not at or base not in names:
            return names
        channel = load("metrics", base).channel
        fitting = [row["name"] for row in KINDS["conventions"].records(None) if channel in row["channels"]]
        variants = [name.removeprefix(base + "_") for name in names if name.startswith(base + "_")]
        return [f"{base}@{behind}" for behind in variants + fitting]


def one_value_each(context: click.Context, param: click.Parameter, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Callback of an option that takes `KEY=VALUE`, as text or as a pair: a key with two values is refused."""
    found: dict[str, Any] = {}
    for one in given:
        key, value = one.partition("=")[::2] if isinstance(one, str) else one
        if (first := found.setdefault(plain(key.strip()), value)) != value:
            told = f"{param.opts[-1]} {key} takes one value, and is given {first} and {value}"
            raise click.UsageError(told, context)
    return given


def begun(typed: str, names: Iterable[str], before: str = "") -> list[CompletionItem]:
    """The names that begin as typed, for the shell; `before` is what stands before each in the same word."""
    return [CompletionItem(before + name) for name in names if plain(name).startswith(plain(typed))]


def argument_before(context: click.Context, name: str) -> str:
    """An argument typed before the option that is completed; click, with no value for that, leaves it in the rest."""
    return str(context.params.get(name) or next(iter(context.args), ""))


def complete(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """The completion of an option with one value of a kind."""
    return Names(kind).shell_complete


def scale(text: str) -> int:
    """`4`, `x4`, `×4` or `4x` to 4; raises `ValueError` for anything else than a whole number above zero."""
    digits = text.strip().lower().strip("x×")
    if not is_whole(digits) or int(digits) < 1:
        raise ValueError("write a scale as 4 or x4")
    return int(digits)


def lr_size(text: str) -> tuple[int, int]:
    """`120x80`, width and height, to `(120, 80)`; raises `ValueError` for anything else."""
    match = re.fullmatch(r"([1-9][0-9]*)[xX×]([1-9][0-9]*)", text)
    if not match:
        raise ValueError(f"write a size as WIDTHxHEIGHT, not {text!r}")
    return int(match[1]), int(match[2])


class Scale(click.ParamType):  # type: ignore[type-arg]  # a generic only since click 8.4
    """One scale, `4` or `x4`, from `least` up."""

    name = "SCALE"

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        try:
            found = value if isinstance(value, int) else scale(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, context)
        if found < self.least:
            self.fail(f"{value!r} is below {self.least}", param, context)
        return found


class Device(click.ParamType):  # type: ignore[type-arg]  # a generic only since click 8.4
    """A device's name as torch writes it: to ask torch whether it is one at all would take seconds."""

    name = "DEVICE"
    KINDS = ("cpu", "cuda", "xpu", "hpu", "mtia", "npu", "mps")

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        found = str(value).lower()
        kind, colon, number = found.partition(":")
        if found != "auto" and (kind not in self.KINDS or (colon and not is_whole(number))):
            self.fail(f"{value!r}: write auto, cpu, cuda or cuda:N", param, context)
        return found


class Finite(click.FloatRange):
    """A number in a range; `nan`, which compares with nothing, is in none."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        number = super().convert(value, param, context)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, context)
        return number


class Factor(Finite):
    """As `Finite`, of `2.5` or `x2.5`."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        number: Any = value.strip("xX×") if isinstance(value, str) else value
        return float(super().convert(number, param, context))


class Large(Finite):
    """As `Finite`, of `1500000`, `1.5e6`, `1.5M` or `1500k`."""

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        match = re.fullmatch(r"([0-9.]+) *([kmg])", str(value).lower())
        number: Any = match[1] + {"k": "e3", "m": "e6", "g": "e9"}[match[2]] if match else value
        return float(super().convert(number, param, context))
