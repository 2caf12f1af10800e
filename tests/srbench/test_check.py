from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from srbench.analysis.check.baseline import Baseline, baseline_of, read_baseline, speed_key, write_baseline
from srbench.analysis.check.check import Verdict, check_results
from srbench.analysis.check.formats import as_text
from srbench.analysis.check.tolerances import Tolerances
from srbench.base.errors import IncomparableError, InputError, UsageError
from srbench.cli import main
from srbench.results.records import Row, Run
from srbench.results.results import Results
from tests.made_results import failed_run, made_run, made_speed, saved

SCORES = {"psnr_y": [30.0, 31.0, math.inf], "ssim_y": [0.9, 0.8, 1.0], "lpips": [0.2, 0.3, 0.0]}
BEFORE = made_run("srcnn", SCORES, weights="a" * 64)


def changed(run: Run, image: int = 0, *, stage: str = "sr", **scores: float) -> Run:
    """The run with one image's scores moved, and the digests from `stage` on."""
    rows = list(run.rows)
    digests = dict.fromkeys(("hr", "lr", "sr")[("hr", "lr", "sr", "metric").index(stage) :], "other")
    rows[image] = replace(rows[image], scores={**rows[image].scores, **scores}, **digests)
    return replace(run, rows=tuple(rows))


def check(now: Run, before: Run = BEFORE, **tolerances: float) -> Verdict:
    return check_results(Results((now,)), Baseline({before.identity.key: before}), Tolerances(tolerances))


def kinds(verdict: Verdict) -> list[str]:
    return [finding.kind for finding in verdict.findings]


def test_equal_results_pass() -> None:
    verdict = check(BEFORE)
    assert verdict.passed and not verdict.findings and verdict.compared == 9


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        ({"psnr_y": 29.991}, None),
        ({"psnr_y": 29.989}, "regression"),
        ({"psnr_y": 30.011}, "improvement"),
        ({"ssim_y": 0.89991}, None),
        ({"ssim_y": 0.89989}, "regression"),
        ({"lpips": 0.2009}, None),
        ({"lpips": 0.2011}, "regression"),
        ({"lpips": 0.1989}, "improvement"),
        ({"psnr_y": math.inf}, "improvement"),
    ],
)
def test_a_score_may_move_within_its_tolerance(scores: dict[str, float], kind: str | None) -> None:
    verdict = check(changed(BEFORE, **scores))
    assert kinds(verdict) == [kind] * (kind is not None)
    assert verdict.passed == (kind != "regression")


def test_losing_an_infinite_score_is_a_regression() -> None:
    verdict = check(changed(BEFORE, 2, psnr_y=90.0))
    assert kinds(verdict) == ["regression"]


def test_tolerances_by_family_name_and_convention() -> None:
    assert check(changed(BEFORE, psnr_y=29.95), psnr=0.1).passed
    assert not check(changed(BEFORE, psnr_y=29.95), psnr=0.1, psnr_y=0.02).passed
    assert Tolerances({"psnr_y@basicsr": 0.5}).of("psnr_y@basicsr") == 0.5
    assert Tolerances().of("psnr_y@basicsr") == 0.01


