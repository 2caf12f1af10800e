"""A pytest fixture, so that a model's own test suite can say: no worse than the baseline.

    def test_no_worse(srbench_check):
        srbench_check(my_model, "tests/baseline.json", datasets="samples")

`pytest --srbench-update` writes the present scores into the baseline instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from srbench.analysis.check.check import Verdict
    from srbench.models.spec import Upscaler

    Check = Callable[..., Verdict]


OPTION = "--srbench-update"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, action="store_true", help="write present scores into srbench baselines")


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
        from srbench.base.errors import SrbenchError

        results = evaluate(model, datasets, **options)
        path = Path(baseline)
        if update:
            write_baseline(path, (read_baseline(path) if path.exists() else Baseline({})).updated(results))
        try:
            expected = read_baseline(path).of_model(results.runs[0].identity.model)
            verdict = check_results(results, expected, read_tolerances(None).updated(tolerance or {}))
            problem = "" if verdict.passed else as_text(verdict, str(path), accept=f"pytest {OPTION}")
        except SrbenchError as error:  # the sentence, with the option that pytest has
            problem = str(error).replace("add --update", "--update").replace("--update", f"pytest {OPTION}")
        if problem:  # outside of the clause above: pytest would show the error beside it, with another option
            pytest.fail(problem, pytrace=False)
        return verdict

    return check
