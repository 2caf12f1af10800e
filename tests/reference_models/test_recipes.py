"""Recipes, schedules and losses."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

from reference_models import perceptual
from reference_models.layouts import IMAGENET
from reference_models.losses import charbonnier, discriminator_loss, generator_loss
from reference_models.perceptual import TRUNKS, PerceptualLoss
from reference_models.recipes import RECIPES, Recipe
from reference_models.schedules import FLOOR, factor
from reference_models.settings import override
from srbench.base.assets import Asset
from srbench.base.errors import UnavailableError, UsageError
from srbench.base.registry import entries, load

PLAIN = Recipe("plain", "srresnet")


def test_every_recipe_is_registered_under_its_name() -> None:
    assert {name: load("recipes", name) for name in RECIPES} == dict(RECIPES)
    assert set(RECIPES) <= set(entries("recipes"))


def test_recipes_need_no_torch() -> None:
    code = "import sys, reference_models.recipes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_fields_are_replaced_by_text() -> None:
    changed = override(PLAIN, ["lr=1e-3", "batch=4", "channels_last=false", "milestones=0.5,0.75", "options.blocks=2"])
    assert (changed.lr, changed.batch, changed.channels_last) == (1e-3, 4, False)
    assert changed.milestones == (0.5, 0.75)
    assert changed.options == {"blocks": 2}
    assert PLAIN.options == {}


@pytest.mark.parametrize(
    ("settings", "length"),
    [
        (["minutes=9.5"], (8_000_000, 0.0, 9.5)),
        (["steps=4"], (4, 0.0, 0.0)),
        (["epochs=2"], (8_000_000, 2.0, 0.0)),
        (["steps=4", "minutes=0"], (4, 0.0, 0.0)),
        (["minutes=0"], (8_000_000, 0.0, 0.0)),
        (["batch=4"], (8_000_000, 0.0, 10.0)),
    ],
)
def test_the_length_given_is_the_length_of_the_training(settings: list[str], length: tuple[int, float, float]) -> None:
    changed = override(RECIPES["srcnn-quick"], settings)
    assert (changed.steps, changed.epochs, changed.minutes) == length


def test_epochs_of_a_recipe_give_way_to_steps() -> None:
    assert override(replace(PLAIN, epochs=3.0), ["steps=4"]).epochs == 0


def test_two_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="steps and minutes are two lengths; give one of them"):
        override(PLAIN, ["steps=4", "minutes=3"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("bacth=4", "has no field 'bacth'. Did you mean batch"),
        ("batch=four", "expected a whole number"),
        ("checkpointing=maybe", "expected true or false"),
        ("batch", "expected key=value"),
        ("schedule=cosin", "schedule"),
        ("batch=0", "batch"),
        ("steps=-1", "steps"),
    ],
)
def test_typos_are_refused(setting: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        override(PLAIN, [setting])


def test_the_trunk_that_lpips_measures_with_is_refused() -> None:
    with pytest.raises(UsageError, match="AlexNet is what LPIPS measures with"):
        PerceptualLoss("alexnet")
    with pytest.raises(UsageError, match="Did you mean vgg19_54"):
        PerceptualLoss("vgg19_45")


def test_a_missing_trunk_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    with pytest.raises(UnavailableError, match="vgg19"):
        PerceptualLoss("vgg54")
    with pytest.raises(UnavailableError, match="squeezenet"):
        PerceptualLoss("squeeze")


@pytest.mark.parametrize("name", ["vgg16_22", "squeeze", "squeeze_10", "lpips_squeeze"])
def test_trunks_that_are_here(name: str, weights_folder: object) -> None:
    loss = PerceptualLoss(name)
    hr = torch.rand(1, 3, 64, 64)
    near, far = (float(loss(hr + noise * torch.randn_like(hr), hr)) for noise in (0.01, 0.1))
    assert float(loss(hr, hr)) == 0.0
    assert 0.0 < near < far
    sr = hr.clone().requires_grad_(True)
    loss(sr, 1.0 - hr).backward()
    assert sr.grad is not None
    assert all(parameter.grad is None for parameter in loss.parameters())


@pytest.mark.parametrize("times", [3, 10, 30])
def test_the_first_convolution_counts_as_often_as_the_name_says(times: int, weights_folder: object) -> None:
    fine, sr, hr = PerceptualLoss(f"squeeze_{times}"), *torch.rand(2, 2, 3, 64, 72)
    mean, std = (torch.tensor(three).view(3, 1, 1) for three in IMAGENET)
    first = [fine.features[0]((image - mean) / std).relu() for image in (sr, hr)]
    wanted = PerceptualLoss("squeeze")(sr, hr) + times * (first[0] - first[1]).abs().mean()
    assert float(fine(sr, hr)) == pytest.approx(float(wanted), rel=1e-6)


def test_lpips_as_a_loss_is_that_of_its_package(weights_folder: object) -> None:
    import lpips

    loss = PerceptualLoss("lpips_squeeze")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package calls torchvision the old way
        package = lpips.LPIPS(net="squeeze", version="0.1", pnet_rand=True, verbose=False).eval()
    layers = loss.features.state_dict()  # the package has them in slices: slice2.3.squeeze.weight
    package.net.load_state_dict({name: layers[name.split(".", 1)[1]] for name in package.net.state_dict()})
    sr, hr = torch.rand(2, 2, 3, 64, 72)
    with torch.inference_mode():
        assert float(loss(sr, hr)) == pytest.approx(float(package(sr, hr, normalize=True).mean()), abs=1e-6)


def test_lpips_as_a_loss_has_a_gradient_where_nothing_is_seen(weights_folder: object) -> None:
    black = torch.zeros(1, 3, 64, 64, requires_grad=True)
    PerceptualLoss("lpips_squeeze")(black, torch.zeros(1, 3, 64, 64)).backward()
    assert black.grad is not None and bool(black.grad.isfinite().all())


@pytest.mark.parametrize(
    ("name", "convolution", "activated"), [("vgg19_54", 16, False), ("vgg54", 16, True), ("vgg22", 4, True)]
)
def test_trunks_of_vgg19_end_where_the_papers_say(
    name: str, convolution: int, activated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With random weights: conv5_4 is the sixteenth convolution of VGG19, conv2_2 the fourth."""
    torch.manual_seed(0)
    whole = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"]).eval().requires_grad_(False)
    torch.save({f"features.{key}": value for key, value in whole.state_dict().items()}, tmp_path / "vgg19.pth")
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(perceptual, "VGG19", Asset("https://nowhere/vgg19.pth"))
    monkeypatch.setitem(TRUNKS, name, replace(TRUNKS[name], file="vgg19.pth"))
    seen = []
    for image in (torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)):
        x, passed = (image - torch.tensor(IMAGENET[0]).view(3, 1, 1)) / torch.tensor(IMAGENET[1]).view(3, 1, 1), 0
        for layer in whole:
            x = layer(x.clone())
            passed += isinstance(layer, torch.nn.Conv2d)
            if passed == convolution:
                break
        seen.append((image, x.relu() if activated else x))
    (first, ours), (second, theirs) = seen
    wanted = ((ours - theirs) / 12.75).square().mean() if activated else (ours - theirs).abs().mean()
    assert float(PerceptualLoss(name)(first, second)) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("schedule", ["constant", "step", "multistep", "exponential", "cosine"])
