from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from safetensors.numpy import save_file

from reports import curves, plots
from reports.figures import COLOURS, MARKERS, Palette, _scatter, _usual, draw_all, pareto, reference_speeds, setting
from reports.labels import Point, sides
from scripts.readme_table import PACKAGES, README, measured, written
from srbench.base.assets import Asset, digest
from srbench.cli import main
from srbench.models.spec import ModelSpec
from srbench.results.results import Results
from srbench.results.store import load_results
from srbench.results.summary import heading
from tests.made_results import failed_run, made_run, made_speed

STORED = Path(__file__).parent / "stored"
LEADERBOARD = Path(__file__).parents[2] / "docs" / "leaderboard"


def results() -> Results:
    scores = {"psnr_y": [30.0, 32.0], "lpips": [0.2, 0.3]}
    runs = [made_run(model, scores, dataset) for model in ("bicubic", "srcnn") for dataset in ("Set5", "Set14")]
    speeds = (
        made_speed("bicubic", 1.0),
        made_speed("srcnn", 9.0, params=8032, gmacs=1.2),
        made_speed("srcnn", 40.0, params=8032, gmacs=5.0, width=256, height=256),
    )
    return Results(tuple(runs), speeds)


@pytest.fixture(scope="module")
def written_plots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return plots.write(results(), tmp_path_factory.mktemp("plots"))


def test_every_figure_as_vectors_with_text_and_as_bitmap(written_plots: list[Path]) -> None:
    paths = written_plots
    assert sorted(path.name for path in paths if path.suffix == ".svg") == [
        "distribution-x4.svg",
        "latency-x4.svg",
        "perception-distortion-x4.svg",
        "quality-gmacs-x4.svg",
        "quality-params-x4.svg",
        "quality-speed-x4.svg",
    ]
    assert {path.with_suffix(".png") for path in paths} <= set(paths)
    text = (paths[0].parent / "quality-speed-x4.svg").read_text()
    assert all(f">{word}</text>" in text for word in ("bicubic", "srcnn", "Set14", "PSNR-Y ↑"))
    assert not re.search(r"<dc:date>|\d{4}-\d\d-\d\dT", text)


def test_same_bytes_every_time(written_plots: list[Path], tmp_path: Path) -> None:
    again = plots.write(results(), tmp_path)
    assert [path.name for path in again] == [path.name for path in written_plots]
    for path, before in zip(again, written_plots, strict=True):
        assert path.read_bytes() == before.read_bytes(), path.name


def test_failed_infinite_and_untimed_results_draw_what_there_is(tmp_path: Path) -> None:
    assert plots.write(Results((failed_run("broken"),)), tmp_path) == []
    infinite = Results((made_run("same", {"psnr_y": [math.inf, 30.0]}), failed_run("broken")), (made_speed("same"),))
    assert [plot.name for plot in draw_all(infinite)] == ["distribution-x4"]


def test_of_timings_alone_is_drawn_what_they_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = Results((), (made_speed("srcnn"), made_speed("net")))
    assert plots.write(small, tmp_path) == []
    assert capsys.readouterr().err == f"srbench: plots: {plots.NOTHING}\n"
    written = plots.write(replace(small, speeds=(*small.speeds, made_speed("net", 90.0, width=240))), tmp_path)
    assert [path.name for path in written] == ["latency-x4.svg", "latency-x4.png"]
    assert "net" in written[0].read_text() and not capsys.readouterr().err


def test_a_mean_that_is_infinite_everywhere_leaves_out_what_it_has_no_place_in(tmp_path: Path) -> None:
    scores = {"psnr_y": [math.inf, 30.0], "lpips": [0.0, 0.1]}
    runs = tuple(made_run(model, scores, "white") for model in ("bicubic", "nearest"))
    paths = plots.write(Results(runs, (made_speed("bicubic", 1.0), made_speed("nearest", 1.0))), tmp_path)
    assert {path.name for path in paths} == {"distribution-x4.svg", "distribution-x4.png"}
    one = (made_run("bicubic", {"psnr_y": [math.inf], "lpips": [0.0]}, "Set5"), *runs[:1])
    assert plots.write(Results(one), tmp_path / "one")


def test_inline_figures_take_the_colours_of_the_page() -> None:
    with plots.styled():
        svg = plots.inline(next(draw_all(results())))
    assert svg.startswith("<svg") and "currentColor" in svg and "var(--faint)" in svg


