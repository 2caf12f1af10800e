"""Words that messages share, and text of strangers: in Markdown, in LaTeX, and as names of files."""

from __future__ import annotations

import hashlib
import re
from typing import TypeVar

Number = TypeVar("Number", int, float)

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "×": r"$\times$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "∞": r"$\infty$", "−": "$-$", "–": "--", "²": "$^2$",
}  # fmt: skip


def counted(number: int, noun: str) -> str:
    """`1 run`, `3 runs`, `12,000 images`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def is_whole(text: str) -> bool:
    """Whether a text is a whole number in the digits 0 to 9: `isdigit` takes ², which `int` refuses, and ٣ for 3."""
    return text.isascii() and text.isdecimal()


def is_plain(text: str) -> bool:
    """Whether a text is a whole number as `str` writes it, of at most 18 digits: `007` would be another name of 7."""
    return is_whole(text) and len(text) <= 18 and str(int(text)) == text


def number(text: str, kind: type[Number]) -> Number:
    """`kind(text)`, of ASCII alone and without `_`: Python reads `٣` and `1_0`, too. Raises `ValueError`."""
    if not text.isascii() or "_" in text:
        raise ValueError(text)
    return kind(text)


def duration(seconds: float) -> str:
    """`4 s`, `2.5 min`, `1.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def as_file_name(text: str) -> str:
    """A text as the stem of a file's name, which has 255 bytes: beyond 200 it is cut, and its digest tells it apart."""
    name = text.encode(errors="replace")
    return text if len(name) <= 200 else f"{name[:191].decode(errors='ignore')}-{hashlib.sha256(name).hexdigest()[:8]}"


def markdown(text: str) -> str:
    """Text that may stand in Markdown, in tables too: in one line; no bar, HTML, code, link or control code."""
    line = one_line(text).replace("|", "\\|").replace("<", "&lt;")
    return line.replace("`", "\\`").replace("](", "]\\(")


def one_line(text: str) -> str:
    """One line without control codes, which a terminal would obey and LaTeX refuses."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def markdown_code(text: str) -> str:
    """Text as code, in a fence that is longer than any in it."""
    line = one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence}{line}{fence}"


def latex(text: str) -> str:
    """Text as source that pdfLaTeX sets, in one line."""
    return "".join(LATEX.get(letter, letter) for letter in one_line(text))


def fitted(tabular: str) -> str:
    """A LaTeX tabular that is made smaller where it is wider than the line; needs graphicx."""
    return "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n" + tabular + "}"
