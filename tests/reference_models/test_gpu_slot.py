"""scripts/gpu_slot.py: what goes along, what comes back, and the whole of it, small, on a CPU."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import entry_points as found_entry_points
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from reference_models.architectures import build
from reference_models.recipes import RECIPES
from reference_models.throughput import main as probe
from reference_models.throughput import with_best_batch
from reference_models.weights import load_network, save_weights
from scripts import gpu_slot
from scripts.gpu_slot import Courier, Slot, entry_points, main
from srbench.images.files import read_image
from tests.reference_models.conftest import tiny

ROOT = Path(__file__).parents[2]
SMALL = ",batch=2,patch=8,options.blocks=1,options.features=8,compile="
Photograph = Callable[..., np.ndarray]


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=90)


@pytest.fixture
def packed(tmp_path: Path, photograph: Photograph) -> Path:
    """What `pack` makes of sets with two images each; Kodak24 has ten, of which eight go along."""
    home = tmp_path / "data"
    for folder, kind, count in (
        ("train/BSD400", "jpg", 2), ("train/CID22", "webp", 2), ("Kodak24/HR", "webp", 10), ("Set5/HR", "png", 2),
        ("Set14/HR", "png", 2),
    ):  # fmt: skip
        for seed in range(count):
            write(home / folder / f"{seed:02d}.{kind}", photograph(48, 52, seed=seed))
    (tmp_path / gpu_slot.TRUNK).write_bytes(b"trunk")
    arguments = ["pack", "--data", str(home), "--weights", str(tmp_path), "--out", str(tmp_path / "slot")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "train/BSD400" in result.output
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "is not empty" in again.output
    return tmp_path / "slot"


def test_a_pack_loses_no_pixel(packed: Path) -> None:
    data = packed.parent / "data"
    counts = {"train/BSD400": 2, "train/CID22": 2, "val/Kodak8/HR": 8, "test/Set5/HR": 2, "test/Set14/HR": 2}
    for folder, count in counts.items():
        images = sorted((packed / folder).iterdir())
        source = data / re.sub("^(val|test)/", "", folder).replace("Kodak8", "Kodak24")
        assert len(images) == count
        for path in images:
            np.testing.assert_array_equal(read_image(path), read_image(source / path.name))
    assert (packed / "weights" / gpu_slot.TRUNK).read_bytes() == b"trunk"


@pytest.mark.skipif(shutil.which("jpegtran") is None, reason="needs jpegtran: apt-get install libjpeg-turbo-progs")
def test_jpegs_become_progressive(packed: Path) -> None:
    with Image.open(packed / "train" / "BSD400" / "00.jpg") as image:
        assert "progressive" in image.info


def test_a_checkout_that_is_not_installed_has_its_entry_points(tmp_path: Path) -> None:
    code = "from importlib.metadata import distribution as d; print(d('srbench').entry_points.select(name='srresnet'))"
    bare = {"PYTHONPATH": str(entry_points(tmp_path))}
    found = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, env=bare, check=False)
    assert "reference_models.specs:SRRESNET" in found.stdout
    assert any(entry.name == "srresnet" for entry in found_entry_points(group="srbench.models"))


def slot(out: Path, seconds: float = 60.0) -> Slot:
    return Slot(out, out, "cpu", time.time() + seconds, io.StringIO())


def test_a_process_over_its_time_is_ended_and_the_others_go_on(tmp_path: Path) -> None:
    here = slot(tmp_path)
    looks = []
    began = time.time()
    status = here.call("-c", "import time; time.sleep(60)", limit=5.0, meanwhile=lambda: looks.append(1))
    assert status == 124
    assert time.time() - began < 20
    assert len(looks) > 5
    assert here.call("-c", "print('well'); raise SystemExit(3)", limit=30.0) == 3
    assert "well" in here.log.getvalue()  # type: ignore[attr-defined]
    assert here.call("-c", "raise SystemExit(1)", limit=1.0) == 124  # no time: left out


def test_weights_come_back_as_they_become_better_in_pieces_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_slot, "PIECE", 10_000)
    weights, out = tmp_path / "run" / "best.safetensors", tmp_path / "out"
    out.mkdir()
    courier = Courier(weights, out, "net")
    courier.bring()
    assert not list(out.iterdir())  # nothing there yet
    facts = {"architecture": "srresnet", "scale": 4, "options": {"blocks": 1, "features": 16}}
    network = build("srresnet", 4, blocks=1, features=16)
    save_weights(weights, network.state_dict(), facts)
    courier.look()
    pieces = sorted(out.iterdir())
    assert len(pieces) > 1
    assert all(path.stat().st_size <= 10_000 for path in pieces)
    (tmp_path / "joined.safetensors").write_bytes(b"".join(path.read_bytes() for path in pieces))
    joined = load_network(tmp_path / "joined.safetensors").state_dict()
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(joined[name], tensor.half().to(tensor.dtype))
    pieces[0].unlink()
    courier.look()  # too early
    courier.bring()  # not newer
    assert not pieces[0].exists()


def test_the_batch_is_the_smallest_that_is_nearly_as_fast_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny(RECIPES["srresnet-quick"], batch=64, lr=4e-4)
    seconds = {32: 0.06, 64: 0.10, 128: 0.195}  # 533, 640 and 656 patches a second

    def taken(recipe, device):  # type: ignore[no-untyped-def]
        if recipe.batch not in seconds:
            raise torch.OutOfMemoryError
        return seconds[recipe.batch]

    monkeypatch.setattr("reference_models.throughput.seconds_a_step", taken)
    best, step = with_best_batch(recipe, torch.device("cpu"))
    assert (best.batch, best.lr, step) == (64, recipe.lr, 0.10)
    del seconds[64], seconds[128]
    best, step = with_best_batch(recipe, torch.device("cpu"))
    assert best.batch == 32
    assert best.lr == pytest.approx(4e-4 / 2**0.5)
    seconds.clear()
    seconds[16] = 1.0
    assert with_best_batch(recipe, torch.device("cpu"))[0].batch == 16


def test_a_probe_writes_settings(tmp_path: Path) -> None:
    sets = [word for setting in SMALL[1:].split(",") for word in ("--set", setting)]
    result = CliRunner().invoke(probe, ["srresnet-gpu-9min", *sets, "--device", "cpu", "--to", str(tmp_path / "to")])
    assert result.exit_code == 0, result.output
    assert re.fullmatch(r'\{"batch": 2, "lr": 0.0005, "validate_every": \d+\}', (tmp_path / "to").read_text())


def test_the_plan_names_recipes_that_are_there() -> None:
    text = (ROOT / "docs" / "training-plan.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[a-z]+-(?:gpu-9min|quick)", text))
    assert {"srresnet-gpu-9min", "srgan-gpu-9min", "esrnet-gpu-9min", "esrgan-gpu-9min"} <= named <= set(RECIPES)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["srresnet-gpu-9min", "esrnet-gpu-9min"])
def test_a_slot_from_facts_to_scores(recipe: str, packed: Path, tmp_path: Path) -> None:
    settings = SMALL + (",options.growth=4,start=" if recipe.startswith("esrnet") else "")
    words = ["run", recipe + settings, "--data", str(packed), "--out", str(tmp_path / "out"), "--seconds", "240"]
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "gpu_slot.py"), *words, "--device", "cpu", "--no-checks", "--no-table"],
        check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0
    load_network(tmp_path / "out" / f"{recipe}.safetensors")
    log = (tmp_path / "out" / "log.txt").read_text()
    for said in ("TFLOP/s", "ms a step", "steps,", "PSNR-Y", "Set14", f"{recipe}.safetensors: "):
        assert said in log, said
