"""Figures of a report, as matplotlib draws them: what is on the axes, which models are on the Pareto front.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart, and five more that lie far from these
as such readers see them; each model also has its own marker and its name beside it. A figure that the results hold
nothing for is left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING

from reports.curves import TrainingCurve, curves_of
from reports.labels import PLACES, Point, Side, sides
from srbench.base.text import counted, one_line
from srbench.benchmark.speed.steadiness import doubts
from srbench.results.records import SpeedRow
from srbench.results.results import Results
from srbench.results.summary import Heading, MeanScore, heading, in_order, summarise

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#1a1a19", "#c9c8c2"
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a", "#4d4dff", "#a50026", "#8c564b",
    "#17becf", "#999933",
)  # fmt: skip
MARKERS = "osD^vPX*<>hpd"
PANEL = (3.9, 3.3)
"""Width and height of one data set's panel, in inches."""
LONGEST = 24  # letters of a name in a plot

MOST_DOTS = 2_000
"""Of images in one figure; more are kept as pixels, since an SVG takes 100 bytes for each and a reader no notice."""


@dataclass(frozen=True)
class Plot:
    """A figure with the name of its file and the sentence that describes it to those who do not see it."""

    name: str
    title: str
    description: str
    figure: Figure


HOLLOW = "Hollow markers: timings that are not steady, see the table."


class Palette:
    """Colour and marker of each model, in the order of the results, so that a model looks the same everywhere."""

    def __init__(self, models: Sequence[str]) -> None:
        self._models = list(models)

    def colour(self, model: str) -> str:
        """`#rrggbb`"""
        return COLOURS[self._place(model) % len(COLOURS)]

    def marker(self, model: str) -> str:
        """matplotlib's letter for a shape."""
        return MARKERS[self._place(model) % len(MARKERS)]

    def _place(self, model: str) -> int:
        return self._models.index(model) if model in self._models else len(self._models)


def draw_all(results: Results) -> Iterator[Plot]:
    """Every figure that the results hold something for, scale by scale."""
    scores = summarise(results)
    palette = Palette([*dict.fromkeys([*results.models, *(row.model for row in results.speeds)])])
    for scale in dict.fromkeys([*(score.scale for score in scores), *(row.scale for row in results.speeds)]):
        here = [score for score in scores if score.scale == scale and score.status == "scored"]
        quality = next((score.metric for score in here if heading(score.metric).higher_is_better), None)
        speeds = reference_speeds(results.speeds, scale)
        if quality:
            yield from _against_costs(scale, [score for score in here if score.metric == quality], speeds, palette)
            yield from _distributions(results, scale, quality, palette)
        yield from _perception_distortion(scale, here, quality, palette)
        yield from _latency(results.speeds, scale, palette)
        yield from _training(curves_of(results, scale), scale, palette)


def _usual(speeds: Iterable[SpeedRow], scale: int) -> list[SpeedRow]:
    """One timing, of batch 1, of each model and size, on the device and by the threads that most were timed with: in
    fp32 and eager where there is one, else the last."""
    rows = [row for row in speeds if row.scale == scale and row.batch == 1]
    usual, _ = max(Counter((row.device, row.threads) for row in rows).items(), key=itemgetter(1), default=(None, 0))
    rows = [row for row in rows if (row.device, row.threads) == usual]
    rows.sort(key=lambda row: (row.precision, row.backend) == ("fp32", "eager"))
    return list({(row.model, row.width, row.height): row for row in rows}.values())


def reference_speeds(speeds: Iterable[SpeedRow], scale: int) -> dict[str, SpeedRow]:
    """The timing of each model at the size at which most were timed, batch 1; of several such sizes the largest."""
    rows = _usual(speeds, scale)
    sizes = [(row.width, row.height) for row in rows]
    if not sizes:
        return {}
    chosen = max(sizes, key=lambda size: (sizes.count(size), size[0] * size[1]))
    return {row.model: row for row in rows if (row.width, row.height) == chosen}


def setting(row: SpeedRow) -> str:
    """What a timing was of, which those beside it share: `120×80 on cpu, 2 threads`."""
    return f"{row.width}×{row.height} on {row.device}" + (f", {counted(row.threads, 'thread')}" if row.threads else "")


