"""What a user says of a model that cannot be read off its file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from srbench.errors import UsageError

UNIT = (0.0, 1.0)


@dataclass(frozen=True)
class Hints:
    """`scale` of a model that does not tell its own, and the `range` of values that it takes and returns."""

    scale: int | None = None
    range: tuple[float, float] = UNIT


NO_HINTS = Hints()


def parse_range(text: str) -> tuple[float, float]:
    """`0..255` to `(0.0, 255.0)`; raises `ValueError` for anything else than two ascending numbers."""
    number = r"(-?\d+(?:\.\d+)?)"
    match = re.fullmatch(rf"{number}\.\.{number}", text)
    if not match or float(match[1]) >= float(match[2]):
        raise ValueError(f"write a range of values as 0..255 or -1..1, not {text!r}")
    return float(match[1]), float(match[2])


def make_hints(scale: int | None, range: str) -> Hints:
    """The hints behind `--model-scale` and `--model-range`; raises `UsageError` for a range that is none."""
    try:
        return Hints(scale, parse_range(range))
    except ValueError as error:
        raise UsageError(f"--model-range: {error}") from None
