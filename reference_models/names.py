"""Tensor names of published checkpoints. Of RRDBNet, in all three spellings:

| spelling   | first        | a convolution of a dense block  | after the trunk    | upsampling |
|------------|--------------|---------------------------------|--------------------|------------|
| BasicSR    | `conv_first` | `body.0.rdb1.conv1`             | `conv_body`        | `conv_up1` |
| new ESRGAN | `conv_first` | `RRDB_trunk.0.RDB1.conv1`       | `trunk_conv`       | `upconv1`  |
| old ESRGAN | `model.0`    | `model.1.sub.0.RDB1.conv1.0`    | `model.1.sub.23`   | `model.3`  |

MSRResNet is below, SRResNet in `reference_models.layouts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from reference_models.architectures.msrresnet import MSRResNet
from reference_models.architectures.rrdb import RRDBNet
from reference_models.architectures.srcnn import SRCNN
from reference_models.layouts import srresnet
from srbench.base.errors import InputError

NEW = {"trunk_conv": "conv_body", "upconv1": "conv_up1", "upconv2": "conv_up2", "HRconv": "conv_hr"}
OLD = {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}


def to_basicsr(names: list[str]) -> dict[str, str]:
    """Each name of an RRDBNet checkpoint in the spelling of BasicSR; names that are none of ours stay as they are."""
    return {name: _from_old(name) if name.startswith("model.") else _from_new(name) for name in names}


def _from_new(name: str) -> str:
    name = re.sub(r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2.", name)
    stem, _, rest = name.partition(".")
    return f"{NEW.get(stem, stem)}.{rest}"


def _from_old(name: str) -> str:
    dense = re.fullmatch(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(\w+)", name)
    if dense:
        return "body.{}.rdb{}.conv{}.{}".format(*dense.groups())
    if joined := re.fullmatch(r"model\.1\.sub\.\d+\.(weight|bias)", name):
        return f"conv_body.{joined[1]}"
    if plain := re.fullmatch(r"model\.(\d+)\.(weight|bias)", name):
        return f"{OLD.get(plain[1], plain[1])}.{plain[2]}"
    return name


def recognise(tensors: Mapping[str, Tensor], scale: int | None = None) -> tuple[nn.Module, dict[str, Tensor]] | None:
    """The network that fits a checkpoint without metadata, and its tensors by our names; None for anything else.

    `scale` is what the user says; raises `InputError` where it is not known, and does not show in the tensors.
    """
    if set(tensors) == {f"conv{number}.{part}" for number in (1, 2, 3) for part in ("weight", "bias")}:
        return srcnn(tensors, scale)
    for layout in (rrdbnet, msrresnet, srresnet):
        if found := layout(tensors):
            return found
    return None


def srcnn(tensors: Mapping[str, Tensor], scale: int | None) -> tuple[nn.Module, dict[str, Tensor]] | None:
    """Three convolutions, as most repositories call them; behind bicubic, so that every scale would fit."""
    shapes = [tuple(tensors[f"conv{number}.weight"].shape) for number in (1, 2, 3)]
    channels, middle = shapes[0][1], shapes[1][-1]
    expected = [(64, channels, 9, 9), (32, 64, middle, middle), (channels, 32, 5, 5)]
    if shapes != expected or channels not in (1, 3) or middle not in (1, 3, 5):
        return None
    if scale is None:
        raise InputError("SRCNN's weights do not say for which scale they are: --model-scale 4")
    ours = {"conv1": "patches", "conv2": "mapping", "conv3": "reconstruction"}
    renamed = {f"{ours[name.partition('.')[0]]}.{name.partition('.')[2]}": tensor for name, tensor in tensors.items()}
    return SRCNN(scale, f"9-{middle}-5", channels), renamed  # type: ignore[arg-type]


def rrdbnet(tensors: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor]] | None:
    """In any of the three spellings; its blocks, features and scale show in the tensors."""
    renamed = {ours: tensors[theirs] for theirs, ours in to_basicsr(list(tensors)).items()}
    blocks = _numbers(renamed, r"body\.(\d+)\.rdb1\.conv1\.weight")
    first = renamed.get("conv_first.weight")
    if not blocks or first is None or first.shape[1] != 3:
        return None
    growth = renamed["body.0.rdb1.conv1.weight"].shape[0]
    scale = 4 if "conv_up2.weight" in renamed else 2
    return RRDBNet(scale, len(blocks), first.shape[0], growth), renamed


def msrresnet(tensors: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor]] | None:
    """In the spelling of BasicSR, or of mmsr and KAIR, which say `recon_trunk` and `HRconv`."""
    renamed = {re.sub(r"^recon_trunk\.", "body.", name): tensor for name, tensor in tensors.items()}
    renamed = {re.sub(r"^HRconv\.", "conv_hr.", name): tensor for name, tensor in renamed.items()}
    blocks = _numbers(renamed, r"body\.(\d+)\.conv1\.weight")
    first, up = renamed.get("conv_first.weight"), renamed.get("upconv1.weight")
    if not blocks or first is None or up is None or first.shape[1] != 3:
        return None
    features = first.shape[0]
    scale = 4 if "upconv2.weight" in renamed else {4: 2, 9: 3}.get(up.shape[0] // features)
    return (MSRResNet(scale, len(blocks), features), renamed) if scale else None


def _numbers(names: Iterable[str], pattern: str) -> set[int]:
    return {int(found[1]) for name in names if (found := re.fullmatch(pattern, name))}
