"""Generators as other repositories lay them out, each built here in plain torch, give the same output as our loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from srbench.base.errors import InputError
from srbench.models import find_model
from srbench.models.values import UNIT, Hints

LR = torch.rand(1, 3, 10, 12, generator=torch.Generator().manual_seed(0))
GIVEN = Hints(range=(UNIT, UNIT), channels="rgb")
"""The networks here are random: no probe could tell what they take."""

F = 8
MEAN, STD = (torch.tensor(row).view(1, 3, 1, 1) for row in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)


class Named(nn.Module):
    """Modules under the names that a repository gives them; `run(modules, x)` is its forward pass."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def leftthomas(scale: int) -> nn.Module:
    """leftthomas/SRGAN, model.py."""

    def block() -> nn.Module:
        parts = {"conv1": conv(F, F, 3), "bn1": nn.BatchNorm2d(F), "prelu": nn.PReLU(), "conv2": conv(F, F, 3)}
        return Named(lambda m, x: x + m.bn2(m.conv2(m.prelu(m.bn1(m.conv1(x))))), **parts, bn2=nn.BatchNorm2d(F))

    def up() -> nn.Module:
        parts = {"conv": conv(F, 4 * F, 3), "pixel_shuffle": nn.PixelShuffle(2), "prelu": nn.PReLU()}
        return Named(lambda m, x: m.prelu(m.pixel_shuffle(m.conv(x))), **parts)

    def run(m: Any, x: Tensor) -> Tensor:
        first = x = m.block1(x)
        for index in range(2, 8):
            x = m.get_submodule(f"block{index}")(x)
        return (torch.tanh(m.block8(first + x)) + 1) / 2

    blocks = {f"block{index}": block() for index in range(2, 7)}
    ups = [up() for _ in range({2: 1, 4: 2}[scale])]
    return Named(
        run,
        block1=nn.Sequential(conv(3, F, 9), nn.PReLU()),
        **blocks,
        block7=nn.Sequential(conv(F, F, 3), nn.BatchNorm2d(F)),
        block8=nn.Sequential(*ups, conv(F, 3, 9)),
    )


def leftthomas_older(scale: int) -> nn.Module:
    """leftthomas/SRGAN as its public checkpoint has it: an activation in place of the norm behind the blocks."""
    network = leftthomas(scale)
    network.add_module("block7", nn.Sequential(conv(F, F, 3), nn.PReLU()))
    return network


def sgrvinod(scale: int) -> nn.Module:
    """sgrvinod/a-PyTorch-Tutorial-to-Super-Resolution, models.py; LR is normalised before and SR is in [-1, 1]."""

    def convolutional(*layers: nn.Module) -> nn.Module:
        return Named(lambda m, x: m.conv_block(x), conv_block=nn.Sequential(*layers))

    def residual() -> nn.Module:
        one = convolutional(conv(F, F, 3), nn.BatchNorm2d(F), nn.PReLU())
        other = convolutional(conv(F, F, 3), nn.BatchNorm2d(F))
        return Named(lambda m, x: x + m.conv_block2(m.conv_block1(x)), conv_block1=one, conv_block2=other)

    def up() -> nn.Module:
        parts = {"conv": conv(F, 4 * F, 3), "pixel_shuffle": nn.PixelShuffle(2), "prelu": nn.PReLU()}
        return Named(lambda m, x: m.prelu(m.pixel_shuffle(m.conv(x))), **parts)

    def run(m: Any, x: Tensor) -> Tensor:
        first = m.conv_block1((x - MEAN) / STD)
        x = first + m.conv_block2(m.residual_blocks(first))
        return (m.conv_block3(m.subpixel_convolutional_blocks(x)) + 1) / 2

    return Named(
        run,
        conv_block1=convolutional(conv(3, F, 9), nn.PReLU()),
        residual_blocks=nn.Sequential(residual(), residual()),
        conv_block2=convolutional(conv(F, F, 3), nn.BatchNorm2d(F)),
        subpixel_convolutional_blocks=nn.Sequential(*(up() for _ in range({2: 1, 4: 2}[scale]))),
        conv_block3=convolutional(conv(F, 3, 9), nn.Tanh()),
    )


