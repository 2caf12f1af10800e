"""What a training tells of itself."""

from __future__ import annotations

import pytest
import torch

from reference_models.checkpoint import Clock
from reference_models.watch import Lines


def test_a_resumed_training_tells_the_speed_of_its_own_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([100.0, 120.0, 140.0])
    monkeypatch.setattr("reference_models.watch.time.perf_counter", lambda: next(now))
    lines = Lines(seconds=30.0)
    for step in (1501, 1541, 1581):
        lines.step(Clock(step=step, seconds=500.0), {"loss": torch.tensor(0.25)}, 1e-3)
    assert capsys.readouterr().err == "step 1581  500 s  2.00 it/s  loss 0.25  rate 1.00e-03\n"
