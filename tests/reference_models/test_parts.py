"""What both loops are made of, and what they ask of a machine: arithmetic, precision, compilation, a start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from reference_models.architectures import build
from reference_models.architectures.subpixel import SubpixelConv2d
from reference_models.average import Average
from reference_models.machine import compiled, optimiser_for, with_precision
from reference_models.perceptual import STRIDE, TRUNKS, PerceptualLoss, StagedLoss
from reference_models.recipes import RECIPES
from reference_models.soap import Soap
from reference_models.start import begin_from, first_network
from reference_models.train import make_fabric
from reference_models.validation import Validation
from srbench.base.errors import InputError, UsageError
from srbench.datasets.sample import Sample

CPU = torch.device("cpu")


class Witness(nn.Module):
    """Nearest-neighbour upscaling that remembers under which arithmetic it ran."""

    scale = 2

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, bool]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2)


def test_validation_amid_a_training_uses_no_tf32(photograph: Callable[..., np.ndarray]) -> None:
    witness, lr = Witness(), photograph(24, 28)
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    try:
        Validation([Sample("a", lr, lr.repeat(2, axis=0).repeat(2, axis=1))])(witness, CPU)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before[0])
    assert witness.seen == [("highest", False)]


@pytest.mark.parametrize(("units", "wanted"), [("amx_bf16 amx_tile", "bf16-mixed"), ("avx512_bf16 avx2", "32-true")])
def test_auto_is_bf16_where_a_processor_multiplies_it(
    units: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags\t\t: fpu {units} sse2\n")
    monkeypatch.setattr("reference_models.machine.CPU_FACTS", tmp_path / "cpuinfo")
    assert with_precision(replace(RECIPES["srresnet-quick"], precision="auto"), CPU).precision == wanted
    assert with_precision(RECIPES["srresnet-paper"], CPU).precision == "32-true"  # what is asked for stays


@pytest.mark.parametrize(("has_it", "wanted"), [(True, "bf16-mixed"), (False, "32-true")])
def test_auto_is_bf16_where_a_gpu_has_it(has_it: bool, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: has_it or including_emulation)
    assert with_precision(RECIPES["srresnet-gpu-9min"], torch.device("cuda")).precision == wanted


def test_one_process_asks_for_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """mpi4py without its library raises where lightning-fabric looks for a launcher."""

    def broken() -> bool:
        raise RuntimeError("cannot load MPI library")

    for kind in ("MPIEnvironment", "LSFEnvironment"):
        monkeypatch.setattr(f"lightning_fabric.plugins.environments.{kind}.detect", broken)
    assert make_fabric(CPU, 1, "32-true").world_size == 1


def test_the_crop_of_the_perceptual_loss_has_one_size_at_every_shift() -> None:
    seen = set()
    loss = PerceptualLoss.__new__(PerceptualLoss)
    nn.Module.__init__(loss)
    loss.trunk, loss._seen = TRUNKS["squeeze"], lambda image: [seen.add(image.shape) or image]  # type: ignore[method-assign]
    sr, hr = torch.rand(2, 1, 3, 40, 48)
    found = {float(loss(sr, hr, divmod(shift, STRIDE))) for shift in range(STRIDE**2)}
    assert seen == {(1, 3, 33, 41)}
    assert len(found) == STRIDE**2  # each at another place
    assert float(loss(sr, hr)) == pytest.approx(float((sr - hr).abs().mean()))


def test_the_bias_of_a_subpixel_convolution_is_no_argument_of_it() -> None:
    """torch 2.11 does not compile a convolution whose bias is computed."""
    graph = torch.export.export(SubpixelConv2d(4, 3, 9, 2), (torch.rand(1, 16, 6, 6),)).graph
    (convolution,) = [node for node in graph.nodes if "conv2d" in str(node.target)]
    assert len(convolution.args) < 3 or convolution.args[2] is None


def test_the_average_is_that_of_its_formula() -> None:
    network = build("srresnet", 2, blocks=1, features=4)
    average = Average(network)
    weight = expected = next(network.parameters()).detach().clone()
    for step in range(30):
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.add_(1)
        average.update(0.5, step)
        weight = weight + 1
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(next(average.network.parameters()), expected)
    counts = [
        state["body.0.norm1.num_batches_tracked"] for state in (average.network.state_dict(), network.state_dict())
    ]
    assert counts[0] == counts[1] == 30


@pytest.mark.parametrize(("precision", "fused"), [("32-true", True), ("bf16-mixed", True), ("16-mixed", False)])
def test_adam_is_one_kernel_where_fabric_can_clip_it(precision: str, fused: bool) -> None:
    recipe = replace(RECIPES["srresnet-quick"], precision=precision)
    assert optimiser_for(nn.Linear(2, 2), recipe).defaults["fused"] is fused
    assert isinstance(optimiser_for(nn.Linear(2, 2), RECIPES["srcnn-quick"]), Soap)


def bicubic_ish(architecture: str, **options: int) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(1)
    network = build(architecture, 4, features=8, **options)
    for tensor in network.parameters():
        nn.init.normal_(tensor, std=0.1)
    return network.eval(), torch.rand(1, 3, 12, 10)


@pytest.mark.parametrize("architecture", ["srresnet", "msrresnet", "rrdb"])
def test_a_grown_network_answers_as_the_one_it_grew_from(architecture: str) -> None:
    growth = {"growth": 4} if architecture == "rrdb" else {}
    small, x = bicubic_ish(architecture, blocks=2, **growth)
    large, _ = bicubic_ish(architecture, blocks=5, **growth)
    assert begin_from(large, small.state_dict()) == 3
    torch.testing.assert_close(large(x), small(x), rtol=1e-5, atol=1e-6)
    large(x).square().mean().backward()
    assert all(any(bool(p.grad.any()) for p in block.parameters() if p.grad is not None) for block in large.body)


def test_a_network_does_not_shrink_and_nothing_but_blocks_is_added() -> None:
    small, _ = bicubic_ish("rrdb", blocks=2, growth=4)
    for other in (bicubic_ish("rrdb", blocks=1, growth=4), bicubic_ish("rrdb", blocks=3, growth=6)):
        with pytest.raises(RuntimeError, match="state_dict"):
            begin_from(other[0], small.state_dict())
    weights = small.state_dict()
    del weights["conv_body.weight"]
    with pytest.raises(RuntimeError, match=r"conv_body\.weight"):
        begin_from(bicubic_ish("rrdb", blocks=3, growth=4)[0], weights)


def test_a_start_may_be_the_name_of_a_packaged_model() -> None:
    recipe = replace(RECIPES["esrnet-quick"], start="esrnet-6b", options={"blocks": 7})
    assert first_network(recipe)[1] == 1
    with pytest.raises(InputError, match="start=nobody is no weights file, and no packaged model"):
        first_network(replace(recipe, start="nobody"))


def as_trained(network: nn.Module, mode: str, fabric: Fabric) -> nn.Module:
    return compiled(network, torch.rand(2, 3, 8, 8), mode, fabric)


@pytest.mark.parametrize("architecture", ["srresnet", "rrdb"])
def test_every_part_is_compiled_in_a_twin_of_the_same_tensors(
    architecture: str, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts: list[str] = []

    def note(part: Callable[..., Tensor], **_: object) -> Callable[..., Tensor]:
        name = getattr(part, "__qualname__", "")

        def counted(*inputs: Tensor) -> Tensor:
            parts.append(name)
            return part(*inputs)

        return counted

    monkeypatch.setattr(torch, "compile", note)
    network = build(architecture, 4, blocks=2, features=8).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    twin = as_trained(network, "default", fabric)
    modules = 3 if architecture == "srresnet" else 2  # with its head
    assert sorted(name.split(".")[-1] for name in parts) == [*["_call_impl"] * modules, "reconstruct"]
    assert [id(p) for p in twin.parameters()] == [id(p) for p in network.parameters()]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    parts.clear()
    network.eval()(torch.rand(1, 3, 5, 7))
    assert not parts  # validation is eager


def test_what_cannot_be_compiled_trains_eagerly(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(part: object, **_: object) -> Callable[..., Tensor]:
        def call(*_: Tensor) -> Tensor:
            raise RuntimeError("no C++ compiler\nfound")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    network = build("srresnet", 4, blocks=2, features=8)
    assert as_trained(network, "default", fabric) is network
    assert (
        "torch.compile fails (RuntimeError: no C++ compiler found); training goes on without it"
        in capsys.readouterr().err
    )


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["srresnet", "rrdb", "srcnn"])
def test_a_compiled_step_is_that_of_an_eager_one(architecture: str, fabric: Fabric) -> None:
    torch.manual_seed(0)
    options = {} if architecture == "srcnn" else {"blocks": 2, "features": 8}
    network = build(architecture, 4, **options)
    x = torch.rand(2, 1 if architecture == "srcnn" else 3, 24, 24)
    grads = []
    for mode in ("", "default"):
        network.zero_grad()
        trained = compiled(network, x, mode, fabric)
        assert (trained is network) is (mode == "")
        trained.train()(x).square().mean().backward()
        grads.append([p.grad.clone() for p in network.parameters() if p.grad is not None])
    for eager, ours in zip(*grads, strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-3, atol=1e-5)


class Named(nn.Module):
    """In place of a trunk: its number."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.number = float(name.removeprefix("squeeze_"))

    def forward(self, sr: Tensor, hr: Tensor, shift: tuple[int, int] | None) -> Tensor:
        return torch.tensor(self.number)


def test_perceptual_losses_take_over_from_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_models.perceptual.PerceptualLoss", Named)
    image = torch.rand(1, 3, 8, 8)
    staged, single = StagedLoss("squeeze_10,squeeze_30@0.82, squeeze_3@0.9"), StagedLoss("squeeze_3")
    found = [float(staged(progress, image, image)) for progress in (0.0, 0.819, 0.82, 0.899, 0.9, 1.0)]
    assert found == [10, 10, 30, 30, 3, 3]
    assert float(single(0.0, image, image)) == float(single(1.0, image, image)) == 3
    for text in ("squeeze_3@0.5", "squeeze_3,squeeze_10", "squeeze_3,squeeze_10@half", "squeeze_3,squeeze_10@1"):
        with pytest.raises(UsageError, match="rising shares"):
            StagedLoss(text)
