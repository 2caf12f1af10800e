"""Every field of a recipe: wrong types, wrong ranges, wrong partners; and recipes as TOML."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reference_models.architectures import ARCHITECTURES
from reference_models.fields import described
from reference_models.perceptual import TRUNKS
from reference_models.recipes import RECIPES, GanRecipe, Recipe
from reference_models.settings import check, field_tables, find_recipe, override, read_recipe, recipe_as_toml
from srbench.base.errors import InputError, JobError, UsageError
from srbench.cli import main
from tests.documented import ROOT
from tests.reference_models.conftest import pool_for, tiny

PIXELS, GAN = RECIPES["srresnet-quick"], replace(RECIPES["srgan-quick"], start="srresnet")
FREE = {"name", "model", "start", "summary"}
"""Texts that may be anything."""

WRONG_TYPE: dict[str, str] = {
    "architecture": "vdsr", "options": "x", "scale": "four", "batch": "1.5", "patch": "big", "flips": "maybe",
    "turns": "2", "zooms": "half", "steps": "1e3", "epochs": "few", "minutes": "ten", "loss": "l2",
    "optimiser": "adamw", "lr": "high", "rates": "x", "beta1": "x", "beta2": "x",
    "schedule": "cosin", "milestones": "a,b", "decay": "x",
    "warmup": "x", "ema": "x", "clip": "x", "validate_every": "often", "patience": "x", "precision": "foo",
    "compile": "yes", "channels_last": "1", "checkpointing": "on", "resumable": "no", "seed": "x",
    "discriminator": "vgg",
    "discriminator_features": "x", "discriminator_lr": "x", "adversarial": "wgan", "pixel_weight": "x",
    "perceptual_weight": "x", "adversarial_weight": "x",
}  # fmt: skip
WRONG_RANGE: dict[str, str] = {
    "scale": "1", "batch": "0", "patch": "0", "zooms": "0.5,1.5", "steps": "-1", "epochs": "-1", "minutes": "-3",
    "lr": "0", "beta1": "1", "beta2": "1.5", "milestones": "200000,400000", "decay": "0", "warmup": "1", "ema": "1",
    "clip": "-1", "validate_every": "0", "patience": "-1", "seed": "-1", "discriminator_features": "0",
    "discriminator_lr": "-1", "pixel_weight": "-1", "perceptual_weight": "nan", "adversarial_weight": "inf",
}  # fmt: skip
TOO_LARGE = {
    "scale": "9", "batch": "9999999999999999999", "patch": "5000", "zooms": "1e9", "steps": "9999999999999999999",
    "epochs": "1e308", "minutes": "1e300", "beta1": "2", "beta2": "2", "milestones": "1", "decay": "1.5",
    "warmup": "1", "ema": "1", "validate_every": "9999999999999999999", "patience": "9999999999999999999",
    "seed": "9223372036854775808", "discriminator_features": "1000000",
}  # fmt: skip
WRONG_PARTNER: dict[str, tuple[Recipe, dict[str, Any], str]] = {
    "steps without milestones": (PIXELS, {"schedule": "step"}, "falls at milestones"),
    "multistep without milestones": (PIXELS, {"schedule": "multistep"}, "falls at milestones"),
    "milestones without steps": (PIXELS, {"milestones": (0.5,)}, "say nothing to schedule=cosine"),
    "milestones that fall": (PIXELS, {"schedule": "step", "milestones": (0.5, 0.2)}, "do not rise"),
    "two lengths": (PIXELS, {"epochs": 3.0, "minutes": 3.0}, "two lengths"),
    "plateau in a GAN": (GAN, {"schedule": "plateau"}, "PSNR falls"),
    "scale 5": (PIXELS, {"scale": 5}, "expected 2, 3, 4 or 8"),
    "a GAN from nothing": (GAN, {"start": ""}, "goes on from a trained network: --set start=srresnet"),
    "a patch without a middle": (RECIPES["srcnn-quick"], {"patch": 16}, "no padding and needs 17"),
    "a patch too small to judge": (GAN, {"patch": 5}, "20 pixels of SR are too few to be judged"),
    "a negative rate": (PIXELS, {"rates": {"tail": -1.0}}, "rates.tail=-1.0: expected at least 0"),
    "a decay that nothing asks for": (PIXELS, {"decay": 0.3}, "decay=0.3 says nothing to schedule=cosine"),
    "the second moment of SGD": (PIXELS, {"optimiser": "sgd", "beta2": 0.9}, "beta2=0.9 says nothing to optimiser=sgd"),
    "a rate that is no number": (PIXELS, {"rates": {"tail": float("nan")}}, "rates.tail=nan: expected a finite number"),
    "a rate without end": (PIXELS, {"rates": {"tail": float("inf")}}, "rates.tail=inf: expected a finite number"),
    "one size twice": (PIXELS, {"zooms": (0.9, 0.8, 0.9)}, "takes one size twice"),
    "a GAN without a loss": (
        GAN, {"pixel_weight": 0.0, "perceptual_weight": 0.0, "adversarial_weight": 0.0}, "nothing would be learnt"
    ),
    "a path as the name": (PIXELS, {"name": "../mine"}, "expected a name, without /"),
}  # fmt: skip
WRONG_OPTION = {
    ("srcnn", "kernels", "9-3-7"): "'9-1-5' or '9-3-5' or '9-5-5'", ("srcnn", "channels", 2): "1 or 3",
    ("srresnet", "blocks", 0): "from 1 to 4096", ("srresnet", "blocks", "x"): "from 1 to 4096",
    ("srresnet", "features", 2): "from 3 to 4096", ("srresnet", "features", 1.5): "a whole number",
    ("srresnet", "features", 9999999999): "from 3 to 4096", ("rrdb", "blocks", 10**19): "from 1 to 4096",
    ("srresnet", "body_act", "gelu"): "'prelu' or 'relu' or 'lrelu'",
    ("rrdb", "growth", 1.5): "from 1 to 4096", ("rrdb", "scale", 4): "has no option 'scale'",
    ("msrresnet", "layers", 1): "has no option 'layers'",
}  # fmt: skip


def test_the_tables_leave_out_no_field() -> None:
    every = {item.name for item in fields(GanRecipe)}
    assert set(WRONG_TYPE) | FREE | {"perceptual"} == every
    numbers = {item.name for item, _, hint in described(GanRecipe) if hint in (int, float, tuple[float, ...])}
    assert set(WRONG_RANGE) == numbers


@pytest.mark.parametrize("key", sorted(WRONG_TYPE))
def test_a_wrong_type(key: str) -> None:
    with pytest.raises(UsageError, match=f"{key}=.*expected "):
        override(GAN, [f"{key}={WRONG_TYPE[key]}"])


@pytest.mark.parametrize("key", sorted(WRONG_RANGE))
def test_a_wrong_range(key: str) -> None:
    with pytest.raises(UsageError, match=f"{key}=.*expected "):
        override(GAN, [f"{key}={WRONG_RANGE[key]}"])


def test_every_whole_number_has_a_greatest() -> None:
    limited = {item.name for item, facts, hint in described(GanRecipe) if facts.high is not None}
    assert set(TOO_LARGE) == limited >= {item.name for item, _, hint in described(GanRecipe) if hint is int}


@pytest.mark.parametrize("key", sorted(TOO_LARGE))
def test_a_number_that_is_too_large(key: str) -> None:
    with pytest.raises(UsageError, match=f"{key}=.*expected .*(most|below) "):
        override(GAN, [f"{key}={TOO_LARGE[key]}"])


@pytest.mark.parametrize("number", ["٣", "1_0", "²", "１"])
def test_numbers_are_typed_in_ascii_digits(number: str) -> None:
    for key in ("batch", "lr", "rates.tail"):
        with pytest.raises(UsageError, match=f"{key}=.*expected a "):
            override(PIXELS, [f"{key}={number}"])
    with pytest.raises(UsageError, match="expected numbers with commas"):
        override(PIXELS, [f"zooms=0.5,{number}"])
    assert override(PIXELS, [f"options.features={number}"]).options["features"] == number  # the network refuses a text


def test_whole_numbers_are_rates_too() -> None:
    assert override(PIXELS, ["rates.tail=1"]).rates == {"tail": 1.0}
    with pytest.raises(UsageError, match=r"rates\.tail='x': expected a number"):
        override(PIXELS, ["rates.tail=x"])


def test_milestones_say_that_they_are_shares() -> None:
    with pytest.raises(UsageError, match=r"below 1 \(shares of the training\): .*0\.5 is halfway"):
        override(PIXELS, ["milestones=200000"])


@pytest.mark.parametrize("case", sorted(WRONG_PARTNER))
def test_a_wrong_partner(case: str) -> None:
    recipe, changes, message = WRONG_PARTNER[case]
    check(recipe)
    with pytest.raises(UsageError, match=message):
        check(replace(recipe, **changes))


@pytest.mark.parametrize("case", sorted(WRONG_OPTION, key=str))
def test_a_wrong_option_of_an_architecture(case: tuple[str, str, Any]) -> None:
    from reference_models.train import refuse_unfit

    architecture, name, value = case
    recipe = Recipe("plain", architecture, {name: value})  # type: ignore[arg-type]
    with pytest.raises(InputError, match=WRONG_OPTION[case]):
        refuse_unfit(recipe, torch.device("cpu"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("precision=16-mixed", "a CPU has no fp16 training"),
        ("rates.head1=0.1", "no tensor begins so"),
        ("options.kernels=9-5-5", "has no option 'kernels'"),
        ("schedule=plateau", "goes by its validation"),
    ],
)
def test_on_the_command_line_all_of_it_is_bad_usage(
    setting: str, message: str, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["train", "srresnet-quick", "--data", str(pictures), "--device", "cpu", "--set", setting]
    assert main(line) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "bug" not in said


@pytest.mark.parametrize("option", ["--within", "--val-split"])
def test_options_take_no_nan(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "srresnet-quick", option, "nan", "--show"]) == 2
    assert "'nan' is not a finite number" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_passes_its_own_checks(name: str) -> None:
    recipe = RECIPES[name]
    check(replace(recipe, start=recipe.start or "fresh"))


def test_a_batch_that_devices_do_not_divide_is_refused() -> None:
    from reference_models.train import refuse_uneven

    refuse_uneven(replace(PIXELS, batch=8), 2)
    for batch, near in ((9, 8), (1, 2)):
        with pytest.raises(UsageError, match=f"--set batch={near}"):
            refuse_uneven(replace(PIXELS, batch=batch), 2)


def test_batch_norm_needs_more_than_one_pixel() -> None:
    from reference_models.train import refuse_uneven

    refuse_uneven(replace(PIXELS, batch=2, patch=1), 1)
    refuse_uneven(replace(RECIPES["esrnet-quick"], batch=1, patch=1), 1)
    for devices in (1, 2):
        with pytest.raises(UsageError, match="batch norm needs more than a pixel: --set patch=24"):
            refuse_uneven(replace(PIXELS, batch=devices, patch=1), devices)


def test_a_training_beyond_memory_says_what_takes_less() -> None:
    from reference_models.machine import within_memory

    with pytest.raises(JobError, match=r"smaller batch \(now 8\) or patch \(24\)"), within_memory(PIXELS):
        torch.empty(2**52, dtype=torch.uint8)
    with pytest.raises(KeyError), within_memory(PIXELS):
        raise KeyError


def test_choices_are_those_that_there_are() -> None:
    hints = {item.name: hint for item, _, hint in described(GanRecipe)}
    assert set(hints["architecture"].__args__) == set(ARCHITECTURES)
    lists = [recipe.perceptual for recipe in RECIPES.values() if isinstance(recipe, GanRecipe)]
    assert {stage.partition("@")[0] for stages in lists for stage in stages.split(",")} <= set(TRUNKS)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_what_is_shown_can_be_read_again(name: str, tmp_path: Path) -> None:
    text = recipe_as_toml(RECIPES[name])
    (tmp_path / "again.toml").write_text(text, encoding="utf-8")
    assert read_recipe(tmp_path / "again.toml") == RECIPES[name]
    assert "in shares of the training" in text and "side of a patch at the network's input" in text.replace("\n# ", " ")


def test_a_recipe_on_the_base_of_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "srgan-quick"\nbatch = 4\nlr = 1\n[options]\nblocks = 2\n')
    mine = find_recipe(str(path))
    assert mine == replace(RECIPES["srgan-quick"], name="mine", batch=4, lr=1.0, options={"blocks": 2})
    path.write_text('base = "srgan-quick"\nsteps = 20\n')  # its minutes would hide them
    assert (find_recipe(str(path)).steps, find_recipe(str(path)).minutes) == (20, 0.0)
    path.write_text('base = "srcnn-paper"\n[options]\nchannels = 3\n')  # what differs, and the rest stays
    paper = RECIPES["srcnn-paper"]
    assert find_recipe(str(path)) == replace(paper, name="mine", options={**paper.options, "channels": 3})
    (tmp_path / "next.toml").write_text('base = "mine.toml"\nbatch = 7\n')  # beside it, wherever one is
    assert find_recipe(str(tmp_path / "next.toml")).options["channels"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch = ", "not TOML"),
        ("batch = 4", "expected architecture, or the base"),
        ('architecture = "srresnet"\nbacth = 4', "has no field 'bacth'. Did you mean batch"),
        ('architecture = "srresnet"\nbatch = "4"', "batch='4': expected a whole number"),
        ('base = "srresnet-quick"\nzooms = 0.5', "zooms=0.5: expected a list of numbers, as [0.5]"),
        ('base = "srresnet-quick"\nperceptual = "squeeze"', "one of adversarial trainings"),
        ('base = "srresnet-quik"', "srresnet-quick"),
        ('base = "mine.toml"', "a recipe that has this one as its base"),
        ('architecture = "srresnet"\noptions = 3', "options=3: expected a table"),
    ],
)
def test_recipe_files_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises((InputError, UsageError), match=f"mine.toml: .*{re.escape(message)}"):
        read_recipe(tmp_path / "mine.toml")


def test_show_needs_no_data_and_list_tells_summaries(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "srgan-quick", "--set", "batch=3", "--show"]) == 0
    assert "\nbatch = 3\n" in capsys.readouterr().out
    assert main(["list", "recipes"]) == 0
    assert "10 minutes of a core, with SOAP" in capsys.readouterr().out


def test_the_docs_have_the_table_of_fields() -> None:
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert field_tables() in page, "python -c 'from reference_models.settings import field_tables as f; print(f())'"


def test_an_epoch_is_as_many_steps_as_show_every_pixel_once(pictures: Path) -> None:
    from reference_models.train import in_steps

    recipe = tiny(PIXELS, batch=4, patch=8, epochs=2.0)
    pool = pool_for(recipe, pictures)
    lr_pixels = 16 * 20 + 18 * 16 + 24 * 16 + 16 * 16
    assert pool.pixels == lr_pixels
    assert in_steps(recipe, pool).steps == -(-2 * lr_pixels // (4 * 64))
    assert in_steps(replace(recipe, epochs=0.0), pool) == replace(recipe, epochs=0.0)