def test_tolerances_know_names_as_people_type_them() -> None:
    """They were looked up as typed: PSNR-Y=2 and a slip of the pen passed for a tolerance that is kept."""
    for name in ("PSNR-Y", "PSNR", "psnr-y"):
        assert check(changed(BEFORE, psnr_y=29.0), **{name: 2.0}).passed, name
    table = Tolerances({"Psnr_Y@BasicSR": 0.5}, {"SAMPLES": {"SSIM": 1.0}, "set5": {"lpips@vgg": 0.1}, "mine": {}})
    found = table.of_known(["psnr_y"], ["mine"])
    assert (found.by_metric, dict(found.by_dataset)) == (
        {"psnr_y@basicsr": 0.5}, {"samples": {"ssim": 1.0}, "Set5": {"lpips_vgg": 0.1}, "mine": {}}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("tolerances", "told"),
    [
        (Tolerances({"ssmi_y": 1.0}), "unknown metric 'ssmi_y'. Did you mean ssim_y"),
        (Tolerances({"psnry": 1.0}), "unknown metric 'psnry'. Did you mean psnr"),
        (Tolerances({"psnr_y@basics": 1.0}), "unknown convention 'basics'. Did you mean basicsr"),
        (Tolerances({"psnr@basicsr": 1.0}), "unknown metric 'psnr'. Did you mean psnr_y"),
        (Tolerances({}, {"Sampels": {}}), "unknown data set 'Sampels'. Did you mean samples?"),
        (Tolerances({}, {"Set5": {"nosuch": 1.0}}), "unknown metric 'nosuch'. Known: "),
    ],
)
def test_tolerances_of_nothing_are_refused(tolerances: Tolerances, told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        check_results(Results((BEFORE,)), Baseline({BEFORE.identity.key: BEFORE}), tolerances)


def test_tolerances_of_a_set_that_these_results_lack_are_no_error() -> None:
    """One table serves several folders of results."""
    tolerances = Tolerances({}, {name: {"psnr_y": 0.5} for name in ("faces of our own", "Set12")})
    assert check_results(Results((BEFORE,)), Baseline({BEFORE.identity.key: BEFORE}), tolerances).passed


def test_same_pixels_with_another_score_fail_even_where_it_is_better() -> None:
    finding = check(changed(BEFORE, stage="metric", psnr_y=30.009)).failures[0]
    assert (finding.kind, finding.stage) == ("changed", "metric")
    assert "the metric has changed" in str(finding)


def test_another_lr_of_the_same_hr_fails_though_scores_stay() -> None:
    finding = check(changed(BEFORE, stage="lr")).failures[0]
    assert (finding.kind, finding.stage) == ("changed", "LR")


def test_missing_run_image_and_metric_fail() -> None:
    assert kinds(check_results(Results(()), Baseline({BEFORE.identity.key: BEFORE}))) == ["missing"]
    assert kinds(check(replace(BEFORE, rows=BEFORE.rows[:2]))) == ["missing"]
    bare = replace(BEFORE.rows[0], scores={"psnr_y": 30.0})
    assert kinds(check(replace(BEFORE, rows=(bare, *BEFORE.rows[1:])))) == ["missing", "missing"]


def test_failed_image_fails() -> None:
    rows = (Row("img000", error="RuntimeError: no"), *BEFORE.rows[1:])
    assert kinds(check(replace(BEFORE, rows=rows))) == ["failed"]


def test_new_images_models_and_weights_pass_but_are_told() -> None:
    identity = replace(BEFORE.identity, weights="b" * 64)
    now = replace(BEFORE, rows=(*BEFORE.rows, Row("img003", {"psnr_y": 1.0})), identity=identity)
    verdict = check_results(
        Results((now, made_run("other", {"psnr_y": [1.0]}))), Baseline({BEFORE.identity.key: BEFORE})
    )
    assert verdict.passed
    assert sorted(kinds(verdict)) == ["network", "new", "new"]


@pytest.mark.parametrize("field", ["fingerprint", "degradation", "precision", "version"])
def test_incomparable_runs_are_refused_naming_the_field(field: str) -> None:
    now = replace(BEFORE, identity=replace(BEFORE.identity, **{field: "other"}))
    with pytest.raises(IncomparableError, match=field):
        check(now)


def test_a_swapped_image_is_named() -> None:
    now = changed(replace(BEFORE, identity=replace(BEFORE.identity, fingerprint="other")), 1, stage="hr")
    with pytest.raises(IncomparableError, match="HR has changed: img001"):
        check(now)


def test_another_convention_is_refused() -> None:
    with pytest.raises(IncomparableError, match="psnr_y is under matlab in one and basicsr"):
        check(replace(BEFORE, metrics={**BEFORE.metrics, "psnr_y": "basicsr"}))


def test_baseline_survives_the_file_and_is_byte_stable(tmp_path: Path) -> None:
    other = made_run("bicubic", {"psnr_y": [28.1234567]})
    write_baseline(
        tmp_path / "a.json",
        baseline_of(
            Results(
                (
                    BEFORE,
                    other,
                )
            )
        ),
    )
    write_baseline(
        tmp_path / "b.json",
        baseline_of(
            Results(
                (
                    other,
                    replace(BEFORE, rows=BEFORE.rows[::-1]),
                )
            )
        ),
    )
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert check_results(Results((BEFORE, other)), read_baseline(tmp_path / "a.json")).findings == []


def test_a_failed_run_cannot_become_a_baseline(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="broken on Set5 failed"):
        write_baseline(tmp_path / "a.json", baseline_of(Results((failed_run("broken"),))))
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 1, "runs": [{}]}', '{"schema": 9, "runs": []}'])
def test_a_damaged_baseline_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"baseline\.json"):
        read_baseline(path)


