"""Perceptual losses: distances between the features that an ImageNet network sees.

| trunk      | features                                                   | as in                              |
|------------|------------------------------------------------------------|------------------------------------|
| `vgg19_54` | VGG19 conv5_4 before its activation, L1                    | ESRGAN, section 3.3                |
| `vgg54`    | VGG19 conv5_4 after its activation, squares over 12.75²    | SRGAN, section 2.2.1               |
| `vgg22`    | VGG19 conv2_2 after its activation, squares over 12.75²    | SRGAN, section 2.2.1               |
| `vgg16_22` | VGG16 conv2_2 after its activation, L1                     | the layer of Johnson et al., 2016  |
| `squeeze`  | SqueezeNet 1.1 after three of its Fire modules, L1         | for places without VGG19           |
| `squeeze_N` | the same and its first convolution, N (3, 10, 30) times as heavy | docs/training.md: less weave |
| `lpips_squeeze` | SqueezeNet 1.1, seven layers, weighed as people see   | LPIPS v0.1 with that trunk         |

AlexNet is refused: LPIPS measures with it here, and a model must not be trained on its own judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from reference_models.layouts import IMAGENET
from reference_models.weights import read_weights
from srbench.base.assets import Asset, locate, weights_folder
from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.base.registry import refuse_unknown

STRIDE = 8
"""Shifts are drawn below it. It is the stride of the features in the middle of a trunk; the deepest have 16."""

SRGAN_SCALE = 12.75
"""SRGAN divides VGG features by this, "to obtain VGG losses of a scale that is comparable to the MSE loss"."""

VGG19 = Asset("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", sha256="dcbb9e9d", size=574_673_361)
SQUEEZENET = "squeezenet1_1_features.safetensors"


@dataclass(frozen=True)
class Trunk:
    """A network of torchvision, the indices in its `features` after which a loss is taken, and which distance it is.

    `heads` is the file of the `lpips` package that weighs channels, for that distance; `shares` weigh the layers, 1
    each where left out.
    """

    network: str
    layers: tuple[int, ...]
    file: str
    distance: Literal["l1", "squares", "lpips"] = "l1"
    heads: str = ""
    shares: tuple[float, ...] = ()


TRUNKS = {
    "vgg19_54": Trunk("vgg19", (34,), VGG19.filename),
    "vgg54": Trunk("vgg19", (35,), VGG19.filename, "squares"),
    "vgg22": Trunk("vgg19", (8,), VGG19.filename, "squares"),
    "vgg16_22": Trunk("vgg16", (8,), "vgg16_features_conv1_1-conv2_2.safetensors"),
    "squeeze": Trunk("squeezenet1_1", (4, 7, 12), SQUEEZENET),
    **{f"squeeze_{n}": Trunk("squeezenet1_1", (1, 4, 7, 12), SQUEEZENET, shares=(n, 1, 1, 1)) for n in (3, 10, 30)},
    "lpips_squeeze": Trunk("squeezenet1_1", (1, 4, 7, 9, 10, 11, 12), SQUEEZENET, "lpips", "v0.1/squeeze.pth"),
}


class PerceptualLoss(nn.Module):
    """`(sr, hr)` RGB in [0, 1], `(n, 3, h, w)`, to the mean distance of their features. Its weights do not train.

    Raises `UsageError` for AlexNet and for an unknown trunk, `UnavailableError` where its weights cannot be had.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        if name.startswith("alex"):
            raise UsageError(
                "AlexNet is what LPIPS measures with; training on it would make the score meaningless. Use vgg19_54"
            )
        refuse_unknown("perceptual trunk", [name], TRUNKS)
        self.trunk = TRUNKS[name]
        self.features = _features(self.trunk).eval().requires_grad_(False)
        self.heads = _heads(self.trunk)
        mean, std = (torch.tensor(row).view(1, 3, 1, 1) for row in IMAGENET)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, sr: Tensor, hr: Tensor, shift: tuple[int, int] | None = None) -> Tensor:
        """With a `shift`, row and column below `STRIDE`, of a crop that begins there; without, of the whole images.

        The trunk's strides must not always fall on the same pixels: otherwise the generator learns what they do not
        see, a grid as wide as they are. The crop is of one size at every shift, since cuDNN looks for its fastest
        algorithm at each size anew.
        """
        if shift is not None:
            height, width = (side - (STRIDE - 1) for side in sr.shape[-2:])
            crop = (..., slice(shift[0], shift[0] + height), slice(shift[1], shift[1] + width))
            sr, hr = sr[crop], hr[crop]
        with torch.no_grad():
            wanted = self._seen(hr)
        seen = self._seen(sr)
        shares = self.trunk.shares or (1.0,) * len(seen)
        layers = enumerate(zip(shares, seen, wanted, strict=True))
        return torch.stack([share * self._distance(layer, a, b) for layer, (share, a, b) in layers]).sum()

    def _distance(self, layer: int, a: Tensor, b: Tensor) -> Tensor:
        if self.trunk.distance == "lpips":
            return _lpips(a, b, self.heads[layer])
        if self.trunk.distance == "squares":
            return ((a - b) / SRGAN_SCALE).square().mean()
        return (a - b).abs().mean()

    def _seen(self, image: Tensor) -> list[Tensor]:
        x = (image - self.mean) / self.std
        taken = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.trunk.layers:
                taken.append(x)
        return taken


