"""`plots/*.svg` and `*.png`: every figure as vectors with real text, and as a bitmap; the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reports.figures import FAINT, INK, Plot, draw_all
from srbench.base.temporary import write_file

if TYPE_CHECKING:
    from srbench.results.results import Results

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "srbench",  # else ids are random
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.8,
    "axes.formatter.min_exponent": 3,
}
DPI = 160
NOTHING = "nothing to draw: of timings alone, those of several sizes are drawn. Scores come from srbench run"


def write(results: Results, out: Path) -> list[Path]:
    """Write the figures into `out/plots`; raises `IncomparableError` for results that do not mix.

    Where there is nothing to draw, stderr has it.
    """
    with styled():
        written = [
            write_file(out / "plots" / f"{plot.name}.{suffix}", rendered(plot, suffix))
            for plot in draw_all(results)
            for suffix in ("svg", "png")
        ]
    if not written:
        click.echo(f"srbench: plots: {NOTHING}", err=True)
    return written


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's defaults with our style, whatever the user's own matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def rendered(plot: Plot, suffix: str) -> bytes:
    """A figure as `svg` or `png`, without date or version, which would differ from time to time."""
    buffer = io.BytesIO()
    nothing: dict[str, None] = {"Date": None, "Creator": None} if suffix == "svg" else {"Software": None}
    plot.figure.savefig(buffer, format=suffix, dpi=DPI, metadata=nothing, transparent=suffix == "svg")
    plot.figure.set_layout_engine("none")  # laid out once: a second format is drawn in half the time
    return buffer.getvalue()


def inline(plot: Plot) -> str:
    """A figure as an SVG element that takes text and grid colours from the page around it."""
    svg = rendered(plot, "svg").decode()
    svg = svg[svg.index("<svg") :]
    return svg.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
