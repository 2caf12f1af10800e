"""Generators of other repositories in the layout of SRResNet: which tensor of theirs is which of ours.

They differ from ours in what can be settled once: biases in front of batch norm go into its mean, its epsilon into its
variance, a batch norm behind an upsampling convolution into that convolution. What comes before the first and after
the last convolution (normalisation by ImageNet's statistics, tanh) is in no file: it is as the repositories have it,
and the probe of `srbench.models.probe` refuses a network that it does not suit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from reference_models.architectures.srresnet import SRResNet

State = dict[str, Tensor]
EPS = 1e-5
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of RGB in [0, 1] over ImageNet, by which torchvision's networks are fed."""


@dataclass(frozen=True)
class Layout:
    """`rules` are patterns of the names of modules, and ours: `head`, `body.N`, `join`, `up.STAGE`, `tail`.

    first_block   the number that the first block has
    eps           the epsilon of the norms outside the upsampling
    normalised    the input is normalised by ImageNet's statistics
    tanh          what becomes of the output after tanh: `unit` (halved into [0, 1]), or `imagenet` (normalised as the
                  input); empty where there is no tanh
    """

    name: str
    rules: Mapping[str, str]
    first_block: int = 0
    eps: float = EPS
    normalised: bool = False
    tanh: str = ""


def _block(prefix: str, parts: Mapping[str, str]) -> dict[str, str]:
    return {rf"{prefix}\.(\d+)\.{re.escape(theirs)}": rf"body.\1.{ours}" for theirs, ours in parts.items()}


SEQUENTIAL = dict(enumerate(("conv1", "norm1", "act", "conv2", "norm2")))
"""The order of every residual block with batch norm."""

LAYOUTS = (
    Layout(
        "leftthomas/SRGAN",
        {
            r"block1\.(\d)": r"head.\1",
            r"block7\.(\d)": r"join.\1",
            r"block(\d+)\.(conv\d)": r"body.\1.\2",
            r"block(\d+)\.bn(\d)": r"body.\1.norm\2",
            r"block(\d+)\.prelu": r"body.\1.act",
            r"block8\.(\d+)\.conv": r"up.\1.conv",
            r"block8\.(\d+)\.prelu": r"up.\1.act",
            r"block8\.\d+": "tail",
        },
        first_block=2,
        tanh="unit",
    ),
    Layout(
        "sgrvinod/a-PyTorch-Tutorial-to-Super-Resolution",
        {
            r"conv_block1\.conv_block\.(\d)": r"head.\1",
            r"conv_block2\.conv_block\.(\d)": r"join.\1",
            r"conv_block3\.conv_block\.0": "tail",
            r"residual_blocks\.(\d+)\.conv_block(\d)\.conv_block\.0": r"body.\1.conv\2",
            r"residual_blocks\.(\d+)\.conv_block(\d)\.conv_block\.1": r"body.\1.norm\2",
            r"residual_blocks\.(\d+)\.conv_block1\.conv_block\.2": r"body.\1.act",
            r"subpixel_convolutional_blocks\.(\d+)\.conv": r"up.\1.conv",
            r"subpixel_convolutional_blocks\.(\d+)\.prelu": r"up.\1.act",
        },
        normalised=True,
        tanh="unit",
    ),
    Layout(
        "eriklindernoren/PyTorch-GAN",
        {
            r"conv1\.(\d)": r"head.\1",
            r"conv2\.(\d)": r"join.\1",
            r"conv3\.0": "tail",
            **_block("res_blocks", {f"conv_block.{index}": part for index, part in SEQUENTIAL.items()}),
            **{
                rf"upsampling\.{4 * stage + index}": f"up.{stage}.{part}"
                for stage in range(3)
                for index, part in ((0, "conv"), (1, "norm"), (3, "act"))
            },
        },
        eps=0.8,  # BatchNorm2d(64, 0.8): meant as the momentum, it is the epsilon
        normalised=True,
        tanh="imagenet",
    ),
    Layout(
        "Lornatang/SRGAN-PyTorch",
        {
            r"conv1\.(\d)": r"head.\1",
            r"conv2\.(\d)": r"join.\1",
            r"conv3": "tail",
            **_block("trunk", {f"rcb.{index}": part for index, part in SEQUENTIAL.items()}),
            r"upsampling\.(\d+)\.upsample_block\.0": r"up.\1.conv",
            r"upsampling\.(\d+)\.upsample_block\.2": r"up.\1.act",
        },
    ),
)