def test_speed_is_that_of_the_size_at_which_most_were_timed() -> None:
    speeds = reference_speeds(results().speeds, 4)
    assert {model: row.p50_ms for model, row in speeds.items()} == {"bicubic": 1.0, "srcnn": 9.0}
    assert reference_speeds(results().speeds, 2) == {}


def test_timings_of_other_settings_stand_for_no_model_that_has_the_usual_one() -> None:
    rows = [made_speed("srcnn", 9.0), made_speed("srcnn", 99.0, precision="bf16"), made_speed("srcnn", 8.0, threads=2)]
    assert [row.p50_ms for row in _usual(rows, 4)] == [9.0]  # by as many threads as most; fp32, eager


POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12)


@given(POINTS)
def test_no_model_beats_one_on_the_front_and_every_other_is_beaten(places: list[tuple[int, int]]) -> None:
    points = [Point(str(index), float(x), float(y)) for index, (x, y) in enumerate(places)]
    front = pareto(points, more_x=True, more_y=True)
    assert front

    def beaten(point: Point) -> bool:
        return any(
            (one.x or 0) >= (point.x or 0) and one.y >= point.y and (one.x, one.y) != (point.x, point.y)
            for one in points
        )

    assert all(beaten(point) != (point in front) for point in points)


def test_a_model_without_that_cost_is_not_on_the_front() -> None:
    free, costly = Point("bicubic", None, 28.0), Point("srcnn", 8032.0, 30.0)
    assert pareto([free, costly], more_x=False, more_y=True) == [costly]


SHIPPED = [
    ("bicubic", 60.0, 28.416), ("bilinear", 66.0, 27.546), ("lanczos", 41.0, 28.796), ("srcnn", 0.61, 30.2),
    ("srresnet", 0.33, 31.1), ("srgan", 0.34, 29.3), ("esrgan-6b", 0.12, 29.49), ("esrnet-6b", 0.12, 31.076),
    ("nearest", 300.0, 26.5),
]  # fmt: skip
STACK = [("bicubic", 29.0, 28.4), ("lanczos", 30.0, 28.8), ("far", 0.1, 31.0), ("free", None, 29.0)]
PAIRS = [("srgan", 25.99, 0.21), ("esrgan", 25.87, 0.21), ("bicubic", 25.96, 0.52), ("lanczos", 26.12, 0.53)]
SLOW = [("srresnet", 0.33, 31.1), ("srcnn", 0.6, 31.05), ("srgan", 0.3, 29.3), ("bicubic", 60.0, 28.4)]


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("places", [SHIPPED, STACK, PAIRS, SLOW])
def test_names_in_a_plot_cover_neither_each_other_nor_a_marker(
    places: list[tuple[str, float | None, float]], log: bool
) -> None:
    """As matplotlib draws them."""
    points = [Point(*place) for place in places]
    assert {point for point, _ in sides(points, log=log)} == {point for point in points if point.x is not None}
    figure = _scatter({"B100": points, "Set5": points}, Palette([point.model for point in points]), "output megapixels "
                      "per second", heading("psnr_y"), more_is_better=True, log=log)  # fmt: skip
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    axes = figure.axes[0]
    drawn = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in axes.texts]
    for (one, box), (other, beside) in combinations(drawn, 2):
        assert not box.overlaps(beside), (one, other)
    for point in points:
        if point.x is not None:
            x, y = axes.transData.transform((point.x, point.y))
            assert not [name for name, box in drawn if box.contains(x, y)], point.model


def test_models_keep_their_colour_and_twelve_have_colours_and_markers_of_their_own() -> None:
    models = [f"model{place}" for place in range(12)]
    palette = Palette(models)
    assert len({palette.marker(model) for model in models}) == 12 <= len(MARKERS)
    assert len({palette.colour(model) for model in models}) == 12 == len(set(COLOURS))
    assert palette.colour("model3") == Palette([*models, "later"]).colour("model3")


@pytest.mark.parametrize("folder", sorted(path.name for path in STORED.iterdir()))
def test_stored_results_of_every_schema_still_render(folder: str, tmp_path: Path) -> None:
    formats = ["--format", "md,tex,csv,plots,html"]
    assert main(["report", str(STORED / folder), *formats, "--out", str(tmp_path)]) == 0
    text = (tmp_path / "report.md").read_text()
    assert "**∞**" not in text and "| bicubic | " in text.replace("  ", "") and "failed" in text
    assert "1 of 3 images equal HR" in text


