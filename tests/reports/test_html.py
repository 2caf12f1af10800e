"""The page, opened in headless Chromium as a reader opens it: from the disk, with no server."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports import html
from reports.gallery import most_disagreement
from srbench.cli import main
from srbench.images.files import write_image
from srbench.results.results import Results
from srbench.results.store import load_results
from tests.made_results import failed_run, made_run, made_speed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MODELS = ["bicubic", "bilinear", "nearest"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of three baselines on two pictures, one of them with a blank and a file name that needs escaping."""
    home = tmp_path_factory.mktemp("page")
    random = np.random.default_rng(0)
    for name in ("a#1 b", "plain"):
        coarse = random.uniform(0, 255, (20, 28, 3)).repeat(6, axis=0).repeat(6, axis=1)
        write_image(home / "pictures" / f"{name}.png", coarse.round().astype(np.uint8))
    words = ["--models", ",".join(MODELS), "--datasets", str(home / "pictures"), "--metrics", "psnr_y,ssim_y"]
    assert main(["run", *words, "--no-speed", "--save-images", "--device", "cpu", "--out", str(home / "results")]) == 0
    loaded = load_results(home / "results")
    results = replace(loaded, speeds=tuple(made_speed(model, 5.0 + place) for place, model in enumerate(MODELS)))
    (path,) = html.write(results, home / "report")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """The page at rest; on leaving, nothing was logged, nothing failed, and no request went anywhere but the folder."""
    context = browser.new_context(viewport={"width": 1300, "height": 900}, color_scheme="light")
    opened = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(report.as_uri())
    opened.wait_for_function("document.querySelector('#pane-b .sr').naturalWidth > 0")
    yield opened
    context.close()
    assert complaints == []
    assert all(url.startswith((report.parent.as_uri(), "data:")) for url in requests)


def column(page: Any, place: int) -> list[str]:
    return [text.strip() for text in page.locator(f"#scores tbody tr > :nth-child({place})").all_inner_texts()]


def test_timings_that_are_not_steady_are_marked_and_told(tmp_path: Path) -> None:
    times = (replace(made_speed("a"), spread=0.3, repeats=7), replace(made_speed("b"), repeats=7))
    runs = tuple(made_run(model, {"psnr_y": [28.0, 29.0]}) for model in "ab")
    (path,) = html.write(Results(runs, times), tmp_path)
    text = path.read_text()
    assert [mark for _, mark in re.findall(r'("mark": ?"(~?)")', text)] == ["~", ""]
    assert "not steady: a" in text and "spread 30%" in text


def test_headings_sort_both_ways_by_mouse_and_keyboard(page: Any) -> None:
    values = [float(text.split()[0]) for text in column(page, 2)]
    assert values == sorted(values, reverse=True)
    heading = page.get_by_role("button", name="Model", exact=True)
    heading.click()
    assert column(page, 1) == sorted(MODELS)
    page.keyboard.press("Enter")
    assert column(page, 1) == sorted(MODELS, reverse=True)
    assert page.locator("th[aria-sort=descending]").inner_text() == "Model"


def test_filters_leave_out_metrics_and_models_and_show_intervals(page: Any) -> None:
    page.get_by_role("button", name="SSIM-Y", exact=True).click()
    headings = page.locator("#scores thead tr:last-child th").all_inner_texts()
    assert [text.strip() for text in headings][:2] == ["Model", "PSNR-Y ↑"] and "SSIM" not in "".join(headings)
    page.fill("#model-filter", "BI")
    assert sorted(column(page, 1)) == ["bicubic", "bilinear"]
    assert re.fullmatch(r"[\d.]+\s+[\d.]+ – [\d.]+", column(page, 2)[0])


