"""Words that messages share."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 run`, `3 runs`, `12,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """`4 s`, `2.5 min`, `1.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
