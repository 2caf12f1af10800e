"""Words that messages share."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 run`, `3 runs`, `12,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