def test_divider_follows_mouse_and_keys(page: Any) -> None:
    def split() -> float:
        return float(page.eval_on_selector("#stage", "stage => parseFloat(stage.style.getPropertyValue('--split'))"))

    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 60)
    page.mouse.up()
    assert split() == pytest.approx(25, abs=1)
    page.focus("#stage")
    page.keyboard.press("ArrowRight")
    assert split() == pytest.approx(27, abs=1)
    page.focus("#split")
    page.keyboard.press("End")
    assert split() == 100
    clip = page.eval_on_selector("#pane-b", "pane => getComputedStyle(pane).clipPath")
    assert clip.endswith("100%)")


def transforms(page: Any) -> list[str]:
    return page.eval_on_selector_all("#stage img", "images => images.map(image => image.style.transform)")


def test_zoom_and_position_are_linked_in_every_mode(page: Any) -> None:
    seen = set()
    page.focus("#stage")
    for key in ("+", "Shift+ArrowLeft", "d", "-", "e", "0", "c"):
        page.keyboard.press(key)
        assert len(set(transforms(page))) == 1
        seen.add(transforms(page)[0])
    assert len(seen) >= 5
    page.mouse.move(400, page.locator("#stage").bounding_box()["y"] + 100)
    before = transforms(page)
    page.mouse.wheel(0, -300)
    page.wait_for_function("before => document.querySelector('#stage img').style.transform !== before", arg=before[0])


def test_wheel_scrolls_the_page_until_the_viewer_is_used(page: Any) -> None:
    before = transforms(page)
    page.hover("#stage")
    page.mouse.wheel(0, 120)
    page.wait_for_function("window.scrollY > 0")
    assert transforms(page) == before


def test_error_map_is_black_where_sr_is_hr(page: Any) -> None:
    page.select_option("#model-a", "HR")
    page.select_option("#model-b", "nearest")
    page.get_by_role("button", name="Error map").click()
    page.evaluate("document.querySelectorAll('.tag').forEach(tag => tag.remove())")
    assert brightness(page, "#pane-a") == 0
    assert brightness(page, "#pane-b") > 10


def brightness(page: Any, selector: str) -> float:
    import io

    from PIL import Image

    picture = np.asarray(Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("L"))
    return float(np.median(picture))  # the image's outermost line is half transparent, and so never black


def test_pictures_are_stepped_through_chosen_and_filtered(page: Any) -> None:
    first = page.inner_text("#picture-title")
    page.focus("#stage")
    page.keyboard.press("]")
    second = page.inner_text("#picture-title")
    assert {first, second} == {"a#1 b · pictures ×4", "plain · pictures ×4"}
    page.focus("#strip [aria-selected=true]")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#picture-title") == first
    assert page.evaluate("document.activeElement.getAttribute('aria-selected')") == "true"
    page.fill("#picture-filter", "#1")
    assert page.inner_text("#picture-title") == "a#1 b · pictures ×4"
    assert page.inner_text("#picture-count") == "1 of 2 images"
    page.wait_for_function("document.querySelector('#pane-a .sr').naturalWidth === 168")


def test_rows_of_the_picture_choose_what_is_compared(page: Any) -> None:
    page.click("#picture-scores tbody tr:has-text('nearest')")
    assert page.locator("#pane-b .tag").inner_text().startswith("nearest")
    page.click("#picture-scores tbody tr:has-text('bilinear')", modifiers=["Shift"])
    assert page.locator("#pane-a .tag").inner_text().startswith("bilinear")
    page.click("#tiles button:has-text('HR')")
    assert page.locator("#pane-b .tag").inner_text() == "HR"
    assert page.locator("#tiles button").count() == 1 + len(MODELS)
    page.select_option("#model-b", "nearest")
    page.click("#swap")
    assert page.locator("#pane-a .tag").inner_text().startswith("nearest")


