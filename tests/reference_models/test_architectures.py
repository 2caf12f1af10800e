"""Architectures against what their papers and published checkpoints say."""

from __future__ import annotations

import pytest
import torch

from reference_models.architectures import ARCHITECTURES, build
from reference_models.architectures.discriminators import PatchDiscriminator, VGGDiscriminator
from reference_models.architectures.srcnn import LumaUpscaler
from reference_models.architectures.subpixel import SubpixelConv2d
from srbench.base.errors import InputError, UsageError
from srbench.benchmark.speed.timing import count_parameters
from srbench.images.resize import imresize


def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
    return inputs * outputs * kernel**2 + outputs * bias


def test_srcnn_parameters_are_those_of_the_paper() -> None:
    """Dong et al. 2016, table 1 and section 4.3.1: 8,032 and 57,184 weights, to which come 64 + 32 + 1 biases."""
    assert count_parameters(build("srcnn", 4, kernels="9-1-5")) == 8_032 + 97
    assert count_parameters(build("srcnn", 4, kernels="9-5-5")) == 57_184 + 97


@pytest.mark.parametrize(("scale", "stages"), [(2, (2,)), (3, (3,)), (4, (2, 2))])
def test_srresnet_parameters_layer_by_layer(scale: int, stages: tuple[int, ...]) -> None:
    block = 2 * (conv(64, 64, 3, bias=False) + 2 * 64) + 1
    upsampling = sum(conv(64, 64 * step**2, 3) + 1 for step in stages)
    whole = conv(3, 64, 9) + 1 + 16 * block + conv(64, 64, 3, bias=False) + 2 * 64 + upsampling + conv(64, 3, 9)
    assert count_parameters(build("srresnet", scale)) == whole


def test_srresnet_has_a_million_and_a_half() -> None:
    assert round(count_parameters(build("srresnet", 4)) / 1e6, 1) == 1.5


def test_rrdbnet_has_16_7_million() -> None:
    """16,697,987: what xinntao's RRDB_ESRGAN_x4.pth holds; as a float32 file that makes its 66.8 MB."""
    assert count_parameters(build("rrdb", 4)) == 16_697_987


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["srresnet", "rrdb"])
def test_output_is_scale_times_input(name: str, scale: int) -> None:
    network = build(name, scale, blocks=1).eval()
    assert network(torch.rand(2, 3, 9, 13)).shape == (2, 3, 9 * scale, 13 * scale)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("kernel", [3, 5, 9])
def test_a_subpixel_convolution_is_the_convolution_behind_the_shuffle(factor: int, kernel: int) -> None:
    conv = SubpixelConv2d(4, 3, kernel, factor).double()
    x = torch.rand(2, 4 * factor**2, 7, 6, dtype=torch.float64, requires_grad=True)
    shuffled = torch.nn.functional.pixel_shuffle(x, factor)
    wanted = torch.nn.functional.conv2d(shuffled, conv.weight, conv.bias, padding=kernel // 2)
    assert torch.allclose(conv(x), wanted, rtol=0, atol=1e-12)
    theirs = torch.autograd.grad(wanted.square().sum(), (x, conv.weight))
    ours = torch.autograd.grad(conv(x).square().sum(), (x, conv.weight))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-10)


def test_srcnn_pads_nothing_in_training_and_repeats_borders_in_evaluation() -> None:
    network = build("srcnn", 4)
    assert network.train()(torch.rand(1, 1, 33, 40)).shape == (1, 1, 33 - 16, 40 - 16)
    y = torch.rand(1, 1, 33, 40)
    whole = network.eval()(y)
    assert whole.shape == y.shape
    assert torch.allclose(whole[..., 8:-8, 8:-8], network.train()(y), atol=1e-6)


def test_a_luma_network_that_changes_nothing_is_bicubic() -> None:
    """Chroma is what bicubic made of it, so a network that answers what it is given leaves RGB alone."""
    wrapped = LumaUpscaler(build("srcnn", 3))  # type: ignore[arg-type]
    wrapped.network = torch.nn.Identity()  # type: ignore[assignment]
    lr = (torch.rand(1, 3, 8, 8) * 255).round() / 255
    assert torch.allclose(wrapped(lr).double(), imresize((lr.double() * 255).round(), 3) / 255, atol=1e-6)


