"""Community architectures in the containers in which they are published, with made-up weights, by the loader."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from srbench.models import find_model
from srbench.models.values import UNIT, Hints

pytest.importorskip("spandrel", reason="needs spandrel: pip install 'srbench-sr[spandrel]'")
pytestmark = pytest.mark.filterwarnings("ignore")  # the architectures are others'

GIVEN = Hints(range=(UNIT, UNIT), channels="rgb")
"""The networks here are random: no probe could tell what they take."""

SWIN: dict[str, Any] = {"depths": [2, 2], "num_heads": [2, 2], "window_size": 8, "upsampler": "pixelshuffle"}
NETWORKS: dict[str, dict[str, Any]] = {
    "Compact.SRVGGNetCompact": {"num_feat": 8, "num_conv": 2, "upscale": 4},
    "SPAN.SPAN": {"feature_channels": 8, "upscale": 4, "num_in_ch": 3, "num_out_ch": 3},
    "SAFMN.SAFMN": {"dim": 8, "n_blocks": 2, "upscaling_factor": 4},
    "SwinIR.SwinIR": {"embed_dim": 12, "upscale": 4, "mlp_ratio": 2, "resi_connection": "1conv", **SWIN},
    "HAT.HAT": {"embed_dim": 60, "upscale": 4, **SWIN},
    "OmniSR.OmniSR": {
        "num_feat": 8, "block_num": 1, "res_num": 1, "up_scale": 4, "window_size": 8, "pe": True, "bias": True
    },
}  # fmt: skip

CONTAINERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "net.pth": lambda state: state,
    "net_g_latest.pth": lambda state: {"params": zeroed(state), "params_ema": state},
    "net.ckpt": lambda state: {"state_dict": {f"model.{name}": tensor for name, tensor in state.items()}},
    "net.pth.tar": lambda state: {"epoch": 9, "net_weights": {f"module.{name}": t for name, t in state.items()}},
}


def zeroed(state: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


def architecture(name: str) -> Any:
    """A class of spandrel's, wherever in its package it lies."""
    package, _, wanted = name.partition(".")
    home = importlib.import_module(f"spandrel.architectures.{package}")
    modules = [
        importlib.import_module(found.name) for found in pkgutil.walk_packages(home.__path__, f"{home.__name__}.")
    ]
    return next(vars(module)[wanted] for module in modules if isinstance(vars(module).get(wanted), type))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_community_network_loads_from_every_container(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = architecture(name)(**NETWORKS[name]).eval()
    lr = torch.rand(1, 3, 16, 16)
    for file, wrap in CONTAINERS.items():
        torch.save(wrap(dict(network.state_dict())), tmp_path / file)
        spec = find_model(str(tmp_path / file), GIVEN)
        assert spec.scales == (4,) and "spandrel" in spec.summary
        with torch.inference_mode():
            ours, theirs = spec.build(4, torch.device("cpu"))(lr), network(lr)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=file)


def test_the_page_lists_what_is_tested_here() -> None:
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    for name in NETWORKS:
        assert f"| {name.partition('.')[2]} |" in page
