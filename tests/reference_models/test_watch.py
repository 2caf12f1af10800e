"""What a training tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from reference_models.architectures import build
from reference_models.checkpoint import Clock
from reference_models.recipes import Recipe
from reference_models.watch import Crops, Told
from srbench.datasets.sample import Sample
from srbench.images.degrade import degrade
from srbench.images.files import read_image

if TYPE_CHECKING:
    from srbench.images.files import Image


def test_a_resumed_training_tells_the_speed_of_its_own_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    for clock in ("perf_counter", "monotonic"):
        monkeypatch.setattr(f"time.{clock}", lambda: now)
    told = Told(Recipe("slow", "srresnet", steps=3000))
    for step in (1501, 1541, 1621, 1701):
        told.step(Clock(step=step, seconds=500.0), {"loss": torch.tensor(0.25)}, 1e-3)
        now += 40.0
    lines = capsys.readouterr().err
    assert lines == "slow: 54%, about 15.3 min left, step 1621  500 s  1.50 it/s  loss 0.25  rate 1.00e-03\n"


@pytest.mark.parametrize(("architecture", "options"), [("srresnet", {"blocks": 1, "features": 8}), ("srcnn", {})])
def test_a_picture_of_crops_is_written_as_it_goes(
    architecture: str, options: dict[str, int], tmp_path: Path, photograph: Callable[..., Image]
) -> None:
    """LR, SR and HR of each sample side by side; a grey one too, and one smaller than a crop."""
    network = build(architecture, 4, **options).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sizes = {"a": (120, 160, False), "b": (40, 100, True)}
    hr = {name: photograph(height, width, grey=grey) for name, (height, width, grey) in sizes.items()}
    samples = [Sample(name, degrade(image, 4), image) for name, image in hr.items()]
    Crops(tmp_path / "validation.png").validated(Clock(), network, samples)
    picture = read_image(tmp_path / "validation.png")
    assert picture.shape == (14 + 96 + 40, 3 * 96, 3)
    assert np.array_equal(picture[14:110, 192:], hr["a"][12:108, 32:128])
    labels = [picture[:14, left : left + 96] for left in (0, 96, 192)]
    assert all(label.max() > 128 and label.mean() < 40 for label in labels)  # white letters on black
    assert len({label.tobytes() for label in labels}) == 3
    assert network.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_log_has_a_line_for_each_validation(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(Recipe("slow", "srresnet", steps=10))
    told.step(Clock(step=1, seconds=12.0), {"loss": torch.tensor(0.25)}, 1e-3)
    told.validated(Clock(step=2, curve=[[2, 24.0, 0.25, 30.0, 0.9, 0.1]]), torch.nn.Identity(), [])
    told.close()
    assert "step 2  24 s  mean loss 0.25  validation 30.000 dB, SSIM 0.9000, LPIPS 0.1000" in capsys.readouterr().err
