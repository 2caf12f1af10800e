"""What only a GPU can show: `pytest -m gpu`. On a CPU, `SRBENCH_TEST_DEVICE=cpu` tries the tests themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import baselines
from reference_models.architectures import build
from reference_models.average import Average
from reference_models.fit import fit
from reference_models.fit_gan import fit_gan
from reference_models.machine import optimiser_for
from reference_models.parts import placed, step
from reference_models.recipes import RECIPES, GanRecipe
from reference_models.start import first_network
from reference_models.train import make_fabric
from reference_models.validation import Validation
from reference_models.watch import Watch
from reference_models.weights import as_upscaler, load_network
from srbench.benchmark.speed import machine
from srbench.benchmark.speed.timing import noise, seconds, time_sizes
from srbench.datasets.folder import open_folder
from srbench.images.resize import imresize
from srbench.metrics.conventions import quantise
from srbench.metrics.scorer import Scorer
from srbench.models.backends import accelerated
from srbench.models.inference import Inference, prepare
from tests.reference_models.conftest import pool_for, tiny

pytestmark = pytest.mark.gpu
DEVICE = torch.device(os.environ.get("SRBENCH_TEST_DEVICE", "cuda"))
CPU = torch.device("cpu")
ON_GPU = DEVICE.type == "cuda"
cuda_alone = pytest.mark.skipif(not ON_GPU, reason="needs a CUDA device")
WEIGHTS = Path(__file__).parents[2] / "reference_models" / "weights"
Photograph = Callable[..., np.ndarray]


def ready(network: nn.Module, backend: str = "eager", precision: str = "fp32", tile: str = "none") -> Inference:
    upscaler = as_upscaler(network.eval().requires_grad_(False).to(DEVICE))
    return Inference(accelerated(upscaler, backend, DEVICE, precision), DEVICE, precision, backend, tile)


def srresnet() -> nn.Module:
    return load_network(WEIGHTS / "srresnet-x4.safetensors")


@pytest.mark.parametrize("convention", ["matlab", "basicsr", "nocrop", "full-swing", "skimage-default"])
@pytest.mark.parametrize("metric", ["psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"])
def test_metrics_equal_those_of_a_cpu(metric: str, convention: str, photograph: Photograph) -> None:
    sr, hr = torch.rand(1, 3, 84, 100, generator=torch.Generator().manual_seed(1)), photograph(84, 100)
    ours, theirs = (Scorer([f"{metric}@{convention}"], device)(sr, hr, 4).popitem()[1] for device in (DEVICE, CPU))
    assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4, 1 / 2, 1 / 3, 1 / 4])
def test_imresize_gives_the_pixels_of_a_cpu(scale: float, photograph: Photograph) -> None:
    image = torch.from_numpy(photograph(96, 108).transpose(2, 0, 1).astype(np.float64))
    assert torch.equal(imresize(image.to(DEVICE), scale).cpu(), imresize(image, scale))


@pytest.mark.parametrize("name", ["BICUBIC", "LANCZOS", "NEAREST"])
def test_baselines_give_the_pixels_of_a_cpu(name: str, photograph: Photograph) -> None:
    lr, spec = photograph(40, 48), getattr(baselines, name)
    ours, theirs = (quantise(prepare(spec, 4, device).upscale(lr).sr).cpu() for device in (DEVICE, CPU))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("architecture", ["srresnet", "rrdb", "srcnn"])
def test_networks_in_fp32_are_near_those_of_a_cpu_whatever_a_training_allows(
    architecture: str, photograph: Photograph
) -> None:
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True  # which would make it 1e-3
    torch.manual_seed(0)
    network = build(architecture, 4, **({} if architecture == "srcnn" else {"blocks": 2})).eval().requires_grad_(False)
    plain = Inference(as_upscaler(network), CPU).upscale(photograph(40, 48)).sr
    ours = ready(network).upscale(photograph(40, 48)).sr.cpu()
    torch.set_float32_matmul_precision("highest")
    assert float((ours - plain).abs().max()) < 2e-5


@pytest.mark.parametrize("backend", ["channels-last", *(["compile", "cuda-graphs"] if ON_GPU else [])])
@pytest.mark.parametrize("precision", ["fp32", "bf16", *(["fp16"] if ON_GPU else [])])
def test_backends_do_what_the_network_does(backend: str, precision: str) -> None:
    plain, fast = ready(srresnet()), ready(srresnet(), backend, precision)
    limit = {"fp32": 1e-4, "bf16": 4e-2, "fp16": 5e-3}[precision]
    for height, width in ((24, 32), (31, 20)):
        x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(3)).to(DEVICE)
        kept = (first := fast(x)).clone()
        for _ in range(3):  # warm-up, capture, replay
            fast(1 - x)
        assert torch.equal(first, kept)
        assert float((fast(x).float() - plain(x)).abs().max()) < limit


@pytest.mark.parametrize("precision", ["bf16", *(["fp16"] if ON_GPU else [])])
def test_a_lower_precision_costs_less_than_half_a_tenth_of_a_decibel(precision: str, data_root: Path) -> None:
    dataset, scorer = open_folder(data_root / "Set5", 4, "matlab"), Scorer(["psnr_y"], DEVICE)
    samples = [dataset[index] for index in range(len(dataset))]
    means = [
        np.mean([scorer(run.upscale(sample.lr).sr, sample.reference, 4)["psnr_y"] for sample in samples])
        for run in (ready(srresnet(), precision=kind) for kind in ("fp32", precision))
    ]
    assert means[1] == pytest.approx(means[0], abs=0.05)


@cuda_alone
def test_events_energy_and_memory() -> None:
    run, x = ready(srresnet()), noise(1, (120, 80), DEVICE)
    seconds(run, x)
    began = time.perf_counter()
    assert 0 < seconds(run, x) <= time.perf_counter() - began + 1e-3
    row = time_sizes(run, "srresnet", [(120, 80)], budget_s=1.0)[0].row
    assert row.peak_memory_mib
    assert row.gmacs
    clock = machine.look(DEVICE).clock_mhz
    assert clock is None or clock > 100


@cuda_alone
def test_memory_of_graphs_is_told() -> None:
    eager, graphs = (
        time_sizes(ready(srresnet(), backend), "srresnet", [(120, 80)], budget_s=0.2)[0].row.peak_memory_mib
        for backend in ("eager", "cuda-graphs")
    )
    assert eager
    assert graphs
    assert graphs > 0.2 * eager  # fused, so less; but a replay alone would tell of SR and nothing else


@cuda_alone
def test_out_of_memory_becomes_tiles(photograph: Photograph) -> None:
    lr = photograph(512, 512)
    whole = ready(srresnet()).upscale(lr).sr
    torch.cuda.empty_cache()
    held, total = torch.cuda.memory_reserved(DEVICE), torch.cuda.get_device_properties(DEVICE).total_memory
    try:
        torch.cuda.set_per_process_memory_fraction((held + (1200 << 20)) / total)
        made = ready(srresnet(), tile="auto").upscale(lr)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert made.tile is not None
    assert float((made.sr - whole).abs().max()) < 1e-3


@pytest.mark.parametrize("name", ["srresnet-gpu-9min", "esrnet-gpu-9min", "srgan-gpu-9min", "esrgan-gpu-9min"])
def test_training_runs_compiled_and_in_the_precision_of_its_recipe(
    name: str, pictures: Path, tmp_path: Path, weights_folder: Path
) -> None:
    mode = "default" if ON_GPU else ""
    recipe = tiny(RECIPES[name], steps=4, validate_every=2, precision="bf16-mixed", compile=mode, resumable=True)
    fabric, pool = make_fabric(DEVICE, 1, recipe.precision), pool_for(recipe, pictures, device=DEVICE.type)
    loop: Callable[..., object] = fit_gan if isinstance(recipe, GanRecipe) else fit
    for steps in (4, 6):
        recipe = replace(recipe, steps=steps)
        clock = loop(recipe, pool, Validation(), tmp_path / "run", fabric, Watch(), resume=steps == 6)
        assert clock.step == steps  # type: ignore[attr-defined]
    assert (
        load_network(tmp_path / "run" / "best.safetensors", DEVICE)(torch.rand(1, 3, 8, 8, device=DEVICE))
        .isfinite()
        .all()
    )


@cuda_alone
def test_the_loop_never_waits_for_the_device(pictures: Path) -> None:
    recipe = tiny(RECIPES["srresnet-gpu-9min"], precision="bf16-mixed")
    fabric, pool = make_fabric(DEVICE, 1, recipe.precision), pool_for(recipe, pictures, device=DEVICE.type)
    network = placed(first_network(recipe)[0], recipe, fabric)
    average, optimiser = Average(network), optimiser_for(network, recipe)
    model, stepper = fabric.setup(network, optimiser)
    draws = torch.Generator().manual_seed(0)

    def one_step(index: int) -> None:
        lr, hr = pool.draw(2, recipe.patch, draws)
        step(fabric, model, stepper, (model(lr) - hr).abs().mean(), 1.0)
        average.update(0.999, index)

    one_step(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        one_step(1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_torchmetrics_on_the_device() -> None:
    pytest.importorskip("torchmetrics", reason="needs torchmetrics: pip install 'srbench-sr[torchmetrics]'")
    from srbench.torchmetrics import Score

    score = Score("psnr_y").to(DEVICE)
    score.update(*torch.rand(2, 2, 3, 40, 40, device=DEVICE))
    assert score.compute().device.type == DEVICE.type