def test_dark_mode_by_button_and_by_system(page: Any, browser: Any, report: Path) -> None:
    def paper(opened: Any) -> str:
        return str(opened.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = paper(page)
    page.click("#theme")
    assert paper(page) != light
    context = browser.new_context(color_scheme="dark")
    other = context.new_page()
    other.goto(report.as_uri())
    assert paper(other) == paper(page)
    context.close()


def test_a_phone_scrolls_only_down(browser: Any, report: Path) -> None:
    context = browser.new_context(viewport={"width": 375, "height": 700}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    page.tap("[data-mode=side]")
    assert page.get_attribute("[data-mode=side]", "aria-pressed") == "true"
    context.close()


def test_scores_of_a_picture_fit_beside_it_and_a_tall_window_does_not_stretch_it(page: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("""() => {
        for (const row of byId("picture-scores").rows)
            row.append(element("td", {}, "0.1234"), element("td", {}, "0.1234"));
    }""")  # as wide as with LPIPS and a metric more
    assert page.eval_on_selector("aside .scroll", "box => box.scrollWidth - box.clientWidth") == 0
    page.set_viewport_size({"width": 400, "height": 2400})
    assert page.locator("#stage").bounding_box()["height"] <= 400


@pytest.mark.slow  # a clock, which other work on the machine moves
def test_first_paint_is_within_a_second(page: Any) -> None:
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    page.wait_for_function(f"{paint} !== undefined")
    assert page.evaluate(paint) < 1000


def test_page_of_219_images_and_nine_models_stays_below_2_mb(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    models = [f"model{place}" for place in range(9)]
    runs = [
        made_run(model, {name: random.uniform(20, 30, n).tolist() for name in ("psnr_y", "ssim_y", "lpips")}, dataset)
        for model in models
        for dataset, n in (("Set5", 5), ("Set14", 14), ("B100", 100), ("Urban100", 100))
    ]
    speeds = tuple(made_speed(model, 1.0 + place) for place, model in enumerate(models))
    (path,) = html.write(Results(tuple(runs), speeds), tmp_path)
    assert path.stat().st_size < 2_000_000


def test_failed_partial_and_infinite_scores_open_without_a_complaint(browser: Any, tmp_path: Path) -> None:
    scores = {"fine": [30.0, math.inf], "</script><b>": [29.0, 28.0]}
    runs = [made_run(model, {"psnr_y": values}) for model, values in scores.items()]
    (path,) = html.write(Results((*runs, failed_run("broken"))), tmp_path)
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    assert column(page, 1) == ["fine", "</script><b>", "broken"]
    assert [text.split()[0] for text in column(page, 2)] == ["∞", "28.500", "failed"]
    assert complaints == []
    page.close()


def test_two_regenerations_are_byte_equal(report: Path, tmp_path: Path) -> None:
    results = load_results(report.parent.parent / "results")
    for out in ("one", "two"):
        html.write(results, tmp_path / out)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 1 + 2 * (2 + len(MODELS))
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_page_asks_for_nothing_from_outside(report: Path) -> None:
    text = report.read_text()
    body = re.sub(r"xmlns(:\w+)?=\"[^\"]*\"", "", text)
    assert not re.search(r"(src|href)=\"(https?:)?//", body)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert {"models", "metrics", "scores", "pictures"} <= set(data)


def test_disagreement_is_found_where_it_is() -> None:
    hr = np.full((160, 200, 3), 128, np.uint8)
    other = hr.copy()
    other[100:130, 150:180] = 255
    (x, y), amount = most_disagreement([hr, other], hr)
    assert abs(x - 165) <= 36 and abs(y - 115) <= 36 and amount > 5
    assert most_disagreement([hr], hr)[1] == 0


def test_the_page_carries_image_scores_of_pictures_alone(report: Path, tmp_path: Path) -> None:
    results = load_results(report.parent.parent / "results")
    (path,) = html.write(replace(results, folder=None), tmp_path)

    def scores(page: Path) -> dict[str, object]:
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.S)
        assert found is not None
        images: dict[str, object] = json.loads(found[1])["images"]
        return images

    assert sorted(scores(report)) == ["pictures/x4/a#1 b", "pictures/x4/plain"]
    assert scores(path) == {}