class StagedLoss(nn.Module):
    """Perceptual losses that take over from each other as a training goes on.

    `squeeze_10,squeeze_30@0.8` is `squeeze_10`, and from eight tenths of the training on `squeeze_30`. Raises
    `UsageError` for another spelling, and what `PerceptualLoss` raises.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        stages = [stage.strip().partition("@") for stage in text.split(",")]
        try:
            self.begins = [float(begin) if at else 0.0 for _, at, begin in stages]
        except ValueError:
            self.begins = []
        if not self.begins or self.begins[0] or sorted(set(self.begins)) != self.begins or self.begins[-1] >= 1.0:
            raise UsageError(
                f"perceptual={text}: expected a trunk, or several as in squeeze_10,squeeze_30@0.8: rising shares"
            )
        self.losses = nn.ModuleList(PerceptualLoss(name) for name, *_ in stages)

    def forward(self, progress: float, sr: Tensor, hr: Tensor, shift: tuple[int, int] | None = None) -> Tensor:
        """`progress` is the share of the training that is done; for the others see `PerceptualLoss.forward`."""
        stage = sum(begin <= progress for begin in self.begins) - 1
        return torch.as_tensor(self.losses[stage](sr, hr, shift))


def _lpips(a: Tensor, b: Tensor, head: Tensor) -> Tensor:
    """One layer of LPIPS, mean over a batch: pixels of length one, squared differences, channels weighed by the head.

    `normalize` has a gradient of zero where a pixel is zero, and the package's own formula one that is no number.
    """
    a, b = (functional.normalize(features, dim=1, eps=1e-10) for features in (a, b))
    return ((a - b).square() * head).sum(dim=1).mean()


def _heads(trunk: Trunk) -> nn.ParameterList:
    """The weights of each layer's channels, `(1, c, 1, 1)`, as the `lpips` package brings them."""
    if not trunk.heads:
        return nn.ParameterList()
    package = find_spec("lpips")
    if package is None or package.origin is None:
        raise UnavailableError("the lpips package is not here, whose weights this loss takes: pip install lpips")
    tensors = read_weights(Path(package.origin).parent / "weights" / trunk.heads).tensors
    return nn.ParameterList(nn.Parameter(tensors[name], requires_grad=False) for name in sorted(tensors))


def _features(trunk: Trunk) -> nn.Sequential:
    """The layers of the trunk up to the last that is needed, with ImageNet weights."""
    weights = _weights(trunk)
    import torchvision  # seconds, so only once the weights are known to be here

    with torch.device("meta"):  # nothing to initialise: all weights are read
        layers = getattr(torchvision.models, trunk.network)(weights=None).features[: max(trunk.layers) + 1]
    for layer in layers.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # it would overwrite the features taken before it
    tensors = {name.removeprefix("features."): tensor for name, tensor in weights.items()}
    try:
        layers.load_state_dict({name: tensors[name].float() for name in layers.state_dict()}, assign=True)
    except KeyError as error:
        raise InputError(f"{trunk.file}: lacks {error} of {trunk.network}") from None
    assert isinstance(layers, nn.Sequential)
    return layers


def _weights(trunk: Trunk) -> dict[str, Tensor]:
    if trunk.file == VGG19.filename:
        return read_weights(locate(VGG19)).tensors
    folder = weights_folder()
    if folder and (folder / trunk.file).is_file():
        return read_weights(folder / trunk.file).tensors
    raise UnavailableError(f"{trunk.file} is not here. Put it into $SRBENCH_WEIGHTS, or use --set perceptual=vgg19_54")
