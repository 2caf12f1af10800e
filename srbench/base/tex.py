"""Plain text as LaTeX source."""

from __future__ import annotations

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "×": r"$\times$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "∞": r"$\infty$", "−": "$-$", "–": "--", "²": "$^2$",
}  # fmt: skip


def escape(text: str) -> str:
    """Text as source that pdfLaTeX sets."""
    return "".join(SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def fitted(tabular: str) -> str:
    """A tabular that is made smaller where it is wider than the line; needs graphicx."""
    return "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n" + tabular + "}"