class Ends(nn.Module):
    """What a layout has around the convolutions, so that the whole is from RGB in [0, 1] to the same."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: SRResNet, layout: Layout) -> None:
        super().__init__()
        self.network, self.scale, self.layout = network, network.scale, layout
        mean, std = (torch.tensor(row).view(1, 3, 1, 1) for row in IMAGENET)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        sr = self.network((lr - self.mean) / self.std if self.layout.normalised else lr)
        if self.layout.tanh:
            sr = sr.tanh()
        if self.layout.tanh == "imagenet":
            return torch.as_tensor(sr * self.std + self.mean)
        return torch.as_tensor((sr + 1.0) / 2.0 if self.layout.tanh == "unit" else sr)


def srresnet(tensors: Mapping[str, Tensor]) -> tuple[nn.Module, State] | None:
    """The network for a checkpoint in one of `LAYOUTS`, and all its tensors by our names; None for anything else.

    Tensors that only look like the layout's stay in the result, so that loading it refuses them.
    """
    if tensors and all(name.startswith("net.") for name in tensors):  # sgrvinod's SRGAN holds its SRResNet so
        tensors = {name.removeprefix("net."): tensor for name, tensor in tensors.items()}
    for layout in LAYOUTS:
        ours = {_renamed(name, layout): tensor for name, tensor in tensors.items()}
        if len(ours) < len(tensors) or not {"head.0.weight", "tail.weight", "body.0.conv1.weight"} <= ours.keys():
            continue
        network = _network(ours)
        if network is not None:
            state = _settled(ours, layout)
            return Ends(network, layout), {f"network.{name}": tensor for name, tensor in state.items()}
    return None


def _renamed(name: str, layout: Layout) -> str:
    module, _, parameter = name.rpartition(".")
    for pattern, ours in layout.rules.items():
        if match := re.fullmatch(pattern, module):
            kind, _, rest = match.expand(ours).partition(".")
            number, _, part = rest.partition(".")
            if kind == "body":
                return f"body.{int(number) - layout.first_block}.{part}.{parameter}"
            return f"{match.expand(ours)}.{parameter}"
    return name


def _network(ours: Mapping[str, Tensor]) -> SRResNet | None:
    """A network of the size of a checkpoint; None for scales and channels that SRResNet does not have."""
    blocks = {int(found[1]) for name in ours if (found := re.match(r"body\.(\d+)\.", name))}
    features, channels = ours["head.0.weight"].shape[:2]
    steps = [
        ours[f"up.{stage}.conv.weight"].shape[0] // features for stage in range(3) if f"up.{stage}.conv.weight" in ours
    ]
    scale = {(4,): 2, (9,): 3, (4, 4): 4, (4, 4, 4): 8}.get(tuple(steps))
    if not scale or channels != 3:
        return None
    network = SRResNet(scale, len(blocks), features)
    if "join.1.weight" in ours and "join.1.running_var" not in ours:  # the older leftthomas/SRGAN
        network.join = nn.Sequential(nn.Conv2d(features, features, 3, padding=1), nn.PReLU())
    return network


def _settled(ours: Mapping[str, Tensor], layout: Layout) -> State:
    """The tensors as our network wants them: no biases before norms, our epsilon, no norm in the upsampling."""
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in ours.items()}
    for conv, norm in _normed(state):
        if (bias := state.pop(f"{conv}.bias", None)) is not None:
            state[f"{norm}.running_mean"] = state[f"{norm}.running_mean"] - bias
        state[f"{norm}.running_var"] = state[f"{norm}.running_var"] + (layout.eps - EPS)
        state.setdefault(f"{norm}.num_batches_tracked", torch.tensor(0))
    for stage in range(3):
        _fold_norm(state, f"up.{stage}")
    return {_flat(name): tensor for name, tensor in state.items()}


def _normed(state: State) -> list[tuple[str, str]]:
    """The pairs of convolution and norm in blocks and join that a checkpoint has whole."""
    blocks = sorted({name.split(".")[1] for name in state if name.startswith("body.")})
    pairs = [(f"body.{block}.conv{i}", f"body.{block}.norm{i}") for block in blocks for i in (1, 2)]
    return [pair for pair in [*pairs, ("join.0", "join.1")] if f"{pair[1]}.running_var" in state]


def _fold_norm(state: State, stage: str) -> None:
    """Batch norm behind an upsampling convolution, of the ordinary epsilon, into the convolution."""
    if f"{stage}.norm.running_var" not in state:
        return
    gain, shift, mean, variance = (
        state.pop(f"{stage}.norm.{part}") for part in ("weight", "bias", "running_mean", "running_var")
    )
    state.pop(f"{stage}.norm.num_batches_tracked", None)
    factor = gain / (variance + EPS).sqrt()
    state[f"{stage}.conv.weight"] = state[f"{stage}.conv.weight"] * factor.view(-1, 1, 1, 1)
    state[f"{stage}.conv.bias"] = (state[f"{stage}.conv.bias"] - mean) * factor + shift


def _flat(name: str) -> str:
    """`up.1.act.weight` as in our Sequential, which has three parts a stage: convolution, activation, shuffle."""
    match = re.fullmatch(r"up\.(\d)\.(conv|act)\.(\w+)", name)
    return f"upsample.{3 * int(match[1]) + ('conv', 'act').index(match[2])}.{match[3]}" if match else name
