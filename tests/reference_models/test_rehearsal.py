"""What a training does before its clock starts, and how it ends in time: a step of which nothing stays, a deadline."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from reference_models.checkpoint import Clock
from reference_models.fit import fit
from reference_models.fit_gan import fit_gan
from reference_models.patches import Feed
from reference_models.recipes import RECIPES, GanRecipe, Recipe
from reference_models.session import Session
from reference_models.validation import Validation
from reference_models.watch import Watch
from reference_models.weights import load_network, read_weights
from srbench.base.errors import InputError
from tests.reference_models.conftest import pool_for, tiny, validation_on
from tests.reference_models.test_fit import Bystander


@pytest.fixture(autouse=True)
def _no_imagenet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reference_models.perceptual.PerceptualLoss", Bystander)


def run(recipe: Recipe, pictures: Path, out: Path, fabric: Fabric, **more: object) -> Clock:
    pool = pool_for(recipe, pictures)
    validation = more.pop("validation", Validation())
    loop = fit_gan if isinstance(recipe, GanRecipe) else fit
    return loop(recipe, pool, validation, out, fabric, Watch(), **more)  # type: ignore[operator]


def first_weights(recipe: Recipe, pictures: Path, folder: Path, fabric: Fabric) -> str:
    run(replace(recipe, steps=2, start=""), pictures, folder, fabric)
    return str(folder / "last.safetensors")


@pytest.mark.parametrize("name", ["srresnet-quick", "srcnn-quick", "srgan-quick", "esrgan-quick"])
def test_nothing_stays_of_the_rehearsed_step(
    name: str, pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(RECIPES[name], steps=5, validate_every=2, ema=0.9)
    if isinstance(recipe, GanRecipe):
        recipe = replace(recipe, discriminator="spectral")  # whose power iteration moves at every pass
    recipe = replace(recipe, start=first_weights(recipe, pictures, tmp_path / "start", fabric))
    run(recipe, pictures, tmp_path / "rehearsed", fabric)
    calls = []
    monkeypatch.setattr(Session, "rehearse", lambda self, once: calls.append(once))
    run(recipe, pictures, tmp_path / "plain", fabric)
    assert calls
    rehearsed, plain = (torch.load(tmp_path / kind / "last.ckpt", weights_only=True) for kind in ("rehearsed", "plain"))
    for part in set(plain) - {"clock", "terms", "precision"}:
        torch.testing.assert_close(rehearsed[part], plain[part], rtol=0, atol=0)


def test_a_slow_first_step_is_not_counted(
    pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler's minute must not skip the warm-up of a training of two."""
    recipe = tiny(RECIPES["srresnet-quick"], minutes=0.02, warmup=0.5, validate_every=10**6)
    recipe = replace(recipe, start=first_weights(replace(recipe, minutes=0.0), pictures, tmp_path / "start", fabric))
    slow = [1.5]
    draw = Feed.__call__
    monkeypatch.setattr(Feed, "__call__", lambda self: (time.sleep(slow.pop() if slow else 0.0), draw(self))[1])
    shares = []
    share = Session.share
    monkeypatch.setattr(Session, "share", lambda self: shares.append(share(self)) or shares[-1])
    clock = run(recipe, pictures, tmp_path / "out", fabric)
    assert shares[0] < 0.2  # in the warm-up still
    assert 1.2 <= clock.seconds < 2.5


def test_a_deadline_replaces_the_minutes(pictures: Path, tmp_path: Path, fabric: Fabric) -> None:
    recipe = tiny(RECIPES["srresnet-quick"], minutes=60.0, validate_every=10**6)
    deadline = time.time() + 4.0
    clock = run(recipe, pictures, tmp_path, fabric, deadline=deadline)
    assert deadline - 3.0 < time.time() < deadline
    minutes = json.loads(read_weights(tmp_path / "last.safetensors").metadata["recipe"])["minutes"]
    assert 0.8 < clock.seconds / (60.0 * minutes) < 1.5


def test_without_a_checkpoint_weights_are_kept_and_nothing_is_resumed(
    pictures: Path, tmp_path: Path, fabric: Fabric
) -> None:
    recipe = tiny(RECIPES["srresnet-quick"], steps=2, resumable=False)
    run(recipe, pictures, tmp_path, fabric)
    assert sorted(path.name for path in tmp_path.glob("*.*t*")) == ["best.safetensors", "last.safetensors"]
    with pytest.raises(InputError, match="nothing to resume"):
        run(recipe, pictures, tmp_path, fabric, resume=True)


def test_a_grown_network_begins_at_the_score_of_the_smaller_and_its_record_says_so(
    pictures: Path, tmp_path: Path, fabric: Fabric
) -> None:
    small = tiny(RECIPES["esrnet-quick"], steps=3, ema=0.0)
    validation = validation_on(pictures, small)
    before = run(small, pictures, tmp_path / "small", fabric, validation=validation).curve[-1][3]
    start = str(tmp_path / "small" / "last.safetensors")
    large = replace(small, options={**small.options, "blocks": 4}, start=start)
    clock = run(large, pictures, tmp_path / "large", fabric, validation=validation)
    assert clock.curve[0][0] == 0
    assert math.isnan(clock.curve[0][2])  # no loss yet
    assert clock.curve[0][3] == pytest.approx(before, abs=1e-3)
    facts = read_weights(tmp_path / "large" / "last.safetensors").metadata
    assert facts["blocks_added_as_identity"] == "3"
    assert json.loads(facts["curve"])[0][2] is None
    assert len(load_network(tmp_path / "large" / "last.safetensors").body) == 4  # type: ignore[arg-type]


def test_a_record_says_what_was_not_compiled(
    pictures: Path, tmp_path: Path, fabric: Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reference_models.session.compiled", lambda network, *_: network)
    run(tiny(RECIPES["srresnet-quick"], steps=1, compile="default"), pictures, tmp_path, fabric)
    assert json.loads(read_weights(tmp_path / "last.safetensors").metadata["recipe"])["compile"] == ""
