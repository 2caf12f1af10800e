"""PSNR and SSIM against scikit-image, LPIPS against its authors' figures, and the laws of all three."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srbench.base.assets import digest
from srbench.base.errors import InputError, UnavailableError, UsageError
from srbench.images.files import read_image
from srbench.metrics import lpips, resolve
from srbench.metrics.psnr import psnr
from srbench.metrics.scorer import Scorer, measure
from srbench.metrics.ssim import ssim

Photograph = Callable[..., np.ndarray]


def pair(height: int, width: int, seed: int, channels: int = 1, n: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hr = torch.randint(0, 256, (n, channels, height, width), generator=generator).double()
    noise = torch.randn(hr.shape, generator=generator, dtype=torch.float64)
    return (hr + noise * 20).clamp(0, 255).round(), hr


sizes = st.integers(11, 40)
seeds = st.integers(0, 1000)


@settings(deadline=None, max_examples=30)
@given(sizes, sizes, seeds)
def test_ssim_equals_scikit_image(height: int, width: int, seed: int) -> None:
    sr, hr = pair(height, width, seed)
    gaussian = structural_similarity(
        sr[0, 0].numpy(),
        hr[0, 0].numpy(),
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim(sr, hr)) == pytest.approx(gaussian, abs=1e-9)
    default = structural_similarity(sr[0, 0].numpy(), hr[0, 0].numpy(), data_range=255)
    assert float(ssim(sr, hr, window="uniform")) == pytest.approx(default, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(sizes, sizes, seeds)
def test_psnr_equals_scikit_image(height: int, width: int, seed: int) -> None:
    sr, hr = pair(height, width, seed, channels=3)
    expected = peak_signal_noise_ratio(hr[0].numpy(), sr[0].numpy(), data_range=255)
    assert float(psnr(sr, hr)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_symmetry_flips_and_batches(metric: Callable[..., torch.Tensor]) -> None:
    sr, hr = pair(24, 31, seed=1, channels=3, n=4)
    scores = metric(sr, hr)
    assert scores.shape == (4,)
    torch.testing.assert_close(metric(hr, sr), scores)
    torch.testing.assert_close(metric(sr.flip(-1).mT, hr.flip(-1).mT), scores)
    torch.testing.assert_close(torch.cat([metric(a[None], b[None]) for a, b in zip(sr, hr, strict=True)]), scores)


def test_identical_images() -> None:
    _, hr = pair(16, 16, seed=2)
    assert float(psnr(hr, hr)) == math.inf
    assert float(ssim(hr, hr)) == 1.0


def test_ssim_of_flat_images_is_finite() -> None:
    flat = torch.full((1, 1, 16, 16), 255.0, dtype=torch.float64)
    assert float(ssim(flat, flat)) == 1.0
    assert 0.0 < float(ssim(flat, flat * 0)) < 1e-3


def test_ssim_refuses_what_its_window_does_not_fit() -> None:
    sr, hr = pair(10, 30, seed=3)
    with pytest.raises(InputError, match="window has 11 taps; the cropped image is 30x10"):
        ssim(sr, hr)


@pytest.mark.parametrize(
    ("name", "image", "expected", "digits"),
    [
        ("lpips", "ex_p0", 0.7219, 2e-4),
        ("lpips", "ex_p1", 0.1376, 2e-4),
        ("lpips@squeeze", "ex_p0", 0.711048, 2e-6),
        ("lpips@squeeze", "ex_p1", 0.147902, 2e-6),
    ],
)
def test_lpips_of_the_authors_pair(
    data_root: Path,
    weights_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    image: str,
    expected: float,
    digits: float,
) -> None:
    """`(0.722, 0.138)` in the issue tracker of PerceptualSimilarity for `test_network.py`, v0.1, AlexNet; SqueezeNet's
    are of the package's own call. `lpips@squeeze` is how people write `lpips_squeeze`."""
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    folder = data_root / "lpips_reference"
    scores = measure(read_image(folder / f"{image}.png"), read_image(folder / "ex_ref.png"), [name])
    assert scores == {name.replace("@", "_"): pytest.approx(expected, abs=digits)}


