"""Model references: names, files in every container, factories, ensembles, and what is refused."""

from __future__ import annotations

import os
import pickle
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from srbench.base.errors import InputError, UsageError
from srbench.images.files import write_image
from srbench.models import find_model, load_model, select_models
from srbench.models.loaders.checkpoint import Checkpoint
from srbench.models.loaders.wrappers import AVERAGED
from srbench.models.spec import ModelSpec, weights_digest
from srbench.models.values import UNIT, Hints, parse_range
from srbench.models.wrap import safe_name
from srbench.results.store import load_results
from tests.conftest import Srbench

CPU = torch.device("cpu")
LR = torch.rand(2, 3, 12, 9, generator=torch.Generator().manual_seed(0))


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 12, 3, padding=1), torch.nn.PixelShuffle(2))


def sequential_loader(checkpoint: Checkpoint) -> ModelSpec | None:
    """A loader for the network above, as a third-party package would write it."""
    if checkpoint.is_onnx or set(checkpoint.tensors) != {"0.weight", "0.bias"}:
        return None
    net = network()
    net.load_state_dict(checkpoint.tensors)
    net.scale = 2  # type: ignore[assignment]
    return ModelSpec("sequential", (2,), lambda scale, device: net.to(device))  # type: ignore[arg-type,return-value]


@pytest.fixture
def knows_sequential(register: Any) -> None:
    register("loaders", "sequential", sequential_loader)


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in network().state_dict().items()}


def under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


ZEROS = {name: torch.zeros_like(tensor) for name, tensor in prefixed("").items()}
"""Weights that are not meant: they would be seen."""

