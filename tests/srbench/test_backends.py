"""Every way to run a network gives what the network gives; what cannot run says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from srbench.base.errors import UnavailableError, UsageError
from srbench.base.registry import entries
from srbench.benchmark.speed.macs import count_macs
from srbench.benchmark.speed.timing import count_parameters
from srbench.models import load_model
from srbench.models.backends import accelerated, exported, find_backend
from srbench.models.inference import Inference, prepare
from srbench.models.spec import Backend, ModelSpec
from srbench.models.wrap import Scaled
from srbench.results.store import load_results
from tests.conftest import Srbench

Register = Callable[[str, str, object], None]
CPU = torch.device("cpu")
NEEDS = {"onnx": ("onnx", "onnxruntime", "onnxscript"), "openvino": ("openvino", "onnx", "onnxscript")}
TOLERANCE = {"fp32": 1e-5, "bf16": 2e-2, "fp16": 2e-3}


class Net(torch.nn.Module):
    def __init__(self, channels: int = 3, scale: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = scale
        self.conv = torch.nn.Conv2d(channels, channels * scale**2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pixel_shuffle(self.conv(x), self.scale)


class OnLuma(torch.nn.Module):
    """A network of one channel beside something that no exporter understands, as SRCNN is."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Net(channels=1)
        self.scale = 2
        self.bicubic = load_model("bicubic", 2, "cpu")

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.bicubic(lr).float() + self.network(lr[:, :1])


CASES = [
    pytest.param(name, precision, marks=[pytest.mark.slow] * (name in ("compile", "openvino")))  # seconds each
    for name in entries("backends")
    for precision in find_backend(name)[0].precisions
    if not find_backend(name)[0].devices or "cpu" in find_backend(name)[0].devices
]


def openvino_has_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.mark.filterwarnings("ignore")  # compilers and exporters warn of their own workings
@pytest.mark.parametrize(("name", "precision"), CASES)
@pytest.mark.parametrize("make", [Net, OnLuma, pytest.param(lambda: Scaled(Net(), 2), id="Scaled")])
def test_every_backend_does_what_the_model_does(name: str, precision: str, make: Callable[[], torch.nn.Module]) -> None:
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package, reason=f"needs {package}: pip install 'srbench-sr[{name}]'")
    model = make()
    if (name, precision) == ("openvino", "bf16") and not openvino_has_bf16():
        with pytest.raises(UsageError, match="OpenVINO has no bf16 on this processor"):
            accelerated(model, name, CPU, precision)
        return
    fast = Inference(accelerated(model, name, CPU, precision), CPU, precision, name)
    plain = Inference(model, CPU)
    for shape in ((1, 3, 24, 20), (2, 3, 17, 31)):
        x = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        first = fast(x)
        torch.testing.assert_close(first.float(), plain(x), rtol=0, atol=TOLERANCE[precision])
        kept = first.clone()
        fast(1 - x)
        assert torch.equal(first, kept)  # no backend hands out memory that it writes again
    assert count_parameters(fast.upscaler) == count_parameters(model)
    given = getattr(model, "network", getattr(model, "function", model))
    assert isinstance(given, Net)  # what was given stays as it is
    if name != "eager":
        assert not [part for part in vars(fast.upscaler).values() if part is given]  # and is not what runs


def test_a_network_is_exported_once_and_anew_when_it_changes(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'srbench-sr[onnx]'")
    net, x = Net(), torch.rand(1, 3, 24, 32)
    first = exported(net, x)
    written = first.stat().st_mtime_ns
    assert exported(Net(), x) == first
    assert first.stat().st_mtime_ns == written
    with torch.no_grad():
        net.conv.bias += 1e-6
    assert exported(net, x) != first
    assert exported(Net(channels=1), x[:, :1]) != first
    assert len(list(first.parent.iterdir())) == 3


def test_what_no_backend_can_speed_up_runs_as_it_is() -> None:
    bicubic = load_model("bicubic", 2, "cpu")
    assert accelerated(bicubic, "onnx", CPU, "fp32") is bicubic


@pytest.mark.parametrize(
    ("name", "precision", "message"),
    [
        ("onxn", "fp32", "unknown backend 'onxn'. Did you mean onnx?"),
        ("onnx", "bf16", "backend onnx runs in fp32, not in bf16"),
        ("compile:fast", "fp32", "backend compile takes no option; write --backend compile"),
        ("cuda-graphs", "fp32", "backend cuda-graphs needs --device cuda, not cpu"),
    ],
)
def test_what_a_backend_cannot_do(name: str, precision: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        accelerated(Net(), name, CPU, precision)  # type: ignore[arg-type]


def test_an_execution_provider_that_is_not_here() -> None:
    for package in NEEDS["onnx"]:
        pytest.importorskip(package, reason=f"needs {package}: pip install 'srbench-sr[onnx]'")
    with pytest.raises(UnavailableError, match="no execution provider nosuch: has .*CPUExecutionProvider"):
        accelerated(Net(), "onnx:nosuch", CPU, "fp32")  # type: ignore[arg-type]


def test_the_signature_says_which_and_backends_do_not_mix(
    folder: Path, register: Register, srbench: Srbench, tmp_path: Path
) -> None:
    register("models", "net", ModelSpec("net", (2,), lambda scale, device: Net().eval()))
    options = ["--models", "net", "--datasets", folder, "--scale", 2, "--metrics", "psnr_y", "--no-speed"]
    options += ["--out", tmp_path / "out"]
    assert srbench("run", *options, "--backend", "channels-last") == 0
    (run,) = load_results(tmp_path / "out").runs
    assert run.signature("psnr_y").endswith("|fp32|channels-last")
    assert srbench("run", *options) == 2
    assert "backend is channels-last in the results of net, but eager for net now" in srbench.err
    assert srbench("run", *options, "--backend", "nothing") == 2
    assert "unknown backend 'nothing'" in srbench.err


def test_a_backend_of_a_third_party(register: Register, srbench: Srbench) -> None:
    def wrap(network: torch.nn.Module, example: torch.Tensor, precision: str, option: str) -> Callable[..., object]:
        return lambda x: network(x) * float(option or 1)

    register("backends", "louder", Backend("louder", wrap, option="FACTOR"))
    x = torch.rand(1, 3, 9, 8)
    torch.testing.assert_close(accelerated(Net(), "louder:3", CPU, "fp32")(x), Net()(x) * 3)  # type: ignore[arg-type]
    assert srbench("list", "backends") == 0
    assert "louder" in srbench.out and "openvino" in srbench.out


def test_gmacs_are_those_of_the_network_whatever_runs_it() -> None:
    for package in NEEDS["onnx"]:
        pytest.importorskip(package, reason=f"needs {package}: pip install 'srbench-sr[onnx]'")
    spec = ModelSpec("net", (2,), lambda scale, device: Net().eval())
    x = torch.rand(1, 3, 8, 9)
    eager, other = (prepare(spec, 2, torch.device("cpu"), backend=name) for name in ("eager", "onnx"))
    found = count_macs(eager, x)
    assert found is not None and found.giga > 0
    assert count_macs(other, x) == found
