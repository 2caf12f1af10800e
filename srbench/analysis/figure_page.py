"""The figure drawn: PNG or PDF by matplotlib, or LaTeX with its pictures beside it. Names are never cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srbench.base.errors import UsageError
from srbench.base.temporary import atomic_file, write_file
from srbench.base.text import fitted
from srbench.base.text import latex as escape
from srbench.images.files import write_image
from srbench.models.wrap import safe_name

if TYPE_CHECKING:
    from srbench.analysis.figure import Strip

SUFFIXES = (".png", ".pdf", ".tex")
POINTS = 8.0
NARROWEST = 1.1
"""Inches of a panel; a longer name makes all of them wider."""

GAP = 0.08
LINE = 0.16
"""Inches of a line of text."""

DPI = 300

HEAD = r"""% needs \usepackage{graphicx}
% Pictures are looked for beside this file, as \input{FOLDER/...} names it; LaTeX from before October 2020 looks beside
% the paper, unless that says \newcommand{\srbenchpath}{FOLDER/} first.
\providecommand{\srbenchpath}{\ifdefined\CurrentFilePath\ifx\CurrentFilePath\empty\else\CurrentFilePath/\fi\fi}
"""


def outputs(path: Path) -> list[Path]:
    """What `write_figure` writes: the file, and the folder of its pictures beside LaTeX.

    Raises `UsageError` for a suffix that is none of `SUFFIXES`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: a figure ends in {', '.join(SUFFIXES)}")
    return [path, _pictures(path)] if path.suffix.lower() == ".tex" else [path]


def _pictures(path: Path) -> Path:
    """The folder named as the file, without what LaTeX cannot read in a path: spaces, `%`, `#`."""
    return path.with_name(safe_name(path.stem))


def write_figure(strips: Sequence[Strip], path: Path) -> list[Path]:
    """Write the figure in the format of the suffix, see `outputs`; returns what was written."""
    from matplotlib import rc_context

    outputs(path)
    if path.suffix.lower() == ".tex":
        return _tex(strips, path)
    kind = path.suffix[1:].lower()
    undated = {"Software": None} if kind == "png" else {"CreationDate": None}
    with atomic_file(path) as file, rc_context({"pdf.fonttype": 42}):  # journals refuse the default, type 3
        draw(strips).savefig(file, format=kind, dpi=DPI, metadata=undated)
    return [path]


def draw(strips: Sequence[Strip]) -> Any:
    """A matplotlib figure: for each image the whole HR on the left, two rows of panels beside it."""
    from matplotlib.figure import Figure

    texts = (text for strip in strips for panel in strip.panels for text in (panel.name, panel.scores))
    width = max(NARROWEST, max(map(text_inches, texts)) + 2 * GAP)
    tall = [width * strip.panels[0].crop.shape[0] / strip.panels[0].crop.shape[1] for strip in strips]
    columns = max(-(-len(strip.panels) // 2) for strip in strips)
    heights = [2 * (side + 2 * LINE + GAP) for side in tall]
    wide = [_whole_inches(strip, height) for strip, height in zip(strips, heights, strict=True)]
    size = (max(wide) + GAP + columns * (width + GAP) + GAP, sum(heights) + GAP)
    figure = Figure(figsize=size)
    top = size[1]
    for strip, side, height, whole in zip(strips, tall, heights, wide, strict=True):
        _place(figure, strip.whole, (GAP, top - height + 2 * LINE, whole, height - 2 * LINE - GAP), strip)
        for index, panel in enumerate(strip.panels):
            row, column = divmod(index, columns)
            left, bottom = max(wide) + 2 * GAP + column * (width + GAP), top - (row + 1) * (height / 2) + 2 * LINE
            _place(figure, panel.crop, (left, bottom, width, side))
            _write(figure, panel.name, left + width / 2, bottom - 0.5 * LINE)
            _write(figure, panel.scores, left + width / 2, bottom - 1.5 * LINE)
        _write(figure, _title(strip), GAP + whole / 2, top - height + 1.5 * LINE)
        top -= height
    return figure


def _title(strip: Strip) -> str:
    return f"{strip.image} ({strip.dataset} ×{strip.scale})"


def text_inches(text: str) -> float:
    """How wide a text is set."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    return (
        float(TextPath((0, 0), text, size=POINTS, prop=FontProperties(family="DejaVu Sans")).get_extents().width) / 72
    )


def _whole_inches(strip: Strip, height: float) -> float:
    """The width of the whole image at the height that its panels leave, and at least that of its title."""
    natural: float = (height - 2 * LINE - GAP) * strip.whole.shape[1] / strip.whole.shape[0]
    return max(natural, text_inches(_title(strip)) + GAP)


def _place(figure: Any, image: Any, box: tuple[float, float, float, float], strip: Strip | None = None) -> None:
    """An image in a box of inches (left, bottom, width, height); of a whole image, the crop's place in a frame."""
    from matplotlib.patches import Rectangle

    across, up = figure.get_size_inches()
    axes = figure.add_axes((box[0] / across, box[1] / up, box[2] / across, box[3] / up))
    axes.set_axis_off()
    axes.imshow(image, interpolation="nearest")
    if strip is not None:
        left, top, width, height = strip.crop
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="red", linewidth=1.2))


def _write(figure: Any, text: str, x: float, y: float) -> None:
    across, up = figure.get_size_inches()
    figure.text(x / across, y / up, text, ha="center", va="center", fontsize=POINTS, family="DejaVu Sans")


def _tex(strips: Sequence[Strip], path: Path) -> list[Path]:
    """A `figure*` with a tabular for each image; pictures lie in a folder beside it, as PNG."""
    folder = _pictures(path)
    written, blocks = [], []
    for number, strip in enumerate(strips):
        cells = []
        for index, panel in enumerate(strip.panels):
            picture = folder / f"{number}-{index}.png"
            write_image(picture, panel.crop)
            written.append(picture)
            beside = rf"\srbenchpath {folder.name}/{picture.name}"
            cells.append((rf"\includegraphics[width={0.96 / len(strip.panels):.3f}\linewidth]{{{beside}}}", panel))
        lines = [
            [image for image, _ in cells],
            [escape(panel.name) for _, panel in cells],
            [escape(panel.scores) for _, panel in cells],
        ]
        body = " \\\\\n    ".join(" & ".join(line) for line in lines)
        blocks.append(
            fitted(
                f"  \\begin{{tabular}}{{{'c' * len(cells)}}}\n    {body} \\\\\n"
                f"    \\multicolumn{{{len(cells)}}}{{c}}{{{escape(_title(strip))}}}\n  \\end{{tabular}}"
            )
            + "\n"
        )
    shown = ", ".join(_title(strip) for strip in strips)
    text = (
        f"{HEAD}\\begin{{figure*}}\n  \\centering\n  \\footnotesize\n"
        "  \\setlength{\\tabcolsep}{1pt}\n" + "".join(blocks) + f"  \\caption{{{escape(shown)}.}}\n\\end{{figure*}}\n"
    )
    return [write_file(path, text), *written]
