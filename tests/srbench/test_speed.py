"""Timings beyond one number: lines over sizes, paired ratios, audits of exactness, notes on the machine."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.analysis.choose import Budget, candidates
from srbench.base.threads import VARIABLES
from srbench.benchmark.speed import backend_audit, machine, timing
from srbench.benchmark.speed import versus as versus_module
from srbench.benchmark.speed.backend_audit import variants
from srbench.benchmark.speed.curve import fit_line
from srbench.benchmark.speed.machine import State
from srbench.benchmark.speed.steadiness import doubts
from srbench.benchmark.speed.timing import MIB, graph_memory, peak_memory_mib
from srbench.benchmark.speed.versus import FEWEST_ROUNDS, MAX_ROUNDS, MIN_ROUNDS, ratio, take_turns
from srbench.cli.speed_tables import print_timings
from srbench.models import load_model
from srbench.models.inference import Inference
from srbench.models.spec import Backend, ModelSpec
from srbench.models.wrap import Scaled
from srbench.results.results import Results
from srbench.results.store import load_results, write_speeds
from tests.conftest import Srbench
from tests.made_results import made_run, made_speed, saved
from tests.srbench.test_backends import Net

Register = Callable[[str, str, object], None]
CPU = torch.device("cpu")
SIZES = (0.01, 0.04, 0.09, 0.25)


def repeats(of: Callable[[float], float], noise: float = 0.02, n: int = 40) -> dict[float, list[float]]:
    rng = np.random.default_rng(0)
    return {size: (of(size) * (1 + noise * rng.normal(size=n))).tolist() for size in SIZES}


@given(st.floats(0.1, 50), st.floats(10, 5000))
@settings(max_examples=20, deadline=None)
def test_a_line_is_found_again(fixed: float, slope: float) -> None:
    found = fit_line(repeats(lambda megapixels: fixed + slope * megapixels, noise=0))
    assert found is not None
    assert found.fixed_ms[0] == pytest.approx(fixed, rel=1e-6, abs=1e-6 * slope)
    assert found.ms_per_megapixel[0] == pytest.approx(slope, rel=1e-6, abs=1e-6 * fixed)
    assert found.misfit < 1e-6


def test_intervals_hold_the_truth_and_a_parabola_is_no_line() -> None:
    found = fit_line(repeats(lambda megapixels: 5 + 400 * megapixels))
    assert found is not None
    assert found.fixed_ms[1] < 5 < found.fixed_ms[2]
    assert found.ms_per_megapixel[1] < 400 < found.ms_per_megapixel[2]
    assert found.misfit < 0.02
    bent = fit_line(repeats(lambda megapixels: 5 + 4000 * megapixels**2))
    assert bent is not None
    assert bent.misfit > 0.2
    assert fit_line({0.01: [1.0], 0.04: [2.0]}) is None


def test_models_are_told_apart_only_where_the_interval_leaves_out_one() -> None:
    rng = np.random.default_rng(0)
    disturbance = rng.uniform(1, 3, 60)  # both of a pair suffer it
    a, b = disturbance * rng.normal(1.0, 0.02, 60), disturbance * rng.normal(1.0, 0.02, 60)
    same = ratio("a", "b", a, b)
    assert not same.distinguishable
    assert same.verdict == "not distinguishable (60 rounds)"
    slower = ratio("a", "b", 1.1 * a, b)
    assert slower.low < 1.1 < slower.high
    assert slower.verdict == "b is faster than a"
    swapped = ratio("b", "a", b, 1.1 * a)
    assert swapped.verdict == slower.verdict
    assert swapped.value == pytest.approx(1 / slower.value)


def test_all_take_their_turn_in_every_round() -> None:
    calls: list[str] = []

    class Named:
        scale = 2

        def __init__(self, name: str) -> None:
            self.name = name

        def __call__(self, lr: torch.Tensor) -> torch.Tensor:
            calls.append(self.name)
            return lr.repeat_interleave(2, -1).repeat_interleave(2, -2)

    models = [Inference(Named(name), CPU) for name in "abc"]
    assert len(take_turns(models, (8, 6), budget_s=0)) == FEWEST_ROUNDS
    assert len(take_turns(models, (8, 6), budget_s=60)) == MAX_ROUNDS
    calls.clear()
    rounds = take_turns(models, (8, 6), budget_s=0.01)
    assert MIN_ROUNDS <= len(rounds) <= MAX_ROUNDS
    played = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert {"".join(sorted(turn)) for turn in played} == {"abc"}
    assert len(set(played)) > 2  # in changing order


def test_versus_on_the_command_line(srbench: Srbench) -> None:
    words = ["--sizes", "20x10,30x20", "--budget", 0, "--scale", 2]
    assert srbench("speed", "nearest", "bicubic", *words) == 0
    assert srbench.out.count("nearest") >= 2 and "A / B: how many times as long A takes" in srbench.out
    assert srbench("speed", "nearest", "bicubic", *words, "--format", "json") == 0
    document = json.loads(srbench.out)
    assert (document["schema"], document["timings"], document["audits"]) == (1, [], [])
    rows = document["ratios"]
    assert [row["size"] for row in rows] == ["20x10", "30x20"]
    for row in rows:
        assert (row["a"], row["b"]) == ("nearest", "bicubic")  # as typed, not as the alphabet has it
        assert row["a_ms"] > 0 and row["b_ms"] > 0
        assert (row["low"] <= 1 <= row["high"]) == row["verdict"].startswith("not distinguishable")
    assert srbench("speed", "second=nearest", "bicubic", *words, "--format", "json") == 0
    assert {(row["a"], row["b"]) for row in json.loads(srbench.out)["ratios"]} == {("second", "bicubic")}
    assert srbench("speed", "nearest", "srresnet", *words) == 2
    assert "srresnet x2: left out: it is made for --scale 4" in srbench.err
    assert "nearest has none to be timed against at x2" in srbench.err
    assert srbench("speed", "nearest", "--scale", 7) == 2
    assert "none of nearest has scale 7" in srbench.err


@pytest.mark.parametrize("words", [("nearest", "bicubic"), ("nearest", "--audit")])
def test_what_keeps_no_timings_takes_no_folder_for_them(
    srbench: Srbench, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert srbench("speed", *words, "--sizes", "20x10", "--budget", 0, "--out", tmp_path / "kept") == 2
    assert srbench.err.startswith("srbench: --out keeps timings, and not ") and "--format json > FILE" in srbench.err
    assert "Timings: --models nearest" in srbench.err
    assert not (tmp_path / "kept").exists()


def test_batches_sizes_and_the_line(srbench: Srbench, tmp_path: Path) -> None:
    words = ["--sizes", "20x10,30x30,40x40", "--batch", "1,3", "--budget", 0, "--out", tmp_path]
    assert srbench("speed", "--models", "bicubic", *words) == 0
    assert "bicubic, batch 3: " in srbench.out and "ms per LR megapixel (95 % intervals)" in srbench.out
    assert "growth of resident memory" in srbench.out
    assert srbench("speed", "bicubic", *words, "--format", "csv") == 0
    assert srbench.out.splitlines()[0].startswith("model,backend,LR size,batch,threads,cold ms,p50 ms,p95 ms")
    assert len(srbench.out.splitlines()) == 7
    assert srbench("speed", "--batch", "1,0") == 2
    assert "write whole numbers above zero" in srbench.err
    assert srbench("speed", "nearest", "--batch", "²") == 2
    assert "write whole numbers above zero" in srbench.err


def test_the_audit_finds_what_an_optimisation_changes(register: Register, srbench: Srbench) -> None:
    def brighter(network: torch.nn.Module, *_: object) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda x: network(x) + 2.0 / 255.0

    def broken(network: torch.nn.Module, *_: object) -> Callable[[torch.Tensor], torch.Tensor]:
        def fail(x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no kernel")

        return fail

    register("models", "net", ModelSpec("net", (2,), lambda scale, device: Net().eval()))
    register("backends", "brighter", Backend("brighter", brighter, ("fp32",)))
    register("backends", "broken", Backend("broken", broken, ("fp32",)))
    words = ["net", "--audit", "--scale", 2, "--sizes", "20x10", "--budget", 0, "--format", "json"]
    assert srbench("speed", *words, "--backend", "brighter") == 0
    (row,) = json.loads(srbench.out)["audits"]
    assert row["largest"] == pytest.approx(2 / 255, abs=1e-6)
    assert row["levels"] == 2
    assert 0.1 < row["changed"] < 1.0  # the untrained net leaves part of its values outside [0, 1]
    assert row["delta_db"] != 0.0
    assert srbench("speed", *words, "--backend", "channels-last") == 0
    exact = next(row for row in json.loads(srbench.out)["audits"] if row["precision"] == "fp32")
    assert exact["largest"] < 1e-6 and exact["levels"] <= 1 and abs(exact["delta_db"]) < 1e-3
    assert srbench("speed", *words, "--backend", "broken") == 1
    assert "net broken fp32: RuntimeError: no kernel" in srbench.err


def test_an_interrupted_audit_prints_what_it_has(
    register: Register, srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it says beforehand what takes long."""
    register("models", "net", ModelSpec("net", (2,), lambda scale, device: Net()))
    asked: list[tuple[str, str]] = [("channels-last", "fp32"), ("eager", "bf16")]
    monkeypatch.setattr("srbench.benchmark.speed.backend_audit.variants", lambda *_: asked)
    real = backend_audit.prepare

    def prepared(*words: Any, **options: Any) -> Any:
        if options.get("precision") == "bf16":
            raise KeyboardInterrupt
        return real(*words, **options)

    monkeypatch.setattr(backend_audit, "prepare", prepared)
    words = ["net", "--audit", "--scale", 2, "--sizes", "20x10", "--budget", 0]
    assert srbench("speed", *words) == 130
    assert "channels-last" in srbench.out and "bf16" not in srbench.out
    assert "net eager bf16: building" in srbench.err


