"""Names and messages of strangers: in formats that have a syntax of their own, and as names of files."""

from __future__ import annotations

import hashlib
import re


def as_file_name(text: str, most: int = 200) -> str:
    """A text as the stem of a file's name, which has 255 bytes: a longer one is cut, and its digest tells it apart."""
    if len(text.encode(errors="replace")) <= most:
        return text
    cut = text.encode(errors="replace")[: most - 9].decode(errors="ignore")
    return f"{cut}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}"


def markdown(text: str) -> str:
    """Text that may stand in Markdown, in tables too: in one line, no bar, no HTML, no code, no link."""
    line = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return line.replace("`", "\\`").replace("](", "]\\(")


def markdown_code(text: str) -> str:
    """Text as code, in a fence that is longer than any in it."""
    line = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence}{line}{fence}"
