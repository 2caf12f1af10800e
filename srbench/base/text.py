"""Names and messages of strangers in formats that have a syntax of their own."""

from __future__ import annotations

import re


def markdown(text: str) -> str:
    """Text that may stand in Markdown, in tables too: in one line, no bar, no HTML, no code, no link."""
    line = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return line.replace("`", "\\`").replace("](", "]\\(")


def markdown_code(text: str) -> str:
    """Text as code, in a fence that is longer than any in it."""
    line = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence}{line}{fence}"
