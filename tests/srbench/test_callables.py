"""What people hand over as a model: in evaluation mode, told apart by its weights, and never the end of a run."""

from __future__ import annotations

import logging
import re
from array import array
from collections import deque
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from srbench import evaluate, load_model
from srbench.base.callables import networks_in, state_digest
from srbench.base.errors import IncomparableError, JobError
from srbench.models import find_model
from srbench.models.inference import prepare
from srbench.models.wrap import ready_for_inference
from srbench.results.store import load_results


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(lr * self.factor, scale_factor=4)


def normed() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Upsample(scale_factor=4))


GLOBAL = normed()


def by_global(lr: torch.Tensor) -> torch.Tensor:
    return GLOBAL(lr)


class Slots:
    __slots__ = ("network",)

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, lr: torch.Tensor) -> torch.Tensor:
        return self.network(lr)


class Unregistered(nn.Module):
    """A network that keeps another in a list, where torch does not see it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.stages = [network]

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return self.stages[0](lr)


def in_its_class(network: nn.Module) -> Any:
    return type("Own", (), {"network": staticmethod(network), "__call__": lambda self, lr: self.network(lr)})()


def in_a_module(network: nn.Module) -> Any:
    module.net = network  # type: ignore[attr-defined]
    return lambda lr: module.net(lr)


def in_a_class(network: nn.Module) -> Any:
    Holding.network = network
    return lambda lr: Holding.network(lr)


def by_a_getter(network: nn.Module) -> Any:
    given.append(network)
    getter.cache_clear()
    getter()
    return lambda lr: getter()(lr)


def by_a_word(network: nn.Module) -> Any:
    module.unnamed = network  # type: ignore[attr-defined]
    return lambda lr: getattr(module, "".join(["un", "named"]))(lr)


def in_a_comprehension(network: nn.Module) -> Any:
    kept.clear()
    kept.append(network)
    return lambda lr: torch.cat([kept[0](one[None]) for one in lr])


module = ModuleType("networks_of_mine")
kept: list[nn.Module] = []
given: list[nn.Module] = []


@cache
def getter() -> nn.Module:
    return given.pop()


class Holding:
    network: nn.Module


def deep(network: nn.Module) -> Any:
    inner = SimpleNamespace(a={"b": [SimpleNamespace(c=(network,))]})
    return lambda lr: inner.a["b"][0].c[0](lr)


WAYS: dict[str, Callable[[nn.Module], Any]] = {
    "the network": lambda network: network,
    "a closure": lambda network: lambda lr: network(lr),
    "a bound method": lambda network: network.forward,
    "a partial": lambda network: partial(lambda net, lr: net(lr), network),
    "a closure around a function": lambda network: (lambda inner: lambda lr: inner(lr))(lambda lr: network(lr)),
    "a default": lambda network: lambda lr, net=network: net(lr),
    "an object with slots": Slots,
    "a list in a network": Unregistered,
    "a class": in_its_class,
    "a deep place": deep,
    "a comprehension": in_a_comprehension,
    "a module": in_a_module,
    "a class by name": in_a_class,
    "torch.compile": lambda network: torch.compile(network, backend="eager"),
}

UNSEEN = {"a getter": by_a_getter, "an attribute by a word": by_a_word}
"""Found only once they are called."""


@pytest.mark.parametrize("way", [*WAYS, *UNSEEN])
def test_networks_are_scored_in_evaluation_mode_and_get_their_mode_back(way: str, folder: Path) -> None:
    network = normed()
    expected = evaluate(network.eval(), str(folder), limit=1).runs[0].values("psnr_y")
    network.train()
    network[0].eval()  # a part that was frozen stays so
    before = network[1].running_mean.clone()
    found = evaluate((WAYS | UNSEEN)[way](network), str(folder), limit=1).runs[0].values("psnr_y")
    assert found == expected
    assert torch.equal(network[1].running_mean, before)
    assert [part.training for part in network] == [False, True, True] and network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_failing_model_gets_its_mode_back(folder: Path) -> None:
    network = nn.Sequential(nn.BatchNorm2d(7)).train()
    with pytest.raises(JobError, match="scored nothing"):
        evaluate(network, str(folder), limit=1)
    assert network.training


def test_networks_are_found_where_people_keep_them() -> None:
    network = normed()
    holder = SimpleNamespace(stages=[{"upscaler": network}])
    assert networks_in(by_global) == [GLOBAL]
    assert networks_in(holder) == [network]
    assert networks_in(np.mean) == []
    ready_for_inference(holder, torch.device("cpu"))
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("hold", [in_a_comprehension, in_a_module, in_a_class])
def test_networks_by_name_are_in_the_digest(hold: Callable[[nn.Module], Any]) -> None:
    digests = [state_digest(hold(Times(factor))) for factor in (1.0, 1.0, 2.0)]
    assert digests[0] == digests[1] != digests[2]
    assert len(networks_in(hold(network := normed()))) == 1 and networks_in(hold(network)) == [network]


def test_another_network_under_the_same_name_is_not_taken_for_the_one_before(folder: Path, tmp_path: Path) -> None:
    def score(factor: float, **options: Any) -> float:
        results = evaluate(Times(factor), str(folder), limit=1, metrics=("psnr_y",), out=tmp_path, **options)
        return float(results.runs[0].rows[0].scores["psnr_y"])

    first = score(0.2)
    assert score(0.2) == first
    with pytest.raises(
        IncomparableError,
        match=r"weights or code of Times have changed: \w{12}… in the results, \w{12}… now.* NAME=REF",
    ):
        score(1.0)
    assert score(1.0, name="epoch-2") > first + 5
    assert score(1.0, force=True) > first + 5


class Doubled(nn.Module):
    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr * 2.0


class Tripled(nn.Module):
    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr * 3.0


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_digests_tell_callables_apart() -> None:
    def scaled(factor: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda lr: lr * factor

    class Holder:
        def __init__(self, value: Any) -> None:
            self.value, self.log = value, logging.getLogger("any")

        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            return lr * self.value

    different = [
        scaled(1.0), scaled(2.0), lambda lr: lr + 1, lambda lr: lr + 2, Times(1.0), Times(2.0), Times(1.0).half(),
        Holder(1), Holder(2), Holder(torch.ones(2)), Holder(np.ones(2)), nn.Upsample(scale_factor=4),
        nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=4, mode="bicubic"), partial(max, 1), partial(max, 2),
    ]  # fmt: skip
    values = [deque([1]), deque([2]), Decimal(1), Decimal(2), bytearray(b"1"), bytearray(b"2"), array("d", [1.0])]
    values += [array("d", [2.0]), date(2020, 1, 1), date(2020, 1, 2), re.compile("1"), re.compile("2"), Path("1")]
    scripts = [torch.jit.script(kind()) for kind in (Doubled, Tripled)]
    different += [*map(Holder, values), *scripts]
    assert len({state_digest(thing) for thing in different}) == len(different)
    assert state_digest(scaled(2.0)) == state_digest(scaled(2.0))
    assert state_digest(Holder(1)) == state_digest(Holder(1))
    network = normed()
    assert state_digest(network.train()) == state_digest(network.eval())
    assert state_digest(network.to(torch.bfloat16)) != state_digest(normed())


GAIN = 1.0


class Gained(nn.Module):
    """Its output hangs on what is no tensor of its own: a table, a method, a variable of the file."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.table = {"gain": [np.float32(factor)]}

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr * self._gain()

    def _gain(self) -> float:
        return GAIN * float(self.table["gain"][0])


