"""Reference models by the path of their weights, through `srbench.loaders`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reference_models.architectures import build
from reference_models.weights import as_upscaler, save_weights
from srbench.base.errors import InputError, UsageError
from srbench.models import find_model, load_model
from srbench.models.spec import Upscaler
from srbench.models.values import UNIT, Hints
from tests.conftest import Srbench
from tests.reference_models.test_weights import respelled, small

LR = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(0))


def same(one: Upscaler, other: Upscaler) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(one(LR), other(LR), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("container", ["bare", "params_ema", "state_dict", "module", "orig_mod"])
@pytest.mark.parametrize("spelling", ["basicsr", "new", "old"])
def test_rrdbnet_in_every_spelling_and_container(spelling: str, container: str, tmp_path: Path) -> None:
    network = small().eval()
    state = respelled(network.state_dict(), spelling)
    prefix = {"module": "module.", "orig_mod": "_orig_mod."}.get(container, "")
    state = {prefix + name: tensor for name, tensor in state.items()}
    torch.save({container: state} if container in ("params_ema", "state_dict") else state, tmp_path / "net.pth")
    given = Hints(range=(UNIT, UNIT), channels="rgb")  # the network is random: a probe could not tell
    spec = find_model(str(tmp_path / "net.pth"), given)
    assert spec.scales == (4,)
    same(spec.build(4, torch.device("cpu")), network)


@pytest.mark.parametrize(("name", "options"), [("srcnn", {}), ("srresnet", {"blocks": 1}), ("rrdb", {"blocks": 1})])
def test_what_training_writes_is_a_model(name: str, options: dict[str, int], tmp_path: Path) -> None:
    network = build(name, 2, **options).eval()
    facts = {"architecture": name, "scale": 2, "options": options}
    save_weights(tmp_path / "mine" / "best.safetensors", network.state_dict(), facts)
    ref = str(tmp_path / "mine" / "best.safetensors")
    assert find_model(ref).name == "mine-best"
    same(load_model(ref, 2, "cpu"), as_upscaler(network))


def test_a_scale_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_weights(path, build("srcnn", 2).state_dict(), {"architecture": "srcnn", "scale": 2, "options": {}})
    assert find_model(str(path), Hints(scale=2)).scales == (2,)
    with pytest.raises(UsageError, match=r"is x2; --model-scale 4 contradicts it"):
        find_model(str(path), Hints(scale=4))


def test_tensors_of_another_architecture_are_refused(tmp_path: Path) -> None:
    network = build("srresnet", 4, blocks=1)
    save_weights(tmp_path / "w.safetensors", network.state_dict(), {"architecture": "rrdb", "scale": 4})
    with pytest.raises(
        InputError, match=r"no loader knows this model; tried onnx, program, reference \(Error.s. in loading"
    ):
        find_model(str(tmp_path / "w.safetensors"))


def test_trained_weights_upscale_and_export(tmp_path: Path, srbench: Srbench) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'srbench-sr[onnx]'")
    network = build("srresnet", 4, blocks=1, features=8).eval()
    facts = {"architecture": "srresnet", "scale": 4, "options": {"blocks": 1, "features": 8}}
    save_weights(tmp_path / "net.safetensors", network.state_dict(), facts)
    assert srbench("export", tmp_path / "net.safetensors", tmp_path / "net.onnx") == 0
    same(load_model(str(tmp_path / "net.onnx"), 4, "cpu"), as_upscaler(network))


@pytest.mark.parametrize("kernels", ["9-1-5", "9-3-5", "9-5-5"])
@pytest.mark.parametrize("channels", [1, 3])
def test_srcnn_as_others_call_its_layers(kernels: str, channels: int, tmp_path: Path) -> None:
    network = build("srcnn", 3, kernels=kernels, channels=channels).eval()
    theirs = dict(zip(("patches", "mapping", "reconstruction"), ("conv1", "conv2", "conv3"), strict=True))
    state = {f"{theirs[name.split('.')[0]]}.{name.split('.')[1]}": t for name, t in network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "srcnn.pth")
    with pytest.raises(InputError, match="do not say for which scale they are: --model-scale 4"):
        find_model(str(tmp_path / "srcnn.pth"))
    spec = find_model(str(tmp_path / "srcnn.pth"), Hints(scale=3, range=(UNIT, UNIT), channels="rgb"))
    same(spec.build(3, torch.device("cpu")), as_upscaler(network))


def test_srcnn_on_rgb_begins_as_bicubic() -> None:
    from srbench.images.resize import imresize, round_to_uint8

    lr = torch.randint(0, 256, (1, 3, 12, 12)) / 255.0
    bicubic = round_to_uint8(imresize(round_to_uint8(lr.double() * 255.0), 2)) / 255.0
    with torch.inference_mode():
        sr = as_upscaler(build("srcnn", 2, channels=3).eval())(lr)
    assert float((sr - bicubic).abs().mean()) < 0.02
