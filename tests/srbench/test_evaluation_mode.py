"""Networks of a factory are scored in evaluation mode, wherever it keeps them."""

from __future__ import annotations

from pathlib import Path

from srbench.results.store import load_results
from tests.conftest import Srbench

FACTORY = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(3)

    def forward(self, lr):
        return torch.nn.functional.interpolate(self.norm(lr), scale_factor=4)

NET = Net()

def plain():
    return NET

def listed():
    return lambda lr: torch.cat([NET(one[None]) for one in lr])

def by_a_word():
    return lambda lr: globals()["N" + "ET"](lr)
"""


def test_a_factory_whose_network_cannot_be_seen_is_scored_in_evaluation_mode(
    folder: Path, tmp_path: Path, srbench: Srbench
) -> None:
    scores = []
    for name in ("plain", "listed", "by_a_word"):
        (tmp_path / f"{name}.py").write_text(FACTORY)  # a file each, or the first would leave its mode to the others
        options = ["--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--out", tmp_path / f"out-{name}"]
        assert srbench("run", "--models", f"{tmp_path / name}.py:{name}", *options) == 0, srbench.err
        scores.append(load_results(tmp_path / f"out-{name}").runs[0].values("psnr_y"))
    assert scores[0] == scores[1] == scores[2]