@given(progress=st.floats(0, 1))
def test_schedules_stay_between_nothing_and_the_whole_rate(schedule: str, progress: float) -> None:
    recipe = override(PLAIN, [f"schedule={schedule}", "milestones=0.5,0.75", "warmup=0.1"])
    assert 0.0 < factor(recipe, progress) <= 1.0


def test_values_of_the_schedules() -> None:
    cosine = override(PLAIN, ["schedule=cosine", "warmup=0.2"])
    assert factor(cosine, 0.1) == pytest.approx(0.5)
    assert factor(cosine, 0.2) == pytest.approx(1.0)
    assert factor(cosine, 0.6) == pytest.approx(0.5, abs=FLOOR)
    assert factor(cosine, 1.0) == pytest.approx(FLOOR)
    steps = override(PLAIN, ["schedule=multistep", "milestones=0.5,0.75", "decay=0.5"])
    assert [factor(steps, p) for p in (0.49, 0.5, 0.74, 0.75)] == [1.0, 0.5, 0.5, 0.25]
    falling = override(PLAIN, ["schedule=exponential", "decay=0.01"])
    assert factor(falling, 0.5) == pytest.approx(0.1)


def test_charbonnier_lies_just_above_l1() -> None:
    sr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    l1 = float((sr - hr).abs().mean())
    assert l1 < float(charbonnier(sr, hr)) < l1 + 1e-3
    assert float(charbonnier(hr, hr)) == pytest.approx(1e-3)


def test_adversarial_losses_at_logits_of_zero() -> None:
    """An undecided discriminator: log 2 for cross entropies, and squares of 1 and 0 for LSGAN."""
    zero = torch.zeros(4, 1)
    for kind in ("vanilla", "relativistic"):
        assert float(generator_loss(kind, zero, zero)) == pytest.approx(math.log(2))
        assert float(discriminator_loss(kind, zero, zero)) == pytest.approx(math.log(2))
    assert float(generator_loss("lsgan", zero, zero)) == 1.0
    assert float(discriminator_loss("lsgan", zero, zero)) == 0.5


@pytest.mark.parametrize("kind", ["vanilla", "lsgan", "relativistic"])
def test_generator_and_discriminator_pull_against_each_other(kind: str) -> None:
    real, fake = torch.full((4, 1), 0.6), torch.full((4, 1), 0.3)
    assert float(generator_loss(kind, real, fake + 0.2)) < float(generator_loss(kind, real, fake))
    assert float(discriminator_loss(kind, real, fake + 0.2)) > float(discriminator_loss(kind, real, fake))


def test_relativistic_losses_compare_with_the_mean_of_the_others() -> None:
    """ESRGAN, equations 1 and 2: adding a constant to every logit changes nothing."""
    real, fake = torch.randn(8, 1), torch.randn(8, 1)
    for loss in (generator_loss, discriminator_loss):
        assert float(loss("relativistic", real + 3, fake + 3)) == pytest.approx(float(loss("relativistic", real, fake)))