def _against_costs(
    scale: int, scores: Sequence[MeanScore], speeds: dict[str, SpeedRow], palette: Palette
) -> Iterator[Plot]:
    """Quality against throughput, parameters and GMACs."""
    if not speeds:
        return
    row = next(iter(speeds.values()))
    at = f"input {setting(row)}"
    costs: list[tuple[str, str, Callable[[SpeedRow], float | None], bool]] = [
        ("speed", f"output megapixels per second ({at})", lambda row: row.output_mp_per_s, True),
        ("params", "parameters", lambda row: row.params or None, False),
        ("gmacs", f"GMACs (input {row.width}×{row.height})", lambda row: row.gmacs, False),
    ]
    for name, label, cost, more_is_better in costs:
        points = {
            dataset: [
                Point(score.model, cost(row), score.mean, name != "speed" or not doubts(row))
                for score in group
                for row in [speeds[score.model]]
            ]
            for dataset, group in by_dataset(score for score in scores if score.model in speeds)
        }
        if any(point.x for group in points.values() for point in group):
            metric = heading(scores[0].metric)
            title = f"{metric.label} against {label.partition(' (')[0]}, ×{scale}"
            figure = _scatter(points, palette, label, metric, more_is_better=more_is_better)
            what = "A panel a data set; the line is the Pareto front, the models that no other beats in both."
            if not all(point.steady for group in points.values() for point in group):
                what += f" {HOLLOW}"
            yield Plot(f"quality-{name}-x{scale}", title, what, figure)


def _perception_distortion(
    scale: int, scores: Sequence[MeanScore], quality: str | None, palette: Palette
) -> Iterator[Plot]:
    """LPIPS against PSNR (Blau and Michaeli, CVPR 2018): no model is at the best end of both."""
    lpips = {(score.dataset, score.model): score.mean for score in scores if score.metric == "lpips"}
    distortion = [score for score in scores if score.metric == quality and (score.dataset, score.model) in lpips]
    if quality is None or not distortion:
        return
    points = {
        dataset: [Point(score.model, score.mean, lpips[dataset, score.model]) for score in group]
        for dataset, group in by_dataset(distortion)
    }
    if not points:  # the mean PSNR of every data set is infinite
        return
    title, what = f"LPIPS and distortion, ×{scale}", f"LPIPS against {heading(quality).label}, a panel a data set."
    figure = _scatter(points, palette, heading(quality).text, heading("lpips"), more_is_better=True, log=False)
    yield Plot(f"perception-distortion-x{scale}", title, what, figure)


def _distributions(results: Results, scale: int, metric: str, palette: Palette) -> Iterator[Plot]:
    """Every image's score as a dot, with the quartiles of each model."""
    runs = [run for run in in_order(results) if run.identity.scale == scale and run.values(metric)]
    datasets = list(dict.fromkeys(run.identity.dataset for run in runs))
    figure, panels = _panels(len(datasets), height=max(2.2, 0.34 * len(results.models) + 1.2))
    dense = sum(len(run.values(metric)) for run in runs) > MOST_DOTS
    for dataset, axes in zip(datasets, panels, strict=True):
        here = [run for run in runs if run.identity.dataset == dataset][::-1]
        for place, run in enumerate(here):
            values = [value for value in run.values(metric) if math.isfinite(value)]
            _strip(axes, place, values, palette.colour(run.identity.model), as_pixels=dense)
        axes.set_yticks(range(len(here)), [named(run.identity.model) for run in here])
        axes.set(title=named(dataset), xlabel=plain(heading(metric).label))
    title = f"{heading(metric).label} image by image, ×{scale}"
    yield Plot(f"distribution-x{scale}", title, "A dot an image, a box from quartile to quartile.", figure)


def _strip(axes: Axes, place: int, values: Sequence[float], colour: str, *, as_pixels: bool) -> None:
    if not values:
        return
    spread = [place + 0.22 * math.sin(12.9898 * index) for index in range(len(values))]
    axes.scatter(values, spread, s=9, color=colour, alpha=0.8, linewidths=0, zorder=3, rasterized=as_pixels)
    style = {"color": INK, "linewidth": 0.8}
    axes.boxplot(
        [values], positions=[place], orientation="horizontal", widths=0.5, showfliers=False, manage_ticks=False,
        boxprops=style, whiskerprops=style, capprops=style, medianprops={"color": INK, "linewidth": 2.0},
    )  # fmt: skip


def _latency(speeds: Sequence[SpeedRow], scale: int, palette: Palette) -> Iterator[Plot]:
    """Latency against input size, where more than one was timed."""
    rows = _usual(speeds, scale)
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in sorted(rows, key=lambda row: row.width * row.height):
        lines.setdefault(row.model, []).append((row.width * row.height / 1e6, row.p50_ms))
    if not any(len(line) > 1 for line in lines.values()):
        return
    figure, (axes,) = _panels(1, width=5.6)
    for model, line in lines.items():
        x, y = zip(*line, strict=True)
        axes.plot(x, y, color=palette.colour(model), marker=palette.marker(model), markersize=5, linewidth=1.6)
        hollow = [(row.width * row.height / 1e6, row.p50_ms) for row in rows if row.model == model and doubts(row)]
        for place in hollow:
            axes.plot(
                *place, color=palette.colour(model), marker=palette.marker(model), markersize=5, markerfacecolor="white"
            )
        axes.annotate(named(model), (x[-1], y[-1]), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="input megapixels",
        ylabel=f"median latency, ms ({setting(rows[0]).partition(' on ')[2]})",
    )
    axes.margins(x=0.15)
    title = f"Latency against input size, ×{scale}"
    what = "A line a model, both axes logarithmic." + (f" {HOLLOW}" if any(map(doubts, rows)) else "")
    yield Plot(f"latency-x{scale}", title, what, figure)


