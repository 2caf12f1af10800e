"""The rating page, by Flask, an optional package. It is served on loopback unless another host is asked for."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from srbench.apps.study.answers import Answers
from srbench.apps.study.make import IMAGES, RATINGS, Question, Study, read_study
from srbench.base.documents import parse
from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.base.packages import install_hint

if TYPE_CHECKING:
    from flask import Flask

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SIDES = ("left", "right", "same")
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"


@dataclass(frozen=True)
class GivenAnswer:
    """What the page sends: `choice` is one of `SIDES` or `RATINGS`."""

    rater: str
    question: str
    choice: str


def make_app(folder: Path, hosts: tuple[str, ...] = LOOPBACK) -> Flask:
    """The application for a study; requests for other `hosts` are refused, which keeps foreign pages out.

    Raises `UnavailableError` without Flask, and `InputError` for a folder without a study.
    """
    try:
        from flask import Flask, abort, jsonify, request, send_from_directory
    except ImportError:
        raise UnavailableError(f"the rating page needs Flask: {install_hint('study')}") from None
    study, answers = read_study(folder), Answers(folder)
    static = Path(str(resources.files("srbench.apps.study"))) / "static"
    app = Flask(__name__, static_folder=str(static), static_url_path="/static")
    app.config |= {"MAX_CONTENT_LENGTH": 4096, "TRUSTED_HOSTS": list(hosts) or None}

    @app.get("/")
    def page() -> Any:
        return send_from_directory(static, "page.html")

    @app.get(f"/{IMAGES}/<name>")
    def image(name: str) -> Any:
        return send_from_directory((folder / IMAGES).resolve(), name)

    @app.post("/raters")
    def new_rater() -> Any:
        return jsonify(rater=answers.new_rater())

    @app.get("/next")
    def next_question() -> Any:
        rater = request.args.get("rater", "")
        if (seed := _seed(answers, rater)) is None:
            abort(404)
        return jsonify(shown(study, seed, answers.answered(rater)))

    @app.post("/answers")
    def answer() -> Any:
        try:
            given = parse(request.get_data(), GivenAnswer, "the answer: not as the page sends it")
        except InputError:
            abort(400)
        question, seed = study.question(given.question), _seed(answers, given.rater)
        if question is None or seed is None or given.choice not in (SIDES if study.mode == "pairs" else RATINGS):
            abort(400)
        answers.add(given.rater, question.id, chosen(question, seed, given.choice))
        return jsonify(shown(study, seed, answers.answered(given.rater)))

    @app.before_request
    def refuse_foreign_pages() -> None:
        """Browsers say whose page a request comes from; what another site's page sends is no rater's doing."""
        page = request.headers.get("Origin", request.headers.get("Referer"))
        if request.method == "POST" and page is not None and _host(page) != request.host:
            abort(403)

    @app.after_request
    def guard(response: Any) -> Any:
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    return app


def _seed(answers: Answers, rater: str) -> int | None:
    return answers.seed(rater) if re.fullmatch("[0-9a-f]{32}", rater) else None


def _host(address: str) -> str:
    with suppress(ValueError):
        return urlsplit(address).netloc
    return ""


def shown(study: Study, seed: int, answered: set[str]) -> dict[str, Any]:
    """The rater's next question without the names of models, or that there is none left."""
    order = sorted(study.questions, key=lambda question: question.id)
    random.Random(seed).shuffle(order)
    left = [question for question in order if question.id not in answered]
    state: dict[str, Any] = {"mode": study.mode, "done": len(order) - len(left), "total": len(order)}
    if left:
        pictures = [left[0].pictures[model] for model in sides(left[0], seed)]
        state |= {"question": left[0].id, "reference": left[0].reference, "pictures": pictures}
    return state


def sides(question: Question, seed: int) -> tuple[str, ...]:
    """The models from left to right: a coin for each rater and question, the same after a reload."""
    models = question.models
    return models[::-1] if random.Random(f"{seed} {question.id}").random() < 0.5 else models


def chosen(question: Question, seed: int, choice: str) -> str:
    """What is stored: the model that was preferred, `same`, or the rating."""
    if choice in ("left", "right"):
        return sides(question, seed)[("left", "right").index(choice)]
    return choice


def serve(folder: Path, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until interrupted; `ready` is called with the address once it is open. Port 0 is any that is free.

    A host other than loopback accepts requests by any name. Raises `UsageError` where it cannot listen there.
    """
    app = make_app(folder, LOOPBACK if host in LOOPBACK else ())
    from werkzeug.serving import make_server

    said = io.StringIO()
    try:
        with redirect_stderr(said):
            server = make_server(host, port, app, threaded=True)
    except SystemExit:  # which is how werkzeug says that an address is taken, or is not this machine's
        why = said.getvalue().partition("\n")[0]
        raise UsageError(f"cannot listen at {host}, port {port}: {why}. Give another --port; 0 finds one") from None
    ready(f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}/")
    server.serve_forever()
