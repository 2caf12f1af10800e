"""Several processes on one run: shares, journals that add up, real processes that agree, die, hang and go on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srbench.base.errors import UsageError
from srbench.benchmark.distributed import ALONE, Ranks, ranks_of, shares
from srbench.datasets.folder import open_folder
from srbench.results.journals import journal_paths
from srbench.results.records import Row, Run
from srbench.results.store import RunWriter, discard, load_results, read_run
from tests.conftest import Srbench
from tests.srbench.test_processes import call
from tests.srbench.test_store import RUN, path_in, row

MODULE = """
import os
import signal

import torch

from srbench.models.wrap import Scaled


def make():
    def upscale(lr):
        if os.environ.get("RANK", "") == os.environ.get("MISHAP_OF"):
            os.kill(os.getpid(), int(os.environ["MISHAP"]))
        with open("calls", "a") as file:
            file.write(f"{tuple(lr.shape)}\\n")
        return torch.nn.functional.interpolate(lr, scale_factor=4)
    return Scaled(upscale, 4)
"""


@given(st.dictionaries(st.integers(0, 99), st.integers(1, 10**6), max_size=40), st.integers(1, 9), st.integers(0, 9))
def test_shares_part_the_images_and_are_balanced(costs: dict[int, int], count: int, turn: int) -> None:
    made = shares(costs, count, turn)
    assert sorted(key for part in made for key in part) == sorted(costs)
    assert made == shares(dict(reversed(costs.items())), count, turn)
    loads = [sum(costs[key] for key in part) for part in made]
    largest = max(costs.values(), default=0)
    assert max(loads) - min(loads) <= largest
    bound = max(largest, sum(costs.values()) / count)
    assert max(loads) <= bound * (2 - 1 / count)  # Graham's bound for any list; LPT's own needs the optimum


def test_models_take_turns_at_the_first_share() -> None:
    assert [shares({0: 5}, 3, turn).index([0]) for turn in range(4)] == [0, 1, 2, 0]


def test_pixels_of_lr_are_known_without_decoding_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = open_folder(folder, 4, "matlab")
    assert dataset.fingerprint
    monkeypatch.setattr("srbench.datasets.digests.read_image", lambda path: pytest.fail("decoded a second time"))
    assert dataset.lr_pixels == (10 * 12, 12 * 11, 12 * 12)
    assert dataset.lr_pixels == tuple(
        sample.lr.shape[0] * sample.lr.shape[1] for sample in map(dataset.__getitem__, range(3))
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ALONE),
        ({"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "node"}, Ranks(2, 4, 1)),
        ({"SLURM_PROCID": "9", "SLURM_NTASKS": "16", "SLURM_LOCALID": "1", "MASTER_ADDR": "node"}, Ranks(9, 16, 1)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "16"}, ALONE),  # any batch script of Slurm: nobody else comes
    ],
)
def test_who_a_process_is(environment: dict[str, str], expected: Ranks) -> None:
    assert ranks_of(environment) == expected


@pytest.mark.parametrize("rank", ["4", "-1", "one"])
def test_variables_that_cannot_be(rank: str) -> None:
    with pytest.raises(UsageError, match="RANK"):
        ranks_of({"RANK": rank, "WORLD_SIZE": "4", "MASTER_ADDR": "node"})


def test_each_process_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert [Ranks(rank, 4, rank % 2).device("auto") for rank in range(4)] == ["cuda:0", "cuda:1"] * 2
    assert Ranks(3, 4, 3).device("cuda") == "cuda:1"
    assert Ranks(3, 4, 3).device("cpu") == "cpu"
    assert ALONE.device("auto") == "auto"
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert Ranks(1, 4, 1).device("auto") == "auto"


def written(out: Path, parts: list[list[str]]) -> Run:
    """What a run comes to whose images were scored by as many processes as there are parts."""
    if len(parts) > 1:
        for rank, images in enumerate(parts):
            own = replace(RUN, environments=({"device": f"cuda:{rank}", "time": str(rank), "node": "a"},))
            with RunWriter(path_in(out), own, shard=rank) as writer:
                for image in images:
                    writer.append(row(image, float(ord(image))))
        with RunWriter(path_in(out), replace(RUN, environments=())) as writer:
            return writer.finish("abcdefgh")
    with RunWriter(
        path_in(out), replace(RUN, environments=({"device": "cuda:0", "time": "0", "node": "a"},))
    ) as writer:
        for image in parts[0]:
            writer.append(row(image, float(ord(image))))
        return writer.finish("abcdefgh")


@given(st.permutations(list("abcdefgh")), st.sets(st.integers(1, 7)))
@settings(deadline=None, max_examples=25)
def test_merging_does_not_depend_on_the_number_of_shards(
    tmp_path_factory: pytest.TempPathFactory, images: list[str], cuts: set[int]
) -> None:
    whole, parted = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parted")
    edges = [0, *sorted(cuts), 8]
    expected = written(whole, [images])
    found = written(parted, [images[start:end] for start, end in pairwise(edges)])
    assert found == expected
    assert path_in(parted).read_text() == path_in(whole).read_text()
    assert [path.name for path in path_in(parted).parent.iterdir()] == ["toy.json"]


def test_rows_of_other_machines_keep_their_environment(tmp_path: Path) -> None:
    with RunWriter(path_in(tmp_path), replace(RUN, environments=({"node": "first"},))) as writer:
        writer.append(row("a"))
        writer.finish("abc")
    for rank, node in enumerate(("left", "right")):
        with RunWriter(path_in(tmp_path), replace(RUN, environments=({"node": node},)), shard=rank) as writer:
            writer.append(row("bc"[rank]))
    run = read_run(path_in(tmp_path))
    assert run is not None
    assert {row.image: run.environments[row.made]["node"] for row in run.rows} == {
        "a": "first",
        "b": "left",
        "c": "right",
    }


def test_a_process_alone_takes_in_what_others_left_unless_they_still_write(tmp_path: Path) -> None:
    with RunWriter(path_in(tmp_path), RUN, shard=7) as other:
        other.append(row("g"))
        with pytest.raises(UsageError, match="another srbench is writing"), RunWriter(path_in(tmp_path), RUN):
            pass
        with pytest.raises(UsageError, match="another srbench is writing"):
            discard(path_in(tmp_path))
    assert [found.image for run in load_results(tmp_path) for found in run.rows] == ["g"]
    with RunWriter(path_in(tmp_path), RUN) as alone:
        assert [found.image for found in alone.run.rows] == ["g"]
        alone.finish("g")
    assert journal_paths(path_in(tmp_path)) == [path_in(tmp_path).with_suffix(".journal")]
    discard(path_in(tmp_path))
    assert read_run(path_in(tmp_path)) is None


Launch = Callable[..., list[subprocess.Popen[str]]]


@pytest.fixture
def launch(tmp_path: Path, folder: Path) -> Launch:
    """Start processes as a launcher would, to score `folder` by the module above: `launch(2, "--out", out)`."""
    (tmp_path / "mishaps.py").write_text(MODULE)
    command = [sys.executable, "-m", "srbench", "run", "--models", "mishaps:make", "--datasets", str(folder)]
    command += ["--metrics", "psnr_y", "--no-speed", "--device", "cpu"]

    def start(count: int, *words: object, **environment: str) -> list[subprocess.Popen[str]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        common = {**os.environ, "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        return [
            subprocess.Popen(
                [*command, *map(str, words)],
                env={**common, **environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(count)
        ]

    return start


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str, str]]:
    """Status, stdout and stderr of each; every one has to end by itself."""
    try:
        told = [process.communicate(timeout=120) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, told, strict=True)]


def scored(out: Path) -> list[dict[str, object]]:
    """Rows but for the time that they took and the process that made them."""
    (run,) = load_results(out).runs
    return [{**asdict(found), "seconds": 0, "made": 0} for found in run.rows]


def test_a_dead_process_fails_the_run_and_the_next_scores_nothing_twice(
    launch: Launch, tmp_path: Path, folder: Path, srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by SIGKILL, as by a kernel short of memory. The rerun is by one process, this one."""
    (first, _, told), (died, _, _) = ended(launch(2, "--out", "broken", MISHAP_OF="1", MISHAP=str(int(signal.SIGKILL))))
    assert (first, died) == (1, -signal.SIGKILL)
    assert "has ended, or has not answered within 0:30:00. What was scored is kept" in told
    assert "Traceback" not in told
    before = (tmp_path / "calls").read_text().splitlines()
    assert 0 < len(before) < 3
    assert [row["image"] for row in scored(tmp_path / "broken")]  # what there is can be reported
    monkeypatch.chdir(tmp_path)
    options = ["--datasets", folder, "--metrics", "psnr_y", "--no-speed", "--device", "cpu", "--out", "broken"]
    assert srbench("run", "--models", "mishaps:make", *options) == 0
    monkeypatch.delitem(sys.modules, "mishaps")
    assert len((tmp_path / "calls").read_text().splitlines()) == 3
    assert [path.name for path in (tmp_path / "broken" / "tiny" / "x4").iterdir()] == ["mishaps.make.json"]