def hooked(factor: float) -> nn.Module:
    network = normed()
    network.register_forward_hook(lambda module, inputs, made: made * factor)
    return network


@pytest.mark.filterwarnings("ignore")  # torch.compile warns of its own workings
def test_digests_see_what_torch_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for way, made in WAYS.items():
        assert state_digest(made(Times(1.0))) == state_digest(made(Times(1.0))), way
        assert state_digest(made(Times(1.0))) != state_digest(made(Times(2.0))), way
    assert state_digest(torch.compile(Times(1.0))) == state_digest(torch.compile(Times(1.0)))  # not of its compiler
    assert state_digest(torch.compile(Times(1.0))) != state_digest(torch.compile(Times(2.0)))
    assert state_digest(hooked(1.0)) != state_digest(hooked(2.0))
    assert state_digest(partial(max, np.float32(1))) != state_digest(partial(max, np.float32(2)))
    assert state_digest(Gained()) == state_digest(Gained()) != state_digest(Gained(2.0))
    before = state_digest(Gained())
    monkeypatch.setattr(Gained, "_gain", lambda self: 3.0)
    assert state_digest(Gained()) != before
    monkeypatch.undo()
    monkeypatch.setitem(globals(), "GAIN", 2.0)
    assert state_digest(Gained()) != before


