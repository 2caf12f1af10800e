"""What a user says of a model that cannot be read off its file, and the values that networks take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from srbench.base.errors import UsageError

Range = tuple[float, float]
Channels = Literal["rgb", "bgr"]
UNIT: Range = (0.0, 1.0)


@dataclass(frozen=True)
class Values:
    """The range of values that a network takes and the one that it returns, and the order of its channels in both."""

    takes: Range = UNIT
    returns: Range = UNIT
    channels: Channels = "rgb"

    @property
    def range(self) -> str:
        """`0..255`, or `0..1:-1..1` where input and output differ: what `--model-range` is given."""
        one, other = (f"{low:g}..{high:g}" for low, high in (self.takes, self.returns))
        return one if one == other else f"{one}:{other}"

    def __str__(self) -> str:
        return f"{self.range} {self.channels}"


USUAL = Values()
"""RGB in [0, 1]: what every upscaler of srbench takes and returns."""


@dataclass(frozen=True)
class Hints:
    """`scale` of a model that does not tell its own, and the `range` (input, output) and `channels` of its values.

    What is None is read off the model, or found out; see `srbench.models.probe`.
    """

    scale: int | None = None
    range: tuple[Range, Range] | None = None
    channels: Channels | None = None


NO_HINTS = Hints()


def parse_range(text: str) -> tuple[Range, Range]:
    """`0..255` to that range of input and output; `0..1:-1..1` to the one and the other.

    Raises `ValueError` for anything else than pairs of ascending numbers.
    """
    number = r"(-?\d+(?:\.\d+)?)"
    pair = rf"{number}\.\.{number}"
    match = re.fullmatch(rf"{pair}(?::{pair})?", text)
    if match:
        low, high, out_low, out_high = (None if group is None else float(group) for group in match.groups())
        assert low is not None and high is not None
        takes = low, high
        returns = takes if out_low is None or out_high is None else (out_low, out_high)
        if takes[0] < takes[1] and returns[0] < returns[1]:
            return takes, returns
    raise ValueError(f"write a range of values as 0..255 or -1..1, or input:output as 0..1:-1..1, not {text!r}")


def make_hints(scale: int | None = None, range: str | None = None, channels: str | None = None) -> Hints:
    """The hints behind `--model-scale`, `--model-range`, `--model-channels`; raises `UsageError` for what is none."""
    if channels not in (None, *get_args(Channels)):
        raise UsageError(f"--model-channels {channels!r} is neither rgb nor bgr")
    try:
        return Hints(scale, None if range is None else parse_range(range), channels)  # type: ignore[arg-type]
    except ValueError as error:
        raise UsageError(f"--model-range: {error}") from None