def test_lpips_laws(weights_folder: Path, monkeypatch: pytest.MonkeyPatch, photograph: Photograph) -> None:
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    a, b, grey = photograph(64, 64), photograph(64, 64, seed=1), photograph(64, 64, grey=True)
    assert measure(a, a, ["lpips"]) == {"lpips": 0.0}
    assert measure(a, b, ["lpips"])["lpips"] == pytest.approx(measure(b, a, ["lpips"])["lpips"], rel=1e-5)
    assert measure(grey, grey, ["lpips"]) == {"lpips": 0.0}
    with pytest.raises(InputError, match="LPIPS needs 32 pixels a side; the image is 64x31"):
        measure(a[:31], b[:31], ["lpips"])


def test_lpips_keeps_the_features_of_references_within_bounds(
    weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    network = lpips._network("cpu")
    sr, hr = pair(48, 64, seed=0, channels=3, n=3)
    with torch.inference_mode():
        package = network(sr.float() / 127.5 - 1.0, hr.float() / 127.5 - 1.0).double().flatten()
    seen: list[int] = []
    hook = network.net.register_forward_pre_hook(lambda module, inputs: seen.append(1))
    one = sum(item.nbytes for item in lpips.Distance(network, 0)._features(hr[:1]))
    seen.clear()
    for memory, first, second in ((0, 6, 6), (one, 6, 5), (2 * one + 1, 6, 4), (lpips.KEPT_BYTES, 6, 3)):
        distance = lpips.Distance(network, memory)
        for expected in (first, second):
            torch.testing.assert_close(distance(sr, hr), package, rtol=0, atol=1e-6)
            assert len(seen) == expected
            seen.clear()
        assert sum(item.nbytes for kept in distance.kept.values() for item in kept) <= memory
    assert distance(hr, hr).tolist() == [0.0] * 3
    assert distance(sr, sr.flip(-1)).tolist() != distance(sr, sr).tolist()
    hook.remove()


def test_lpips_by_squeezenet_of_torchmetrics(weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.1008 in the documentation of torchmetrics' functional LPIPS, of random images by seed 123."""
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(weights_folder))
    random = torch.Generator().manual_seed(123)
    pictures = [torch.rand(10, 3, 100, 100, generator=random) * 2 - 1 for _ in range(2)]
    distance = lpips.Distance(lpips._network("cpu", lpips.SQUEEZENET), 0)
    assert float(distance(*((image + 1) * 127.5 for image in pictures)).mean()) == pytest.approx(0.1008, abs=5e-5)


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning", "ignore:Arguments other than:UserWarning")
def test_lpips_by_vgg16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photograph: Photograph) -> None:
    """Made-up weights in torchvision's spelling give what the package makes of them; a file of another sha256 does
    not count as torchvision's."""
    from lpips import LPIPS

    package = LPIPS(net="vgg", pnet_rand=True, verbose=False)
    names = {name: "features." + name.split(".", 1)[1] for name in package.net.state_dict()}
    weights = {names[name]: value for name, value in package.net.state_dict().items()}
    path = tmp_path / lpips.VGG16.whole.filename
    torch.save(weights | {"classifier.0.bias": torch.zeros(3)}, path)
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(lpips, "_network", lpips._network.__wrapped__)
    a, b = photograph(40, 48), photograph(40, 48, seed=1)
    with pytest.raises(InputError, match=r"vgg16-397923af\.pth: sha256 [0-9a-f]{12}…, expected 397923af8e79…"):
        measure(a, b, ["lpips_vgg"])
    known = replace(lpips.VGG16, whole=replace(lpips.VGG16.whole, sha256=digest(path)))
    distance = lpips._load(known, resolve("lpips@vgg").convention, torch.device("cpu"))
    sr, hr = (torch.from_numpy(image).permute(2, 0, 1)[None].double() for image in (a, b))
    with torch.inference_mode():
        expected = package(sr.float() / 127.5 - 1, hr.float() / 127.5 - 1)
    assert float(distance(sr, hr)) == pytest.approx(float(expected), rel=1e-5)
    assert lpips.network_digest(package, lpips.VGG16.parts) == lpips.VGG16.usual