SRCNN = {
    f"conv{number}.{part}": torch.rand(shape[: None if part == "weight" else 1]) / 100
    for number, shape in ((1, (64, 1, 9, 9)), (2, (32, 64, 1, 1)), (3, (1, 32, 5, 5)))
    for part in ("weight", "bias")
}
COUNT = {"n_averaged": torch.tensor(3)}
CONTAINERS: dict[str, Any] = {
    "bare": prefixed(""),
    "params": {"params": prefixed("")},
    "params_ema": {"params": {"0.weight": torch.zeros(12, 3, 3, 3)}, "params_ema": prefixed("")},
    "state_dict": {"state_dict": prefixed(""), "epoch": 3, "optimizer": {"lr": 0.1}},
    "module": prefixed("module."),
    "orig_mod": {"model": prefixed("_orig_mod.module.")},
    "lightning": {
        "state_dict": prefixed("net_G.module.") | {"net_D.0.weight": torch.zeros(1), "vgg.1": torch.zeros(1)}
    },
    "generator": {"generator": {"state_dict": prefixed("module.")}, "discriminator": {"x": torch.zeros(1)}},
    "any name": {"my_upscaler": prefixed(""), "epoch": 3, "optim": {"state": {0: torch.zeros(1)}, "param_groups": []}},
    "generator_state_dict": {"generator_state_dict": prefixed(""), "discriminator_state_dict": prefixed("x.")},
    "averaged": {"netG": ZEROS, "netG_ema": prefixed("module."), "netD": prefixed("x."), "netD_ema": prefixed("x.")},
    "averaged state": {"state_dict": ZEROS, "state_dict_ema": prefixed("")},
    "averaged in a module": {"state_dict": under("generator.", ZEROS) | prefixed("generator_ema.")},
    "averaged elsewhere": under("net_g.", ZEROS) | prefixed("ema_net_g.") | prefixed("net_d."),
    "lightning's model": {"state_dict": prefixed("model.") | {"loss.vgg.0.weight": torch.zeros(1)}},
    "lightning's net": {"state_dict": prefixed("net."), "hyper_parameters": {"scale": 2}},
    "a module of any name": prefixed("backbone."),
    "any name averaged": {"my_net": ZEROS, "my_net_ema": prefixed("")},
    "camel case": {"model": ZEROS, "modelEMA": prefixed("")},
    "camel case first": {"model": ZEROS, "emaModel": prefixed("")},
    "camel case in a module": {"state_dict": under("generator.", ZEROS) | prefixed("emaGenerator.")},
    "averages": {"model": ZEROS, "model_averages": prefixed("")},
    "a moving average": {"weights": ZEROS, "weights_mavg": prefixed("")},
    "by its author": {"model": ZEROS, "polyak": prefixed("")},
    "torch's AveragedModel": {"state_dict": ZEROS, "ema_state_dict": COUNT | prefixed("module.")},
    "a callback's list": {"state_dict": ZEROS, "callbacks": {"EMA": {"ema_weights": [*prefixed("").values()]}}},
    "a callback's names": {
        "state_dict": under("model.", ZEROS),
        "callbacks": {"EMACallback{'decay': 0.99}": {"ema_state_dict": prefixed("model."), "ready": True}},
    },
    "torch_ema": {
        "model": ZEROS,
        "ema": {"decay": 0.9, "shadow_params": [*prefixed("").values()], "collected_params": [*ZEROS.values()]},
    },
    "ema_pytorch": {"model": ZEROS, "ema": under("online_model.", ZEROS) | prefixed("ema_model.")},
    "names without dots": {
        "state_dict": under("model.", ZEROS)
        | {f"model_ema.{name.replace('.', '')}": tensor for name, tensor in prefixed("").items()}
        | {"model_ema.decay": torch.tensor(0.9), "model_ema.num_updates": torch.tensor(3)}
    },
    "a module in a module": {"state_dict": under("net.", ZEROS) | prefixed("ema.module.")},
    "exchanged by Lightning": {"state_dict": prefixed(""), "current_model_state": ZEROS, "averaging_state": COUNT},
    "exchanged by mmengine": {
        "state_dict": prefixed(""), "ema_state_dict": {"steps": torch.tensor(3)} | under("module.", ZEROS)
    },
    "SWA not begun": {
        "state_dict": prefixed(""), "callbacks": {"StochasticWeightAveraging": {"average_model_state": ZEROS}}
    },
    "target": {"model": prefixed(""), "target": ZEROS},
    "a target in a module": {"state_dict": prefixed("model.") | under("target.", ZEROS)},
    "gen": {"gen": prefixed(""), "disc": prefixed("x.")},
    "gen in a module": {"state_dict": prefixed("gen.") | prefixed("disc.")},
    "G": prefixed("G.") | prefixed("D."),
    "a net in a model": {"state_dict": prefixed("model.net.") | {"model.loss.weight": torch.zeros(2)}},
    "a generator in a model": {"state_dict": prefixed("model.generator.") | prefixed("model.discriminator.x")},
    "of another network": {"state_dict": prefixed(""), "callbacks": {"EMA": {"ema_weights": [torch.zeros(2)]}}},
    "a module of another": {"state_dict": prefixed("model.") | {"model_ema.x": torch.zeros(2)}},
}  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.usefixtures("knows_sequential")
def test_weights_in_every_container_give_the_same_output(container: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(CONTAINERS[container], path)
    upscale = load_model(str(path), 2, "cpu")
    torch.testing.assert_close(upscale(LR), network()(LR), rtol=0, atol=0)


@pytest.mark.usefixtures("knows_sequential")
@pytest.mark.parametrize("name", ["net.safetensors", "net.SafeTensors"])
def test_safetensors(name: str, tmp_path: Path) -> None:
    save_file(prefixed("module."), tmp_path / name)
    upscale = load_model(str(tmp_path / name), 2, "cpu")
    torch.testing.assert_close(upscale(LR), network()(LR), rtol=0, atol=0)


@pytest.mark.usefixtures("knows_sequential")
@pytest.mark.parametrize("name", ["net.pth.tar", "net.ckpt", "net.PTH", "net.Pt", "net.bin", "net.ckpt.tar"])
def test_every_suffix_that_people_use(name: str, tmp_path: Path) -> None:
    torch.save({"state_dict": prefixed("")}, tmp_path / name)
    spec = find_model(str(tmp_path / name))
    assert spec.name == "net"
    torch.testing.assert_close(spec.build(2, CPU)(LR), network()(LR), rtol=0, atol=0)


@pytest.mark.usefixtures("knows_sequential")
def test_which_weights_were_taken_is_told(tmp_path: Path) -> None:
    expected = {
        "averaged": "weights netG_ema taken, not netG",
        "averaged state": "weights state_dict_ema taken, not state_dict",
        "averaged in a module": "weights generator_ema taken, not generator",
        "params_ema": "weights params_ema taken, not params",
        "params": "",
        "generator_state_dict": "",
        "any name averaged": "weights my_net_ema taken, not my_net",
        "camel case": "weights modelEMA taken, not model",
        "camel case first": "weights emaModel taken, not model",
        "camel case in a module": "weights emaGenerator taken, not generator",
        "averages": "weights model_averages taken, not model",
        "a moving average": "weights weights_mavg taken, not weights",
        "by its author": "weights polyak taken, not model",
        "torch's AveragedModel": "weights ema_state_dict taken, not state_dict",
        "a callback's list": "weights callbacks.EMA.ema_weights taken, not state_dict",
        "a callback's names": "weights callbacks.EMACallback{'decay': 0.99}.ema_state_dict taken, not state_dict",
        "torch_ema": "weights ema.shadow_params taken, not model",
        "ema_pytorch": "weights ema taken, not model; weights ema_model taken, not online_model",
        "names without dots": "weights model_ema taken, not model",
        "a module in a module": "weights ema taken, not net",
        "exchanged by Lightning": "weights state_dict taken, which are the averaged ones",
        "exchanged by mmengine": "weights state_dict taken, which are the averaged ones",
        "SWA not begun": "weights state_dict taken; averaged ones are in the file too: "
        "callbacks.StochasticWeightAveraging.average_model_state",
        "of another network": "weights state_dict taken; averaged ones are in the file too: callbacks.EMA.ema_weights",
        "target": "weights model taken, not target",
        "a target in a module": "weights model taken, not target",
        "gen": "",
        "G": "",
        "a net in a model": "",
        "a module of another": "weights model taken; averaged ones are in the file too: model_ema",
    }
    for container, remark in expected.items():
        torch.save(CONTAINERS[container], tmp_path / "net.pth")
        assert find_model(str(tmp_path / "net.pth")).remark == remark, container


@pytest.mark.parametrize("where", ["a list", "in ema", "at the top", "wrapped last weights"])
def test_averages_of_parameters_alone_leave_the_statistics_of_batch_norm(where: str, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    averages = {name: torch.full_like(parameter, 7.0) for name, parameter in net.named_parameters()}
    content = {
        "a list": {"net": net.state_dict(), "ema": {"shadow_params": [*averages.values()]}},
        "in ema": {"state_dict": net.state_dict(), "ema": {"decay": 0.9, "shadow": averages}},
        "at the top": {"model": net.state_dict(), "shadow": averages},
        "wrapped last weights": {"model": under("module.", net.state_dict()), "ema_params": averages},
    }[where]
    torch.save(content, tmp_path / "net.pth")
    tensors = Checkpoint(tmp_path / "net.pth").tensors
    assert {name for name, tensor in tensors.items() if (tensor == 7.0).all()} == {
        "0.weight", "0.bias", "1.weight", "1.bias"
    }  # fmt: skip
    assert (tensors["1.running_var"] == 1.0).all()
    assert "what they lack is of" in Checkpoint(tmp_path / "net.pth").choice or where == "a list"


@pytest.mark.parametrize("name", ["globalAvgPool", "AvgPool", "image_schema", "storage", "seman", "lemma"])
def test_names_of_no_averages(name: str) -> None:
    assert not AVERAGED.search(name)


def test_containers_that_hold_themselves_many_times_end(tmp_path: Path) -> None:
    knot: dict[str, Any] = {}
    knot |= {f"key{number}": knot for number in range(30)}
    torch.save(knot, tmp_path / "net.pth")
    with pytest.raises(InputError, match="holds no dictionary of tensors"):
        find_model(str(tmp_path / "net.pth"))


@pytest.mark.usefixtures("knows_sequential")
def test_which_weights_were_taken_is_told_by_every_command_that_uses_them(
    tmp_path: Path, photograph: Any, srbench: Srbench
) -> None:
    net, out = tmp_path / "net.pth", tmp_path / "out"
    torch.save(CONTAINERS["averaged"], net)
    write_image(tmp_path / "hr" / "a.png", photograph(48, 48))
    for command in (
        ("run", net, "--datasets", tmp_path / "hr", "--scale", 2, "--metrics", "psnr_y", "--no-speed", "--out", out),
        ("upscale", tmp_path / "hr" / "a.png", tmp_path / "large.png", "--model", net),
        ("speed", net, "--scale", 2, "--sizes", "16x16", "--budget", 0.01, "--out", out),
    ):
        assert srbench(*command, "--model-range", "0..1", "--model-channels", "rgb") == 0, srbench.err
        assert "net: weights netG_ema taken, not netG" in srbench.err, command


def test_a_broken_file_among_models_lets_the_others_finish(folder: Path, tmp_path: Path, srbench: Srbench) -> None:
    broken, out = tmp_path / "broken.pth", tmp_path / "out"
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    command = ["run", "--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--out", out, "--models"]
    assert srbench(*command, f"{broken},mine={broken},bicubic,{broken}+nearest") == 1
    runs = {run.identity.model: run for run in load_results(out).runs}
    assert set(runs) == {"bicubic", "broken", "mine", "broken+nearest"} and not runs["bicubic"].error
    assert all("not a weights file, or a damaged one" in runs[name].error for name in runs if name != "bicubic")
    assert "broken.pth: not a weights file, or a damaged one" in srbench.err
    # Mended, it is scored: a run that failed as a whole says nothing of other weights. Damaged again, scores stay.
    torch.save(SRCNN, broken)
    given = ("--model-scale", 4, "--model-range", "0..1", "--model-channels", "rgb")
    assert srbench(*command, broken, *given) == 0, srbench.err
    scored = next(run for run in load_results(out).runs if run.identity.model == "broken")
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    assert srbench(*command, f"{broken},nearest") == 1
    assert f"broken on {folder.name} x4: left out: {broken}: not a weights file" in srbench.err
    assert next(run for run in load_results(out).runs if run.identity.model == "broken") == scored
    # Alone, it is bad input, and so is what is not there or not known: nothing begins.
    for refs in (str(broken), f"{tmp_path / 'none.pth'},bicubic", "bicubik,nearest"):
        assert srbench(*command, refs, "--out", tmp_path / "other") == 2
        assert not (tmp_path / "other").exists()


def test_several_dictionaries_that_could_be_meant_are_not_guessed(tmp_path: Path) -> None:
    torch.save({"g_A": prefixed(""), "g_B": prefixed(""), "epoch": 1}, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"net.pth: holds several dictionaries of tensors: g_A, g_B. Save the gen"):
        find_model(str(tmp_path / "net.pth"))
    torch.save({"epoch": 3, "history": [1.0], "options": {"lr": 0.1}}, tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"no dictionary of tensors, but epoch \(int\), history \(list\), options"):
        find_model(str(tmp_path / "net.pth"))


@pytest.mark.parametrize("suffix", ["pth", "safetensors", "onnx", "ckpt", "pth.tar"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\n<!DOCTYPE html><html><body>Quota exceeded</body></html>", "is a web page or message, not weights"),
        (b"<html lang=en>", "is a web page or message, not weights"),
        (b'{"message": "Not Found"}', "is a web page or message, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "is a Git LFS pointer, not the file. Fetch it"),
        (b"", "is empty. Download it again"),
    ],
)
def test_what_a_download_left_in_place_of_weights(suffix: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / f"net.{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"net.{suffix}: {message}"):
        find_model(str(path))


def test_an_unknown_network_is_told_what_is_known_and_what_to_write(tmp_path: Path) -> None:
    save_file({"strange.weight": torch.zeros(4, 2)}, tmp_path / "net.safetensors")
    with pytest.raises(InputError) as refused:
        find_model(str(tmp_path / "net.safetensors"))
    assert "some thirty more" in str(refused.value)  # what the installed loaders say of themselves
    assert "--models mynet:make: def make(): n = Net(); n.load_state_dict(" in str(refused.value)


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_a_malicious_pickle_does_not_run(protocol: str, tmp_path: Path, srbench: Srbench) -> None:
    path, target = tmp_path / "evil.pth", tmp_path / "owned"
    content = {"params": prefixed(""), "extra": Malicious(target)}
    torch.save(content, path) if protocol == "torch" else path.write_bytes(pickle.dumps(content))
    assert srbench("run", "--models", path, "--metrics", "psnr_y", "--out", tmp_path / "out") == 2
    assert not target.exists()
    assert "loading it could run code, so srbench does not" in srbench.err
    assert "If you trust it, convert it: python -c" in srbench.err
    torch.load(path, weights_only=False) if protocol == "torch" else pickle.loads(path.read_bytes())
    assert target.exists()  # the attack is a real one


@pytest.mark.parametrize("whole", [False, True])
def test_the_line_that_converts_a_trusted_file_works(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import argparse

    monkeypatch.chdir(tmp_path)
    content = {"model": network()} if whole else {"state_dict": prefixed(""), "options": argparse.Namespace(scale=2)}
    torch.save(content, "old.pth")
    with pytest.raises(InputError, match="convert it") as refused:
        find_model("old.pth")
    _, program, code = shlex.split(str(refused.value).partition("convert it: ")[2])
    assert program == "-c"
    exec(code, {})
    assert set(Checkpoint(Path("old-tensors.pth")).tensors) == {"0.weight", "0.bias"}


SCRIPT = """
import torch
from torch import nn

class Options:
    def __init__(self, scale):
        self.scale = scale

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3)
        self.tied = self.conv

class Net(nn.Sequential):
    pass

def content(kind):
    return Net(Block()) if kind == "whole" else {"options": Options(2), "model": Net(Block())}

for kind in ("whole", "wrapped"):
    for zipped in (True, False):
        torch.save(content(kind), f"{kind}-{zipped}.pth", _use_new_zipfile_serialization=zipped)
"""


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["whole", "wrapped"])
def test_the_line_converts_classes_that_a_script_defined(
    kind: str, zipped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python train.py` pickles its classes as `__main__.Net`, which no other program has."""
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], check=True)
    with pytest.raises(InputError, match="convert it") as refused:
        find_model(f"{kind}-{zipped}.pth")
    _, _, code = shlex.split(str(refused.value).partition("convert it: ")[2])
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    found = Checkpoint(Path(f"{kind}-{zipped}-tensors.pth")).tensors
    assert set(found) == {f"0.{part}.{name}" for part in ("conv", "tied") for name in ("weight", "bias")}


def test_unknown_and_damaged_files(tmp_path: Path) -> None:
    save_file({"strange.weight": torch.zeros(4, 2)}, tmp_path / "strange.safetensors")
    with pytest.raises(InputError, match=r"no loader knows this model; tried onnx.*It holds 1 tensors: strange.weight"):
        find_model(str(tmp_path / "strange.safetensors"))
    for name in ("torn.pth", "torn.safetensors"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and then nothing")
        with pytest.raises(InputError, match="not a .* file, or a damaged one|could run code"):
            find_model(str(tmp_path / name))
    torch.save([1, 2, 3], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds no dictionary of tensors, but a list"):
        find_model(str(tmp_path / "list.pth"))
    with pytest.raises(InputError, match="no such weights file"):
        find_model(str(tmp_path / "nowhere.pth"))
    with pytest.raises(InputError, match="not a model. Expected a weights file: .safetensors"):
        find_model(str(tmp_path))
    with pytest.raises(UsageError, match="Did you mean bicubic"):
        find_model("bicubik")


@pytest.mark.usefixtures("knows_sequential")
def test_identity_and_names_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for path in (tmp_path / "a" / "best.pth", tmp_path / "a" / "my net (2).pth"):
        torch.save(prefixed(""), path)
    best, spaced = (find_model(str(path)) for path in sorted((tmp_path / "a").iterdir()))
    assert (best.name, spaced.name) == ("a-best", "my-net-2")
    assert len(weights_digest(best, 2)) == 64
    ranged = find_model(str(tmp_path / "a" / "best.pth"), Hints(range=((0.0, 255.0),) * 2))
    assert weights_digest(ranged, 2) != weights_digest(best, 2)
    torch.testing.assert_close(ranged.build(2, CPU)(LR), network()(LR * 255.0) / 255.0, rtol=1e-5, atol=1e-6)
    assert find_model(f"mine={tmp_path}/a/best.pth").name == "mine"
    with pytest.raises(UsageError, match="would both be called a-best. Name one: a-best2="):
        select_models([f"{tmp_path}/a/best.pth", f"{tmp_path}/a/../a/best.pth"])


@given(st.text(min_size=1))
def test_any_reference_makes_a_safe_file_name(text: str) -> None:
    name = safe_name(text)
    assert name and not name.startswith((".", "-")) and not set(name) & set('/\\:*?"<>|\0\n')


@pytest.mark.parametrize(
    ("text", "takes", "returns"),
    [("0..255", (0, 255), (0, 255)), ("-1..1", (-1, 1), (-1, 1)), ("0..0.5:-1..1", (0, 0.5), (-1, 1))],
)
def test_ranges(text: str, takes: tuple[float, float], returns: tuple[float, float]) -> None:
    assert parse_range(text) == (takes, returns)


FACTORIES = """
import torch

class Repeat:
    def __init__(self, scale):
        self.scale = scale
    def __call__(self, lr):
        return lr.repeat_interleave(self.scale, -1).repeat_interleave(self.scale, -2)

def shuffle():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 27, 3, padding=1), torch.nn.Dropout(0.9), torch.nn.PixelShuffle(3))

def needy(depth):
    return depth

def crop():
    return lambda lr: lr[..., 1:]

NUMBER = 5
"""


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    name = f"factories_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(FACTORIES)
    return name


def test_factories(factories: str) -> None:
    repeat = find_model(f"{factories}:Repeat")
    assert repeat.name == f"{factories}.Repeat"
    assert repeat.scales == (2, 3, 4, 8)
    assert repeat.build(3, CPU)(LR).shape == (2, 3, 36, 27)
    shuffle = find_model(f"{factories}:shuffle")
    assert shuffle.scales == (3,)
    assert torch.equal(shuffle.build(3, CPU)(LR), shuffle.build(3, CPU)(LR))  # in evaluation mode: no dropout
    assert len(weights_digest(shuffle, 3)) == 64
    Path(f"{factories}.py").write_text(FACTORIES + "# changed")
    assert weights_digest(find_model(f"{factories}:shuffle"), 3) != ""


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("needy", "needs depth; a factory is given scale and device"),
        ("NUMBER", "is a int; expected a ModelSpec or a function"),
        ("missing", "has no 'missing'"),
    ],
)
def test_what_is_no_factory(factories: str, ref: str, message: str) -> None:
    with pytest.raises((UsageError, InputError), match=message):
        find_model(f"{factories}:{ref}")


def test_a_module_that_does_not_import() -> None:
    with pytest.raises(UsageError, match="no_such_module does not import: ModuleNotFoundError"):
        find_model("no_such_module:Net")


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    both = load_model("nearest+bicubic", 4, "cpu")(LR)
    expected = (load_model("nearest", 4, "cpu")(LR) + load_model("bicubic", 4, "cpu")(LR)) / 2
    torch.testing.assert_close(both, expected, rtol=0, atol=1e-12)
    spec = find_model("nearest+bicubic")
    assert spec.name == "nearest+bicubic"
    assert weights_digest(spec, 4) not in ("", weights_digest(find_model("bicubic+nearest"), 4))
    assert find_model("a+b=bicubic+nearest").name == "a+b"  # as `verify` calls one whose parts it is told anew


def test_every_kind_of_reference_runs(
    folder: Path, tmp_path: Path, factories: str, knows_sequential: None, srbench: Srbench
) -> None:
    torch.save(prefixed(""), tmp_path / "net.pth")
    refs = f"bicubic,nearest+bicubic,{factories}:Repeat,other={tmp_path}/net.pth"
    options = ["--datasets", folder, "--scale", 2, "--metrics", "psnr_y", "--no-speed", "--out", tmp_path / "out"]
    assert srbench("run", "--models", refs, *options) == 0
    results = load_results(tmp_path / "out")
    assert set(results.models) == {"bicubic", "nearest+bicubic", f"{factories}.Repeat", "other"}
    assert srbench("speed", "--models", f"{tmp_path}/net.pth", "--scale", 2, "--budget", 0, "--out", tmp_path) == 0
    assert "net" in srbench.out


def test_spandrel_loads_what_we_do_not_know(tmp_path: Path) -> None:
    pytest.importorskip("spandrel", reason="needs spandrel: pip install 'srbench-sr[spandrel]'")
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(0)
    net = SRVGGNetCompact(num_feat=8, num_conv=2, upscale=2, act_type="prelu").eval()
    torch.save({"params": net.state_dict()}, tmp_path / "compact.pth")
    spec = find_model(str(tmp_path / "compact.pth"), Hints(range=(UNIT, UNIT), channels="rgb"))
    assert (spec.name, spec.scales, spec.summary) == ("compact", (2,), "RealESRGAN Compact, by spandrel")
    with torch.inference_mode():
        torch.testing.assert_close(spec.build(2, CPU)(LR), net(LR), rtol=1e-5, atol=1e-6)
    bytes_bgr = find_model(str(tmp_path / "compact.pth"), Hints(range=((0.0, 255.0),) * 2, channels="bgr"))
    with torch.inference_mode():
        expected = net(LR.flip(1) * 255.0).flip(1) / 255.0
        torch.testing.assert_close(bytes_bgr.build(2, CPU)(LR), expected, rtol=1e-5, atol=1e-6)


def write_onnx(path: Path, sides: tuple[Any, Any] = ("h", "w"), channels: int = 3) -> None:
    """DepthToSpace of a convolution that repeats each channel four times: nearest neighbour at x2."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'srbench-sr[onnx]'")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'srbench-sr[onnx]'")
    import numpy as np

    weight = np.repeat(np.eye(channels, dtype=np.float32), 4, axis=0)[..., None, None]
    nodes = [
        onnx.helper.make_node("Conv", ["lr", "weight"], ["deep"]),
        onnx.helper.make_node("DepthToSpace", ["deep"], ["sr"], blocksize=2, mode="CRD"),
    ]
    image = onnx.helper.make_tensor_value_info("lr", onnx.TensorProto.FLOAT, ["n", channels, *sides])
    sr = onnx.helper.make_tensor_value_info("sr", onnx.TensorProto.FLOAT, ["n", channels, "H", "W"])
    graph = onnx.helper.make_graph([*nodes], "nearest", [image], [sr], [onnx.numpy_helper.from_array(weight, "weight")])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9), path)


def test_onnx(tmp_path: Path) -> None:
    write_onnx(tmp_path / "net.onnx")
    spec = find_model(str(tmp_path / "net.onnx"))
    assert (spec.name, spec.scales) == ("net", (2,))
    expected = LR.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(spec.build(2, CPU)(LR), expected, rtol=0, atol=0)


def test_onnx_that_cannot_be_used(tmp_path: Path) -> None:
    write_onnx(tmp_path / "fixed.onnx", sides=(64, 64))
    with pytest.raises(InputError, match=r"takes images of fixed size \[64, 64\] only; export it with dynamic"):
        find_model(str(tmp_path / "fixed.onnx"))
    write_onnx(tmp_path / "grey.onnx", channels=1)
    with pytest.raises(InputError, match="expected floats .n, 3, h, w."):
        find_model(str(tmp_path / "grey.onnx"))
    (tmp_path / "torn.onnx").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="tried onnx .not an ONNX graph, or a damaged one"):
        find_model(str(tmp_path / "torn.onnx"))