def pytorch_gan(scale: int) -> nn.Module:
    """eriklindernoren/PyTorch-GAN, srgan/models.py; LR and SR are normalised."""

    def residual() -> nn.Module:
        layers = conv(F, F, 3), nn.BatchNorm2d(F, 0.8), nn.PReLU(), conv(F, F, 3), nn.BatchNorm2d(F, 0.8)
        return Named(lambda m, x: x + m.conv_block(x), conv_block=nn.Sequential(*layers))

    def run(m: Any, x: Tensor) -> Tensor:
        first = m.conv1((x - MEAN) / STD)
        return m.conv3(m.upsampling(first + m.conv2(m.res_blocks(first)))) * STD + MEAN

    steps = [(conv(F, 4 * F, 3), nn.BatchNorm2d(4 * F), nn.PixelShuffle(2), nn.PReLU()) for _ in range(scale // 2)]
    return Named(
        run,
        conv1=nn.Sequential(conv(3, F, 9), nn.PReLU()),
        res_blocks=nn.Sequential(residual(), residual()),
        conv2=nn.Sequential(conv(F, F, 3), nn.BatchNorm2d(F, 0.8)),
        upsampling=nn.Sequential(*(layer for step in steps for layer in step)),
        conv3=nn.Sequential(conv(F, 3, 9), nn.Tanh()),
    )


def lornatang(scale: int) -> nn.Module:
    """Lornatang/SRGAN-PyTorch, model.py: SRResNet in [0, 1]."""

    def residual() -> nn.Module:
        layers = conv(F, F, 3, False), nn.BatchNorm2d(F), nn.PReLU(), conv(F, F, 3, False), nn.BatchNorm2d(F)
        return Named(lambda m, x: x + m.rcb(x), rcb=nn.Sequential(*layers))

    def up() -> nn.Module:
        layers = nn.Sequential(conv(F, 4 * F, 3), nn.PixelShuffle(2), nn.PReLU())
        return Named(lambda m, x: m.upsample_block(x), upsample_block=layers)

    def run(m: Any, x: Tensor) -> Tensor:
        first = m.conv1(x)
        return m.conv3(m.upsampling(first + m.conv2(m.trunk(first))))

    return Named(
        run,
        conv1=nn.Sequential(conv(3, F, 9), nn.PReLU()),
        trunk=nn.Sequential(residual(), residual()),
        conv2=nn.Sequential(conv(F, F, 3, False), nn.BatchNorm2d(F)),
        upsampling=nn.Sequential(*(up() for _ in range({2: 1, 4: 2}[scale]))),
        conv3=conv(F, 3, 9),
    )


def msrresnet(scale: int, trunk: str = "body", hr: str = "conv_hr") -> nn.Module:
    """BasicSR, srresnet_arch.py; in mmsr and KAIR two modules have other names."""

    def block() -> nn.Module:
        return Named(lambda m, x: x + m.conv2(m.conv1(x).relu()), conv1=conv(F, F, 3), conv2=conv(F, F, 3))

    def lrelu(x: Tensor) -> Tensor:
        return functional.leaky_relu(x, 0.1)

    def run(m: Any, x: Tensor) -> Tensor:
        out = m.get_submodule(trunk)(lrelu(m.conv_first(x)))
        out = lrelu(functional.pixel_shuffle(m.upconv1(out), step))
        if scale == 4:
            out = lrelu(functional.pixel_shuffle(m.upconv2(out), 2))
        base = functional.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
        return m.conv_last(lrelu(m.get_submodule(hr)(out))) + base

    step = 3 if scale == 3 else 2
    ups = {"upconv1": conv(F, F * step**2, 3)} | ({"upconv2": conv(F, 4 * F, 3)} if scale == 4 else {})
    body = nn.Sequential(block(), block())
    return Named(run, conv_first=conv(3, F, 3), **{trunk: body}, **ups, **{hr: conv(F, F, 3)}, conv_last=conv(F, 3, 3))


def mmsr(scale: int) -> nn.Module:
    return msrresnet(scale, "recon_trunk", "HRconv")


def trained(network: nn.Module) -> nn.Module:
    """As if training had moved everything, the statistics of norms included."""
    random = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            positive = "running_var" in name
            noise = torch.rand(tensor.shape, generator=random) * 0.2
            tensor.copy_(noise + 0.5 if positive else tensor + noise - 0.1)
    return network.eval()


CONTAINERS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "bare": dict,
    "params": lambda state: {"params": state},
    "state_dict of DataParallel": lambda state: {
        "state_dict": {f"module.{k}": v for k, v in state.items()},
        "epoch": 9,
    },
    "generator": lambda state: {"generator": state, "discriminator": {"x": torch.zeros(1)}},
    "in a module called net": lambda state: {f"net.{k}": v for k, v in state.items()},
}


@pytest.mark.parametrize(
    ("make", "scale"),
    [(make, 4) for make in (leftthomas, leftthomas_older, sgrvinod, pytorch_gan, lornatang, msrresnet, mmsr)]
    + [
        (leftthomas, 2),
        (leftthomas_older, 2),
        (sgrvinod, 2),
        (pytorch_gan, 2),
        (lornatang, 2),
        (msrresnet, 2),
        (msrresnet, 3),
    ],
)
def test_every_layout_gives_the_same_output(make: Callable[[int], nn.Module], scale: int, tmp_path: Path) -> None:
    network = trained(make(scale))
    for container, wrap in CONTAINERS.items():
        if container.startswith("in a module") and make is not sgrvinod:
            continue
        torch.save(wrap(network.state_dict()), tmp_path / "net.pth")
        spec = find_model(str(tmp_path / "net.pth"), GIVEN)
        assert spec.scales == (scale,) and "spandrel" not in spec.summary
        with torch.inference_mode():
            ours, theirs = spec.build(scale, torch.device("cpu"))(LR), network(LR)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=container)
        assert float(theirs.std()) > 0.01  # the comparison says something


def test_a_file_is_never_half_loaded(tmp_path: Path) -> None:
    state = trained(lornatang(4)).state_dict()
    path = tmp_path / "net.safetensors"
    cases = {
        "Missing key": {name: tensor for name, tensor in state.items() if name != "trunk.1.rcb.4.bias"},
        "Unexpected key": state | {"attention.weight": torch.zeros(3)},
        "size mismatch": state | {"conv2.0.weight": torch.zeros(F, F, 5, 5)},
    }
    for message, tensors in cases.items():
        save_file(tensors, path)
        with pytest.raises(
            InputError, match=rf"no loader knows this model; tried onnx, program, reference \(.*{message}"
        ):
            find_model(str(path), GIVEN)