def test_plain_text_of_the_leaderboard_is_that_of_its_results(tmp_path: Path) -> None:
    if not (LEADERBOARD / "results").is_dir():
        pytest.skip("docs/leaderboard/results is not there")
    assert main(["report", str(LEADERBOARD / "results"), "--format", "md,csv", "--out", str(tmp_path)]) == 0
    for path in tmp_path.glob("[!.]*"):
        made, kept = (one.read_text(encoding="utf-8") for one in (path, LEADERBOARD / path.name))
        remedy = f"{path.name}: see docs/leaderboard/README.md"
        if path.suffix != ".csv":
            assert made == kept, remedy
            continue
        fields = [re.split(r"[,\n]", text) for text in (made, kept)]
        assert len(fields[0]) == len(fields[1]), remedy
        assert all(map(same_field, *fields)), remedy


def same_field(made: str, kept: str) -> bool:
    """Equal as text, or as numbers but for the last digits, which other versions of numpy and scipy sum otherwise."""
    try:
        return made == kept or math.isclose(float(made), float(kept), rel_tol=1e-9)
    except ValueError:
        return False


def test_the_table_of_the_readme_is_that_of_the_leaderboard() -> None:
    page = README.read_text(encoding="utf-8")
    assert written(page) == page, "run scripts/readme_table.py"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_lists_say_of_models_is_that_of_the_leaderboard(package: str) -> None:
    path = README.parent / package / "measured.csv"
    assert path.read_text(encoding="utf-8") == measured(package), "run scripts/readme_table.py"
    assert len(measured(package).splitlines()) > 4


def test_results_remember_their_folder() -> None:
    loaded = load_results(STORED / "schema-1")
    assert loaded.folder == STORED / "schema-1"
    assert loaded.only([loaded.runs[0].identity]).folder == loaded.folder
    assert replace(loaded, speeds=()).folder == loaded.folder


def test_training_curves_are_read_from_the_weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = [[100, 1.5, 0.05, 28.1], [200, 3.0, 0.03, math.nan]]
    path = tmp_path / "srcnn.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, path, {"curve": json.dumps(curve)})
    read = curves.read_curve(path, "srcnn")
    assert read is not None and read.steps == (100, 200) and read.losses == (0.05, 0.03) and read.psnr[0] == 28.1
    spec = ModelSpec("srcnn", (4,), lambda scale, device: None, {4: Asset(f"file/{path.name}")})  # type: ignore[arg-type, return-value]
    monkeypatch.setattr(curves, "find_model", lambda ref: spec)
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    results = Results((made_run("srcnn", {"psnr_y": [30.0, 31.0]}, weights=digest(path)),))
    assert [plot.name for plot in draw_all(results)] == ["distribution-x4", "training-x4"]
    assert curves.curves_of(Results((made_run("srcnn", {"psnr_y": [30.0]}, weights="0" * 64),)), 4) == []
    save_file({"weight": np.zeros(3, np.float32)}, path)
    assert curves.read_curve(path, "srcnn") is None


def test_the_dots_of_many_images_are_pixels_in_a_small_file() -> None:
    draw = np.random.default_rng(0).normal(28.0, 3.0, (2, 2000))
    runs = tuple(made_run(model, {"psnr_y": scores.tolist()}) for model, scores in zip("ab", draw, strict=True))
    with plots.styled():
        (plot,) = [plot for plot in draw_all(Results(runs)) if plot.name == "distribution-x4"]
        svg = plots.inline(plot)
    assert "<image" in svg
    assert len(svg) < 150_000  # it was 110 bytes an image
    assert ">b</text>" in svg  # what is read stays text


def test_timings_by_other_threads_are_not_drawn_beside_each_other() -> None:
    slow, fast, other = made_speed("a", 20.0, threads=1), made_speed("a", 9.0, threads=2), made_speed("b", threads=2)
    assert reference_speeds([slow, fast, other], 4) == {"a": fast, "b": other}
    assert setting(fast) == "120×80 on cpu, 2 threads" and reference_speeds([], 4) == {}
