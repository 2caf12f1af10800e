"""The walk of docs/models.md through a network that no loader knows: IMDN, laid out here as its repository has it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from srbench.base.errors import InputError
from srbench.models import find_model, load_model
from tests.conftest import Srbench
from tests.documented import python

ARCHITECTURE = """
import torch
from torch import nn


def conv(inputs, outputs, kernel):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class CCALayer(nn.Module):
    def __init__(self, channels, reduction=16):
        super().__init__()
        self.conv_du = nn.Sequential(
            conv(channels, channels // reduction, 1), nn.ReLU(), conv(channels // reduction, channels, 1), nn.Sigmoid()
        )

    def forward(self, x):
        mean = x.mean((2, 3), keepdim=True)
        return x * self.conv_du((x - mean).square().mean((2, 3), keepdim=True).sqrt() + mean)


class IMDModule(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.kept = features // 4
        self.rest = features - self.kept
        self.c1 = conv(features, features, 3)
        self.c2, self.c3 = (conv(self.rest, features, 3) for _ in range(2))
        self.c4 = conv(self.rest, self.kept, 3)
        self.act = nn.LeakyReLU(0.05)
        self.c5 = conv(features, features, 1)
        self.cca = CCALayer(4 * self.kept)

    def forward(self, x):
        parts, rest = [], x
        for layer in (self.c1, self.c2, self.c3):
            kept, rest = self.act(layer(rest)).split((self.kept, self.rest), dim=1)
            parts.append(kept)
        return self.c5(self.cca(torch.cat([*parts, self.c4(rest)], dim=1))) + x


class IMDN(nn.Module):
    def __init__(self, in_nc=3, nf=64, num_modules=6, out_nc=3, upscale=4):
        super().__init__()
        self.fea_conv = conv(in_nc, nf, 3)
        for index in range(1, num_modules + 1):
            self.add_module(f"IMDB{index}", IMDModule(nf))
        self.number = num_modules
        self.c = nn.Sequential(conv(nf * num_modules, nf, 1), nn.LeakyReLU(0.05))
        self.LR_conv = conv(nf, nf, 3)
        self.upsampler = nn.Sequential(conv(nf, out_nc * upscale**2, 3), nn.PixelShuffle(upscale))

    def forward(self, x):
        first = last = self.fea_conv(x)
        outs = []
        for index in range(1, self.number + 1):
            last = self.get_submodule(f"IMDB{index}")(last)
            outs.append(last)
        return self.upsampler(self.LR_conv(self.c(torch.cat(outs, dim=1))) + first)
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of the network's repository, with weights as its trainer saved them, and the page's `imdn_x4.py`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "architecture.py").write_text(ARCHITECTURE)
    (tmp_path / "imdn_x4.py").write_text(python("docs/models.md")[0])
    for name in [name for name in sys.modules if name in ("imdn_x4", "model", "model.architecture")]:
        monkeypatch.delitem(sys.modules, name)
    from model.architecture import IMDN  # type: ignore[import-not-found]

    torch.manual_seed(0)
    torch.save({f"module.{name}": tensor for name, tensor in IMDN().state_dict().items()}, "IMDN_x4.pth")
    return tmp_path


def test_the_walk_through_a_network_that_no_loader_knows(repository: Path, srbench: Srbench) -> None:
    with pytest.raises(InputError, match="(?s)no loader knows this model.*mynet:make"):
        find_model("IMDN_x4.pth")
    from model.architecture import IMDN

    torch.manual_seed(0)
    network, lr = IMDN().eval(), torch.rand(1, 3, 12, 16)
    with torch.inference_mode():
        torch.testing.assert_close(load_model("imdn_x4:make", 4, "cpu")(lr), network(lr), rtol=0, atol=0)
    command = ("run", "--models", "imdn_x4:make", "--datasets", "samples", "--limit", 1, "--metrics", "psnr_y")
    assert srbench(*command, "--no-speed", "--out", "out") == 0
    assert "imdn_x4.make" in srbench.out
    torch.save({name: tensor * 0.5 for name, tensor in network.state_dict().items()}, "IMDN_x4.pth")
    assert srbench(*command, "--no-speed", "--out", "out") == 2  # other weights are another model
    assert "weights or code of " in srbench.err


def test_an_esrnet_of_plain_residual_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, srbench: Srbench) -> None:
    """As its trainer saved it, beside optimiser and epoch, from several GPUs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "esrnet_plain", raising=False)
    (tmp_path / "esrnet_plain.py").write_text(python("docs/models.md")[1])
    from esrnet_plain import ESRNet  # type: ignore[import-not-found]

    torch.manual_seed(0)
    network, lr = ESRNet(blocks=3).eval(), torch.rand(1, 3, 12, 16)
    weights = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save({"epoch": 7, "state_dict": weights, "optimizer": {"state": {}}}, "esrnet.pth.tar")
    with torch.inference_mode():
        torch.testing.assert_close(load_model("esrnet_plain:make", 4, "cpu")(lr), network(lr), rtol=0, atol=0)
    command = ("run", "--models", "esrnet_plain:make", "--datasets", "samples", "--limit", 1, "--metrics", "psnr_y")
    assert srbench(*command, "--no-speed", "--out", "out") == 0
    del weights["module.first.bias"]
    torch.save({"state_dict": weights}, "esrnet.pth.tar")
    assert srbench(*command, "--no-speed", "--out", "other") == 1
    assert "first.bias" in srbench.err + srbench.out
