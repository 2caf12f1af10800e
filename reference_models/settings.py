"""Recipes as a user gives them: by name or as a TOML file, with single fields replaced, and checked before all else.

A recipe that passes `check` has values of the right type and range, and no field that only looks as if it acted.
"""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from reference_models.fields import as_toml, checked, described, described_in_words, parsed, table
from reference_models.recipes import RECIPES, GanRecipe, Option, Recipe
from srbench.base.documents import is_name, read_toml
from srbench.base.errors import InputError, UsageError
from srbench.base.registry import load_as
from srbench.base.text import is_whole, number

LENGTHS = ("steps", "epochs", "minutes")
MAPPINGS = ("options", "rates")
"""Fields whose parts are replaced one by one, as `options.blocks=6`."""
FRESH = "fresh"
"""The `start` of a GAN that begins from nothing, which must be said."""
SMALLEST_JUDGED = 24
"""HR pixels a side that a perceptual trunk and every discriminator can see, whatever the shift."""


def find_recipe(ref: str) -> Recipe:
    """The recipe of that name, or in that TOML file. Raises `UsageError` for neither."""
    if ref.endswith(".toml"):
        return read_recipe(Path(ref))
    return RECIPES.get(ref) or load_as("recipes", ref, Recipe)


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Replace fields by `key=value` texts; `options.KEY` reaches the architecture's hyper-parameters.

    A length (`steps`, `epochs` or `minutes`) takes the place of the one that the recipe had. Raises `UsageError` for an
    unknown key, with the nearest, for a value that is not of the field's type or range, and for two lengths.
    """
    given = set()
    for setting in settings:
        key, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            raise UsageError(f"--set {setting!r}: expected key=value, for instance --set steps=500")
        group, _, part = key.partition(".")
        if part and group in MAPPINGS:
            value = {**getattr(recipe, group), part: _guessed(text)}
            recipe = _replaced(recipe, {group: value})
        else:
            hint = _known(type(recipe), key, recipe.name)[2]
            recipe = _replaced(recipe, {key: parsed(f"--set {key}", text, hint)})
            given.add(key)
    return _of_one_length(recipe, given)


def _of_one_length(recipe: Recipe, given: set[str]) -> Recipe:
    """Minutes go before epochs, and these before steps: what would hide the length that was given is cleared."""
    lengths = [name for name in LENGTHS if name in given and getattr(recipe, name)]
    if len(lengths) > 1:
        raise UsageError(f"{' and '.join(lengths)} are two lengths; give one of them")
    hiding = {name: 0.0 for name in LENGTHS[1:] if getattr(recipe, name) and lengths and name not in lengths}
    return _replaced(recipe, hiding) if hiding else recipe


def _replaced(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    kept = {}
    for key, value in values.items():
        _, facts, hint = _known(type(recipe), key, recipe.name)
        kept[key] = checked(key, value, hint, facts)
    return replace(recipe, **kept)


def _known(kind: type[Recipe], key: str, name: str) -> tuple[Any, Any, Any]:
    rows = {item.name: (item, facts, hint) for item, facts, hint in described(kind)}
    if key in rows:
        return rows[key]
    near = difflib.get_close_matches(key, rows, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(rows)}"
    if key in {item.name for item in fields(GanRecipe)}:
        hint = "It is one of adversarial trainings"
    raise UsageError(f"recipe {name!r} has no field {key!r}. {hint}")


def _guessed(text: str) -> Option:
    for kind in (int, float):
        try:
            return number(text, kind)
        except ValueError:
            continue
    return text


def read_recipe(path: Path, above: tuple[Path, ...] = ()) -> Recipe:
    """A recipe as `recipe_as_toml` writes it. `base` names one from which everything that is left out is taken.

    A file as the base is looked for beside this one; `above` are those that have this one as theirs. Without `base`, a
    file with a field of adversarial training is a `GanRecipe`. Raises `InputError` for what is no TOML.
    """
    if not path.exists():
        raise InputError(f"{path}: no such recipe. Write one: srbench train srresnet-quick --show > {path}")
    values = read_toml(path, dict[str, Any], "a recipe")
    name = values.setdefault("name", path.stem)
    try:
        if base := str(values.pop("base", "")):
            taken = _base(base, path, (*above, path.resolve()))
            parts = {
                key: {**getattr(taken, key), **values[key]} for key in MAPPINGS if isinstance(values.get(key), dict)
            }
            return _of_one_length(_replaced(taken, {**values, **parts}), set(values))
        if "architecture" not in values:
            raise UsageError("expected architecture, or the base that it takes the rest from")
        own = {item.name for item in fields(GanRecipe)} - {item.name for item in fields(Recipe)}
        kind = GanRecipe if own & values.keys() else Recipe
        return _replaced(kind(str(name), values["architecture"]), values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _base(ref: str, path: Path, above: tuple[Path, ...]) -> Recipe:
    if not ref.endswith(".toml"):
        return find_recipe(ref)
    file = path.parent / ref
    if file.resolve() in above:
        raise UsageError(f"base {ref} is a recipe that has this one as its base")
    return read_recipe(file, above)


def recipe_as_toml(recipe: Recipe) -> str:
    """The recipe as TOML, each field under what it means."""
    lines = [f"# {recipe.name}: {recipe.summary}", "# Train by it: srbench train FILE.toml --data DIR --val DIR", ""]
    tables = []
    for item, facts, hint in described(type(recipe)):
        value = getattr(recipe, item.name)
        comment = textwrap.wrap(described_in_words(item, facts, hint), 80, initial_indent="# ", subsequent_indent="# ")
        if item.name in MAPPINGS:
            tables += ["", *comment, f"[{item.name}]", *(f"{key} = {as_toml(part)}" for key, part in value.items())]
        else:
            lines += [*comment, f"{item.name} = {as_toml(value)}"]
    return "\n".join([*lines, *tables])


def field_tables() -> str:
    """The table of fields in docs/training.md: all of them, and those of adversarial trainings alone."""
    common = frozenset(item.name for item in fields(Recipe))
    return f"{table(Recipe)}\n\nAdversarial trainings have these beside them:\n\n{table(GanRecipe, common)}"


def check(recipe: Recipe) -> None:
    """Raise `UsageError` for a value out of its field's range, and for fields that do not go together."""
    for item, facts, hint in described(type(recipe)):
        checked(item.name, getattr(recipe, item.name), hint, facts)
    for wrong, message in _partners(recipe):
        if wrong:
            raise UsageError(f"recipe {recipe.name!r}: {message}")