@pytest.mark.filterwarnings("ignore:The parameter 'pretrained':UserWarning", "ignore:Arguments other than:UserWarning")
def test_each_trunk_takes_the_smallest_image_that_its_strides_leave_something_of() -> None:
    from lpips import LPIPS

    for trunk in (lpips.ALEXNET, lpips.SQUEEZENET, lpips.VGG16):
        distance = lpips.Distance(LPIPS(net=trunk.net, pnet_rand=True, verbose=False).eval(), 0, trunk.smallest)
        image = torch.rand(1, 3, trunk.smallest, trunk.smallest) * 255
        assert float(distance(image, image.flip(-1))) > 0
        with pytest.raises(InputError, match=f"LPIPS needs {trunk.smallest} pixels"):
            distance(image[..., 1:, :], image[..., 1:, :])


def test_lpips_without_weights_says_what_helps(monkeypatch: pytest.MonkeyPatch, photograph: Photograph) -> None:
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    monkeypatch.setattr("srbench.metrics.lpips._network", resolve_uncached())
    image = photograph(40, 40)
    with pytest.raises(UnavailableError, match=r"offline mode forbids.*\n?.*SRBENCH_WEIGHTS"):
        measure(image, image, ["lpips"])


def resolve_uncached() -> Callable[[str], torch.nn.Module]:
    return lpips._network.__wrapped__


def test_names_and_conventions() -> None:
    assert resolve("psnr_y").convention.name == "matlab"
    assert resolve("psnr_y@basicsr").label == "PSNR-Y@basicsr"
    with pytest.raises(UsageError, match="unknown metric 'psnr_z'. Did you mean psnr_y"):
        resolve("psnr_z")
    for typed in ("PSNR", "psnr"):
        with pytest.raises(UsageError, match=r"Did you mean psnr_y or psnr_rgb\?"):  # and not lr_psnr
            resolve(typed)
    for typed in ("LPIPS", "lpips-alex", "lpips_alex", "LPIPS@Alex"):
        assert resolve(typed).name == "lpips"
    with pytest.raises(UsageError, match="unknown convention 'basicr'. Did you mean basicsr"):
        resolve("psnr_y@basicr")
    with pytest.raises(UsageError, match="convention 'rgb' has no channel 'y'"):
        resolve("psnr_y@rgb")


def test_measure_checks_its_input(photograph: Photograph) -> None:
    image = photograph(40, 44)
    with pytest.raises(InputError, match=r"SR is float64, expected uint8"):
        measure(image / 255.0, image)
    with pytest.raises(InputError, match="SR is 20x20 but HR is 44x40"):
        measure(image[:20, :20], image)
    with pytest.raises(InputError, match=r"HR has shape \(40, 44, 4\)"):
        measure(image, np.zeros((40, 44, 4), np.uint8))


def test_measure_crops_hr_to_a_multiple_of_the_scale(photograph: Photograph) -> None:
    hr = photograph(43, 47)
    sr = photograph(40, 44, seed=3)
    assert measure(sr, hr) == measure(torch.from_numpy(sr), hr[:40, :44])


def test_lr_psnr_is_that_of_what_was_degraded_again(photograph: Callable[..., np.ndarray]) -> None:
    from srbench.images.degrade import degrade

    sr, hr = photograph(40, 60), photograph(40, 60, seed=1)
    difference = degrade(sr, 4).astype(float) - degrade(hr, 4)
    expected = 10 * np.log10(255**2 / (difference**2).mean())
    assert measure(sr, hr, ["lr_psnr"])["lr_psnr"] == pytest.approx(expected, abs=1e-9)
    shift = sr.astype(float).mean(axis=(0, 1)) - hr.mean(axis=(0, 1))
    names = ["shift_red", "shift_green", "shift_blue"]
    assert list(measure(sr, hr, names).values()) == pytest.approx(shift.tolist(), abs=1e-9)
    assert measure(hr[..., 0], hr[..., 0], ["lr_psnr"])["lr_psnr"] == math.inf
    for degradation, why in (
        ("files", "how those files were made is not known"),
        ("dn@7", "it draws random numbers"),
        ("second-order", "it draws random numbers"),
        ("matlab-y", "its LR is not rounded"),
    ):
        told = Scorer(["lr_psnr"], "cpu", degradation).unavailable["lr_psnr"]
        assert f"cannot be degraded again by {degradation!r}: {why}" in told