FACTORIES = """
import torch
from torch.nn import Conv2d, PixelShuffle, Sequential, Upsample
from torch.nn.functional import interpolate

class Told:
    scale = 4
    def __init__(self, wrap): self.wrap = wrap
    def __call__(self, lr): return self.wrap(interpolate(lr, scale_factor=4))

def wrong_weights(): Upsample(scale_factor=4).load_state_dict({"head.weight": torch.zeros(1)})
def end_of_file(): raise EOFError
def nothing(): return None
def numbers(): return [1, 2]
def stages(): return Told(lambda sr: [sr, sr])
def pair(): return lambda lr: (lr, lr)
def dictionary(): return Told(lambda sr: {"sr": sr})
def array(): return Told(lambda sr: sr.numpy())
def asked(scale): raise RuntimeError("one\\n\\n   two")
def crop(): return lambda lr: lr[:, :, 1:]
def memory(): raise MemoryError
def leaves(): raise SystemExit(3)
def leaves_later(): return Told(lambda sr: exit(0))
def random(): return Sequential(Conv2d(3, 48, 3, padding=1), PixelShuffle(4))
def from_file(): return torch.nn.Sequential(Told_(torch.load("k.pt")))
class Told_(torch.nn.Module):
    def __init__(self, k): super().__init__(); self.register_buffer("k", k)
    def forward(self, lr): return interpolate(lr * self.k, scale_factor=4)
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of factories in the current folder, under a name of its own."""
    name = f"nets_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(FACTORIES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


FAILING = {
    "wrong_weights": 'RuntimeError: Error(s) in loading state_dict for Upsample: Unexpected key(s) in state_dict: "h',
    "end_of_file": "EOFError",
    "nothing": "the factory returned None; expected a network",
    "numbers": "the factory returned a list of 2; expected a network",
    "stages": "returned a list of 2, expected one tensor",
    "pair": "returned a tuple of 2, expected one tensor",
    "dictionary": "returned a dict of sr, expected one tensor",
    "array": "returned a ndarray, expected one tensor",
    "asked": "RuntimeError: one two",
    "crop": "returned shape (1, 3, 9, 12), expected (1, 3, 40, 48)",
    "leaves": "SystemExit: 3",
    "leaves_later": "SystemExit: 0",
    "memory": "out of memory (MemoryError). Give --tile",
}


def test_a_factory_that_fails_is_recorded_and_the_others_finish(nets: str, folder: Path, srbench: Any) -> None:
    models = ",".join(["bicubic", *(f"{nets}:{name}" for name in FAILING)])
    options = ("--metrics", "psnr_y", "--limit", 1, "--no-speed", "--out", "res")
    assert srbench("run", "--models", models, "--datasets", folder, *options) == 1
    assert "bug of srbench" not in srbench.err
    found = {run.identity.model: run for run in load_results(Path("res")).runs}
    assert found["bicubic"].rows[0].scores
    for name, message in FAILING.items():
        run = found[f"{nets}.{name}"]
        assert message in (run.error or run.rows[0].error), name
        assert f"{nets}.{name}" in srbench.err


def test_a_factory_is_known_by_the_weights_that_it_loads(nets: str, folder: Path, srbench: Any) -> None:
    command = ("run", "--datasets", folder, "--metrics", "psnr_y", "--limit", 1, "--no-speed", "--out", "res")
    torch.save(torch.tensor(0.5), "k.pt")
    assert srbench(*command, "--models", f"{nets}:from_file") == 0
    torch.save(torch.tensor(1.0), "k.pt")
    assert srbench(*command, "--models", f"{nets}:from_file") == 2
    assert "weights or code of " in srbench.err and "--force" in srbench.err


def test_made_up_weights_are_the_same_each_time(nets: str) -> None:
    lr = torch.rand(1, 3, 8, 8)
    one, other = (load_model(f"{nets}:random", device="cpu")(lr) for _ in range(2))
    assert torch.equal(one, other)


def test_a_failing_factory_says_why_when_loaded(nets: str) -> None:
    with pytest.raises(JobError, match="expected a network"):
        prepare(find_model(f"{nets}:nothing"), 4, torch.device("cpu"))
