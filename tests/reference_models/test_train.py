"""`srbench train` as a user types it: one process, two, TensorBoard, refusals; and shipping what came of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from reference_models import ship
from reference_models.checkpoint import Clock, refuse_training_in
from reference_models.cli import command
from reference_models.patches import Plane, Pool
from reference_models.train import told_at_the_end
from reference_models.validation import Validation
from reference_models.watch import Told
from reference_models.weights import load_network, read_weights
from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.cli import main
from srbench.images.degrade import degrade
from srbench.images.files import read_image, write_image
from srbench.metrics.lpips import _network

SMALL = ("options.blocks=1", "options.features=8", "minutes=0", "steps=4", "batch=4", "patch=8", "validate_every=2")


def words(recipe: str, pictures: Path, out: Path, *more: str, settings: tuple[str, ...] = SMALL) -> list[str]:
    sets = [word for setting in settings for word in ("--set", setting)]
    return [recipe, "--data", str(pictures), "--device", "cpu", "--out", str(out), *sets, *more]


def latest(*line: str) -> list[str]:
    """A command that has each key of `--set` once, as it was given last: two values are refused."""
    typed = [after for before, after in pairwise(line) if before == "--set"]
    rest = [after for before, after in pairwise(("", *line)) if "--set" not in (before, after)]
    return [
        *rest,
        *(word for setting in {one.partition("=")[0]: one for one in typed}.values() for word in ("--set", setting)),
    ]


def train(*arguments: str) -> None:
    result = CliRunner().invoke(command, latest(*arguments), standalone_mode=False)
    if result.exception:
        raise result.exception


def test_from_nothing_to_weights_to_more(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    train(*words("srresnet-quick", pictures, out, "--val", str(pictures), "--val-limit", "2"))
    network = load_network(out / "best.safetensors")
    assert network(torch.rand(1, 3, 6, 6)).shape == (1, 3, 24, 24)
    facts = read_weights(out / "best.safetensors").metadata
    assert facts["data"].startswith('{"images": {"pictures": 4}')
    assert float(facts["validation_psnr_y"]) > 10.0
    with pytest.raises(InputError, match="holds a training .at step 4.. Go on with --resume, or take another --out"):
        train(*words("srresnet-quick", pictures, out))
    more = ("--val", str(pictures), "--val-limit", "2", "--resume")
    train(*words("srresnet-quick", pictures, out, *more, settings=(*SMALL, "steps=6")))
    assert read_weights(out / "last.safetensors").metadata["steps"] == "6"


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        (["--set", "learning_rate=1"], UsageError, "has no field 'learning_rate'"),
        (["--set", "options.layers=1"], InputError, "has no option 'layers'"),
        (["--resume"], InputError, "nothing to resume"),
        (["--within", "1"], UsageError, "--within and --set .* are two lengths"),
        (["--out", "PICTURES"], InputError, "holds the images: validation.png would be one of them"),
        (["--out", "/proc/none/out"], OSError, "/proc/none/out"),
        (["--set", "patch=99"], InputError, "no training image is as large as a patch"),
        (["--set", "patience=3"], InputError, "goes by its validation; give a folder for it"),
        (["--keep", "2"], InputError, "goes by its validation; give a folder for it"),
        (["--val-limit", "2"], InputError, "goes by its validation; give a folder for it"),
        (["--val", "PICTURES", "--val-split", "0.5"], UsageError, "give one of them"),
        (["--data", "LIST", "--val", "PICTURES"], UsageError, "give one of them"),
        (["--data", "LIST", "--val-split", "0.5"], UsageError, "give one of them"),
        (["--val", "SMALL"], InputError, "tiny, to validate on: .*Leave such images out"),
        (["--degradation", "matlab-y"], UsageError, "rounds no LR, and patches have 8 bits"),
        (["--degradation", "files", "--set", "zooms=0.5"], UsageError, "have no LR file"),
        (["--set", "checkpointing=true"], None, ""),
    ],
)
def test_refusals(pictures: Path, tmp_path: Path, more: list[str], error: type[Exception] | None, message: str) -> None:
    (tmp_path / "list.csv").write_text("hr,split\npictures/1.png,val\n")
    write_image(tmp_path / "small" / "tiny.png", np.zeros((12, 12, 3), np.uint8))
    named = {"PICTURES": str(pictures), "LIST": str(tmp_path / "list.csv"), "SMALL": str(tmp_path / "small")}
    given = [named.get(word, word) for word in more]
    out = Path(given.pop(given.index("--out") + 1)) if "--out" in given else tmp_path / "out"
    arguments = words("srresnet-quick", pictures, out, *(word for word in given if word != "--out"))
    if error is None:
        train(*arguments)
        return
    with pytest.raises(error, match=message):
        train(*arguments)


def test_tensorboard_says_what_to_install(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UnavailableError, match=r"srbench-sr\[tensorboard\]"):
        train(*words("srresnet-quick", pictures, tmp_path / "out", "--tensorboard"))


def test_tensorboard_gets_scalars_and_images(pictures: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra: pip install srbench-sr[tensorboard]")
    train(*words("srresnet-quick", pictures, tmp_path / "out", "--tensorboard", "--val", str(pictures)))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "out" / "tensorboard")).Reload()
    assert "validation/psnr_y" in events.Tags()["scalars"]
    assert {"0/lr", "0/sr", "0/hr"} <= set(events.Tags()["images"])
    assert "validation/ssim_y" in events.Tags()["scalars"]


@pytest.mark.parametrize(
    ("recipe", "tolerance"),
    [("esrnet-quick", 1e-5), pytest.param("srresnet-quick", 2e-3, marks=pytest.mark.slow)],
)
def test_two_processes_train_as_one(recipe: str, tolerance: float, pictures: Path, tmp_path: Path) -> None:
    """gloo, the same global batch. With batch norm, each process of a CPU normalises by its own half of the batch."""
    settings = (*SMALL, *(("options.growth=4",) if recipe == "esrnet-quick" else ()))
    train(*words(recipe, pictures, tmp_path / "one", settings=settings))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    line = [*torchrun, "-m", "srbench", "train", *words(recipe, pictures, tmp_path / "two", settings=settings)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    states = [read_weights(tmp_path / name / "last.safetensors").tensors for name in ("one", "two")]
    apart = {
        name: float((states[0][name] - states[1][name]).abs().max()) for name in states[0] if "running" not in name
    }
    assert max(apart.values()) < tolerance


def test_drawing_patches_takes_under_three_percent_of_a_step() -> None:
    """The draw of srresnet-quick beside its step, in one run; medians."""
    from reference_models.architectures import build

    hr = torch.randint(0, 256, (384 * 384 * 3,), dtype=torch.uint8).numpy().reshape(384, 384, 3)
    lr = hr[::4, ::4]
    pool = Pool(Plane.of([lr] * 4, torch.device("cpu")), Plane.of([hr] * 4, torch.device("cpu")), 4, {}, "")
    network = build("srresnet", 4).to(memory_format=torch.channels_last)
    generator = torch.Generator().manual_seed(0)
    drawing, stepping = [], []
    for _ in range(3):
        start = time.perf_counter()
        inner, outer = pool.draw(4, 24, generator)
        drawn = time.perf_counter()
        (network(inner) - outer).abs().mean().backward()
        drawing.append(drawn - start)
        stepping.append(time.perf_counter() - drawn)
    assert sorted(drawing)[1] < 0.03 * sorted(stepping)[1]


def test_force_begins_anew_and_leaves_nothing_of_the_old(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    train(*words("srresnet-quick", pictures, out, "--val", str(pictures), "--val-limit", "1", "--keep", "2"))
    assert {path.name for path in out.glob("best-*")} == {"best-0000002.safetensors", "best-0000004.safetensors"}
    (out / "tensorboard").mkdir()
    (out / "tensorboard" / "events.out.tfevents.1.host").write_bytes(b"curves that would be drawn into the new ones")
    train(*words("srresnet-quick", pictures, out, "--force", settings=(*SMALL, "steps=2")))
    assert {path.name for path in out.iterdir()} == {
        "best.safetensors",
        "last.safetensors",
        "last.ckpt",
        "tensorboard",
    }  # no validation.png
    assert not any((out / "tensorboard").iterdir())
    assert read_weights(out / "last.safetensors").metadata["steps"] == "2"


@pytest.mark.parametrize("case", ["its own best", "by a link", "a typo", "another network"])
def test_force_removes_nothing_where_start_cannot_be_had(pictures: Path, tmp_path: Path, case: str) -> None:
    out, other, link = tmp_path / "out", tmp_path / "other", tmp_path / "link.safetensors"
    train(*words("srresnet-quick", pictures, out))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    link.symlink_to(out / "last.safetensors")
    if case == "another network":
        train(*words("srresnet-quick", pictures, other, settings=(*SMALL, "options.features=16")))
    start, message = {
        "its own best": (out / "best.safetensors", "whose training --force removes. Take another --out"),
        "by a link": (link, "whose training --force removes. Take another --out"),
        "a typo": (out / "bset.safetensors", "is no weights file"),
        "another network": (other / "best.safetensors", "does not fit recipe"),
    }[case]
    with pytest.raises(InputError, match=message):
        train(*words("srresnet-quick", pictures, out, "--force", settings=(*SMALL, f"start={start}")))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_files_of_the_user_beside_the_kept_weights_stay(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    more = ("--val", str(pictures), "--val-limit", "1", "--keep", "2")
    train(*words("srresnet-quick", pictures, out, *more))
    for name in ("best-paper.safetensors", "best-2.safetensors"):
        shutil.copy(out / "best.safetensors", out / name)
    train(*words("srresnet-quick", pictures, out, *more, "--resume", settings=(*SMALL, "steps=8")))
    assert len(list(out.glob("best-0*"))) == 2
    train(*words("srresnet-quick", pictures, out, "--force"))
    assert {path.name for path in out.glob("best-*")} == {"best-paper.safetensors", "best-2.safetensors"}


def test_lr_that_came_with_the_images_is_what_is_trained_on(pictures: Path, tmp_path: Path) -> None:
    """Black LR beside HR: another loss and other weights, in training and in validation."""
    home = tmp_path / "own"
    shutil.copytree(pictures, home / "HR")
    for path in pictures.iterdir():
        write_image(home / "LR" / path.name, np.zeros_like(degrade(read_image(path), 4)))
    found = {}
    for name in ("matlab", "files"):
        train(*words("srresnet-quick", home, tmp_path / name, "--degradation", name, "--val", str(home)))
        found[name] = read_weights(tmp_path / name / "last.safetensors")
    assert found["files"].metadata["curve"] != found["matlab"].metadata["curve"]
    assert float(found["files"].metadata["validation_psnr_y"]) < float(found["matlab"].metadata["validation_psnr_y"])
    assert not torch.equal(*(next(iter(one.tensors.values())) for one in found.values()))


def test_a_second_ctrl_c_says_what_is_kept(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that nothing was trained yet, whatever lay there."""

    def twice(at: int, clock: Clock, *_: object) -> None:
        if clock.step == at:
            os.kill(os.getpid(), signal.SIGINT), os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "out"
    line = ["train", *words("srresnet-quick", pictures, out)]
    for at, told in ((1, "no state was written to go on from"), (3, f"step 2 is kept in {out}/last.ckpt. Go on: ")):
        monkeypatch.setattr(Told, "step", lambda _, *words, at=at: twice(at, *words))
        assert main(line) == 130
        assert f"interrupted amid a step; {told}" in capsys.readouterr().err


