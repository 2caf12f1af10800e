"""Weights files, and the tensor names of published checkpoints."""

from __future__ import annotations

import pickle
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from reference_models.architectures import build
from reference_models.architectures.rrdb import RRDBNet
from reference_models.names import to_basicsr
from reference_models.weights import as_upscaler, load_network, read_weights, save_weights
from srbench.base.errors import InputError

FACTS = {"architecture": "rrdb", "scale": 4, "options": {"blocks": 1, "features": 8, "growth": 4}}


def small() -> RRDBNet:
    torch.manual_seed(0)
    return RRDBNet(4, blocks=1, features=8, growth=4)


def as_new_esrgan(name: str) -> str:
    """The spelling of RRDBNet_arch.py in xinntao/ESRGAN, as its RRDB_ESRGAN_x4.pth has it."""
    for ours, theirs in {"conv_body": "trunk_conv", "conv_up": "upconv", "conv_hr": "HRconv"}.items():
        name = name.replace(ours, theirs)
    return re.sub(r"^body\.(\d+)\.rdb(\d)", r"RRDB_trunk.\1.RDB\2", name)


def as_old_esrgan(name: str, blocks: int) -> str:
    """The spelling of architecture.py in its tag old-arch, as RRDB_ESRGAN_x4_old_arch.pth has it."""
    order = {"conv_first": "0", "conv_up1": "3", "conv_up2": "6", "conv_hr": "8", "conv_last": "10"}
    if name.startswith("body"):
        return re.sub(r"^body\.(\d+)\.rdb(\d)\.conv(\d)", r"model.1.sub.\1.RDB\2.conv\3.0", name)
    stem, kind = name.split(".")
    return f"model.1.sub.{blocks}.{kind}" if stem == "conv_body" else f"model.{order[stem]}.{kind}"


@cache
def full_size() -> dict[str, Tensor]:
    with torch.device("meta"):
        return build("rrdb", 4).state_dict()


KNOWN = {
    "model.0.weight": (64, 3, 3, 3),
    "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3),
    "model.1.sub.22.RDB3.conv5.0.weight": (64, 192, 3, 3),
    "model.1.sub.23.weight": (64, 64, 3, 3),
    "model.3.weight": (64, 64, 3, 3),
    "model.6.weight": (64, 64, 3, 3),
    "model.8.weight": (64, 64, 3, 3),
    "model.10.weight": (3, 64, 3, 3),
    "conv_first.weight": (64, 3, 3, 3),
    "RRDB_trunk.0.RDB1.conv2.weight": (32, 96, 3, 3),
    "RRDB_trunk.22.RDB3.conv5.bias": (64,),
    "trunk_conv.weight": (64, 64, 3, 3),
    "upconv1.weight": (64, 64, 3, 3),
    "upconv2.bias": (64,),
    "HRconv.weight": (64, 64, 3, 3),
    "conv_last.weight": (3, 64, 3, 3),
    "body.22.rdb3.conv4.weight": (32, 160, 3, 3),
    "conv_up2.weight": (64, 64, 3, 3),
}
"""Tensors that the published x4 checkpoints are known to hold, with their shapes."""


@pytest.mark.parametrize(("name", "shape"), KNOWN.items())
def test_names_and_shapes_of_published_checkpoints(name: str, shape: tuple[int, ...]) -> None:
    state = full_size()
    assert len(state) == 702
    assert tuple(state[to_basicsr([name])[name]].shape) == shape


def respelled(state: dict[str, Tensor], spelling: str) -> dict[str, Tensor]:
    if spelling == "old":
        return {as_old_esrgan(name, blocks=1): tensor for name, tensor in state.items()}
    return {as_new_esrgan(name) if spelling == "new" else name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("spelling", ["basicsr", "new", "old"])
def test_a_checkpoint_in_any_spelling_loads(tmp_path: Path, spelling: str, wrapped: bool) -> None:
    network = small().eval()
    state = respelled(network.state_dict(), spelling)
    torch.save({"params_ema": state} if wrapped else state, tmp_path / "theirs.pth")
    loaded = load_network(tmp_path / "theirs.pth")
    lr = torch.rand(1, 3, 8, 8)
    assert torch.allclose(loaded(lr), network(lr), atol=1e-6)


def test_weights_come_back_as_they_went(tmp_path: Path) -> None:
    network = small().eval()
    save_weights(tmp_path / "w.safetensors", network.state_dict(), FACTS | {"note": "x"})
    loaded = load_network(tmp_path / "w.safetensors")
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), loaded.state_dict().values(), strict=True)
    )
    assert read_weights(tmp_path / "w.safetensors").metadata["note"] == "x"
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_fp16_halves_the_file_and_loads_as_fp32(tmp_path: Path) -> None:
    network = small().eval()
    for half in (False, True):
        save_weights(tmp_path / f"{half}.safetensors", network.state_dict(), FACTS, half=half)
    sizes = [
        sum(t.nbytes for t in read_weights(tmp_path / f"{half}.safetensors").tensors.values()) for half in (False, True)
    ]
    assert sizes[0] == 2 * sizes[1]
    loaded = load_network(tmp_path / "True.safetensors")
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    lr = torch.rand(1, 3, 8, 8)
    assert torch.allclose(loaded(lr), network(lr), atol=1e-3)


def test_the_same_weights_are_the_same_bytes_whatever_order_the_facts_come_in(tmp_path: Path) -> None:
    facts = FACTS | {f"fact {number}": f"\N{MULTIPLICATION SIGN}{number}" for number in range(20)}
    for name, order in (("one", facts), ("two", dict(reversed(facts.items())))):
        save_weights(tmp_path / f"{name}.safetensors", small().state_dict(), order, half=True)
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()
    assert read_weights(tmp_path / "one.safetensors").metadata["fact 3"] == "\N{MULTIPLICATION SIGN}3"


def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"conv_first.weight": Trap()}, protocol=2))
    torch.save({"conv_first.weight": Trap()}, tmp_path / "trap2.pth")
    for name in ("trap.pth", "trap2.pth"):
        with pytest.raises(InputError, match="loading it could run code|not a weights file"):
            load_network(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_files_that_are_no_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "text.pth").write_text("hello")
    torch.save({"x.weight": torch.zeros(3)}, tmp_path / "other.pth")
    save_weights(tmp_path / "half.safetensors", {"conv_first.weight": torch.zeros(8, 3, 3, 3)}, FACTS)
    for name, reason in {
        "empty.safetensors": "is empty. Download it again",
        "text.pth": "could run code|not a weights file",
        "other.pth": "is no RRDBNet",
        "half.safetensors": "Missing key",
        "nothing.safetensors": "no such weights file",
    }.items():
        with pytest.raises(InputError, match=reason) as caught:
            load_network(tmp_path / name)
        assert str(caught.value).count("\n") == 0


def test_networks_on_y_become_upscalers_of_rgb() -> None:
    upscaler = as_upscaler(build("srcnn", 2).eval())
    assert upscaler.scale == 2
    assert upscaler(torch.rand(1, 3, 6, 5)).shape == (1, 3, 12, 10)