@pytest.mark.parametrize("versus", [False, True])
def test_what_was_timed_before_ctrl_c_is_printed(
    versus: bool, register: Register, srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And of models timed whole it is kept; that is said."""
    for name in ("first", "second"):
        register("models", name, ModelSpec(name, (2,), lambda scale, device: Net()))
    whole = iter(range(1 if versus else 3))  # sizes that are done before

    def until_interrupted(real: Callable[..., Any], *words: Any, **options: Any) -> Any:
        if next(whole, None) is None:
            raise KeyboardInterrupt
        return real(*words, **options)

    monkeypatch.setattr(timing, "time_sizes", partial(until_interrupted, timing.time_sizes))
    monkeypatch.setattr(versus_module, "take_turns", partial(until_interrupted, take_turns))
    names = ["first", "second"] if versus else ["--models", "first,second"]
    words = [
        *names,
        "--scale",
        2,
        "--sizes",
        "20x10,24x12",
        "--budget",
        0,
        "--format",
        "json",
    ]
    assert srbench("speed", *words, *(() if versus else ("--out", tmp_path / "out"))) == 130
    found = json.loads(srbench.out)
    if versus:
        assert [row["size"] for row in found["ratios"]] == ["20x10"]
        assert "interrupted; what was timed is printed, and not kept" in srbench.err
    else:
        assert [(row["model"], row["width"]) for row in found["timings"]] == [
            ("first", 20),
            ("first", 24),
            ("second", 20),
        ]
        assert f"interrupted; what was timed is printed; up to first it is kept in {tmp_path / 'out'}" in srbench.err
        assert {row.model for row in load_results(tmp_path / "out").speeds} == {"first"}


def test_rounds_of_an_audit_keep_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srbench.benchmark.speed.versus.seconds", lambda *_: 1.0)
    both = [Inference(Net(), CPU), Inference(Net(), CPU)]
    assert len(take_turns(both, (8, 6), budget_s=6.0, patience=1)) == FEWEST_ROUNDS
    assert len(take_turns(both, (8, 6), budget_s=6.0)) == MIN_ROUNDS


WEIGHTS = "a" * 64
UNSTEADY: dict[str, dict[str, Any]] = {
    "spread 34%": {"spread": 0.34},
    "3 repeats": {"repeats": 3},
    "1 repeat": {"repeats": 1},
    "other work on 1.2 processors": {"other_work": 1.2},
    "clock moved by 20%": {"clock_moved": 0.2},
    "throttled": {"throttled": True},
}


@pytest.mark.parametrize("why", UNSTEADY)
def test_unsteady_timings_are_marked_and_nothing_is_called_worse_by_them(
    srbench: Srbench, tmp_path: Path, why: str
) -> None:
    folder = timed_and_scored(tmp_path)
    assert doubts(made_speed("fine", repeats=20, spread=0.02, other_work=0.1, clock_moved=0.01)) == []
    write_speeds(folder, WEIGHTS, [made_speed("fine", 40.0, **UNSTEADY[why])])
    for budget in (["--max-ms", 50], ["--max-params", 1000], ["--max-mib", 5000]):
        write_speeds(folder, WEIGHTS, [made_speed("fine", 40.0, peak_memory_mib=9.0, params=900, **UNSTEADY[why])])
        assert srbench("choose", folder, *budget) == 0
        assert f"~ not steady: fine 120×80 ({why}). On an idle machine they may take less." in srbench.out
        assert "budget: fine, PSNR-Y 30.000, ~40.00 ms" in srbench.out
    assert srbench("report", folder, "--format", "md,plots", "--out", tmp_path / "report") == 0
    told = (tmp_path / "report" / "report.md").read_text()
    assert "~40.00" in told and f"~ not steady: fine 120×80 ({why}). Nothing follows" in told
    assert srbench("check", folder, "--baseline", tmp_path / "b.json", "--update") == 0
    write_speeds(folder, WEIGHTS, [made_speed("fine", 400.0, **UNSTEADY[why])])
    assert srbench("check", folder, "--baseline", tmp_path / "b.json") == 0
    assert f"which says nothing: {why}. Time it again" in srbench.out


def test_what_is_slow_gets_fewer_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "seconds", lambda *_: 30.0)
    (slow,) = timing.time_sizes(Inference(Net(), CPU), "net", [(8, 6)])
    assert slow.row.repeats == 1 and doubts(slow.row)[0] == "1 repeat"


def test_the_audit_tries_what_the_device_has() -> None:
    found = variants(CPU)
    assert ("eager", "fp32") not in found
    assert ("eager", "bf16") in found and ("openvino", "bf16") in found
    assert not [way for way in found if way[1] == "fp16"]  # emulated on CPUs: minutes, unless asked for
    assert variants(CPU, precision="fp16") == [(name, "fp16") for name in ("channels-last", "compile", "eager")]
    assert not [way for way in found if way[0] == "cuda-graphs"]


def test_what_a_reader_should_know_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    quiet = State(clock_mhz=None, throttled=4)
    assert machine.notes(CPU, quiet, quiet) == []
    assert machine.notes(CPU, State(busy_s=10.0, own_s=1.0), State(busy_s=13.0, own_s=4.0, clock_s=2.0)) == []
    busy = State(2000.0, 7, None, busy_s=13.0, own_s=2.0, clock_s=2.0)
    told = machine.notes(CPU, State(3000.0, 4, None, busy_s=10.0, own_s=1.0), busy)
    assert told == [
        "clock 3000 MHz before, 2000 MHz after",
        "CPU throttled 3 times",
        "other work took 1.0 of 2 processors meanwhile, and the number of threads was left open (--threads)",
    ]
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert machine.notes(CPU, State(3000.0, 4, None, busy_s=10.0, own_s=1.0), busy)[-1].endswith("processors meanwhile")
    assert machine.joules(State(energy_mj=1000), State(energy_mj=4500)) == 3.5
    assert machine.joules(quiet, quiet) is None
    now = machine.look(CPU)
    assert now.busy_s is None or now.busy_s > now.own_s > 0


def test_the_gpu_is_asked_by_its_uuid_and_may_know_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)  # not installed
    assert machine.look(torch.device("cuda")) == State()
    assert load_model("nearest", 2, "cpu").scale == 2


def test_several_backends_and_sizes_in_one_call(register: Register, srbench: Srbench, tmp_path: Path) -> None:
    """With commas or spaces; each is told when it is done, and all are kept for the report."""
    register("models", "net", ModelSpec("net", (2,), lambda scale, device: Net().eval()))
    words = ["--scale", "x2", "--budget", 0, "--threads", 1, "--out", tmp_path / "timed"]
    ways = ["--backend", "eager", "channels-last", "--sizes", "20x10", "24x16"]
    before = torch.get_num_threads()
    try:
        assert srbench("speed", "net", *words, *ways, "--format", "json") == 0, srbench.err
    finally:
        torch.set_num_threads(before)
        for name in VARIABLES:
            os.environ.pop(name, None)
    assert re.search(r"^net channels-last 24x16: \d+\.\d\d ms$", srbench.err, re.MULTILINE)
    rows = json.loads(srbench.out)["timings"]
    found = [(row["backend"], row["width"]) for row in rows]
    assert found == [("eager", 20), ("eager", 24), ("channels-last", 20), ("channels-last", 24)]
    assert {row["threads"] for row in rows} == {1}
    assert all(row["gmacs"] > 0 for row in rows)  # under a backend too
    assert len(load_results(tmp_path / "timed").speeds) == 4
    formats = ["md,csv,tex,terminal,plots,html", "--out", tmp_path / "report"]
    assert srbench("report", tmp_path / "timed", "--format", *formats) == 0, srbench.err
    assert "| net " in (tmp_path / "report" / "report.md").read_text()
    assert "net,2,cpu,fp32,channels-last,24,16" in (tmp_path / "report" / "speed.csv").read_text()


def timed_and_scored(tmp_path: Path) -> Path:
    runs = [
        made_run(model, {"psnr_y": [psnr] * 6}, weights=WEIGHTS)
        for model, psnr in (("quick", 28.0), ("fine", 30.0), ("slow", 31.0))
    ]
    speeds = [made_speed("quick", 5.0), made_speed("fine", 40.0, params=900), made_speed("slow", 400.0, params=9000)]
    return saved(tmp_path / "results", Results(tuple(runs), tuple(speeds)))


@pytest.mark.parametrize(
    ("budget", "best", "status"),
    [
        (["--max-ms", 50], "fine", 0), (["--max-ms", 5], "quick", 0), ([], "slow", 0),
        (["--max-params", "1e3"], "fine", 0), (["--max-params", "1k"], "fine", 0), (["--size", "120X80"], "slow", 0),
        (["--max-params", "0.01M"], "slow", 0), (["--max-ms", 1], None, 1), (["--max-mib", 9], None, 1),
    ],
)  # fmt: skip
def test_choosing_by_budget(
    srbench: Srbench, tmp_path: Path, budget: list[object], best: str | None, status: int
) -> None:
    folder = timed_and_scored(tmp_path)
    assert srbench("choose", folder, *budget, "--format", "json") == status
    assert json.loads(srbench.out)["best"] == best
    assert srbench("choose", folder, *budget) == status
    if best:
        assert f"Best within the budget: {best}, PSNR-Y " in srbench.out
    else:
        assert srbench.err.startswith("srbench: no model is within this budget; ")


def test_a_backend_that_finds_no_network_is_told(srbench: Srbench, register: Register, tmp_path: Path) -> None:
    """Bicubic under onnx is bicubic; a network under another wrapper is one all the same."""
    network = ModelSpec("network", (2,), lambda scale, device: Scaled(torch.nn.Upsample(scale_factor=2), 2))
    register("models", "network", network)
    words = ["--scale", 2, "--sizes", "20x10", "--budget", 0, "--out", tmp_path]
    assert srbench("speed", "--models", "bicubic,network", "--backend", "eager,channels-last", *words) == 0, srbench.err
    told = [line for line in srbench.out.splitlines() if "could run" in line]
    assert told == ["note: bicubic has no network that channels-last could run: it was timed as it is"]


def test_choosing_among_timings_that_are_not_steady(srbench: Srbench, tmp_path: Path) -> None:
    """Load only makes times longer: what is within the budget under load is so without, and what is above may be.
    No better model is passed over in silence, what is far above is over, and the advice can be pasted."""
    folder = timed_and_scored(tmp_path)
    write_speeds(folder, WEIGHTS, [made_speed("fine", 300.0, spread=0.4)])
    again = f"srbench speed --models fine=REF --scale 4 --sizes 120x80 --device cpu --out {folder}"
    assert srbench("choose", folder, "--max-ms", 50) == 0
    assert re.search(r"fine .*~300.00 .*~over 50 ms", srbench.out) and "budget: quick," in srbench.out
    assert srbench.err.splitlines() == [
        "Better, and maybe within the budget on an idle machine: fine (PSNR-Y 30.000, ~300.00 ms)",
        "Time again, on an idle machine:", again,
    ]  # fmt: skip
    assert srbench("choose", folder, "--max-ms", 50, "--format", "json") == 0
    assert json.loads(srbench.out)["time_again"] == [again]
    write_speeds(folder, WEIGHTS, [made_speed("quick", 60.0, spread=0.4)])
    assert srbench("choose", folder, "--max-ms", 50) == 1
    told = "fine (PSNR-Y 30.000, ~300.00 ms), quick (PSNR-Y 28.000, ~60.00 ms)"
    assert srbench.err.startswith(
        f"srbench: no model is within this budget here; maybe on an idle machine: {told}\nTime again"
    )
    assert srbench("choose", folder, "--max-ms", 1) == 1 and "the table says what each exceeds" in srbench.err
    assert "Time again" not in srbench.err and srbench.out.count(" over 1 ms") == 3


def test_pairs_tell_what_disturbed_them(register: Register, srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As timings do: load, threads and processor, in the table and in its JSON."""
    for name in ("first", "second"):
        register("models", name, ModelSpec(name, (2,), lambda scale, device: Net().eval()))
    words = ["speed", "first", "second", "--scale", 2, "--sizes", "20x10", "--budget", 0]

    def moments(busy_s: float) -> None:
        states = iter([State(2000.0, busy_s=0.0), State(2000.0, busy_s=busy_s, clock_s=2.0)] * 2)
        monkeypatch.setattr(machine, "look", lambda _: next(states))

    moments(3.0)
    assert srbench(*words, "--format", "json") == 0
    found = json.loads(srbench.out)
    assert found["notes"][1].startswith("other work took 1.5 of ")
    assert found["ratios"][0]["not_steady"] == ["other work on 1.5 processors"]
    assert found["ratios"][0]["threads"] == torch.get_num_threads() and found["ratios"][0]["processor"]
    assert srbench(*words) == 0
    assert re.search(r"first +second +~\d+\.\d\d +~\d", srbench.out) and "note: other work took 1.5 of" in srbench.out
    assert re.search(r"^on .+, \d+ threads?$", srbench.out, re.MULTILINE)
    assert "~ not steady: other work on 1.5 processors. Taking turns disturbs both alike" in srbench.out
    moments(3.0)
    assert srbench("speed", "first", "--audit", "--backend", "channels-last", *words[3:]) == 0
    assert re.search(r" ~\d+\.\d\d \[", srbench.out) and "~ not steady: other work on 1.5 processors." in srbench.out
    moments(0.0)
    assert srbench(*words) == 0 and "~" not in srbench.out and "\non " in srbench.out


def test_what_had_too_few_repeats_is_timed_for_longer(srbench: Srbench, tmp_path: Path) -> None:
    """Else the advice would end where it began; and a model of the user's goes by what the run was given."""
    folder = timed_and_scored(tmp_path)
    file = tmp_path / "a net.py"
    command = f"srbench run bicubic '{file}' --datasets Set5"
    run = made_run("a-net.make", {"psnr_y": [40.0] * 6}, weights=WEIGHTS)
    saved(folder, Results((replace(run, environments=({"command": command},)),), ()))
    write_speeds(folder, WEIGHTS, [made_speed("a-net.make", 30_000.0, repeats=1, threads=2)])
    assert srbench("choose", folder, "--max-ms", 40_000) == 0 and "Time again" not in srbench.err
    assert "budget: a-net.make, PSNR-Y 40.000, ~30000.00 ms" in srbench.out
    assert srbench("choose", folder, "--max-ms", 20_000) == 0
    assert f"--models '{file}' --scale 4 --sizes 120x80 --device cpu --threads 2 --budget 15 --out" in srbench.err


def test_choosing_by_a_part_of_the_images() -> None:
    """As --limit leaves it: it said that nothing was scored. Who was scored on fewer images is left out."""
    runs = [made_run("fine", {"psnr_y": [30.0, 31.0]}), made_run("quick", {"psnr_y": [28.0, 28.5]})]
    runs = [replace(run, of=6) for run in (*runs, made_run("short", {"psnr_y": [40.0]}))]
    speeds = tuple(made_speed(name) for name in ("fine", "quick", "short"))
    found = candidates(Results(tuple(runs), speeds), "psnr_y", Budget())
    assert [(one.model, one.score) for one in found] == [("fine", 30.5), ("quick", 28.25)]
    assert {one.images for one in found} == {"2 of 6 images of Set5"}


def test_choosing_asks_which_size(srbench: Srbench, tmp_path: Path) -> None:
    folder = timed_and_scored(tmp_path)
    write_speeds(folder, WEIGHTS, [made_speed("fine"), made_speed("fine", 90.0, width=240)])
    assert srbench("choose", folder, "--max-ms", 50) == 2
    assert "say which: --size 120x80 or 240x80" in srbench.err
    assert srbench("choose", folder, "--max-ms", 50, "--size", "240x80") == 1
    assert srbench("choose", folder, "--metric", "ssim") == 2
    assert "unknown metric 'ssim'" in srbench.err


def test_timings_of_another_setting_are_kept_and_not_taken_for_the_scores(srbench: Srbench, tmp_path: Path) -> None:
    """A second `srbench speed`, in bf16, drops nothing, and its time does not stand beside the score in fp32."""
    folder = timed_and_scored(tmp_path)
    write_speeds(folder, WEIGHTS, [made_speed("fine", 115.0, precision="bf16")])
    write_speeds(folder, WEIGHTS, [made_speed("fine", 41.0)])
    kept = {(row.precision, row.p50_ms) for row in load_results(folder).speeds if row.model == "fine"}
    assert kept == {("fp32", 41.0), ("bf16", 115.0)}
    assert srbench("choose", folder, "--max-ms", 50) == 0
    assert "41.00 ms" in srbench.out and "115" not in srbench.out
    write_speeds(folder, "0" * 64, [made_speed("fine", 42.0)])
    assert [row.p50_ms for row in load_results(folder).speeds if row.model == "fine"] == []  # nor beside those scores


def test_a_csv_of_timings_has_numbers_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A mark before a median would make a text of its column; in a table every median has two digits."""
    rows = (made_speed("fine", 40.0, spread=0.34), made_speed("quick", 9.564252, uncounted=("x",), gmacs=1.5))
    timed = [timing.Timed(row, (), ()) for row in rows]
    print_timings(timed, "csv")
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (first["p50 ms"], first["not steady"], second["p50 ms"]) == ("40.0", "spread 34%", "9.564252")
    assert (second["GMACs"], second["uncounted"]) == ("1.5", "x")
    print_timings(timed, "table")
    assert {"~40.00", "9.56", "≥1.50"} <= set(capsys.readouterr().out.split())


def test_a_metric_is_chosen_by_as_people_type_it(srbench: Srbench, tmp_path: Path) -> None:
    folder = timed_and_scored(tmp_path)
    assert srbench("choose", folder, "--metric", "PSNR-Y") == 0
    assert srbench("compare", folder, "--metric", "PSNR-Y") == 0


def test_choosing_among_timings_alone_asks_for_scores(srbench: Srbench, tmp_path: Path) -> None:
    write_speeds(tmp_path, "", [made_speed("fine")])
    assert srbench("choose", tmp_path, "--max-ms", 50) == 2
    assert f"there are timings and no scores. Make some: srbench run --scale 4 --out {tmp_path}" in srbench.err


def test_memory_of_replayed_graphs_is_what_they_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay allocates SR alone; the pools of graphs hold the rest."""
    segments = [
        {"device": 0, "segment_pool_id": (0, 0), "total_size": 512 * MIB},
        {"device": 0, "segment_pool_id": (0, 3), "total_size": 96 * MIB},
        {"device": 1, "segment_pool_id": (0, 4), "total_size": 64 * MIB},
    ]
    monkeypatch.setattr(torch.cuda, "memory_snapshot", lambda: segments)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 10 * MIB)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 14 * MIB)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: None)
    device = torch.device("cuda", 0)
    run: Any = type("Replay", (), {"device": device, "__call__": lambda self, x: x})()
    assert graph_memory(device) == 96 * MIB
    assert graph_memory(torch.device("cpu")) == 0
    assert peak_memory_mib(run, torch.zeros(1)) == 4 + 96
    assert peak_memory_mib(run, torch.zeros(1), graphs_before=90 * MIB) == 4 + 6


@pytest.mark.parametrize("option", ["--max-ms", "--max-mib", "--max-params"])
def test_a_budget_of_nothing_is_refused(option: str, srbench: Srbench, tmp_path: Path) -> None:
    assert srbench("choose", tmp_path, option, "nan") == 2 and "'nan' is not a finite number" in srbench.err


def test_timings_of_other_weights_do_not_stand_beside_scores(srbench: Srbench, tmp_path: Path) -> None:
    """An edited network of the same name was chosen by its own time and its forerunner's score."""
    for weights in ("a" * 64, "b" * 64):
        folder = saved(tmp_path / weights[0], Results((made_run("mine", {"psnr_y": [30.0]}, weights="b" * 64),)))
        write_speeds(folder, weights, [made_speed("mine")])
        kept = load_results(folder)
        assert len(kept.speeds) == len(kept.runs) * (weights[0] == "b") and len(kept.damaged) == (weights[0] == "a")
    assert srbench("choose", tmp_path / "a", "--max-ms", 50) != 0
    assert "mine x4: its timings are of other weights or code. Again: srbench speed --models mine" in srbench.err
