"""A pytest fixture, so that a model's own test suite can say: no worse than the baseline.

    def test_no_worse(srbench_check):
        srbench_check(my_model, "tests/baseline.json", datasets="samples")

`pytest --srbench-update` writes the present scores into the baseline instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from srbench.analysis.check.check import Verdict
    from srbench.models.spec import Upscaler

    Check = Callable[..., Verdict]

T = TypeVar("T")

OPTION = "--srbench-update"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="write present scores into srbench baselines")


def _made(make: Callable[[], T]) -> T:
    """What is made; an error of srbench fails the test with its sentence, and with the option that pytest has."""
    from srbench.base.errors import SrbenchError

    try:
        return make()
    except SrbenchError as error:
        problem = str(error).replace("add --update", "--update").replace("--update", f"pytest {OPTION}")
    pytest.fail(problem, pytrace=False)  # outside of the clause above: pytest would show the error beside it


@pytest.fixture
def srbench_check(request: pytest.FixtureRequest) -> Check:
    """A function `check(model, baseline, datasets="samples", tolerance=None, **options)`.

    It evaluates the model (`srbench.evaluate`, whose keywords `options` are) and fails the test where a score is worse
    than the baseline file allows; `tolerance` maps metrics to absolute tolerances. Other models in the file are left
    alone. Returns the verdict.
    """
    update = bool(request.config.getoption(OPTION))

    def check(
        model: str | Upscaler,
        baseline: str | Path,
        datasets: str | tuple[str, ...] = "samples",
        tolerance: dict[str, float] | None = None,
        **options: Any,
    ) -> Verdict:
        from srbench import evaluate
        from srbench.analysis.check.baseline import Baseline, read_baseline, write_baseline
        from srbench.analysis.check.check import check_results
        from srbench.analysis.check.formats import as_text
        from srbench.analysis.check.tolerances import read_tolerances

        path = Path(baseline)  # read before the model runs, which may take minutes
        stored = _made(lambda: Baseline({}) if update and not path.exists() else read_baseline(path))
        tolerances = _made(lambda: read_tolerances(None).updated(tolerance or {}))
        results = evaluate(model, datasets, **options)
        if update:
            stored = stored.updated(results)
            write_baseline(path, stored)
        model_name = results.runs[0].identity.model
        verdict = _made(lambda: check_results(results, stored.of_model(model_name), tolerances))
        if not verdict.passed:
            pytest.fail(as_text(verdict, str(path), accept=f"pytest {OPTION}"), pytrace=False)
        return verdict

    return check
