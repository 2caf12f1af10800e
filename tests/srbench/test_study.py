"""`srbench study`: blind, validated, safe against reloads and double clicks; scores that find a planted order."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from srbench.apps.study.answers import Answers
from srbench.apps.study.make import Study, read_study
from srbench.apps.study.score import ELO, bradley_terry, score_study
from srbench.apps.study.serve import chosen, shown, sides
from tests.conftest import Srbench

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MODELS = ("bicubic", "lanczos", "nearest")


@pytest.fixture
def results(folder: Path, srbench: Srbench) -> Path:
    out = folder.parent / "results"
    options = ["--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--save-images", "--out", out]
    assert srbench("run", "--models", ",".join(MODELS), *options) == 0
    return out


@pytest.fixture
def study(results: Path, srbench: Srbench, tmp_path: Path) -> Path:
    assert srbench("study", "make", results, tmp_path / "study", "--crop", 32) == 0
    assert "9 questions" in srbench.err
    return tmp_path / "study"


@pytest.fixture
def client(study: Path) -> Any:
    pytest.importorskip("flask", reason="needs Flask: pip install 'srbench-sr[study]'")
    from srbench.apps.study.serve import make_app

    return make_app(study).test_client()


def test_a_study_compares_every_pair_on_every_image(study: Path) -> None:
    made = read_study(study)
    pairs = {frozenset(question.models) for question in made.questions}
    assert pairs == {frozenset(pair) for pair in (MODELS[:2], MODELS[1:], (MODELS[0], MODELS[2]))}
    assert {question.image for question in made.questions} == {"a", "b", "c"}
    for path in (study / "images").iterdir():
        assert re.fullmatch("[0-9a-f]{24}.png", path.name)  # a name that tells nothing


def test_raters_see_neither_models_nor_a_fixed_side(study: Path) -> None:
    made = read_study(study)
    assert not any(model in str(shown(made, 1, set())) for model in MODELS)
    lefts = [sides(question, seed)[0] == question.models[0] for question in made.questions for seed in range(100)]
    assert 0.4 < np.mean(lefts) < 0.6
    orders = {tuple(_walk(made, seed)) for seed in range(5)}
    assert len(orders) == 5
    assert all(sorted(order) == sorted(question.id for question in made.questions) for order in orders)


def _walk(made: Study, seed: int) -> Iterator[str]:
    answered: set[str] = set()
    while question := shown(made, seed, answered).get("question"):
        yield question
        answered.add(question)


def test_answers_through_the_page_are_of_the_models_shown(client: Any, study: Path) -> None:
    made = read_study(study)
    rater = client.post("/raters").get_json()["rater"]
    state = client.get("/next", query_string={"rater": rater}).get_json()
    assert (state["done"], state["total"], state["mode"]) == (0, 9, "pairs")
    seed = Answers(study).seed(rater)
    question = made.question(state["question"])
    assert seed is not None and question is not None
    assert state["pictures"] == [question.pictures[model] for model in sides(question, seed)]
    assert client.get(f"/images/{state['reference']}", buffered=True).mimetype == "image/png"
    sent = {"rater": rater, "question": state["question"], "choice": "right"}
    assert client.post("/answers", json=sent).get_json()["done"] == 1
    assert client.post("/answers", json={**sent, "choice": "left"}).get_json()["done"] == 1  # the first one stands
    assert Answers(study).all() == [(rater, question.id, sides(question, seed)[1])]
    assert client.get("/next", query_string={"rater": rater}).get_json()["done"] == 1  # as after a reload


@pytest.mark.parametrize(
    "sent", [{"choice": "best"}, {"question": "none"}, {"rater": "0" * 32}, {"rater": 5}, {"choice": ["left"]}, []]
)
def test_answers_that_are_none_are_refused(client: Any, study: Path, sent: Any) -> None:
    rater = client.post("/raters").get_json()["rater"]
    question = client.get("/next", query_string={"rater": rater}).get_json()["question"]
    given = {"rater": rater, "question": question, "choice": "left"} | sent if isinstance(sent, dict) else sent
    assert client.post("/answers", json=given).status_code == 400
    assert Answers(study).all() == []


def test_what_the_server_does_not_give(client: Any) -> None:
    assert client.get("/next", query_string={"rater": "' OR 1=1"}).status_code == 404
    assert client.get("/images/../study.json").status_code == 404
    assert client.get("/images/%2e%2e%2fstudy.json").status_code == 404
    assert client.post("/answers", data="rater=1").status_code == 400
    assert client.post("/answers", json={"rater": "x" * 9000}).status_code == 413
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert "default-src 'self'" in client.get("/", buffered=True).headers["Content-Security-Policy"]


def answer_all(study: Path, strengths: dict[str, float], raters: int) -> None:
    """Raters who prefer a model with the probability that Bradley and Terry give it, and see no difference at times."""
    made, answers, chance = read_study(study), Answers(study), random.Random(0)
    for _ in range(raters):
        rater = answers.new_rater()
        for question in made.questions:
            a, b = question.models
            wins = chance.random() < strengths[a] / (strengths[a] + strengths[b])
            answers.add(rater, question.id, "same" if chance.random() < 0.1 else a if wins else b)


def test_a_planted_order_is_found(study: Path, srbench: Srbench, tmp_path: Path) -> None:
    assert srbench("study", "score", study) == 2
    assert "nobody has answered yet. Ask people: srbench study serve" in srbench.err
    answer_all(study, {"lanczos": 4.0, "bicubic": 2.0, "nearest": 1.0}, raters=25)
    _, scores = score_study(study)
    assert [score.model for score in scores] == ["lanczos", "bicubic", "nearest"]
    assert sum(score.value for score in scores) == pytest.approx(0, abs=1e-6)
    for score in scores:
        assert score.low <= score.value <= score.high
        assert score.n == 25 * 6
    assert srbench("study", "score", study, "--csv", tmp_path / "scores.csv") == 0
    assert re.search(r"lanczos +\d+ +\[-?\d+, -?\d+\] +150", srbench.out)
    with (tmp_path / "scores.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["lanczos", "bicubic", "nearest"]


def test_what_people_said_is_a_column_of_the_report(
    study: Path, results: Path, srbench: Srbench, tmp_path: Path
) -> None:
    answer_all(study, {"lanczos": 4.0, "bicubic": 2.0, "nearest": 1.0}, raters=5)
    assert srbench("study", "score", study, "--into", results) == 0
    assert "elo.json: srbench report" in srbench.err
    report = tmp_path / "report"
    assert srbench("report", results, "--format", "md,tex,csv,html", "--out", report) == 0
    best = {score.model: score.value for score in score_study(study)[1]}["lanczos"]
    text = (report / "report.md").read_text()
    assert "| model | tiny PSNR-Y ↑ | tiny Elo by raters ↑ |" in re.sub(" +", " ", text)
    assert re.search(rf"\| lanczos +\| .* \| +\*\*{best:.0f}\*\* \|", text)
    assert "Elo by raters: 45 answers of 5 people on 3 images of tiny. " in text
    assert rf"\textbf{{{best:.0f}}}" in (report / "report.tex").read_text()
    with (report / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "elo"]
    assert {row["model"] for row in rows} == set(MODELS) and {row["n"] for row in rows} == {"3"}
    assert float(rows[1]["mean"]) == pytest.approx(best, abs=1e-5)
    assert '"label":"Elo by raters"' in (report / "report.html").read_text()
    kept = results / "_study" / "elo.json"
    rows = json.loads(kept.read_text())
    rows["scores"][0]["weights"] = "0f" * 32  # as if the model had been trained anew since
    kept.write_text(json.dumps(rows))
    assert srbench("report", results, "--format", "md", "--out", report) == 0
    assert "Elo by raters of bicubic on tiny ×4 is n/a: raters saw other weights" in (report / "report.md").read_text()
    assert srbench("compare", results, "--models", "bicubic,lanczos") == 0  # images have no Elo: nothing else changes


def test_bradley_terry_returns_the_strengths_that_made_the_wins() -> None:
    """Expected wins of strengths 1, 2, 4 and 8 in 10,000 games a pair: the model's own fixed point."""
    strength = np.array([1.0, 2.0, 4.0, 8.0])
    wins = 10_000 * strength[:, None] / (strength[:, None] + strength[None, :])
    np.fill_diagonal(wins, 0.0)
    expected = np.log(strength) * ELO
    np.testing.assert_allclose(bradley_terry(wins), expected - expected.mean(), atol=0.2)
    never_lost = bradley_terry(np.array([[0.0, 10.0], [0.0, 0.0]]))
    assert np.isfinite(never_lost).all() and never_lost[0] > never_lost[1]


