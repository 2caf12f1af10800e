"""Every registered reference model, the day it is registered: it builds, keeps its scale, and beats bicubic."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reference_models.weights import load_network, read_weights
from srbench.assets import locate
from srbench.datasets import open_dataset
from srbench.models import find_model
from srbench.registry import entries
from srbench.scoring import measure

CPU = torch.device("cpu")
OURS = sorted(name for name, entry in entries("models").items() if entry.value.startswith("reference_models"))
CASES = [(name, scale) for name in OURS for scale in find_model(name).scales]
FACTS = ("architecture", "scale", "options", "recipe", "steps", "minutes", "device", "data", "torch")


def image(model: str, scale: int, data_root: Path) -> dict[str, float]:
    sample = open_dataset("Set5", scale, root=data_root)[2]
    sr = find_model(model).build(scale, CPU)(torch.from_numpy(sample.lr).permute(2, 0, 1)[None].float() / 255)
    pixels = (sr[0].detach().permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return measure(pixels, sample.hr, metrics=("psnr_y", "ssim_y"), scale=scale)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_weights_say_how_they_were_made(name: str, scale: int) -> None:
    path = locate(find_model(name).weights[scale])
    facts = read_weights(path).metadata
    assert set(FACTS) <= set(facts)
    assert facts["scale"] == str(scale)
    assert path.with_suffix(".md").read_text(encoding="utf-8").startswith(f"# {name}, x{scale}\n")
    assert "/" not in facts["data"]


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_any_size_and_any_batch(name: str, scale: int) -> None:
    upscaler = find_model(name).build(scale, CPU)
    assert upscaler.scale == scale
    with torch.inference_mode():
        for height, width in ((1, 1), (7, 12)):
            sr = upscaler(torch.rand(2, 3, height, width))
            assert sr.shape == (2, 3, height * scale, width * scale)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_images_of_a_batch_do_not_touch_each_other(name: str, scale: int) -> None:
    upscaler = find_model(name).build(scale, CPU)
    lr = torch.rand(3, 3, 9, 8)
    with torch.inference_mode():
        together, alone = upscaler(lr), torch.cat([upscaler(image) for image in lr.split(1)])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_grey_stays_grey(name: str, scale: int) -> None:
    """A learned network may tint a grey image, but not so that one sees it: under 6 of 255 on average."""
    ramp = torch.linspace(0.2, 0.8, 16).expand(1, 3, 16, 16).contiguous()
    with torch.inference_mode():
        sr = find_model(name).build(scale, CPU)(ramp)
    assert float((sr.amax(1) - sr.amin(1)).mean()) < 6 / 255


@pytest.mark.data
@pytest.mark.parametrize(("name", "scale"), CASES)
def test_better_than_bicubic_on_butterfly(name: str, scale: int, data_root: Path) -> None:
    ours, bicubic = image(name, scale, data_root), image("bicubic", scale, data_root)
    assert ours["psnr_y"] > bicubic["psnr_y"] + 0.3


def test_every_packaged_file_belongs_to_a_registered_model() -> None:
    home = Path(load_network.__code__.co_filename).parent / "weights"
    wanted = {locate(find_model(name).weights[scale]).name for name, scale in CASES}
    assert {path.name for path in home.glob("*.safetensors")} == wanted
