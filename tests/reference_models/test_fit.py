"""The two loops: every recipe learns, resumes to the bit, stops at NaN, and works with two processes as with one."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor, nn

from reference_models import signals
from reference_models.architectures import build
from reference_models.checkpoint import Clock, read_checkpoint
from reference_models.fit import fit
from reference_models.fit_gan import fit_gan
from reference_models.losses import PIXEL
from reference_models.parts import centre, prepare_torch
from reference_models.recipes import RECIPES, GanRecipe, Recipe
from reference_models.session import DivergedError
from reference_models.validation import Validation
from reference_models.watch import Watch
from reference_models.weights import load_network, read_weights
from srbench.base.errors import InputError, StoppedError
from tests.reference_models.conftest import pool_for, tiny, validation_on


class Notes(Watch):
    """Remembers every loss."""

    def __init__(self) -> None:
        self.seen: list[dict[str, float]] = []

    def step(self, clock: Clock, losses: dict[str, Tensor], rate: float) -> None:  # type: ignore[override]
        self.seen.append({name: float(value) for name, value in losses.items()})


class Bystander(nn.Module):
    """Stands in for an ImageNet trunk: mean absolute difference of fixed random features."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3).requires_grad_(False)

    def forward(self, sr: Tensor, hr: Tensor, shift: tuple[int, int]) -> Tensor:
        assert all(0 <= step < 8 for step in shift)
        return torch.as_tensor((self.features(sr) - self.features(hr)).abs().mean())


@pytest.fixture(autouse=True)
def _no_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_models.perceptual.PerceptualLoss", Bystander)


def run(
    recipe: Recipe, pictures: Path, out: Path, fabric: Fabric, notes: Watch | None = None, *, resume: bool = False
) -> Clock:
    pool, watch = pool_for(recipe, pictures), notes or Watch()
    if isinstance(recipe, GanRecipe):
        return fit_gan(recipe, pool, Validation(), out, fabric, watch, resume=resume)
    return fit(recipe, pool, Validation(), out, fabric, watch, resume=resume)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_twenty_steps_of_every_recipe_lower_its_loss(name: str, pictures: Path, tmp_path: Path, fabric: Fabric) -> None:
    notes = Notes()
    recipe = tiny(RECIPES[name], lr=1e-3, schedule="constant")
    run(recipe, pictures, tmp_path / "out", fabric, notes)
    key = "perceptual" if isinstance(recipe, GanRecipe) else "loss"
    first, last = ([note[key] for note in notes.seen[part]] for part in (slice(5), slice(-5, None)))
    assert sum(last) < sum(first)
    network = load_network(tmp_path / "out" / "best.safetensors")
    assert all(bool(tensor.isfinite().all()) for tensor in network.state_dict().values())


@pytest.mark.parametrize("name", ["srcnn-quick", "srresnet-quick", "esrnet-quick", "srgan-quick", "esrgan-quick"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    name: str, pictures: Path, tmp_path: Path, fabric: Fabric
) -> None:
    recipe = tiny(RECIPES[name], warmup=0.2, ema=0.9)
    run(recipe, pictures, tmp_path / "whole", fabric)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, pictures, tmp_path / "parts", fabric, Interrupted(at=13))
    clock = run(recipe, pictures, tmp_path / "parts", fabric, resume=True)
    assert clock.step == 20
    for file in ("best.safetensors", "last.safetensors"):
        whole, parts = (read_weights(tmp_path / kind / file).tensors for kind in ("whole", "parts"))
        assert all(torch.equal(whole[tensor], parts[tensor]) for tensor in whole)


def test_the_loss_scale_of_fp16_is_resumed(pictures: Path, tmp_path: Path) -> None:
    recipe = tiny(RECIPES["srresnet-quick"], steps=4, validate_every=2, precision="16-mixed")
    scalers = [torch.amp.GradScaler("cpu", init_scale=scale) for scale in (256.0, 1024.0)]
    plugins = [MixedPrecision("16-mixed", "cpu", scaler) for scaler in scalers]  # Fabric offers fp16 for GPUs alone
    first, second = (Fabric(accelerator="cpu", devices=1, plugins=plugin) for plugin in plugins)
    run(recipe, pictures, tmp_path / "out", first)
    run(replace(recipe, steps=6), pictures, tmp_path / "out", second, resume=True)
    assert scalers[0].get_scale() == scalers[1].get_scale() == 256.0