def test_a_luma_network_moves_y_by_what_it_answers() -> None:
    from srbench.images.luma import STUDIO

    class Brighter(torch.nn.Module):
        def forward(self, y: torch.Tensor) -> torch.Tensor:
            return y + 0.1

    plain, brighter = LumaUpscaler(build("srcnn", 2)), LumaUpscaler(build("srcnn", 2))  # type: ignore[arg-type]
    plain.network, brighter.network = torch.nn.Identity(), Brighter()  # type: ignore[assignment]
    lr = torch.rand(1, 3, 8, 8)
    difference = brighter(lr) - plain(lr)
    y = (difference * torch.tensor(STUDIO[:3]).view(1, 3, 1, 1)).sum(dim=1) / 255
    assert torch.allclose(y, torch.full_like(y, 0.1), atol=1e-6)


@pytest.mark.parametrize("norm", ["batch", "spectral"])
@pytest.mark.parametrize("size", [96, 128])
def test_discriminator_answers_one_logit_an_image(norm: str, size: int) -> None:
    assert VGGDiscriminator(size, norm, features=8)(torch.rand(2, 3, size, size)).shape == (2, 1)  # type: ignore[arg-type]


def test_a_patch_discriminator_judges_the_34_pixels_around_each_logit() -> None:
    """As many logits as its docstring says; a pixel changes those whose 34x34 pixels hold it, and no other."""
    torch.manual_seed(0)
    critic = PatchDiscriminator(features=8).eval()
    image = torch.rand(1, 3, 96, 96, requires_grad=True)
    logits = critic(image)
    assert logits.shape == (1, 1, 96 // 4 - 2, 96 // 4 - 2)
    (gradient,) = torch.autograd.grad(logits[0, 0, 11, 11], image)
    rows, columns = gradient[0].abs().sum(dim=0).nonzero().unbind(dim=1)
    assert int(rows.max() - rows.min()) + 1 == int(columns.max() - columns.min()) + 1 == 34


def test_spectral_norm_bounds_the_discriminator() -> None:
    """Every layer has gain at most 1 on average; without the norm, weights times 100 would show in the answer."""
    critic = VGGDiscriminator(32, "spectral", features=8)
    for parameter in critic.parameters():
        parameter.data.mul_(100.0)
    linear = critic.classifier[0]
    for _ in range(20):
        linear(torch.rand(1, linear.in_features))  # type: ignore[operator,arg-type]
    assert float(torch.linalg.matrix_norm(linear.weight.detach(), 2)) == pytest.approx(1.0, rel=0.05)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["srresnet", "rrdb"])
def test_gradient_checkpointing_changes_no_gradient(name: str) -> None:
    torch.manual_seed(0)
    network = build(name, 4, blocks=2, features=8).train()
    lr = torch.rand(2, 3, 8, 8)

    def gradients(recompute: bool) -> list[torch.Tensor]:
        network.checkpointing = recompute  # type: ignore[assignment]
        network.zero_grad()
        network(lr).square().mean().backward()
        return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]

    for plain, recomputed in zip(gradients(False), gradients(True), strict=True):
        assert torch.equal(plain, recomputed)


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean srresnet"):
        build("srresnets", 4)
    with pytest.raises(InputError, match="no option 'layers'"):
        build("srresnet", 4, layers=3)
    assert set(ARCHITECTURES) == {"srcnn", "srresnet", "msrresnet", "rrdb"}


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["srresnet", "rrdb"])
def test_deep_networks_begin_near_nearest_neighbour(name: str, scale: int) -> None:
    torch.manual_seed(0)
    lr = torch.rand(1, 3, 12, 12)
    sr = build(name, scale, blocks=2).eval()(lr)
    nearest = lr.repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    assert float((sr - nearest).detach().abs().mean()) < 0.06


def test_srcnn_begins_near_its_input() -> None:
    torch.manual_seed(0)
    y = torch.rand(1, 1, 24, 24)
    assert float((build("srcnn", 4).eval()(y) - y).detach().abs().mean()) < 0.05


def test_multiply_adds_are_those_of_the_network_as_defined() -> None:
    """SRResNet x4 at 120x80: 33 of 64 to 64, the first of 9x9, two of 64 to 256, the last of 9x9 at full size."""
    from reference_models.architectures.srresnet import SRResNet
    from srbench.benchmark.speed.macs import count_macs
    from srbench.models.inference import Inference

    pixels = 120 * 80
    body = 81 * 3 * 64 + 33 * 9 * 64 * 64
    expected = pixels * (body + (1 + 4) * 9 * 64 * 256 + 16 * 81 * 64 * 3)
    found = count_macs(Inference(SRResNet(4).eval(), torch.device("cpu")), torch.rand(1, 3, 80, 120))
    assert found is not None and found.giga == expected / 1e9 and round(found.giga, 3) == 21.294
