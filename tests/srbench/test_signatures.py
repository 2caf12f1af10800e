"""Whatever moves a number is in its signature, and a signature makes the number again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from srbench.analysis.verify import request_of
from srbench.base.callables import state_digest
from srbench.base.errors import IncomparableError, UsageError
from srbench.benchmark.evaluate import evaluate
from srbench.metrics import lpips
from srbench.metrics.scorer import Scorer
from srbench.models.loaders.factory import open_factory
from srbench.models.spec import weights_digest
from srbench.models.values import NO_HINTS
from srbench.results.records import Run
from srbench.results.store import load_results
from tests.conftest import Srbench

BICUBIC = "srbench:0.1|psnr_y|conv:matlab|x4|lr:matlab|set:tiny@abcdef|model:bicubic|fp32|eager"


class Times:
    """Nearest neighbour, brighter by a factor."""

    scale = 2

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, lr: torch.Tensor) -> torch.Tensor:
        return lr.repeat_interleave(2, -1).repeat_interleave(2, -2) * self.factor


def one_run(folder: Path, model: object, **options: object) -> Run:
    return evaluate(model, str(folder), scale=2, metrics=["psnr_y"], device="cpu", **options).runs[0]  # type: ignore[arg-type]


def test_images_that_went_through_the_model_together_are_told(folder: Path, srbench: Srbench, tmp_path: Path) -> None:
    line = ["run", "bicubic", "--datasets", folder, "--metrics", "psnr_y", "--no-speed"]
    for batch, told in (("1", ""), ("2", "|batch2")):
        assert srbench(*line, "--batch", batch, "--out", tmp_path / batch) == 0
        (run,) = load_results(tmp_path / batch).runs
        assert run.signature("psnr_y").endswith(f"|fp32|eager{told}")
    assert srbench(*line, "--batch", 2, "--save-images", "--out", tmp_path / "saved") == 0
    assert srbench("score", tmp_path / "saved", "--metrics", "ssim_y") == 0  # made by the same pass, scored later
    (run,) = load_results(tmp_path / "saved").runs
    assert run.signature("ssim_y").endswith("|fp32|eager|batch2")


def test_fewer_images_than_the_set_has_are_told(folder: Path) -> None:
    whole, some = one_run(folder, Times(1.0)), one_run(folder, Times(1.0), limit=2)
    assert some.signature("psnr_y") == whole.signature("psnr_y") + "|n2of3"
    failing = [
        replace(whole, rows=tuple(replace(row, scores={}) if row is left else row for row in whole.rows))
        for left in whole.rows
    ]
    told = {run.signature("psnr_y").removeprefix(whole.signature("psnr_y") + "|n2of3@") for run in failing}
    assert len(told) == 3 and all(len(digest) == 6 for digest in told)


def test_tiles_made_when_memory_ran_out_are_told(folder: Path) -> None:
    run = one_run(folder, Times(1.0))
    rows = (replace(run.rows[0], tile=256), replace(run.rows[1], tile=128), *run.rows[2:])
    assert replace(run, rows=rows).signature("psnr_y") == run.signature("psnr_y") + "|tile128,256"
    given = replace(run.identity, tile="64").signature("psnr_y", "matlab")
    assert given.endswith("|eager|tile64")


def test_two_callables_of_one_name_are_two_models(folder: Path, tmp_path: Path) -> None:
    dark, bright = one_run(folder, Times(0.9)), one_run(folder, Times(1.0))
    assert dark.values("psnr_y") != bright.values("psnr_y")
    assert dark.signature("psnr_y") != bright.signature("psnr_y")
    again = one_run(folder, Times(1.0))
    assert again.signature("psnr_y") == bright.signature("psnr_y")
    one_run(folder, Times(0.9), out=tmp_path / "kept")
    with pytest.raises(IncomparableError, match="weights or code of"):
        one_run(folder, Times(1.0), out=tmp_path / "kept")


def test_a_digest_sees_weights_closures_globals_and_code() -> None:
    def scaled(by: float) -> Callable[[float], float]:
        return lambda x: x * by

    network = torch.nn.Conv2d(3, 3, 1)
    before = state_digest(network)
    assert state_digest(network) == before
    with torch.no_grad():
        network.weight[0, 0] += 1
    assert state_digest(network) != before
    assert state_digest(scaled(2.0)) == state_digest(scaled(2.0)) != state_digest(scaled(3.0))
    assert state_digest(lambda x: x + 1) != state_digest(lambda x: x - 1)
    assert state_digest(np.ones(3)) != state_digest(np.ones((3, 1)))


def test_a_factory_is_known_by_what_it_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its source stays the same, the weights that it reads do not."""
    (tmp_path / "made_elsewhere.py").write_text(
        "import numpy, torch\n"
        "class Net(torch.nn.Module):\n"
        "    scale = 2\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.w = torch.nn.Parameter(torch.tensor(numpy.load('w.npy')))\n"
        "    def forward(self, x):\n"
        "        return self.w * x.repeat_interleave(2, -1).repeat_interleave(2, -2)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for value in (1.0, 0.5, 1.0):
        np.save("w.npy", np.float32(value))
        digests.append(weights_digest(open_factory("made_elsewhere:Net", NO_HINTS), 2))
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.data
def test_other_lpips_weights_are_another_metric(
    weights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random numbers under the trunk's name score, and say so; they used to pass for LPIPS."""
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    _forget()
    assert Scorer(["lpips"]).conventions == {"lpips": "nocrop"}
    trunk = load_file(weights_folder / lpips.TRUNK)
    generator = torch.Generator().manual_seed(0)
    save_file(
        {name: torch.randn(value.shape, generator=generator) for name, value in trunk.items()}, tmp_path / lpips.TRUNK
    )
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    _forget()
    (taken,) = Scorer(["lpips"]).conventions.values()
    assert taken.startswith("nocrop+weights@")
    identity = one_run_identity()
    assert f"|lpips({taken.partition('+')[2]})|conv:nocrop|" in identity.signature("lpips", taken)
    _forget()


def one_run_identity():  # type: ignore[no-untyped-def]
    from tests.made_results import made_run

    return made_run("bicubic", {"psnr_y": [1.0]}).identity


def _forget() -> None:
    lpips._network.cache_clear()
    lpips._variant.cache_clear()


def test_verify_makes_a_score_again(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    options = ["--metrics", "psnr_y@basicsr", "--no-speed", "--limit", 2, "--self-ensemble", "--degradation", "dn@3"]
    assert srbench("run", "--models", "bicubic", "--datasets", folder, *options, "--out", out) == 0
    (run,) = load_results(out).runs
    mean = np.mean(run.values("psnr_y@basicsr"))
    signature = run.signature("psnr_y@basicsr")
    assert srbench("verify", signature, f"{mean:.2f}", "--dataset", folder, "--device", "cpu") == 0
    assert f"{mean:.2f} holds: made again it is {mean:.4f}" in srbench.out and signature in srbench.out
    assert srbench("verify", signature, "-0.43", "--dataset", folder) == 1 and "-0.43 does not hold" in srbench.out
    assert srbench("verify", signature, f"{mean + 0.02:.2f}", "--dataset", folder) == 1
    assert "does not hold" in srbench.out
    other = signature.replace("set:tiny@", "set:tiny@0000")
    assert srbench("verify", other, "28.42", "--dataset", folder) == 2
    assert "the signature says set:tiny@0000" in srbench.err and "here it is set:tiny@" in srbench.err


@pytest.mark.parametrize(
    ("signature", "error", "message"),
    [
        ("28.42", UsageError, "is not a signature"),
        (BICUBIC.replace("|eager", "|eager|n2of"), UsageError, "cannot make again what has 'n2of'"),
        (BICUBIC.replace("|eager", "|eager|n4of5@1f0c2a"), UsageError, "some images failed in that run"),
        (BICUBIC.replace("0.1", "0.0"), IncomparableError, "made by scores of version 0.0"),
    ],
)
def test_what_cannot_be_made_again(signature: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        request_of(signature)


@pytest.mark.skipif(os.name == "nt", reason="needs names that Windows refuses")
@pytest.mark.parametrize("name", ["a@b", "a|b", "a|model:b@c", "100%7C", "two\nlines"])
def test_whatever_a_set_is_called_its_scores_can_be_made_again(
    name: str, srbench: Srbench, folder: Path, tmp_path: Path
) -> None:
    home = folder.rename(folder.with_name(name))
    out = tmp_path / "out"
    assert srbench("run", "--models", "nearest", "--datasets", home, "--metrics", "psnr_y", "--no-speed",
                   "--out", out) == 0  # fmt: skip
    (run,) = load_results(out)
    signature = run.signature("psnr_y")
    assert len(signature.splitlines()) == 1 and signature.count("|") == BICUBIC.count("|")
    values = run.values("psnr_y")
    assert srbench("verify", signature, f"{sum(values) / len(values):.3f}", "--dataset", home) == 0, srbench.err


def test_a_signature_is_read_back_whole() -> None:
    line = (
        BICUBIC.replace("lpips", "psnr_y")
        .replace("@abcdef", "@abcdef!unverified")
        .replace("bicubic", "net@012345(0..255,bgr)")
    )
    named = line.replace("psnr_y", "my(1)/m.py:f(source@0a1b2c)").replace("net@", "net(2)@")
    request = request_of(named, dataset="here")
    assert request.metrics == ("my(1)/m.py:f@matlab",) and request.models == ("net(2)",)
    request = request_of(line + "|tile64|ensemble:8|seed:3|batch4|n2of5", model="net.pth", dataset="here")
    assert request.batch == 4
    assert request.models == ("net=net.pth",) and request.datasets == ("here",) and request.unverified
    assert (request.tile, request.self_ensemble, request.seed, request.limit) == ("64", True, 3, 2)
    assert request.metrics == ("psnr_y@matlab",) and request.scales == (4,) and request.degradation == "matlab"