class Interrupted(Watch):
    """Kills the training, three steps after its last checkpoint."""

    def __init__(self, at: int) -> None:
        self.at = at

    def step(self, clock: Clock, losses: object, rate: float) -> None:
        if clock.step == self.at:
            raise KeyboardInterrupt


class Signalled(Watch):
    """Sends this process a signal amid a step."""

    def __init__(self, at: int, number: signal.Signals) -> None:
        self.at, self.number = at, number

    def step(self, clock: Clock, losses: object, rate: float) -> None:
        if clock.step == self.at:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("name", ["srcnn-quick", "srgan-quick"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_behind_a_whole_step_and_nothing_is_lost(
    name: str, number: signal.Signals, status: int, pictures: Path, tmp_path: Path, fabric: Fabric
) -> None:
    recipe, out = tiny(RECIPES[name], warmup=0.2, ema=0.9), tmp_path / "parts"
    run(recipe, pictures, tmp_path / "whole", fabric)
    for at in (3, 12):
        with signals.noted(), pytest.raises(StoppedError, match=rf"after step {at + 1}, .*--resume") as stopped:
            run(recipe, pictures, out, fabric, Signalled(at, number), resume=at > 3)
        assert stopped.value.exit_status == status
        assert read_weights(out / "last.safetensors").metadata["steps"] == str(at + 1)
    run(recipe, pictures, out, fabric, resume=True)
    whole, parts = (read_weights(path / "last.safetensors") for path in (tmp_path / "whole", out))
    assert all(torch.equal(whole.tensors[tensor], parts.tensors[tensor]) for tensor in whole.tensors)


def test_the_second_signal_ends_at_once() -> None:
    with signals.noted(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.asked() == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
    assert signals.asked() == 0


def test_the_state_is_written_every_few_minutes(
    pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference_models.session.SAVE_EVERY", 0.0)
    recipe = tiny(RECIPES["srcnn-quick"])
    with pytest.raises(KeyboardInterrupt):
        run(recipe, pictures, tmp_path, fabric, Interrupted(at=7))
    assert read_checkpoint(tmp_path / "last.ckpt")["clock"]["step"] == 6
    assert read_weights(tmp_path / "best.safetensors").metadata["steps"] == "6"


def test_a_divergence_before_the_first_state_says_so(
    pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(RECIPES["srresnet-quick"])
    monkeypatch.setitem(PIXEL, recipe.loss, lambda sr, hr: (sr - hr).abs().mean() * math.nan)
    with pytest.raises(DivergedError, match="after step 10; nothing good was written yet"):
        run(recipe, pictures, tmp_path / "out", fabric)
    assert not (tmp_path / "out").exists()


def test_a_gan_is_chosen_and_stopped_by_lpips(
    pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its PSNR falls all the time; three weights are kept, the worst of them goes."""
    scores = iter([(25.0, 0.3), (24.0, 0.2), (23.0, 0.25), (22.0, 0.21), (21.0, 0.22), (20.0, 0.1)])
    monkeypatch.setattr(Validation, "__call__", lambda *_: dict(zip(("psnr_y", "lpips"), next(scores), strict=True)))
    recipe = tiny(RECIPES["srgan-quick"], steps=100, validate_every=1, patience=3)
    assert isinstance(recipe, GanRecipe)
    samples = validation_on(pictures, RECIPES["srresnet-quick"], 1).samples
    validation = Validation(samples, ("psnr_y", "lpips"), "lpips")
    clock = fit_gan(recipe, pool_for(recipe, pictures), validation, tmp_path, fabric, Watch(), keep=3)
    assert clock.step == 5
    best = read_weights(tmp_path / "best.safetensors").metadata
    assert (best["steps"], best["validation_lpips"]) == ("2", "0.2")
    assert best["threads"] == str(torch.get_num_threads())
    assert {path.name for path in tmp_path.glob("best-*")} == {f"best-000000{n}.safetensors" for n in (2, 4, 5)}


def test_resume_needs_a_checkpoint_of_the_same_recipe(pictures: Path, tmp_path: Path, fabric: Fabric) -> None:
    recipe = tiny(RECIPES["srresnet-quick"], steps=2, validate_every=1)
    with pytest.raises(InputError, match="nothing to resume"):
        run(recipe, pictures, tmp_path / "out", fabric, resume=True)
    run(recipe, pictures, tmp_path / "out", fabric)
    with pytest.raises(InputError, match="was made with architecture=srresnet, not rrdb"):
        run(tiny(RECIPES["esrnet-quick"]), pictures, tmp_path / "out", fabric, resume=True)


@pytest.mark.parametrize("name", ["srresnet-quick", "srgan-quick"])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_state(
    name: str, pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(RECIPES[name], steps=20, validate_every=5, ema=0.0)
    calls = iter([1.0] * 7 + [math.nan] * 99)
    monkeypatch.setitem(PIXEL, recipe.loss, lambda sr, hr: (sr - hr).abs().mean() * next(calls))
    with pytest.raises(DivergedError, match=r"after step 10; .*last\.ckpt is the last good state, of step 5"):
        run(recipe, pictures, tmp_path / "out", fabric)
    good = read_weights(tmp_path / "out" / "last.safetensors")
    tensors, facts = good.tensors, good.metadata
    assert facts["steps"] == "5"
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


def test_early_stopping_waits_for_its_patience(
    pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([20.0, 21.0, 20.5, 20.6, 20.7, 99.0])
    monkeypatch.setattr(Validation, "__call__", lambda *_: {"psnr_y": next(scores)})
    recipe = tiny(RECIPES["srresnet-quick"], steps=100, validate_every=1, patience=3)
    clock = fit(recipe, pool_for(recipe, pictures), validation_on(pictures, recipe, 1), tmp_path, fabric, Watch())
    assert clock.step == 5
    assert read_weights(tmp_path / "best.safetensors").metadata["steps"] == "2"


def test_the_learning_rate_of_a_plateau_falls(
    pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Validation, "__call__", lambda *_: {"psnr_y": 20.0})
    rates = []

    class Rates(Watch):
        def step(self, clock: Clock, losses: object, rate: float) -> None:
            rates.append(rate)

    for schedule, wanted in (("plateau", [1.0, 0.5, 0.25]), ("constant", [1.0])):
        rates.clear()
        recipe = tiny(RECIPES["esrnet-lite-quick"], steps=14, validate_every=1, schedule=schedule)
        fit(recipe, pool_for(recipe, pictures), validation_on(pictures, recipe, 1), tmp_path, fabric, Rates())
        assert sorted(set(rates), reverse=True) == [recipe.lr * factor for factor in wanted]


def test_training_starts_from_given_weights(pictures: Path, tmp_path: Path, fabric: Fabric) -> None:
    start = tiny(RECIPES["srresnet-quick"], steps=3, ema=0.0)
    run(start, pictures, tmp_path / "start", fabric)
    weights = tmp_path / "start" / "last.safetensors"
    still = tiny(RECIPES["srgan-quick"], steps=1, lr=0.0, ema=0.0, start=str(weights))
    run(still, pictures, tmp_path / "still", fabric)
    before, after = read_weights(weights).tensors, read_weights(tmp_path / "still" / "last.safetensors").tensors
    assert all(torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))
    with pytest.raises(InputError, match="does not fit recipe"):
        run(replace(still, architecture="rrdb"), pictures, tmp_path / "no", fabric)


def test_a_discriminator_may_learn_at_a_rate_of_its_own(pictures: Path, tmp_path: Path, fabric: Fabric) -> None:
    judged = []
    for rate in (0.0, 1e-3, 1e-2):
        notes = Notes()
        recipe = tiny(RECIPES["srgan-quick"], lr=1e-3, steps=8, schedule="constant", discriminator_lr=rate)
        run(recipe, pictures, tmp_path / str(rate), fabric, notes)
        judged.append(notes.seen[-1]["judge"])
    assert judged[0] == judged[1] != judged[2]


class LearntError(Exception):
    """Ends a training whose discriminator is known to learn."""


@pytest.mark.parametrize("kind", ["batch", pytest.param("spectral", marks=pytest.mark.slow), "patch"])
def test_every_discriminator_learns_to_tell_real_from_fake(
    kind: str, pictures: Path, tmp_path: Path, fabric: Fabric
) -> None:
    """Against a generator that stands still its loss comes to lie below the log 2 of one that knows nothing."""

    class UntilItHas(Notes):
        def step(self, *told: Any) -> None:
            super().step(*told)
            if len(self.seen) >= 10 and sum(note["judge"] for note in self.seen[-10:]) / 10 < 0.66:
                raise LearntError

    steps = 400 if kind == "spectral" else 150  # the norm on all of its layers keeps its logits small at first
    recipe = tiny(
        RECIPES["srgan-quick"], discriminator=kind, lr=0.0, discriminator_lr=3e-3, steps=steps, schedule="constant"
    )
    with pytest.raises(LearntError):
        run(recipe, pictures, tmp_path, fabric, UntilItHas())


def test_sgd_is_torchs_with_rates_by_layer(pictures: Path, tmp_path: Path, fabric: Fabric) -> None:
    """SRCNN's: 1e-4 and for the last layer 1e-5, momentum 0.9, on the sum of squares; three steps, done by hand."""
    recipe = tiny(RECIPES["srcnn-paper"], steps=3)
    assert (recipe.optimiser, recipe.lr, recipe.beta1) == ("sgd", 1e-4, 0.9)
    prepare_torch(recipe)
    network = build("srcnn", 4, **recipe.options).train()
    state = network.state_dict()
    assert all(bool((tensor == 0).all()) for name, tensor in state.items() if name.endswith("bias"))
    assert float(state["patches.weight"].std()) == pytest.approx(1e-3, rel=0.05)
    moved = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    draws, pool = torch.Generator().manual_seed(recipe.seed), pool_for(recipe, pictures, flips=False, turns=False)
    for _ in range(3):
        lr, hr = pool.draw(recipe.batch, recipe.patch, draws)
        (network(lr) - centre(hr, network(lr))).square().sum().div(recipe.batch).backward()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                moved[name] = 0.9 * moved[name] + parameter.grad
                parameter -= (1e-5 if name.startswith("reconstruction") else 1e-4) * moved[name]
                parameter.grad = None
    fit(recipe, pool, Validation(), tmp_path, fabric, Watch())
    trained = read_weights(tmp_path / "last.safetensors").tensors
    assert all(torch.allclose(trained[name], tensor, atol=1e-7) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("channels", [1, 3])
def test_srcnn_can_be_trained_adversarially(channels: int, pictures: Path, tmp_path: Path, fabric: Fabric) -> None:
    notes = Notes()
    recipe = tiny(RECIPES["srgan-quick"], architecture="srcnn", options={"channels": channels}, patch=40, steps=4)
    run(recipe, pictures, tmp_path, fabric, notes)
    assert all(math.isfinite(value) for note in notes.seen for value in note.values())
    assert notes.seen[0]["perceptual"] > 0


def test_bf16_training_learns(pictures: Path, tmp_path: Path) -> None:
    from reference_models.train import make_fabric

    notes = Notes()
    recipe = tiny(RECIPES["srresnet-quick"], lr=1e-3, schedule="constant", precision="bf16-mixed")
    run(recipe, pictures, tmp_path, make_fabric(torch.device("cpu"), 1, recipe.precision), notes)
    assert sum(n["loss"] for n in notes.seen[-5:]) < sum(n["loss"] for n in notes.seen[:5])


@pytest.mark.slow
def test_one_patch_can_be_learned_by_heart(tmp_path: Path, fabric: Fabric, photograph: Callable[..., object]) -> None:
    from srbench.images.files import write_image

    write_image(tmp_path / "one" / "patch.png", photograph(48, 48))  # type: ignore[arg-type]
    recipe = tiny(
        RECIPES["esrnet-quick"], options={"blocks": 2, "features": 32, "growth": 16}, patch=12, batch=8, steps=1500,
        lr=2e-3, validate_every=500, schedule="cosine", ema=0.0,
    )  # fmt: skip
    validation = validation_on(tmp_path / "one", recipe)
    clock = fit(recipe, pool_for(recipe, tmp_path / "one"), validation, tmp_path / "out", fabric, Watch())
    assert clock.best > 35.0