@pytest.mark.slow
def test_two_processes_make_what_one_makes_and_redo_it_if_forced(launch: Launch, tmp_path: Path) -> None:
    for count in (1, 2):
        (status, table, told), *others = ended(launch(count, "--out", str(count)))
        assert status == 0, told
        assert "mishaps.make" in table
        assert all(other[:2] == (0, "") for other in others)  # rank 0 speaks for all
    assert scored(tmp_path / "1") == scored(tmp_path / "2")
    assert [status for status, *_ in ended(launch(2, "--out", "2", "--force"))] == [0, 0]
    assert len((tmp_path / "calls").read_text().splitlines()) == 9


@pytest.mark.slow
def test_a_process_that_hangs_is_not_waited_for_forever(launch: Launch) -> None:
    processes = launch(2, "--out", "hung", MISHAP_OF="1", MISHAP=str(int(signal.SIGSTOP)), SRBENCH_TIMEOUT_MIN="0.1")
    _, told = processes[0].communicate(timeout=120)
    processes[1].kill()
    processes[1].communicate()
    assert processes[0].returncode == 1
    assert "rank 1 has ended, or has not answered within 0:00:06" in told


@pytest.mark.slow
def test_what_fails_on_one_fails_on_all_and_is_said_once(launch: Launch) -> None:
    (first, _, told), (second, _, silent) = ended(launch(2, "--out", "bad", "--degradation", "nothing"))
    assert (first, second) == (2, 2)
    assert "unknown degradation" in told
    assert silent == ""


@pytest.mark.slow
def test_scores_are_the_same_by_one_two_and_three_processes(tmp_path: Path) -> None:
    """To the bit, rows, digests of pixels and all, as torchrun starts them: one processor, one thread each."""
    command = ["-m", "srbench", "run", "--models", "bicubic,srcnn", "--datasets", "samples", "--no-speed"]
    command += ["--metrics", "psnr_y,ssim_y", "--device", "cpu"]
    made = []
    for count in (1, 2, 3):
        torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}"]
        done = call(*torchrun, *command, "--out", tmp_path / str(count), OMP_NUM_THREADS="1", MASTER_ADDR="127.0.0.1")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("PSNR-Y ↑") == 1
        runs = load_results(tmp_path / str(count)).runs
        made.append([(run.identity, [replace(row, seconds=0.0) for row in run.rows]) for run in runs])
    assert all(isinstance(row, Row) and row.scores["psnr_y"] > 20 for _, rows in made[0] for row in rows)
    assert len(made[0]) == 2
    assert made[0] == made[1] == made[2]
