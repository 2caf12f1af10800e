"""LPIPS v0.1 (Zhang et al., "The Unreasonable Effectiveness of Deep Features", CVPR 2018), by their package.

The `lpips` package brings the linear heads; the ImageNet trunk is a file of its convolutions alone or torchvision's own
file, whichever is found first. AlexNet is what papers mean by LPIPS; with VGG16 or SqueezeNet it is another metric.
Input: RGB, SR rounded to uint8, scaled to [-1, 1], no border cropped.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any

from srbench.base.assets import Asset, locate, weights_folder
from srbench.base.errors import InputError, UnavailableError
from srbench.metrics.metric import Metric, ScoreFunction

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.metrics.conventions import Convention

KEPT_BYTES = 512 * 2**20
"""Features of references kept on a CPU: 42 bytes a pixel with AlexNet, so 12 megapixels."""


@dataclass(frozen=True)
class Trunk:
    """A network under LPIPS.

    net        what the `lpips` package calls it
    title      what people call it
    whole      torchvision's own file, checked by its sha256
    smallest   pixels a side: the strides leave nothing of a smaller image
    usual      sha256 as `network_digest` makes it, of the published weights under `parts`
    parts      which tensors those are: the heads alone where the trunk can only be the file that is checked
    features   a file of the convolutions alone, which is taken first where it is in `$SRBENCH_WEIGHTS`
    """

    net: str
    title: str
    whole: Asset
    smallest: int
    usual: str
    parts: tuple[str, ...] = ("net.", "lin")
    features: str = ""

    @property
    def asset(self) -> Asset:
        """The file that is taken here."""
        folder = weights_folder()
        here = self.features and folder and (folder / self.features).is_file()
        return Asset(self.features) if here else self.whole


TRUNK = "alexnet_features.safetensors"
TORCHVISION = "https://download.pytorch.org/models/"
ALEXNET = Trunk(
    "alex",
    "AlexNet",
    Asset(
        TORCHVISION + "alexnet-owt-7be5be79.pth",
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        size=244_408_911,
    ),
    smallest=32,
    usual="cfce44021a40c71fb6d9aea29fa8bf481301f99f5f33a53f2356aba09b3f1ef6",
    features=TRUNK,
)
SQUEEZENET = Trunk(
    "squeeze",
    "SqueezeNet",
    Asset(
        TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        size=4_958_839,
    ),
    smallest=17,
    usual="c926912926aff87b93136b35b31cf6b0ac67c73dca7bc8e7b9f2c1e0f50a6277",
    features="squeezenet1_1_features.safetensors",
)
VGG16 = Trunk(
    "vgg",
    "VGG16",
    Asset(
        TORCHVISION + "vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        size=553_433_881,
    ),
    smallest=16,
    usual="09016f6c713efecd87823d0ac57b392f1c5c47de4e54122e04c71f80cc4650a3",
    parts=("lin",),
)


def _load(trunk: Trunk, convention: Convention, device: torch.device) -> ScoreFunction:
    return Distance(_network(str(device), trunk), KEPT_BYTES if device.type == "cpu" else 0, trunk.smallest)


class Distance:
    """LPIPS of pairs of views, which knows the references that it has met: every model is scored on the same ones.

    Their features are kept, in the order met, until `memory` bytes are full, and then no more: models come one after
    the other over all images, in which order a cache that forgets the oldest would forget each just before its use.
    On a GPU none are kept: the trunk costs little there, and the memory is the model's.
    """

    def __init__(self, network: Any, memory: int, smallest: int = ALEXNET.smallest) -> None:
        self.network, self.smallest = network, smallest
        self.free = memory
        self.kept: dict[bytes, list[Tensor]] = {}
        self._lock = Lock()

    def __call__(self, sr: Tensor, hr: Tensor) -> Tensor:
        """LPIPS of each pair of `(n, 3, h, w)` views in [0, 255]; n distances, 0 where the pair is equal."""
        import torch

        if min(sr.shape[-2:]) < self.smallest:
            raise InputError(f"LPIPS needs {self.smallest} pixels a side; the image is {sr.shape[-1]}x{sr.shape[-2]}")
        with torch.inference_mode():
            return torch.cat([self._pair(a[None], b[None]) for a, b in zip(sr, hr, strict=True)])

    def _pair(self, sr: Tensor, hr: Tensor) -> Tensor:
        pairs = zip(self._features(sr), self._reference(hr), self.network.lins, strict=True)
        return sum((_distance(a, b, head) for a, b, head in pairs), start=sr.new_zeros(1))

    def _reference(self, hr: Tensor) -> list[Tensor]:
        if not self.free and not self.kept:
            return self._features(hr)
        pixels = hr.byte().numpy()  # whole numbers: no convention does anything to RGB but crop it
        key = hashlib.blake2b(f"{pixels.shape}".encode() + pixels.tobytes(), digest_size=16).digest()
        if key in self.kept:
            return self.kept[key]
        features = self._features(hr)
        size = sum(item.nbytes for item in features)
        with self._lock:
            if size <= self.free and key not in self.kept:
                self.kept[key] = features
                self.free -= size
        return features

    def _features(self, image: Tensor) -> list[Tensor]:
        """The trunk's layers, five or seven, each pixel's channels scaled to length one (equation 1 of the paper)."""
        import torch

        x = self.network.scaling_layer(image.float() / 127.5 - 1.0).contiguous(memory_format=torch.channels_last)
        layers = self.network.net(x)
        return [layer / (layer.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for layer in layers]


def _distance(a: Tensor, b: Tensor, head: torch.nn.Module) -> Tensor:
    """The squared differences of one layer, weighed by channel, averaged over the image; one float64."""
    import torch

    weight = torch.cat([parameter.flatten() for parameter in head.parameters()])
    return ((a - b).square_().mean(dim=(2, 3)) * weight).sum(dim=1).double()


@cache
def _network(device: str, trunk: Trunk = ALEXNET) -> torch.nn.Module:
    import torch

    if find_spec("lpips") is None:
        raise UnavailableError("LPIPS needs the package lpips: pip install lpips")
    weights = _weights(trunk)  # before a package that takes seconds to import, for nothing where there are none
    try:
        from lpips import LPIPS
    except ImportError as error:
        raise UnavailableError(f"LPIPS needs the package {error.name}: pip install {error.name}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision the old way
        network = LPIPS(net=trunk.net, version="0.1", pnet_rand=True, verbose=False)
    state = network.net.state_dict()  # named slice3.6.weight where torchvision says features.6.weight
    try:
        network.net.load_state_dict({name: weights["features." + name.split(".", 1)[1]] for name in state})
    except (KeyError, RuntimeError) as error:
        name = trunk.asset.filename
        raise InputError(
            f"{name} does not hold {trunk.title}'s features ({type(error).__name__}). Replace it."
        ) from None
    ready: torch.nn.Module = network.eval().requires_grad_(False).to(device, memory_format=torch.channels_last)
    return ready


def network_digest(network: torch.nn.Module, parts: tuple[str, ...] = ALEXNET.parts) -> str:
    """sha256 (hex) over names and float32 values of trunk and heads, whichever file they came from."""
    total = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if name.startswith(parts) and not name.startswith("lins."):  # the package lists its heads twice
            total.update(name.encode() + tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return total.hexdigest()


@cache
def _variant(trunk: Trunk) -> str:
    """Empty for the published weights; others make another metric, which signatures name by their digest."""
    digest = network_digest(_network("cpu", trunk), trunk.parts)
    return "" if digest == trunk.usual else f"weights@{digest[:6]}"


def _weights(trunk: Trunk) -> dict[str, Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = weights_folder()
    if not folder or trunk.asset.filename != trunk.features:
        return dict(torch.load(locate(trunk.whole), map_location="cpu", weights_only=True))
    try:
        return load_file(folder / trunk.features)
    except SafetensorError as error:
        raise InputError(f"{folder / trunk.features}: not a safetensors file ({error}). Replace it.") from error


def _metric(name: str, label: str, trunk: Trunk) -> Metric:
    return Metric(
        name,
        "rgb",
        partial(_load, trunk),
        convention="nocrop",
        higher_is_better=False,
        digits=4,
        bounds=(0.0, math.inf),
        label=label,
        citation="Zhang et al., CVPR 2018",
        summary=f"learned perceptual distance, v0.1, {trunk.title}",
        variant=partial(_variant, trunk),
    )


LPIPS = _metric("lpips", "LPIPS", ALEXNET)
LPIPS_SQUEEZE = _metric("lpips_squeeze", "LPIPS-Squeeze", SQUEEZENET)
LPIPS_VGG = _metric("lpips_vgg", "LPIPS-VGG", VGG16)