def test_mean_opinion_scores(results: Path, srbench: Srbench, tmp_path: Path) -> None:
    folder = tmp_path / "opinions"
    assert srbench("study", "make", results, folder, "--mode", "opinion", "--models", "bicubic,nearest") == 0
    made, answers = read_study(folder), Answers(folder)
    assert len(made.questions) == 6
    for rater in (answers.new_rater(), answers.new_rater()):
        for question in made.questions:
            answers.add(rater, question.id, chosen(question, 0, "4" if question.models == ("bicubic",) else "2"))
    assert srbench("study", "score", folder) == 0
    assert re.search(r"bicubic +4\.00 +\[4\.00, 4\.00\] +6\nnearest +2\.00", srbench.out)


def test_studies_that_cannot_be_made(
    folder: Path, results: Path, study: Path, srbench: Srbench, tmp_path: Path
) -> None:
    for arguments, message in {
        (results, study): "holds a study already",
        (results, tmp_path / "s", "--models", "bicubic"): "comparing takes two models, got bicubic",
        (results, tmp_path / "s", "--models", "bicubic,esrgan"): "unknown model 'esrgan'. ",
    }.items():
        assert srbench("study", "make", *arguments) == 2
        assert message in srbench.err
    shutil.rmtree(results / "tiny" / "x4" / "bicubic")
    assert srbench("study", "make", results, tmp_path / "s") == 2
    assert "no saved image. Make it: srbench run --save-images" in srbench.err
    assert srbench("study", "score", folder) == 2
    assert "holds no study" in srbench.err


