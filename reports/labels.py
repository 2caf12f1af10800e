"""Where names stand in a scatter plot, so that they cover neither each other nor a marker."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

WIDE, HIGH = 165.0, 135.0
"""Between the outermost points of a panel, in points (1/72 inch), with room at its sides."""
ROOM = 26.0
"""Beyond the outermost points, before a name leaves the panel."""
LETTER, LINE, MARKER = 4.7, 10.0, 4.0
"""Width of a letter, height of a line and half a marker."""
GAP = 7.0
ROUNDS = 4

Side = Literal["over", "under", "right", "left"]
PLACES: dict[Side, tuple[tuple[float, float], str, str]] = {
    "over": ((0, GAP), "center", "bottom"),
    "under": ((0, -GAP), "center", "top"),
    "right": ((GAP, 0), "left", "center"),
    "left": ((-GAP, 0), "right", "center"),
}
"""Of a name beside its marker, best first: points right and up, horizontal and vertical alignment."""


@dataclass(frozen=True)
class Point:
    """A model at a place of a scatter plot; x is None where the model has no such cost, as an interpolation.

    `steady` is False where x was timed and should not be believed: then the marker is hollow.
    """

    model: str
    x: float | None
    y: float
    steady: bool = True


class _Box(NamedTuple):
    left: float
    low: float
    right: float
    high: float

    def shared(self, other: _Box) -> float:
        """The area of both."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        return max(wide, 0.0) * max(min(self.high, other.high) - max(self.low, other.low), 0.0)


PANEL = _Box(-ROOM, -ROOM, WIDE + ROOM, HIGH + ROOM)


def sides(points: Sequence[Point], *, log: bool = False) -> list[tuple[Point, Side]]:
    """The points that have an x, by it, and on which side of its marker each name stands: that where it covers least,
    of others the first of `PLACES`; each in its turn, and again while the others move.
    """
    where = _spread([point for point in points if point.x], log=log)
    markers = {point: _Box(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for point, (x, y) in where.items()}
    found: dict[Point, Side] = {}
    for _ in range(ROUNDS):
        before = dict(found)
        for point in sorted(where, key=where.__getitem__):
            taken = [markers[other] for other in where if other != point]
            taken += [_name(other, where[other], side) for other, side in found.items() if other != point]
            covered = {side: _covered(_name(point, where[point], side), taken) for side in PLACES}
            found[point] = min(covered, key=covered.__getitem__)
        if found == before:
            break
    return [(point, found[point]) for point in sorted(where, key=lambda point: where[point][0])]


def _spread(points: Iterable[Point], *, log: bool) -> dict[Point, tuple[float, float]]:
    """Where points lie in a panel that they fill, in points (1/72 inch)."""
    where = {point: (math.log(point.x) if log else point.x, point.y) for point in points if point.x}
    lows = [min(values) for values in zip(*where.values(), strict=True)]
    spans = [max(values) - min(values) or 1.0 for values in zip(*where.values(), strict=True)]
    return {
        point: ((x - lows[0]) / spans[0] * WIDE, (y - lows[1]) / spans[1] * HIGH) for point, (x, y) in where.items()
    }


def _name(point: Point, at: tuple[float, float], side: Side) -> _Box:
    (right, up), across, down = PLACES[side]
    wide = LETTER * len(point.model)
    left = at[0] + right - wide * {"left": 0.0, "center": 0.5, "right": 1.0}[across]
    low = at[1] + up - LINE * {"bottom": 0.0, "center": 0.5, "top": 1.0}[down]
    return _Box(left, low, left + wide, low + LINE)


def _covered(name: _Box, taken: Iterable[_Box]) -> float:
    """What a name covers of others, and how much of it lies outside of the panel."""
    outside = (name.right - name.left) * LINE - name.shared(PANEL)
    return round(sum(map(name.shared, taken)) + outside, 6)