def _partners(recipe: Recipe) -> Iterable[tuple[bool, str]]:
    """What each pair of fields must not be, and what to type instead."""
    falls_at = recipe.schedule in ("step", "multistep")
    milestones, adversarial = recipe.milestones, isinstance(recipe, GanRecipe)
    yield not is_name(recipe.name), f"name={recipe.name!r}: expected a name, without / or \\"
    yield falls_at and not milestones, f"schedule={recipe.schedule} falls at milestones: --set milestones=0.5,0.75"
    yield (
        bool(milestones) and not falls_at,
        (f"milestones say nothing to schedule={recipe.schedule}: --set milestones= takes them away"),
    )
    yield (
        recipe.schedule in ("constant", "cosine") and recipe.decay != Recipe.decay,
        f"decay={recipe.decay} says nothing to schedule={recipe.schedule}: --set decay={Recipe.decay} takes it away",
    )
    yield (
        recipe.optimiser == "sgd" and recipe.beta2 != Recipe.beta2,
        f"beta2={recipe.beta2} says nothing to optimiser=sgd: --set beta2={Recipe.beta2} takes it away",
    )
    yield list(milestones) != sorted(set(milestones)), f"milestones={milestones} do not rise"
    yield len(set(recipe.zooms)) < len(recipe.zooms), f"zooms={recipe.zooms} takes one size twice"
    yield (
        isinstance(recipe, GanRecipe)
        and not (recipe.pixel_weight or recipe.perceptual_weight or recipe.adversarial_weight),
        "pixel_weight, perceptual_weight and adversarial_weight are all 0, so nothing would be learnt",
    )
    yield bool(recipe.epochs and recipe.minutes), "epochs and minutes are two lengths; set one of them to 0"
    yield adversarial and recipe.schedule == "plateau", "a GAN's PSNR falls: take schedule=cosine in place of plateau"
    yield recipe.scale not in (2, 3, 4, 8) and recipe.kind == "rgb", f"scale={recipe.scale}: expected 2, 3, 4 or 8"
    yield (
        adversarial and not recipe.start,
        (
            "an adversarial training goes on from a trained network: --set start=srresnet (packaged), or "
            f"start=runs/srresnet-quick/best.safetensors; --set start={FRESH} begins from nothing"
        ),
    )
    margin, side = _margin(recipe), judged_side(recipe)
    yield recipe.patch <= 2 * margin, f"patch={recipe.patch}: SRCNN has no padding and needs {2 * margin + 1} or more"
    yield (
        adversarial and side < SMALLEST_JUDGED,
        (f"patch={recipe.patch}: {side} pixels of SR are too few to be judged, {SMALLEST_JUDGED} are needed"),
    )


def judged_side(recipe: Recipe) -> int:
    """The side of a training patch of SR, in pixels."""
    return recipe.patch * recipe.scale if recipe.kind == "rgb" else recipe.patch - 2 * _margin(recipe)


def _margin(recipe: Recipe) -> int:
    """Pixels that an unpadded SRCNN loses at each side."""
    if recipe.architecture != "srcnn":
        return 0
    sizes = str(recipe.options.get("kernels", "9-5-5")).split("-")
    return sum(int(size) // 2 for size in sizes if is_whole(size))