def test_exit_statuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = saved(tmp_path / "results", Results((BEFORE,)))
    baseline = tmp_path / "baseline.json"
    arguments = ["check", str(results), "--baseline", str(baseline)]
    assert main(arguments) == 2
    assert "no such baseline" in capsys.readouterr().err
    assert main([*arguments, "--update"]) == 0
    assert main(arguments) == 0
    write_baseline(baseline, baseline_of(Results((changed(BEFORE, psnr_y=30.5),))))
    assert main(arguments) == 1
    assert "Worse than the baseline:\n  Set5 x4 srcnn img000 psnr_y: 30.500 -> 30.000" in capsys.readouterr().out
    assert main([*arguments, "--tolerance", "psnr_y=0.6"]) == 0
    write_baseline(baseline, baseline_of(Results((changed(BEFORE, psnr_y=29.5),))))
    assert main(arguments) == 0
    assert "add --update" in capsys.readouterr().out
    write_baseline(
        baseline, baseline_of(Results((replace(BEFORE, identity=replace(BEFORE.identity, degradation="files")),)))
    )
    assert main(arguments) == 2


def test_an_update_keeps_what_the_results_do_not_have_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = made_run("bicubic", {"psnr_y": [28.0]})
    baseline, shorter = tmp_path / "baseline.json", replace(BEFORE, rows=BEFORE.rows[:2])
    write_baseline(baseline, baseline_of(Results((BEFORE, other), (made_speed("bicubic"),))))
    update = ["check", str(saved(tmp_path / "results", Results((shorter,)))), "--baseline", str(baseline), "--update"]
    assert main(update) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"{baseline}: 1 run, 2 images"
    assert told[1] == f"kept as they were: Set5 x4 bicubic (1); to drop them, delete {baseline} first"
    assert told[2] == "dropped, since the results lack them: scores of Set5 x4 srcnn (3)"
    kept = read_baseline(baseline)
    assert kept.runs[other.identity.key].rows == other.rows and len(kept.runs[BEFORE.identity.key].rows) == 2
    assert len(kept.speeds) == 1
    baseline.unlink()
    assert main(update) == 0
    assert capsys.readouterr().out == f"{baseline}: 1 run, 2 images\n"


def test_timings_of_another_machine_are_not_kept_as_this_ones() -> None:
    old = Baseline({}, {speed_key(made_speed("srcnn")): 5.0}, "another, 4 threads")
    assert len(old.updated(Results((BEFORE,))).speeds) == 1
    updated = old.updated(Results((BEFORE,), (made_speed("bicubic"),)))
    assert [key.model for key in updated.speeds] == ["bicubic"] and updated.machine != "another, 4 threads"


def test_a_failing_check_says_how_to_accept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = saved(tmp_path / "results", Results((BEFORE,)))
    baseline = tmp_path / "baseline.json"
    arguments = ["check", str(results), "--baseline", str(baseline)]
    assert main([*arguments, "--update"]) == 0
    assert capsys.readouterr().out.startswith(f"{baseline}: 1 run, ")
    write_baseline(baseline, baseline_of(Results((changed(BEFORE, psnr_y=30.5),))))
    assert main(arguments) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FAILED: 1 worse;") and last.endswith("If this is meant, make it the baseline: add --update")


def test_a_verdict_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = saved(tmp_path / "results", Results((BEFORE,)))
    baseline = tmp_path / "baseline.json"
    write_baseline(baseline, baseline_of(Results((changed(BEFORE, psnr_y=float("inf")),))))
    assert main(["check", str(results), "--baseline", str(baseline), "--format", "json", "--github"]) == 1
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["passed"] is False and "::error" in told.err
    (finding,) = [item for item in document["findings"] if item["failing"]]
    assert (finding["kind"], finding["model"], finding["was"], finding["now"]) == ("regression", "srcnn", "inf", 30.0)


def test_a_changed_network_is_not_told_as_changed_weights() -> None:
    """What is behind `module:factory` is code; its digest moves with it."""
    other = replace(BEFORE, identity=replace(BEFORE.identity, weights="f" * 64))
    text = as_text(check(other), "baseline.json")
    assert "Another network under the same name:" in text and "another network: weights or code have changed" in text
