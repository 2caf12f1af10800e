"""The reference models as the harness sees them: one line for each that has weights.

A model without weights is not registered, since `srbench run --models all` would stumble over it; its recipe and its
architecture are there for `srbench train`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from srbench.base.assets import Asset, locate
from srbench.models.measured import measured
from srbench.models.spec import ModelSpec, weights_digest

if TYPE_CHECKING:
    import torch

    from srbench.models.spec import Upscaler

PACKAGED = "package:reference_models/weights/"
MEASURED = measured("reference_models")


def _shipped(
    name: str, scales: Iterable[int], citation: str, summary: str, *, start: ModelSpec | None = None
) -> ModelSpec:
    """A model whose weights are in this package; `start` is the model that its training began from."""
    weights = {scale: Asset(f"{PACKAGED}{name}-x{scale}.safetensors") for scale in scales}
    spec = replace(_spec(name, weights, "MIT", citation, summary), measured=MEASURED.get(name, {}))
    return spec if start is None else replace(spec, interpolate=partial(_between, start, spec))


def _spec(name: str, weights: Mapping[int, Asset], licence: str, citation: str, summary: str) -> ModelSpec:
    def build(scale: int, device: torch.device) -> Upscaler:
        from reference_models.weights import as_upscaler, load_network

        return as_upscaler(load_network(locate(weights[scale]), device))

    return ModelSpec(name, tuple(weights), build, weights, licence=licence, citation=citation, summary=summary)


def _between(start: ModelSpec, end: ModelSpec, share: float) -> ModelSpec:
    """The model whose every weight is (1 - share) of the start's and share of the end's (ESRGAN, equation 4)."""

    def build(scale: int, device: torch.device) -> Upscaler:
        from reference_models.weights import as_upscaler, interpolated

        return as_upscaler(interpolated(locate(start.weights[scale]), locate(end.weights[scale]), share).to(device))

    def digest(scale: int) -> str:
        from srbench.models.wrap import combined

        return combined([weights_digest(start, scale), weights_digest(end, scale), f"{share:g}"])

    scales = tuple(scale for scale in end.scales if scale in start.scales)
    summary = f"{share:g} of {end.name}, {1 - share:g} of {start.name}"
    return ModelSpec(
        f"{end.name}@{share:g}",
        scales,
        build,
        digest=digest,
        licence=end.licence,
        citation=end.citation,
        summary=summary,
    )


DONG = "Dong et al., TPAMI 38(2), 2016"
LEDIG = "Ledig et al., CVPR 2017"
WANG = "Wang et al., ECCV Workshops 2018"

SRCNN = _shipped("srcnn", (2, 3, 4), DONG, "three convolutions (9-5-5) on Y")
SRRESNET = _shipped("srresnet", (4,), LEDIG, "16 residual blocks with batch norm")
SRGAN = _shipped("srgan", (4,), LEDIG, "SRResNet, trained on against a discriminator", start=SRRESNET)
ESRNET_6B = _shipped("esrnet-6b", (4,), WANG, "6 residual-in-residual dense blocks; the paper has 23")
ESRGAN_6B = _shipped("esrgan-6b", (4,), WANG, "ESRNet, trained on against a discriminator", start=ESRNET_6B)

# What the authors published. The digests are those that independent projects state of these files.
_RRDB_PSNR = Asset(
    "https://drive.google.com/uc?export=download&id=1pJ_T-V1dpb1ewoEra1TGSWl5e6H7M4NN",
    "f372b59f22929e1bc83fa58d78215c96f976de3b2eaeee736da1b348913da6cc",
    name="RRDB_PSNR_x4.pth",
)
_RRDB_ESRGAN = Asset(
    "https://github.com/cszn/KAIR/releases/download/v1.0/ESRGAN.pth",
    "65fece06e1ccb48853242aa972bdf00ad07a7dd8938d2dcbdf4221b59f6372ce",
    name="RRDB_ESRGAN_x4.pth",
)
ESRNET_XINNTAO = _spec("esrnet@xinntao", {4: _RRDB_PSNR}, "Apache-2.0", WANG, "RRDB_PSNR_x4 of the paper's authors")
ESRGAN_XINNTAO = _spec(
    "esrgan@xinntao", {4: _RRDB_ESRGAN}, "Apache-2.0", WANG, "the authors' RRDB_ESRGAN_x4, 23 blocks"
)
