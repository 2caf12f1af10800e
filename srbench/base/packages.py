"""What pip calls this package, and how an optional package is got.

The import and the command are `srbench`. On the public index that name belongs to a stranger, so the distribution has
another, and no text may advise to install that one.
"""

from __future__ import annotations

DISTRIBUTION = "srbench-sr"


def install_hint(extra: str) -> str:
    """`pip install 'srbench-sr[onnx]'`: the command that brings the packages of an extra."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
