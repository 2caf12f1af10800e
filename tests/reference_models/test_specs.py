"""Every registered reference model, the day it is registered: it builds, keeps its scale, and beats bicubic."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reference_models.architectures import build
from reference_models.specs import _between, _spec
from reference_models.weights import load_network, read_weights, save_weights
from srbench.base.assets import Asset, locate
from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.base.registry import entries
from srbench.datasets import open_dataset
from srbench.metrics.scorer import measure
from srbench.models import find_model, select_models
from srbench.models.spec import ModelSpec, weights_digest

CPU = torch.device("cpu")
ALL_OURS = sorted(name for name, entry in entries("models").items() if entry.value.startswith("reference_models"))
OURS = [name for name in ALL_OURS if "@" not in name]
PUBLISHED = [name for name in ALL_OURS if "@" in name]
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


@pytest.mark.numbers
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


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_are_listed_with_address_and_sha256_and_are_not_part_of_all(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_model(name)
    assert name not in [spec.name for spec in select_models(["all"])]
    for asset in spec.weights.values():
        assert asset.url.startswith("https://")
        assert len(asset.sha256) == 64
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SRBENCH_OFFLINE", "1")
    with pytest.raises(UnavailableError, match=f"Put {asset.filename} into"):
        spec.build(4, CPU)
    (tmp_path / asset.filename).write_bytes(b"something else")
    with pytest.raises(InputError, match="expected " + asset.sha256[:12]):
        spec.build(4, CPU)


def pair(folder: Path) -> tuple[ModelSpec, ModelSpec]:
    """Two small RRDBNets with weights of their own, the second trained from the first, as far as specs go."""
    paths = [folder / "start.safetensors", folder / "end.safetensors"]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        network = build("rrdb", 4, blocks=1, features=8, growth=4)
        facts = {"architecture": "rrdb", "scale": 4, "options": {"blocks": 1, "features": 8, "growth": 4}}
        save_weights(path, network.state_dict(), facts)
    start, end = (_spec(path.stem, {4: Asset(str(path))}, "", "", "") for path in paths)
    return start, end


def test_interpolated_weights_lie_between_both_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    start, end = pair(tmp_path)
    lr = torch.rand(1, 3, 8, 8)
    first, last = start.build(4, CPU)(lr), end.build(4, CPU)(lr)
    assert torch.equal(_between(start, end, 0.0).build(4, CPU)(lr), first)
    assert torch.equal(_between(start, end, 1.0).build(4, CPU)(lr), last)
    halves = [load_network(locate(spec.weights[4])).state_dict() for spec in (start, end)]
    network = _between(start, end, 0.25).build(4, CPU)
    for name, tensor in network.state_dict().items():  # type: ignore[attr-defined]
        assert torch.allclose(tensor, 0.75 * halves[0][name] + 0.25 * halves[1][name], atol=1e-7)


def test_interpolations_have_names_and_digests_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    start, end = pair(tmp_path)
    made = [_between(start, end, share) for share in (0.2, 0.8)]
    assert [spec.name for spec in made] == ["end@0.2", "end@0.8"]
    assert len({weights_digest(spec, 4) for spec in (start, end, *made)}) == 4


@pytest.mark.parametrize(
    ("ref", "said"), [("bicubic@0.8", "was not trained from another model"), ("nosuch@0.8", "unknown model")]
)
def test_what_cannot_be_interpolated_is_said(ref: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find_model(ref)