def _training(curves: Sequence[TrainingCurve], scale: int, palette: Palette) -> Iterator[Plot]:
    """Mean loss, and validation PSNR where there was one, against the step."""
    if not curves:
        return
    figure, (loss, psnr) = _panels(2)
    for curve in curves:
        colour = palette.colour(curve.model)
        loss.plot(curve.steps, curve.losses, color=colour, linewidth=1.4, label=named(curve.model))
        if curve.validated:
            psnr.plot(curve.steps, curve.psnr, color=colour, linewidth=1.4)
    loss.set(title="Training", xlabel="step", ylabel="mean loss", yscale="log")
    loss.legend(frameon=False, fontsize=8)
    psnr.set(title="Validation", xlabel="step", ylabel="PSNR-Y")
    yield Plot(f"training-x{scale}", f"Training, ×{scale}", "Mean loss and validation PSNR, a line a model.", figure)


def by_dataset(scores: Iterable[MeanScore]) -> list[tuple[str, list[MeanScore]]]:
    """The scores with finite means, in groups of one data set."""
    groups: dict[str, list[MeanScore]] = {}
    for score in scores:
        if math.isfinite(score.mean):
            groups.setdefault(score.dataset, []).append(score)
    return list(groups.items())


def pareto(points: Iterable[Point], *, more_x: bool, more_y: bool) -> list[Point]:
    """The points that no other beats in both directions, by x. Points without x are left out."""
    placed = [point for point in points if point.x is not None]

    def beats(one: Point, other: Point) -> bool:
        assert one.x is not None and other.x is not None
        x = one.x - other.x if more_x else other.x - one.x
        y = one.y - other.y if more_y else other.y - one.y
        return x >= 0 and y >= 0 and (x > 0 or y > 0)

    front = [point for point in placed if not any(beats(other, point) for other in placed)]
    return sorted(front, key=lambda point: (point.x or 0.0, point.y))


def _scatter(
    groups: dict[str, list[Point]],
    palette: Palette,
    label: str,
    metric: Heading,
    *,
    more_is_better: bool,
    log: bool = True,
) -> Figure:
    figure, panels = _panels(len(groups))
    for (dataset, points), axes in zip(groups.items(), panels, strict=True):
        front = pareto(points, more_x=more_is_better, more_y=bool(metric.higher_is_better))
        axes.plot([point.x or 0.0 for point in front], [point.y for point in front], color=FAINT, linewidth=5, zorder=1)
        for point, side in sides(points, log=log):
            _place(axes, point, palette, bold=point in front, side=side)
        lines = sorted((point for point in points if point.x is None), key=lambda point: point.y)
        for index, point in enumerate(lines):
            _draw_line(axes, point, palette, across=0.01 + 0.2 * (index % 2))
        axes.set(title=named(dataset), xlabel=plain(label), ylabel=plain(metric.text))
        if log:
            axes.set_xscale("log")
        axes.margins(0.16)
    return figure


def _place(axes: Axes, point: Point, palette: Palette, *, bold: bool, side: Side) -> None:
    """A marker with its name, of a model that has such a cost."""
    assert point.x is not None
    colour, marker = palette.colour(point.model), palette.marker(point.model)
    face = colour if point.steady else "white"
    axes.scatter([point.x], [point.y], s=46, facecolor=face, edgecolor=colour, marker=marker, zorder=3)
    offset, across, down = PLACES[side]
    axes.annotate(
        named(point.model), (point.x, point.y), xytext=offset, textcoords="offset points", ha=across, va=down,
        fontsize=8, fontweight="bold" if bold else "normal",
    )  # fmt: skip


def _draw_line(axes: Axes, point: Point, palette: Palette, *, across: float) -> None:
    """A dashed line for a model without such a cost; neighbours have their names at other places along them."""
    axes.axhline(point.y, color=palette.colour(point.model), linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(named(point.model), (across, point.y), xycoords=("axes fraction", "data"), va="bottom", fontsize=7)


def named(name: str) -> str:
    """A name as matplotlib draws it, cut where it would leave no room for the plot itself."""
    cut = f"{name[: LONGEST // 2]}…{name[1 - LONGEST // 2 :]}" if len(name) > LONGEST else name
    return plain(one_line(cut))


def plain(text: str) -> str:
    """Text that matplotlib draws as it is: between two dollar signs it would read a formula."""
    return text.replace("$", r"\$")


def _panels(count: int, width: float = PANEL[0], height: float = PANEL[1]) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    across = min(count, 2) or 1
    down = -(-count // across)
    figure = Figure(figsize=(width * across, height * down), layout="constrained")
    panels = [figure.add_subplot(down, across, place + 1) for place in range(count)]
    for axes in panels:
        axes.grid(color=FAINT, linewidth=0.5, alpha=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels
