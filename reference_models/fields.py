"""What a field of a recipe is: its meaning, unit and range, said once beside the field.

From here come the checks of `--set` and of TOML files, the comments of `srbench train RECIPE --show`, and the table in
docs/training.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from srbench.base.errors import UsageError
from srbench.base.text import number

Number = int | float


@dataclass(frozen=True)
class About:
    """Of one field. `low` is the least value, or with `above` what a value must lie above; `high` the greatest."""

    meaning: str
    unit: str = ""
    low: Number | None = None
    high: Number | None = None
    above: bool = False
    below: bool = False

    @property
    def range(self) -> str:
        """`at least 1`, `above 0`, `0 up to below 1`; empty where anything goes."""
        low = "" if self.low is None else f"{'above' if self.above else 'at least'} {self.low}"
        high = "" if self.high is None else f"{'below' if self.below else 'at most'} {self.high}"
        return " and ".join(filter(None, (low, high)))

    def holds(self, value: Number) -> bool:
        """Whether a number is finite and in the range."""
        if not math.isfinite(value):
            return False
        enough = self.low is None or (value > self.low if self.above else value >= self.low)
        return enough and (self.high is None or (value < self.high if self.below else value <= self.high))


def about(meaning: str, default: Any = MISSING, unit: str = "", **limits: Any) -> Any:
    """A dataclass field with its meaning, in a phrase; `limits` are those of `About`."""
    facts = {"about": About(meaning, unit, **limits)}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=facts)
    return field(metadata=facts) if default is MISSING else field(default=default, metadata=facts)


def described(kind: type) -> Iterator[tuple[Field[Any], About, Any]]:
    """Each field of a recipe class, what is said of it, and its type."""
    hints = _hints(kind)
    for item in fields(kind):
        yield item, item.metadata["about"], hints[item.name]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def parsed(key: str, text: str, hint: Any) -> Any:
    """A value as it is typed on a command line. Raises `UsageError` where it is not of the type."""
    try:
        if hint is bool:
            return {"true": True, "false": False}[text.lower()]
        if get_origin(hint) is tuple:
            return tuple(number(part, float) for part in text.split(",") if part.strip())
        return number(text, hint) if hint in (int, float) else text
    except (ValueError, KeyError):
        raise UsageError(f"{key}={text}: expected {spelled(hint)}") from None


def checked(key: str, value: Any, hint: Any, facts: About) -> Any:
    """The value, as the field has it. Raises `UsageError` for another type, a choice or number that there is not."""
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        return tuple(checked(key, item, float, facts) for item in value)
    if get_origin(hint) in (dict, Mapping) and get_args(hint)[1] is float and isinstance(value, Mapping):
        return {name: checked(f"{key}.{name}", part, float, facts) for name, part in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if choices and value not in choices:
        raise UsageError(f"{key}={value}: expected one of {', '.join(map(repr, choices))}")
    if not choices and not _is(value, hint):
        listed = get_origin(hint) is tuple
        raise UsageError(f"{key}={value!r}: expected {'a list of numbers, as [0.5]' if listed else spelled(hint)}")
    if isinstance(value, int | float) and not isinstance(value, bool) and not facts.holds(value):
        unit = f" ({facts.unit})" if facts.unit else ""
        expected = facts.range if math.isfinite(value) else "a finite number"
        raise UsageError(f"{key}={value}: expected {expected}{unit}: {facts.meaning}")
    return value


def _is(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(_is(value, part) for part in get_args(hint))
    if hint in (int, float):
        return isinstance(value, hint) and not isinstance(value, bool)
    if (origin := get_origin(hint)) is None:
        return isinstance(value, hint)
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_is(item, get_args(hint)[1]) for item in value.values())
    return isinstance(value, origin)


def spelled(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) if choice else '""' for choice in get_args(hint))
    if get_origin(hint) is tuple:
        return "numbers with commas between them"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names.get(hint, "a table of names and values")


def as_toml(value: Any) -> str:
    """A value as TOML writes it: texts, numbers, true and false, and lists of them."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return repr(value)


def described_in_words(item: Field[Any], facts: About, hint: Any) -> str:
    """The comment above a field: meaning, unit, and the choices or the range."""
    choices = spelled(hint) if get_origin(hint) is Literal else facts.range
    return "; ".join(filter(None, (facts.meaning, facts.unit and f"in {facts.unit}", choices)))


def table(kind: type, leave_out: frozenset[str] = frozenset()) -> str:
    """The fields as a Markdown table."""
    rows = [
        f"| `{item.name}` | {facts.meaning} | {facts.unit or '–'} | {_allowed(facts, hint)} |"
        for item, facts, hint in described(kind)
        if item.name not in leave_out
    ]
    return "\n".join(["| field | meaning | unit | values |", "|---|---|---|---|", *rows])


def _allowed(facts: About, hint: Any) -> str:
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" if choice else '`""`' for choice in get_args(hint))
    return facts.range or spelled(hint)
