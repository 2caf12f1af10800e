"""Recipes: how each model is trained, as frozen dataclasses. Importing them needs no torch.

`NAME-paper` has the published values, as far as they are published. `NAME-quick` is a matter of minutes to an hour on
two processor cores, and `NAME-gpu-25min` fills 25 minutes of one data-centre GPU. `override` replaces single fields.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from srbench.base.errors import UsageError

Schedule = Literal["constant", "step", "multistep", "exponential", "cosine", "plateau"]
Option = int | float | str | bool

POSITIVE = ("scale", "batch", "patch", "steps", "validate_every")


@dataclass(frozen=True)
class Recipe:
    """Training on pixels (`reference_models.fit`).

    architecture, options   what to build; options are its hyper-parameters
    model           the name under which the weights are shipped
    batch, patch    patches a step over all devices, and their side at network input, in pixels
    steps, minutes  the length: a number of steps or, where `minutes` is not 0, a time, whatever it gives
    loss            `l1`, `mse` or `charbonnier`
    optimiser       `adam`, or `soap` (`reference_models.soap`); `beta1` and `beta2` are those of either
    lr, schedule    its rate and how it falls with progress p in [0, 1]; `milestones` are values of p, `decay` the
                    factor at each (for `exponential`: the factor reached at p = 1); `warmup` is a share of the training
    ema             decay of the averaged weights, which are what is validated and shipped; 0 is off
    clip            largest gradient norm; 0 is off
    validate_every, patience   in steps, and in validations without a gain before stopping (0: never)
    precision       of lightning-fabric: `32-true`, `bf16-mixed`, `16-mixed`
    degradation     how LR is made from HR, by a name of `srbench list degradations`
    compile         mode of torch.compile: `default`, `reduce-overhead` (CUDA graphs), `max-autotune`; empty is eager
    """

    name: str
    architecture: str
    options: Mapping[str, Option] = field(default_factory=dict)
    model: str = ""
    scale: int = 4
    batch: int = 16
    patch: int = 24
    steps: int = 2000
    minutes: float = 0.0
    loss: Literal["l1", "mse", "charbonnier"] = "l1"
    optimiser: Literal["adam", "soap"] = "adam"
    lr: float = 5e-4
    beta1: float = 0.9
    beta2: float = 0.999
    schedule: Schedule = "cosine"
    milestones: tuple[float, ...] = ()
    decay: float = 0.5
    warmup: float = 0.0
    ema: float = 0.999
    clip: float = 1.0
    validate_every: int = 200
    patience: int = 0
    start: str = ""
    precision: str = "32-true"
    compile: Literal["", "default", "reduce-overhead", "max-autotune"] = ""
    channels_last: bool = True
    checkpointing: bool = False
    seed: int = 0
    degradation: str = "matlab"
    summary: str = ""

    @property
    def luma(self) -> bool:
        """Whether the network works on Y of the bicubic upscaling, as SRCNN does."""
        return self.architecture == "srcnn"


@dataclass(frozen=True)
class GanRecipe(Recipe):
    """Adversarial training (`reference_models.fit_gan`), usually from the weights in `start`.

    discriminator   SRGAN's, normalised by `batch` or `spectral`, or `patch`, a logit for each place; the features of
                    its first layer; and its rate, where 0 is the generator's
    adversarial     `vanilla`, `lsgan` or `relativistic` (average)
    perceptual      a trunk of `reference_models.perceptual`
    ..._weight      of the three terms that the generator minimises
    """

    discriminator: Literal["batch", "spectral", "patch"] = "batch"
    discriminator_features: int = 64
    discriminator_lr: float = 0.0
    adversarial: Literal["vanilla", "lsgan", "relativistic"] = "vanilla"
    perceptual: str = "vgg54"
    pixel_weight: float = 0.0
    perceptual_weight: float = 1.0
    adversarial_weight: float = 1e-3


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Replace fields by `key=value` texts; `options.KEY` reaches the architecture's hyper-parameters.

    Raises `UsageError` for an unknown key, with the nearest, and for a value that is not of the field's type.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting!r}: expected key=value, for instance --set steps=500")
        recipe = _replaced(recipe, key.strip(), text.strip())
    return recipe


def _replaced(recipe: Recipe, key: str, text: str) -> Recipe:
    if key.startswith("options."):
        return replace(recipe, options={**recipe.options, key.removeprefix("options."): _guessed(text)})
    known = [item.name for item in fields(recipe) if item.name not in ("name", "options")]
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}"
        raise UsageError(f"recipe {recipe.name!r} has no field {key!r}. {hint}")
    kind = get_type_hints(type(recipe))[key]
    value = _parsed(key, text, getattr(recipe, key), kind)
    allowed = get_args(kind) if isinstance(value, str) else ()  # of a Literal
    if allowed and value not in allowed:
        raise UsageError(f"--set {key}={text}: expected one of {', '.join(map(repr, allowed))}")
    if key in POSITIVE and value < 1:
        raise UsageError(f"--set {key}={text}: expected at least 1")
    return replace(recipe, **{key: value})


def _parsed(key: str, text: str, present: object, kind: Any) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[text.lower()]
        if isinstance(present, tuple):
            return tuple(float(part) for part in text.split(",") if part)
        return kind(text) if kind in (int, float) else text
    except (ValueError, KeyError):
        raise UsageError(f"--set {key}={text}: expected {kind.__name__}, as in {key}={present}") from None


def _guessed(text: str) -> Option:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# fmt: off
SRCNN_PAPER = Recipe(
    "srcnn-paper", "srcnn", {"kernels": "9-5-5"}, model="srcnn", patch=33, loss="mse", lr=1e-4, schedule="constant",
    ema=0.0, clip=0.0, steps=8_000_000, validate_every=10_000, summary="after Dong et al. 2016",
)
SRCNN_QUICK = replace(
    SRCNN_PAPER, name="srcnn-quick", patch=48, optimiser="soap", lr=3e-3, beta1=0.95, beta2=0.95, schedule="cosine",
    ema=0.999, clip=1.0, minutes=10, warmup=0.02, validate_every=500, summary="10 minutes of a core, with SOAP",
)
SRCNN_GPU = replace(
    SRCNN_QUICK, name="srcnn-gpu-25min", batch=256, minutes=4, validate_every=2000, compile="default",
    summary="4 of the 25 minutes, beside SRResNet",
)
SRRESNET_PAPER = Recipe(
    "srresnet-paper", "srresnet", model="srresnet", loss="mse", lr=1e-4, schedule="constant", ema=0.0, clip=0.0,
    steps=1_000_000, validate_every=5_000, summary="Ledig et al. 2017, section 3.2",
)
SRRESNET_QUICK = replace(
    SRRESNET_PAPER, name="srresnet-quick", batch=8, loss="l1", lr=5e-4, schedule="cosine", warmup=0.02, ema=0.999,
    clip=1.0, minutes=60, validate_every=400, summary="an hour or more of a core",
)
SRRESNET_GPU = replace(
    SRRESNET_QUICK, name="srresnet-gpu-25min", batch=64, patch=48, minutes=19, validate_every=1000,
    precision="bf16-mixed", compile="default", summary="19 of the 25 minutes, after SRCNN",
)
ESRNET_PAPER = Recipe(
    "esrnet-paper", "rrdb", {"blocks": 23}, model="esrnet", patch=32, loss="l1", lr=2e-4, schedule="multistep",
    milestones=(0.2, 0.4, 0.6, 0.8), steps=1_000_000, ema=0.0, clip=0.0, validate_every=5_000,
    summary="Wang et al. 2018, section 4.1: halved every 2e5 steps",
)
ESRNET_QUICK = replace(
    ESRNET_PAPER, name="esrnet-quick", options={"blocks": 6}, model="esrnet-6b", batch=8, patch=24, schedule="cosine",
    lr=5e-4, warmup=0.02, ema=0.999, clip=1.0, minutes=90, validate_every=400, summary="6 blocks, 90 minutes of a core",
)
ESRNET_GPU = replace(
    ESRNET_PAPER, name="esrnet-gpu-25min", batch=32, patch=32, lr=4e-4, schedule="cosine", warmup=0.02, ema=0.999,
    clip=1.0, minutes=23, validate_every=1000, precision="bf16-mixed", compile="default", summary="23 minutes",
)
ESRNET_LITE_QUICK = replace(
    SRRESNET_QUICK, name="esrnet-lite-quick", options={"body_act": "relu", "tail_act": "lrelu"}, model="esrnet-lite",
    schedule="plateau", summary="SRResNet's body with ReLU, LeakyReLU in the upsampling; an hour of 2 cores",
)
SRGAN_PAPER = GanRecipe(
    "srgan-paper", "srresnet", model="srgan", lr=1e-4, schedule="multistep", milestones=(0.5,), decay=0.1,
    steps=200_000, ema=0.0, clip=0.0, validate_every=5_000, perceptual="vgg54", summary="Ledig et al. 2017, 3.2",
)
SRGAN_QUICK = replace(
    SRGAN_PAPER, name="srgan-quick", batch=8, lr=2e-4, schedule="cosine", ema=0.998, clip=1.0, minutes=62,
    warmup=0.03, validate_every=100, perceptual="squeeze_3", pixel_weight=1.0, perceptual_weight=0.05,
    adversarial_weight=5e-2, discriminator="patch", discriminator_features=32, discriminator_lr=1e-3,
    summary="an hour of a core, from SRResNet (--set start=…), without VGG19",
)
SRGAN_GPU = replace(
    SRGAN_QUICK, name="srgan-gpu-25min", batch=32, patch=32, ema=0.999, minutes=10, validate_every=500,
    discriminator_features=64, precision="bf16-mixed", summary="10 minutes, from SRResNet",
)
ESRGAN_PAPER = GanRecipe(
    "esrgan-paper", "rrdb", {"blocks": 23}, model="esrgan", patch=32, lr=1e-4, schedule="multistep",
    milestones=(0.125, 0.25, 0.5, 0.75), steps=400_000, ema=0.0, clip=0.0, validate_every=5_000,
    adversarial="relativistic", perceptual="vgg19_54", pixel_weight=1e-2, adversarial_weight=5e-3,
    summary="Wang et al. 2018, section 4.1",
)
ESRGAN_QUICK = replace(
    ESRGAN_PAPER, name="esrgan-quick", options={"blocks": 6}, model="esrgan-6b", batch=8, patch=24, schedule="cosine",
    lr=1.5e-4, warmup=0.03, ema=0.998, clip=1.0, minutes=66, validate_every=100, perceptual="squeeze_10",
    pixel_weight=1.0, perceptual_weight=0.05, adversarial_weight=2e-2, discriminator="patch",
    discriminator_features=32, discriminator_lr=3e-4,
    summary="6 blocks, an hour of a core, from ESRNet (--set start=…), without VGG19",
)
ESRGAN_GPU = replace(
    ESRGAN_QUICK, name="esrgan-gpu-25min", options={"blocks": 23}, model="esrgan", batch=16, patch=32, ema=0.999,
    discriminator_features=64, minutes=12, validate_every=500, precision="bf16-mixed",
    summary="12 minutes, from ESRNet",
)
# fmt: on

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in list(globals().values()) if isinstance(recipe, Recipe)
}
