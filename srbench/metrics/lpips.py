"""LPIPS v0.1, AlexNet (Zhang et al., "The Unreasonable Effectiveness of Deep Features", CVPR 2018), by their package.

The `lpips` package brings the linear heads; the ImageNet trunk is `alexnet_features.safetensors` or torchvision's own
file, whichever is found first. Input: RGB, SR rounded to uint8, scaled to [-1, 1], no border cropped.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.assets import locate, weights_folder
from srbench.errors import InputError
from srbench.types import Asset, Metric, ScoreFunction

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.conventions import Convention

TRUNK = "alexnet_features.safetensors"
TORCHVISION_ALEXNET = Asset(
    "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    size=244_408_911,
)
SMALLEST = 32
"""AlexNet's strides leave nothing of a smaller image."""


def _load(convention: Convention, device: torch.device) -> ScoreFunction:
    network = _network(str(device))

    def lpips(sr: Tensor, hr: Tensor) -> Tensor:
        """LPIPS of each pair of `(n, 3, h, w)` views in [0, 255]; n distances, 0 where the pair is equal."""
        import torch

        if min(sr.shape[-2:]) < SMALLEST:
            raise InputError(f"LPIPS needs {SMALLEST} pixels a side; the image is {sr.shape[-1]}x{sr.shape[-2]}")
        with torch.inference_mode():
            distance: Tensor = network(sr.float() / 127.5 - 1.0, hr.float() / 127.5 - 1.0)
        return distance.double().flatten()

    return lpips


@cache
def _network(device: str) -> torch.nn.Module:
    from lpips import LPIPS

    trunk = _trunk()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision the old way
        network = LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    state = network.net.state_dict()  # named slice3.6.weight where torchvision says features.6.weight
    network.net.load_state_dict({name: trunk["features." + name.split(".", 1)[1]] for name in state})
    ready: torch.nn.Module = network.eval().requires_grad_(False).to(device)
    return ready


def _trunk() -> dict[str, Tensor]:
    folder = weights_folder()
    if folder and (folder / TRUNK).is_file():
        return _read_trunk(folder / TRUNK)
    import torch

    return dict(torch.load(locate(TORCHVISION_ALEXNET), map_location="cpu", weights_only=True))


def _read_trunk(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error}). Replace it.") from error


LPIPS = Metric(
    "lpips",
    "rgb",
    _load,
    convention="nocrop",
    higher_is_better=False,
    digits=4,
    label="LPIPS",
)
