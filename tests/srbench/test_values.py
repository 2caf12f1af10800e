"""Which values a foreign network takes: found out where it shows, asked for where it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from srbench.base.errors import InputError, UsageError
from srbench.models import find_model
from srbench.models.loaders.checkpoint import Checkpoint
from srbench.models.probe import RANGES, _decide, find_values, pieces
from srbench.models.spec import ModelSpec, weights_digest
from srbench.models.values import USUAL, Channels, Hints, Values, make_hints
from srbench.models.wrap import Revalued, Scaled
from srbench.results.store import load_results
from tests.conftest import Srbench

SCALE = 2
HIDDEN = 256


def features(lr: torch.Tensor) -> torch.Tensor:
    """Random 5x5 convolutions with biases, ReLU."""
    random = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(HIDDEN, 3, 5, 5, generator=random), torch.randn(HIDDEN, generator=random)
    return functional.conv2d(functional.pad(lr, [2] * 4, mode="replicate"), weight, bias).relu()


@cache
def fitted() -> torch.Tensor:
    """The best 1x1 convolution behind `features` and before a PixelShuffle, by least squares on the probe's pieces.

    A network as training leaves it: it knows colours, and its biases have the size of the values that it was shown.
    """
    inputs = [features(lr).flatten(2)[0].T for lr, _, _ in pieces(SCALE)]
    targets = [functional.pixel_unshuffle(hr, SCALE).flatten(2)[0].T for _, hr, _ in pieces(SCALE)]
    dead_ones = "gelsd"  # some features are zero everywhere, which the default driver solves well in some versions only
    solution = torch.linalg.lstsq(torch.cat(inputs).double(), torch.cat(targets).double(), driver=dead_ones).solution
    return solution.T.float()[..., None, None]


def core(lr: torch.Tensor) -> torch.Tensor:
    """RGB in [0, 1] to the same, larger."""
    return functional.pixel_shuffle(functional.conv2d(features(lr), fitted()), SCALE)


class Foreign(torch.nn.Module):
    """The network above, trained with other values."""

    scale = SCALE

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.values = values

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (low, high), (out_low, out_high) = self.values.takes, self.values.returns
        sr = core(self.flipped((x - low) / (high - low)))
        return self.flipped(sr) * (out_high - out_low) + out_low

    def flipped(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(-3) if self.values.channels == "bgr" else x


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize(("takes", "returns"), RANGES)
def test_values_are_found(takes: Any, returns: Any, channels: Channels) -> None:
    values = Values(takes, returns, channels)
    found, how = find_values(Foreign(values), Hints())
    assert found == values
    assert how.startswith(f"range {values.range} detected (0..1 ") and f"channels {channels} detected" in how
    lr = torch.rand(1, 3, 7, 9)
    torch.testing.assert_close(Revalued(Foreign(values), found)(lr), core(lr), rtol=1e-4, atol=1e-5)


def test_what_makes_no_difference_is_the_usual() -> None:
    """A network without biases does the same in every range that begins at 0, and nearest knows no colours."""

    def nearest(lr: torch.Tensor) -> torch.Tensor:
        return lr.repeat_interleave(SCALE, -1).repeat_interleave(SCALE, -2)

    found, how = find_values(Scaled(nearest, SCALE), Hints())
    assert found == USUAL
    assert how.startswith("range 0..1 assumed (") and "; channels rgb assumed (rgb " in how


def test_what_is_not_clear_is_asked_for() -> None:
    """Better in BGR on two of six pieces, and equal elsewhere: a lead in the mean that may be chance."""
    scores = {Values(): [30.0] * 6, Values(channels="bgr"): [30.0, 31.0, 30.0, 31.0, 30.0, 30.0]}
    with pytest.raises(InputError, match=r"is rgb 30.00 dB, bgr 30.33 dB. Give --model-channels: rgb or bgr"):
        _decide(scores, "--model-channels", lambda values: values.channels)


def test_what_upscales_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="upscales nothing under any range of values tried"):
        find_values(Scaled(lambda lr: torch.zeros(1, 3, lr.shape[2] * 2, lr.shape[3] * 2), SCALE), Hints())

    def fails(lr: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("wants 64 pixels")

    with pytest.raises(InputError, match="fails on 32x32 pixels .RuntimeError: wants 64 pixels.*Give --model-range"):
        find_values(Scaled(fails, SCALE), Hints())


@pytest.mark.parametrize("option", ["255", "1..0", "0..1:", "0..1:1..0"])
def test_ranges_that_are_none(option: str) -> None:
    with pytest.raises(UsageError, match="--model-range: write a range of values as 0..255"):
        make_hints(range=option)
    with pytest.raises(UsageError, match="neither rgb nor bgr"):
        make_hints(channels="gbr")


def foreign_loader(values: Values) -> Callable[[Checkpoint], ModelSpec | None]:
    """A loader of files that do not say which values their network takes."""

    def load(checkpoint: Checkpoint) -> ModelSpec | None:
        if checkpoint.is_onnx or set(checkpoint.tensors) != {"foreign"}:
            return None
        return ModelSpec("foreign", (SCALE,), lambda scale, device: Foreign(values), summary="Foreign", probe=True)

    return load


def test_what_was_found_is_in_the_record(
    register: Callable[[str, str, object], None], srbench: Srbench, folder: Path, tmp_path: Path
) -> None:
    register("loaders", "foreign", foreign_loader(Values((0, 255), (0, 255), "bgr")))
    path = tmp_path / "net.pth"
    torch.save({"foreign": torch.zeros(1)}, path)
    options = ["--datasets", folder, "--scale", SCALE, "--metrics", "psnr_y", "--no-speed"]
    assert srbench("run", "--models", path, *options, "--out", tmp_path / "found") == 0
    assert "net: range 0..255 detected (" in srbench.err
    (run,) = load_results(tmp_path / "found")
    assert run.identity.values == "0..255 bgr"
    assert "channels bgr detected (rgb" in run.remark
    assert "|model:net@" in run.signature("psnr_y") and "(0..255,bgr)|" in run.signature("psnr_y")
    document = json.loads((tmp_path / "found/tiny/x2/net.json").read_text())
    assert document["remark"] == run.remark

    told = ["--model-range", "0..255", "--model-channels", "bgr"]
    assert srbench("run", "--models", path, *options, *told, "--out", tmp_path / "given") == 0
    (given,) = load_results(tmp_path / "given")
    assert given.identity == run.identity and given.remark == "range and channels given"
    assert given.values("psnr_y") == run.values("psnr_y")
    usual = find_model(str(path), Hints(range=((0, 1), (0, 1)), channels="rgb"))
    assert weights_digest(usual, SCALE) != run.identity.weights


def test_a_file_is_looked_at_once(
    register: Callable[[str, str, object], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("loaders", "foreign", foreign_loader(Values((0, 255), (0, 255), "bgr")))
    path = tmp_path / "net.pth"
    torch.save({"foreign": torch.zeros(1)}, path)
    first = find_model(str(path))
    monkeypatch.setattr("srbench.models.probe.find_values", lambda *given: (USUAL, "looked at again"))
    again = find_model(str(path))
    assert (again.values, again.remark) == (first.values, first.remark) == ("0..255 bgr", first.remark)
    torch.save({"foreign": torch.ones(1)}, path)
    assert find_model(str(path)).remark == "looked at again"
    assert find_model(str(path), Hints(channels="bgr")).remark == "looked at again"


def test_the_error_names_the_file(register: Callable[[str, str, object], None], tmp_path: Path) -> None:
    register("loaders", "foreign", lambda checkpoint: ModelSpec("x", (SCALE,), _black, summary="Black", probe=True))
    torch.save({"foreign": torch.zeros(1)}, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"net.pth \(Black\): it upscales nothing"):
        find_model(str(tmp_path / "net.pth"))


def _black(scale: int, device: torch.device) -> Scaled:
    return Scaled(lambda lr: torch.zeros(1, 3, lr.shape[2] * 2, lr.shape[3] * 2), SCALE)