def test_epochs_are_a_length_and_may_be_others_when_resumed(pictures: Path, tmp_path: Path) -> None:
    line = words("srresnet-quick", pictures, tmp_path / "out", settings=(*SMALL[:3], *SMALL[4:]))
    train(*line, "--set", "epochs=0.5")
    before = int(read_weights(tmp_path / "out" / "last.safetensors").metadata["steps"])
    train(*line, "--set", "epochs=1", "--resume")
    assert int(read_weights(tmp_path / "out" / "last.safetensors").metadata["steps"]) > before


@pytest.mark.parametrize("more", [("--keep", "2"), ("--set", "patience=3")])
def test_a_gan_that_goes_by_lpips_is_refused_without_its_weights(
    more: tuple[str, ...], pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--keep was taken, and nothing kept."""
    monkeypatch.setattr("reference_models.train.StagedLoss", lambda *_: None)
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    _network.cache_clear()  # other tests have had them
    with pytest.raises(UnavailableError, match="of a GAN counts by LPIPS"):
        train(*words("srgan-quick", pictures, tmp_path / "out", "--val", str(pictures), "--set", "start=fresh", *more))


@pytest.mark.parametrize("content", [b"", b"hello", None])
def test_a_damaged_checkpoint_is_named(content: bytes | None, pictures: Path, tmp_path: Path) -> None:
    """Empty, something else, or cut; from the command line, where an EOFError once passed for Ctrl-C."""
    out = tmp_path / "out"
    line = words("srresnet-quick", pictures, out)
    assert main(["train", *line]) == 0
    path = out / "last.ckpt"
    path.write_bytes(path.read_bytes()[:3000] if content is None else content)
    with pytest.raises(InputError, match="last.ckpt: is no state of a training, or a damaged one"):
        train(*line, "--resume")
    assert main(["train", *line, "--resume"]) == 2
    assert main(["train", *line]) == 2  # and it is still not overwritten unasked
    (out / "last.safetensors").unlink()
    with pytest.raises(InputError, match=r"or a damaged one\. Begin anew: --force$"):  # from nothing that is not there
        train(*line, "--resume")


def test_an_interrupt_before_the_first_step_of_a_resumed_training_denies_nothing(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from reference_models import train as module

    def interrupted(*given: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "open_pool", interrupted)
    assert main(["train", *words("srresnet-quick", pictures, tmp_path / "out"), "--resume"]) == 130
    assert "or since OUT/last.ckpt, if that is there: --resume goes on from it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--set", "lr=1e-3"), "was made with lr=0.0005, not 0.001"),
        (("--set", "batch=2"), "was made with batch=4, not 2"),
        (("--data", "MORE"), r"was made with other images \(--data\)"),
        (("--val", "MORE"), r"was made with other images \(--val\)"),
        (("--degradation", "matlab-legacy"), "was made with --degradation matlab, not matlab-legacy"),
        (("--set", "steps=6", "--set", "validate_every=3"), ""),
    ],
)
def test_a_training_is_resumed_on_its_own_terms(
    more: tuple[str, ...], message: str, pictures: Path, tmp_path: Path
) -> None:
    shutil.copytree(pictures, tmp_path / "more")
    (tmp_path / "more" / "0.png").unlink()
    line = words("srresnet-quick", pictures, tmp_path / "out")
    train(*line)
    line += [str(tmp_path / "more") if word == "MORE" else word for word in more]
    if not message:
        train(*line, "--resume")
        return
    with pytest.raises(InputError, match=message):
        train(*line, "--resume")


def test_shipped_weights_bring_a_card(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(*words("srresnet-quick", pictures, tmp_path / "out"))
    monkeypatch.setattr(ship, "HOME", tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    line = [str(tmp_path / "out" / "best.safetensors"), "--as", "toy", "--note", "A toy."]
    assert CliRunner().invoke(ship.main, line).exit_code == 0
    load_network(tmp_path / "weights" / "toy-x4.safetensors")
    card = (tmp_path / "weights" / "toy-x4.md").read_text(encoding="utf-8")
    assert card.startswith("# toy, x4\n\nA toy.\n")
    assert "pictures (4)" in card
    assert "Not scored yet" in card


def test_weights_without_a_state_are_not_said_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "best.safetensors").write_bytes(b"of an earlier training")
    with pytest.raises(InputError, match=r"holds a training .best.safetensors.. Take another --out, or --force$"):
        refuse_training_in(tmp_path)


def test_the_end_says_what_was_not_done(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = words("srresnet-quick", pictures, tmp_path / "out")
    assert main(["train", *line]) == 0
    assert "nothing was validated, so the last weights count as the best; --val DIR" in capsys.readouterr().err
    assert main(["train", *latest(*line, "--resume", "--set", "steps=3")]) == 0
    assert "nothing is left to do after step 4, and nothing is written anew" in capsys.readouterr().err
    start = f"start={tmp_path / 'out' / 'best.safetensors'}"
    worse = words("srresnet-quick", pictures, tmp_path / "worse", "--val", str(pictures), "--set", start)
    assert main(["train", *worse, "--set", "lr=0.5"]) == 0
    said = capsys.readouterr().err
    assert "no validation was as good as before the first step: PSNR-Y" in said and "nothing " not in said


def test_a_gan_that_got_worse_says_so_by_lpips(tmp_path: Path) -> None:
    clock, validation = Clock(step=9, best=-0.4618, ranking=[(-0.4618, 9)]), Validation(by="lpips")
    clock.curve = [[0, 0.0, float("nan"), 28.0, 0.8, 0.4392], [9, 1.0, 0.1, 27.0, 0.7, 0.4618]]
    told = "\n".join(told_at_the_end(clock, validation, tmp_path))
    assert "no validation was as good as before the first step: LPIPS 0.4618, and 0.4392 there" in told