@contextmanager
def served(study: Path) -> Iterator[str]:
    pytest.importorskip("flask", reason="needs Flask: pip install 'srbench-sr[study]'")
    from werkzeug.serving import make_server

    from srbench.apps.study.serve import make_app

    server = make_server("127.0.0.1", 0, make_app(study), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_three_raters_at_once_in_a_browser(study: Path) -> None:
    """One by keyboard, who reloads on the way; one by mouse; one on a phone."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt install chromium")
    with served(study) as address, playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        phone = started.devices["Pixel 5"]
        pages = [browser.new_context(**options).new_page() for options in ({}, {}, phone)]
        errors: list[str] = []
        for page in pages:
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(address)
        for done in range(9):
            for page in pages:
                playwright.expect(page.locator("#count")).to_have_text(f"{done} of 9")
            if done == 4:
                pages[0].reload()
                playwright.expect(pages[0].locator("#count")).to_have_text("4 of 9")
            pages[0].keyboard.press("ArrowLeft")
            pages[1].get_by_role("button", name="No difference").click()
            pages[2].get_by_role("button", name="Right").tap()
        for page in pages:
            page.get_by_text("That was all. Thank you.").wait_for()
        width = pages[2].evaluate("document.documentElement.scrollWidth")
        assert width <= phone["viewport"]["width"]
        assert errors == []
        browser.close()
    made, answers = read_study(study), Answers(study)
    rows = answers.all()
    by_rater = {rater: {question: choice for who, question, choice in rows if who == rater} for rater, _, _ in rows}
    assert [len(given) for given in by_rater.values()] == [9, 9, 9]
    sided = []
    for rater, given in by_rater.items():
        seed = answers.seed(rater)
        assert seed is not None
        places = [(*sides(question, seed), "same").index(given[question.id]) for question in made.questions]
        assert len(set(places)) == 1
        sided.append(places[0])
    assert sorted(sided) == [0, 1, 2]
