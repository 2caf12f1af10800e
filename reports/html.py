"""`report.html`: one page that needs no network: leaderboard, plots, and every image under a slider.

Everything but the images is inside the page; the images lie beside it in `images/`. It is made of the template, style
and scripts in `reports/page/`, and of one JSON document that holds the scores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.figures import Palette, draw_all, reference_speeds, setting
from reports.gallery import Gallery, make_gallery
from reports.plots import inline, styled
from reports.tables import BEST, caption, notes, signatures, table_ranks
from srbench.base.temporary import write_file
from srbench.benchmark.speed.steadiness import MARK, doubts, unsteady_note
from srbench.results.summary import Heading, MeanScore, columns, heading, in_order, summarise

if TYPE_CHECKING:
    from srbench.results.results import Results

PAGE = Path(__file__).with_name("page")
SCRIPTS = ("common.js", "leaderboard.js", "viewer.js")


def write(results: Results, out: Path) -> list[Path]:
    """Write `report.html` and `images/` into `out`; raises `IncomparableError` for results that do not mix."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    scores = summarise(results)
    ranks = table_ranks(results, scores)
    gallery = make_gallery(results, out)
    with styled():
        plots = [(plot, inline(plot)) for plot in draw_all(results)]
    environment = Environment(loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("report.html.j2").render(
        style=(PAGE / "style.css").read_text(encoding="utf-8"),
        script="\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS),
        data=as_script(page_data(results, scores, ranks, gallery)),
        plots=plots,
        caption=caption(results, scores),
        best=BEST,
        notes=[*notes(scores, ranks, scores), *filter(None, [unsteady_note(results.speeds)])],
        missing=gallery.missing,
        signatures=signatures(results, scores),
        has_pictures=bool(gallery.pictures),
    )
    return [write_file(out / "report.html", text)]


def page_data(
    results: Results, scores: Sequence[MeanScore], ranks: Mapping[MeanScore, int], gallery: Gallery
) -> dict[str, Any]:
    """What the scripts work on."""
    palette = Palette(results.models)
    scales = dict.fromkeys(score.scale for score in scores)
    return {
        "models": [{"name": model, "colour": palette.colour(model)} for model in results.models],
        "metrics": [_shown(heading(metric)) for metric in columns(results)],
        "datasets": list(dict.fromkeys(run.identity.dataset for run in in_order(results))),
        "scales": list(scales),
        "scores": list(_scores(scores, ranks)),
        "speeds": [
            {"model": model, "scale": scale, "mps": row.output_mp_per_s, "ms": row.p50_ms, "gmacs": row.gmacs,
             "params": row.params, "mark": MARK if doubts(row) else "",
             "input": setting(row)}
            for scale in scales
            for model, row in reference_speeds(results.speeds, scale).items()
        ],
        "pictures": [asdict(picture) for picture in gallery.pictures],
        "images": _image_scores(results, gallery),
    }  # fmt: skip


def _shown(metric: Heading) -> dict[str, Any]:
    """How the page writes a metric's numbers, and which of them are better."""
    return {key: getattr(metric, key) for key in ("name", "label", "digits", "higher_is_better")}


def _scores(scores: Sequence[MeanScore], ranks: Mapping[MeanScore, int]) -> Iterable[dict[str, Any]]:
    for score in scores:
        yield {
            **score.key._asdict(),
            "metric": score.metric,
            "mean": number(score.mean),
            "low": number(score.interval.low),
            "high": number(score.interval.high),
            "n": score.interval.n,
            "expected": score.expected,
            "status": score.status,
            "reason": score.reason,
            "rank": ranks.get(score, 0),
        }


def _image_scores(results: Results, gallery: Gallery) -> dict[str, dict[str, list[float | str | None]]]:
    """`{"Set5/x4/baby": {"bicubic": [28.4, 0.81, 0.3]}}`, a value a column of the results, of every picture shown."""
    shown = {(picture.dataset, picture.scale, picture.image) for picture in gallery.pictures}
    found: dict[str, dict[str, list[float | str | None]]] = {}
    for run in in_order(results):
        for row in run.rows:
            if (*run.identity.setting, row.image) not in shown:
                continue
            key = f"{run.identity.dataset}/x{run.identity.scale}/{row.image}"
            values = [number(row.scores.get(metric, math.nan)) for metric in columns(results)]
            found.setdefault(key, {})[run.identity.model] = values
    return found


def number(value: float) -> float | str | None:
    """A number for JSON, which has no infinity and no NaN: they become "inf" and null. Far more digits than are shown:
    rounding twice would print other numbers than the tables do.
    """
    if math.isnan(value):
        return None
    return round(value, 9) if math.isfinite(value) else str(value)


def as_script(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: no text in it can end the element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
