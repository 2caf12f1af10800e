"""The main job end to end, in this process: scores, resume, refusals, failures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from srbench.base.errors import InputError
from srbench.benchmark.plan import Request, plan
from srbench.benchmark.run import run
from srbench.images.files import read_image
from srbench.models.spec import ModelSpec
from srbench.results.results import Results
from srbench.results.store import load_results
from tests.conftest import Srbench

Register = Callable[[str, str, object], None]


class Toy:
    """Repeats pixels, counts its calls, and misbehaves as told."""

    def __init__(self, fault: str = "") -> None:
        self.scale = 4
        self.fault = fault
        self.calls = 0

    def __call__(self, lr: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        sr = lr.repeat_interleave(4, -1).repeat_interleave(4, -2)
        if self.fault == "raise":
            raise ValueError("no such layer\nsecond line")
        if self.fault == "shape":
            return sr[..., :-1]
        if self.fault == "nan":
            return sr * float("nan")
        if self.fault == "grey" and self.calls == 3:
            raise RuntimeError("only colour, please")
        return sr.byte() if self.fault == "bytes" else sr

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec("toy", (4,), lambda scale, device: self)


def request(folder: Path, **options: object) -> Request:
    defaults = {"models": ("bicubic",), "datasets": (str(folder),), "metrics": ("psnr_y", "ssim_y"), "speed": False}
    return Request(**{**defaults, "out": folder.parent / "results", **options})  # type: ignore[arg-type]


class Silent:
    def begin(self, jobs: object) -> None: ...
    def image(self, job: object, row: object) -> None: ...
    def done(self, job: object, run: object) -> None: ...
    def note(self, text: str) -> None: ...


def carry_out(wanted: Request) -> Results:
    return run(plan(wanted), Silent())


def scores(results: Results) -> dict[tuple[str, str], dict[str, float]]:
    return {(run.identity.model, row.image): dict(row.scores) for run in results for row in run.rows}


def test_two_runs_give_identical_scores(folder: Path) -> None:
    first = carry_out(request(folder, out=folder.parent / "one"))
    again = carry_out(request(folder, out=folder.parent / "two"))
    assert scores(first) == scores(again)
    assert [row.sr for row in first.runs[0].rows] == [row.sr for row in again.runs[0].rows]
    assert [row.image for row in first.runs[0].rows] == ["a", "b", "c"]


def test_a_second_run_scores_only_what_is_missing(folder: Path, register: Register) -> None:
    toy = Toy()
    register("models", "toy", toy.spec)
    carry_out(request(folder, models=("toy",), limit=2))
    assert toy.calls == 2
    before = carry_out(request(folder, models=("toy",)))
    assert toy.calls == 3
    carry_out(request(folder, models=("toy",)))
    assert toy.calls == 3
    more = carry_out(request(folder, models=("toy",), metrics=("psnr_y", "psnr_rgb")))
    assert toy.calls == 6
    assert set(more.runs[0].rows[0].scores) == {"psnr_y", "ssim_y", "psnr_rgb"}
    assert more.runs[0].values("psnr_y") == before.runs[0].values("psnr_y")
    carry_out(request(folder, models=("toy",), force=True))
    assert toy.calls == 9


def test_identity_and_signature_say_how_it_was_made(folder: Path) -> None:
    (made,) = carry_out(request(folder, degradation="matlab-double", self_ensemble=True)).runs
    fingerprint = made.identity.fingerprint[:6]
    assert made.signature("psnr_y") == (
        f"srbench:0.1|psnr_y|conv:matlab|x4|lr:matlab-double|set:tiny@{fingerprint}|model:bicubic|fp32|eager|ensemble:8"
    )
    (environment,) = made.environments
    assert environment["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert environment["device"] == "cpu"


def test_the_fingerprint_is_of_pixels_not_of_files(folder: Path) -> None:
    def fingerprint() -> str:
        return plan(request(folder)).jobs[0].identity.fingerprint

    before = fingerprint()
    path = folder / "HR" / "a.png"
    from PIL import Image

    Image.open(path).save(path.with_suffix(".bmp"))
    path.unlink()
    assert fingerprint() == before
    image = read_image(path.with_suffix(".bmp")).copy()
    image[0, 0, 0] ^= 1
    Image.fromarray(image).save(path.with_suffix(".bmp"))
    assert fingerprint() != before


@pytest.mark.parametrize(
    ("change", "field"),
    [({"degradation": "matlab-legacy"}, "degradation"), ({"precision": "bf16"}, "precision"), ({"tile": "16"}, "tile")],
)
@pytest.mark.parametrize("model", ["bicubic", "nearest"])
def test_results_that_do_not_compare_are_not_mixed(
    folder: Path, srbench: Srbench, change: dict[str, str], field: str, model: str
) -> None:
    common = ["run", "--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--out", folder.parent / "results"]
    assert srbench(*common, "--models", "bicubic") == 0
    before = (folder.parent / "results/tiny/x4/bicubic.json").read_text()
    options = [item for key, value in change.items() for item in (f"--{key}", value)]
    assert srbench(*common, "--models", model, *options) == 2
    assert f"{field} is " in srbench.err
    assert "these do not compare. Give another --out" in srbench.err
    assert (folder.parent / "results/tiny/x4/bicubic.json").read_text() == before


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", "ValueError: no such layer"),
        ("shape", "returned shape (1, 3, 40, 47), expected (1, 3, 40, 48)"),
        ("nan", "returned values that are not finite"),
        ("bytes", "returned torch.uint8, expected floats"),
    ],
)
def test_a_failing_model_is_recorded_and_the_others_finish(
    folder: Path, srbench: Srbench, register: Register, fault: str, message: str
) -> None:
    register("models", "toy", Toy(fault).spec)
    out = folder.parent / "results"
    status = srbench("run", "--models", "toy,bicubic", "--datasets", folder, "--metrics", "psnr_y", "--out", out)
    assert status == 1
    assert re.search(r"toy +│ +failed", srbench.out)
    assert message in srbench.out
    by_model = {run.identity.model: run for run in load_results(out)}
    assert by_model["toy"].rows[0].error.startswith(message)
    assert len(by_model["toy"].failures) == 3
    assert len(by_model["bicubic"].values("psnr_y")) == 3


def test_a_failed_image_is_tried_again(folder: Path, register: Register) -> None:
    toy = Toy("grey")
    register("models", "toy", toy.spec)
    (made,) = carry_out(request(folder, models=("toy",))).runs
    assert [bool(row.error) for row in made.rows] == [False, False, True]
    (made,) = carry_out(request(folder, models=("toy",))).runs
    assert not made.failures
    assert toy.calls == 4


def test_a_model_that_cannot_be_built(folder: Path, srbench: Srbench, register: Register) -> None:
    def build(scale: int, device: torch.device) -> Toy:
        raise OSError("weights are torn")

    register("models", "toy", ModelSpec("toy", (4,), build))
    out = folder.parent / "results"
    assert srbench("run", "--models", "toy", "--datasets", folder, "--metrics", "psnr_y", "--out", out) == 1
    assert "OSError: weights are torn" in srbench.out


def test_saved_images_are_scored_again_without_the_model(folder: Path, srbench: Srbench, register: Register) -> None:
    toy = Toy()
    register("models", "toy", toy.spec)
    metrics = "psnr_y,psnr_rgb,ssim_y@basicsr,psnr_y@grey-as-rgb"
    once = request(folder, models=("toy",), metrics=tuple(metrics.split(",")), out=folder.parent / "once")
    expected = scores(carry_out(once))
    out = folder.parent / "results"
    wanted = request(folder, models=("toy",), metrics=("psnr_y",), save_images=True)
    carry_out(wanted)
    calls = toy.calls
    assert srbench("score", out, "--metrics", metrics) == 0
    found = scores(load_results(out))
    assert found.keys() == expected.keys()
    for row, values in expected.items():  # few images are run by torch, and scored again by numba
        assert found[row] == pytest.approx(values, rel=0, abs=1e-9)
    assert toy.calls == calls
    (out / "tiny/x4/toy/b.png").unlink()
    carry_out(wanted)
    assert toy.calls == calls + 1
    picture = out / "tiny/x4/toy/b.png"
    picture.write_bytes((out / "tiny/x4/toy/c.png").read_bytes())
    assert srbench("score", out, "--metrics", "ssim_rgb") == 1
    assert "is not the image that was scored" in srbench.err


def test_score_refuses_a_data_set_that_has_changed(folder: Path, srbench: Srbench) -> None:
    carry_out(request(folder, save_images=True))
    (folder / "HR" / "a.png").unlink()
    assert srbench("score", folder.parent / "results", "--metrics", "psnr_rgb") == 2
    assert "its images are not those that were scored" in srbench.err


def test_an_infinite_score_survives(folder: Path, register: Register, srbench: Srbench) -> None:
    for path in (folder / "HR").iterdir():
        flat = np.full((40, 40, 3), 90, dtype=np.uint8)
        from srbench.images.files import write_image

        write_image(path, flat)
    (made,) = carry_out(request(folder)).runs
    assert made.values("psnr_y") == [float("inf")] * 3
    assert srbench("run", "--models", "bicubic", "--datasets", folder, "--metrics", "psnr_y", "--no-speed",
                   "--out", folder.parent / "results") == 0  # fmt: skip
    assert "inf" in srbench.out


def test_lpips_without_weights_is_na_and_the_run_succeeds(
    folder: Path, srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srbench.metrics import lpips

    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    monkeypatch.setattr(lpips, "_network", lpips._network.__wrapped__)
    out = folder.parent / "results"
    assert srbench("run", "--models", "bicubic", "--datasets", folder, "--offline", "--no-speed", "--out", out) == 0
    assert "n/a" in srbench.out
    assert "alexnet-owt-7be5be79.pth is not here and offline mode forbids fetching it" in srbench.out


def test_speed_is_timed_once_and_again_when_asked(folder: Path, register: Register) -> None:
    toy = Toy()
    register("models", "toy", toy.spec)
    (row,) = carry_out(request(folder, models=("toy",), speed=True)).speeds
    assert (row.width, row.height, row.batch, row.scale) == (120, 80, 1, 4)
    assert row.p95_ms is None or 0 < row.p50_ms <= row.p95_ms
    assert row.output_mp_per_s == pytest.approx(120 * 80 * 16 / 1e3 / row.p50_ms)
    calls = toy.calls
    carry_out(request(folder, models=("toy",), speed=True))
    assert toy.calls == calls


def test_files_degradation_uses_the_lr_that_came_with_the_set(folder: Path, srbench: Srbench) -> None:
    lr = folder / "LR_bicubic" / "X4"
    assert srbench("degrade", folder / "HR", lr, "--scale", "4") == 0
    for path in sorted(lr.iterdir()):
        path.rename(path.with_name(path.stem + "x4.png"))
    made = scores(carry_out(request(folder)))
    given = scores(carry_out(request(folder, degradation="files", out=folder.parent / "files")))
    assert made == given
    (lr / "bx4.png").unlink()
    assert srbench("run", "--datasets", folder, "--degradation", "files", "--out", folder.parent / "x") == 2
    assert "no LR for b (1 missing); expected bx4.png" in srbench.err


def test_the_environment_variable_and_the_default_set(
    folder: Path, srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.rename(folder.parent / "Set5")
    monkeypatch.setenv("SRBENCH_DATA", str(folder.parent))
    wanted = Request(models=("nearest",), metrics=("psnr_y",), out=folder.parent / "results")
    with pytest.raises(InputError, match="srbench data verify Set5"):
        plan(wanted)
    (job,) = plan(replace(wanted, unverified=True)).jobs
    assert job.identity.dataset == "Set5"
    assert f"set:Set5@{job.identity.fingerprint[:6]}!unverified" in job.identity.signature("psnr_y", "matlab")
    monkeypatch.setenv("SRBENCH_DATA", str(folder.parent / "nowhere"))
    assert [job.identity.dataset for job in plan(wanted).jobs] == ["samples"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "bicubi"], "unknown model 'bicubi'. Did you mean bicubic"),
        (["--datasets", "Set55"], "unknown data set 'Set55'. Did you mean Set5"),
        (["--datasets", "no/such/folder"], "no/such/folder: no such folder"),
        (["--datasets", "all", "--data-root", "."], "none of Set5"),
        (["--metrics", "psnr"], "unknown metric 'psnr'"),
        (["--metrics", "psnr_y,,ssim_y"], "has an empty part"),
        (["--degradation", "bicubic"], "unknown degradation 'bicubic'"),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used"),
        (["--tile", "0"], "--tile '0' is neither"),
        (["--tile", "064"], "--tile '064' is neither"),
        (["--scale", "four"], "write a scale as 4 or x4"),
        (["--limit", "0"], "0 is not in the range"),
        (["--modles", "all"], "No such option"),
    ],
)
def test_bad_requests_are_refused_in_a_line(folder: Path, srbench: Srbench, options: list[str], message: str) -> None:
    defaults = ["--datasets", str(folder), "--models", "nearest", "--out", str(folder.parent / "results")]
    assert srbench("run", *defaults, *options) == 2
    assert message in srbench.err
    assert len(srbench.err.strip().splitlines()) <= 2
    assert not (folder.parent / "results").exists()


def test_a_damaged_image_stops_the_run_before_anything_is_scored(folder: Path, srbench: Srbench) -> None:
    path = folder / "HR" / "b.png"
    path.write_bytes(path.read_bytes()[:300])
    out = folder.parent / "results"
    assert srbench("run", "--datasets", folder, "--models", "nearest", "--out", out) == 2
    assert "b.png: cannot be decoded" in srbench.err
    assert not out.exists()


def test_the_stored_document(folder: Path) -> None:
    carry_out(request(folder))
    document = json.loads((folder.parent / "results/tiny/x4/bicubic.json").read_text())
    assert document["schema"] == 1
    assert document["signatures"]["psnr_y"].startswith("srbench:0.1|psnr_y|conv:matlab|x4|lr:matlab|set:tiny@")
    assert [row["image"] for row in document["images"]] == ["a", "b", "c"]
    assert sorted(path.name for path in (folder.parent / "results/tiny/x4").iterdir()) == ["bicubic.json"]
