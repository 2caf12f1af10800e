"""Recipes: how each model is trained, as frozen dataclasses. Importing them needs no torch.

`NAME-paper` has the published values, as far as they are published. `NAME-quick` is a matter of minutes to an hour on
two processor cores, and `NAME-gpu-9min` fills a command of ten minutes on one data-centre GPU.
`reference_models.settings` replaces single fields, and reads and writes them as TOML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from reference_models.fields import about

Option = int | float | str | bool


@dataclass(frozen=True)
class Recipe:
    """Training on pixels (`reference_models.fit`). What is said of each field, `--show` and the docs say too."""

    name: str = about("what the recipe is called")
    architecture: Literal["srcnn", "srresnet", "msrresnet", "rrdb"] = about("the network to build")
    options: Mapping[str, Option] = about("hyper-parameters of the architecture", {})
    model: str = about("the name under which the weights are shipped", "")
    scale: int = about("how many SR pixels stand on one of LR, along each axis", 4, low=2, high=8)
    batch: int = about("patches of a step, over all devices", 16, "patches", low=1, high=65536)
    patch: int = about("side of a patch at the network's input: of LR, for SRCNN of HR", 24, "pixels", low=1, high=4096)
    flips: bool = about("whether patches are also shown as mirror images", True)
    turns: bool = about("whether patches are also shown turned by 90 degrees", True)
    zooms: tuple[float, ...] = about(
        "images are also taken at these sizes, made by bicubic before LR is",
        (),
        "shares of the size",
        low=0,
        high=1,
        above=True,
        below=True,
    )
    steps: int = about("length of the training, unless epochs or minutes give it", 2000, "steps", low=1, high=10**9)
    epochs: float = about(
        "length in passes over the pixels; 0: by steps", 0.0, "passes over the pixels", low=0, high=10**6
    )
    minutes: float = about("length as a time, whatever it gives; 0: by steps", 0.0, "minutes", low=0, high=10**6)
    loss: Literal["l1", "mse", "sse", "charbonnier"] = about(
        "distance of the pixels; `sse` is the sum over a patch, as in SRCNN's equation 4, the others are means", "l1"
    )
    optimiser: Literal["adam", "sgd", "soap"] = about(
        "what follows the gradients; see reference_models/soap.py", "adam"
    )
    lr: float = about("learning rate", 5e-4, low=0, above=True)
    rates: Mapping[str, float] = about(
        "factors on the rate, by the beginning of tensor names: rates.tail = 0.1", {}, low=0
    )
    beta1: float = about("decay of the gradients' mean; of SGD, the momentum", 0.9, low=0, high=1, below=True)
    beta2: float = about("decay of the gradients' squares; SGD has none", 0.999, low=0, high=1, below=True)
    schedule: Literal["constant", "step", "multistep", "exponential", "cosine", "plateau"] = about(
        "how the rate falls; `step` and `multistep` at milestones, `plateau` when validation stands still", "cosine"
    )
    milestones: tuple[float, ...] = about(
        "where `step` and `multistep` fall: 0.5 is halfway",
        (),
        "shares of the training",
        low=0,
        high=1,
        above=True,
        below=True,
    )
    decay: float = about(
        "factor on the rate at each milestone or plateau; of `exponential`, that at the end",
        0.5,
        low=0,
        high=1,
        above=True,
    )
    warmup: float = about(
        "the rate rises from nothing over this", 0.0, "share of the training", low=0, high=1, below=True
    )
    ema: float = about(
        "decay of the averaged weights, which are validated and kept; 0: off", 0.999, low=0, high=1, below=True
    )
    clip: float = about("largest norm of a gradient; 0: off", 1.0, low=0)
    validate_every: int = about("from one validation to the next", 200, "steps", low=1, high=10**9)
    patience: int = about(
        "validations without a gain, after which to stop; 0: never", 0, "validations", low=0, high=10**9
    )
    start: str = about("weights to begin from: a file or a packaged model; blocks beyond its own begin as identity", "")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = about(
        "of the arithmetic; `auto` is bf16-mixed on GPUs and processors that multiply it faster, else 32-true",
        "32-true",
    )
    compile: Literal["", "default", "reduce-overhead", "max-autotune"] = about(
        "mode of torch.compile; empty: eager; `reduce-overhead` uses CUDA graphs", ""
    )
    channels_last: bool = about("whether tensors lie pixel by pixel in memory, which is faster", True)
    checkpointing: bool = about("whether blocks run again in the backward pass, which saves memory", False)
    resumable: bool = about("whether last.ckpt is written, without which nothing can be resumed", True)
    seed: int = about("of the first weights and of the patches", 0, low=0, high=2**63 - 1)
    summary: str = about("a line for `srbench list recipes`", "")

    @property
    def kind(self) -> Literal["rgb", "luma", "bicubic"]:
        """What the network sees: LR, or as SRCNN the bicubic upscaling, its Y or all of it."""
        if self.architecture != "srcnn":
            return "rgb"
        return "luma" if self.options.get("channels", 1) == 1 else "bicubic"


@dataclass(frozen=True)
class GanRecipe(Recipe):
    """Adversarial training (`reference_models.fit_gan`), from the weights in `start`; `fresh` begins from nothing."""

    discriminator: Literal["batch", "spectral", "patch"] = about(
        "SRGAN's, with batch or with spectral norm; or one that judges every patch of 34x34 pixels", "batch"
    )
    discriminator_features: int = about("of its first layer", 64, "features", low=1, high=4096)
    discriminator_lr: float = about("its learning rate; 0: the generator's", 0.0, low=0)
    adversarial: Literal["vanilla", "lsgan", "relativistic"] = about(
        "the adversarial loss; `relativistic` is the average one of ESRGAN", "vanilla"
    )
    perceptual: str = about(
        "trunk of the perceptual loss (reference_models/perceptual.py); `A,B@0.8`: A, then B for the last fifth",
        "vgg54",
    )
    pixel_weight: float = about("of the pixel loss", 0.0, low=0)
    perceptual_weight: float = about("of the perceptual loss", 1.0, low=0)
    adversarial_weight: float = about("of the adversarial loss", 1e-3, low=0)


# fmt: off
SRCNN_PAPER = Recipe(
    "srcnn-paper", "srcnn", {"kernels": "9-5-5", "initial": "paper"}, model="srcnn", batch=128, patch=33, loss="sse",
    optimiser="sgd", lr=1e-4, rates={"reconstruction": 0.1}, beta1=0.9, schedule="constant", ema=0.0, clip=0.0,
    steps=8_000_000, validate_every=10_000, flips=False, turns=False, summary="Dong et al. 2016, section 3.3",
)
SRCNN_QUICK = replace(
    SRCNN_PAPER, name="srcnn-quick", options={"kernels": "9-5-5"}, batch=16, patch=48, loss="mse", optimiser="soap",
    lr=3e-3, rates={}, beta1=0.95, beta2=0.95, schedule="cosine", ema=0.999, clip=1.0, minutes=10, warmup=0.02,
    validate_every=500, flips=True, turns=True, summary="10 minutes of a core, with SOAP",
)
SRRESNET_PAPER = Recipe(
    "srresnet-paper", "srresnet", model="srresnet", loss="mse", lr=1e-4, schedule="constant", ema=0.0, clip=0.0,
    steps=1_000_000, validate_every=5_000, summary="Ledig et al. 2017, section 3.2",
)
SRRESNET_QUICK = replace(
    SRRESNET_PAPER, name="srresnet-quick", batch=8, loss="l1", lr=5e-4, schedule="cosine", warmup=0.02, ema=0.999,
    clip=1.0, minutes=60, validate_every=400, precision="auto", summary="an hour or more of a core",
)
SRRESNET_GPU = replace(
    SRRESNET_QUICK, name="srresnet-gpu-9min", batch=64, patch=48, minutes=9, validate_every=1000, compile="default",
    resumable=False, summary="from fresh weights",
)
ESRNET_PAPER = Recipe(
    "esrnet-paper", "rrdb", {"blocks": 23}, model="esrnet", patch=32, loss="l1", lr=2e-4, schedule="multistep",
    milestones=(0.2, 0.4, 0.6, 0.8), steps=1_000_000, ema=0.0, clip=0.0, validate_every=5_000,
    summary="Wang et al. 2018, section 4.1: halved every 2e5 steps",
)
ESRNET_QUICK = replace(
    ESRNET_PAPER, name="esrnet-quick", options={"blocks": 6}, model="esrnet-6b", batch=8, patch=24, schedule="cosine",
    milestones=(), lr=5e-4, warmup=0.02, ema=0.999, clip=1.0, minutes=90, validate_every=400, precision="auto",
    summary="6 blocks, 90 minutes of a core",
)
ESRNET_GPU = replace(
    ESRNET_PAPER, name="esrnet-gpu-9min", batch=32, patch=32, lr=4e-4, schedule="cosine", milestones=(), warmup=0.02,
    ema=0.999, clip=1.0, minutes=9, validate_every=500, precision="auto", compile="default", start="esrnet-6b",
    resumable=False,
    summary="23 blocks, grown from the six of esrnet-6b",
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
    SRGAN_PAPER, name="srgan-quick", batch=8, lr=2e-4, schedule="cosine", milestones=(), decay=0.5, ema=0.998,
    clip=1.0, minutes=62, warmup=0.03, validate_every=100, perceptual="squeeze_10,squeeze_3@0.75",
    pixel_weight=1.0, perceptual_weight=0.05, adversarial_weight=5e-2, discriminator="patch",
    discriminator_features=32, discriminator_lr=1e-3,
    precision="auto", start="srresnet", summary="an hour of a core, from SRResNet, without VGG19",
)
SRGAN_GPU = replace(
    SRGAN_QUICK, name="srgan-gpu-9min", batch=32, patch=32, ema=0.999, minutes=9, validate_every=500,
    discriminator_features=64, compile="default", resumable=False, summary="from SRResNet",
)
ESRGAN_PAPER = GanRecipe(
    "esrgan-paper", "rrdb", {"blocks": 23}, model="esrgan", patch=32, lr=1e-4, schedule="multistep",
    milestones=(0.125, 0.25, 0.5, 0.75), steps=400_000, ema=0.0, clip=0.0, validate_every=5_000,
    adversarial="relativistic", perceptual="vgg19_54", pixel_weight=1e-2, adversarial_weight=5e-3,
    summary="Wang et al. 2018, section 4.1",
)
ESRGAN_QUICK = replace(
    ESRGAN_PAPER, name="esrgan-quick", options={"blocks": 6}, model="esrgan-6b", batch=8, patch=24, schedule="cosine",
    milestones=(), lr=1.5e-4, warmup=0.03, ema=0.998, clip=1.0, minutes=66, validate_every=100,
    perceptual="squeeze_10,squeeze_30@0.82,squeeze_3@0.9", pixel_weight=1.0, perceptual_weight=0.05,
    adversarial_weight=2e-2, discriminator="patch", discriminator_features=32, discriminator_lr=3e-4,
    precision="auto", start="esrnet-6b",
    summary="6 blocks, an hour of a core, from ESRNet, without VGG19",
)
ESRGAN_GPU = replace(
    ESRGAN_QUICK, name="esrgan-gpu-9min", options={"blocks": 23}, model="esrgan", batch=16, patch=32, ema=0.999,
    discriminator_features=64, minutes=9, validate_every=300, start="esrnet", compile="default", resumable=False,
    summary="23 blocks, from ESRNet",
)
# fmt: on

RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in list(globals().values()) if isinstance(recipe, Recipe)
}
