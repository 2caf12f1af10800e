from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srbench.analysis.claims import Claim, parse_value, read_claims
from srbench.analysis.explain import Explanation, Reading, Subject, matrix, metric_meant
from srbench.analysis.explain import explain as explain_claim
from srbench.analysis.mistakes import MISTAKES, with_mistake, with_next
from srbench.base.errors import InputError
from srbench.cli import main
from srbench.images.files import write_image
from srbench.images.tensors import image_tensor
from srbench.metrics.conventions import quantise
from srbench.metrics.scorer import Scorer

CLAIM = '[[claim]]\nmodel = "bicubic"\ndataset = "{folder}"\nscale = 4\nvalue = "{value}"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two small pictures, one of them grey."""
    random = np.random.default_rng(0)
    for name, channels in (("colour", 3), ("grey", 1)):
        coarse = random.uniform(0, 255, (12, 12, channels)).repeat(6, axis=0).repeat(6, axis=1)
        write_image(tmp_path / "pictures" / f"{name}.png", coarse.round().astype(np.uint8).squeeze())
    return tmp_path / "pictures"


def explain(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    status = main(["explain", *map(str, words), "--device", "cpu"])
    return status, "".join(capsys.readouterr())


def test_matrix_holds_every_convention_once(folder: Path) -> None:
    readings = matrix(Subject("bicubic", str(folder)), ["matlab"], ["psnr"])
    names = [
        (reading.metric, name)
        for reading in readings
        if not reading.mistake
        for name in (reading.convention, *reading.aliases)
    ]
    assert len(set(names)) == len(names)
    honest = [reading for reading in readings if not reading.mistake]
    psnr_y = {reading.convention: reading.value for reading in honest if reading.metric == "psnr_y"}
    assert {"matlab", "basicsr", "nocrop", "full-swing", "grey-as-rgb"} <= set(psnr_y)
    assert psnr_y["full-swing"] < psnr_y["matlab"] < psnr_y["grey-as-rgb"]


def test_saved_images_give_the_same_as_the_model(folder: Path, tmp_path: Path) -> None:
    arguments = ["--models", "bicubic", "--datasets", str(folder), "--metrics", "psnr_y", "--no-speed"]
    assert main(["run", *arguments, "--save-images", "--out", str(tmp_path / "results")]) == 0
    computed = matrix(Subject("bicubic", str(folder)), ["matlab"])
    subject = Subject("bicubic", "pictures", results=tmp_path / "results")
    told = explain_claim(Claim("bicubic", "pictures", 4, "0"), subject)
    assert len(told.readings) == len(set(told.readings))  # saved images are of one degradation, whatever is tried
    saved = matrix(Subject("bicubic", "pictures", results=tmp_path / "results"), [])
    assert [(one.name, one.text) for one in saved] == [(one.name, one.text) for one in computed]
    assert main(["run", *arguments, "--out", str(tmp_path / "unsaved")]) == 0
    with pytest.raises(InputError, match="no saved image"):
        matrix(Subject("bicubic", "pictures", results=tmp_path / "unsaved"), [])
    with pytest.raises(InputError, match="no run of lanczos"):
        matrix(Subject("lanczos", "pictures", results=tmp_path / "results"), [])


def test_claims_are_explained_or_not(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reading = matrix(Subject("bicubic", str(folder)), ["matlab"], ["psnr"])[1]
    path = tmp_path / "claims.toml"
    path.write_text(CLAIM.format(folder=folder, value=f"{reading.value:.2f}"))
    assert main(["claims", str(path), "--device", "cpu"]) == 0
    assert f"PSNR-Y under basicsr with LR by matlab ({reading.value:.3f}" in capsys.readouterr().out
    path.write_text(CLAIM.format(folder=folder, value=f"{reading.value:.2f}") + 'metric = "psnr_rgb"\n')
    assert main(["claims", str(path), "--device", "cpu"]) == 0
    assert ". PSNR-RGB under rgb is " in capsys.readouterr().out
    path.write_text(CLAIM.format(folder=folder, value="99.99") + CLAIM.format(folder="nowhere", value="28.42"))
    assert main(["claims", str(path), "--device", "cpu"]) == 1
    out = capsys.readouterr().out
    assert "1 unexplained, 1 not checked" in out and "every claim" not in out
    assert "No convention gives 99.99. Nearest: PSNR-" in out and "cannot be checked: unknown data set" in out
    path.write_text(
        CLAIM.format(folder=folder, value=f"{reading.value:.2f}") + CLAIM.format(folder="no", value="28.42")
    )
    assert main(["claims", str(path), "--device", "cpu"]) == 1
    assert capsys.readouterr().out.endswith("\n1 not checked\n")
    for nothing in (CLAIM.format(folder="nowhere", value="28.42"), "claim = []\n"):
        path.write_text(nothing)
        assert main(["claims", str(path), "--device", "cpu"]) == 2
        assert "could be checked" in capsys.readouterr().err


def test_a_metric_is_meant_as_it_is_typed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A claim of PSNR-RGB was held against PSNR-Y where its name was written as tables print it."""
    for typed in ("psnr_rgb", "PSNR-RGB", "psnr-rgb@RGB"):
        claim = Claim("bicubic", str(folder), 4, "99.99", typed)
        assert explain_claim(claim, Subject("bicubic", str(folder)), ["matlab"]).usual.metric == "psnr_rgb"
    (tmp_path / "claims.toml").write_text(CLAIM.format(folder=folder, value="99.99") + 'metric = "PSNR-RGB"\n')
    assert main(["claims", str(tmp_path / "claims.toml"), "--device", "cpu"]) == 1
    assert ". PSNR-RGB under rgb is " in capsys.readouterr().out
    assert [metric_meant(typed) for typed in ("", "PSNR", "ssim", "SSIM-Y")] == ["", "psnr", "ssim", "ssim_y"]
    for typed in ("lpips-alex", "lr_psnr", "psnr_b", "psnr_y@basic"):
        assert explain(capsys, 28, "--dataset", folder, "--metric", typed)[0] == 2


def test_a_scale_that_a_model_lacks_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "30", "--model", "srresnet", "--scale", "3", "--dataset", str(folder)]) == 2
    assert "srresnet has no x3: it is made for --scale 4" in capsys.readouterr().err


def test_an_ssim_in_percent_is_told_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, told = explain(capsys, "81.01", "--metric", "ssim_y", "--dataset", folder, "--degradation", "matlab")
    assert status == 1 and told.endswith("SSIM is at most 1 here: try 0.8101.\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[claim]]\nmodel = 'a'\n", "missing required field `dataset` - at `\\$.claim.0."),
        (CLAIM.format(folder="a", value="28.42") + "vaule = 3\n", "unknown field `vaule`"),
        (CLAIM.format(folder="a", value="28.4?"), "not a number"),
        ("claim", "not a list of claims"),
        ("[other]", "not a list of claims"),
    ],
)
def test_a_wrong_claims_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_claims(path)


def test_values_keep_their_decimals() -> None:
    assert parse_value("26.70") == (26.7, 2)
    assert parse_value(".8104") == (0.8104, 4)
    assert parse_value(28) == (28.0, 0)
    for text in ("", "inf", "1e3", "nan", "28,42", "2²", "٣.٥"):
        with pytest.raises(InputError):
            parse_value(text)
    for text, told in (("71.30%", r"0\.7130"), ("71%", r"0\.71")):
        with pytest.raises(InputError, match=f"{text}' is in per cent; write {told}$"):
            parse_value(text)


def test_bad_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = ("--model", "bicubic", "--dataset", folder)
    assert explain(capsys, *about)[0] == 2
    assert explain(capsys, "high", *about)[0] == 2
    assert explain(capsys, "28.42", *about, "--metric", "lpips")[0] == 2


@pytest.mark.data
@pytest.mark.parametrize(
    ("value", "dataset", "degradation", "name"),
    [
        ("28.42", "Set5", "matlab", "28.42 is PSNR-Y under matlab"),
        ("28.43", "Set5", "matlab", "28.43 is PSNR-Y under basicsr"),
        ("26.70", "Set5", "matlab", "26.70 is PSNR-RGB under nocrop (26.699"),
        ("0.8104", "Set5", "", "0.8104 is SSIM-Y under matlab with LR by matlab-y (0.8104"),
        ("24.87", "Set5", "matlab", "a mistake: BGR taken for RGB (24.867"),
        ("26.09", "Set14", "matlab-legacy", "PSNR-Y under grey-as-rgb with LR by matlab-legacy (26.087"),
    ],
)
def test_published_bicubic_figures_are_named(
    data_root: Path, capsys: pytest.CaptureFixture[str], value: str, dataset: str, degradation: str, name: str
) -> None:
    options = ("--model", "bicubic", "--dataset", dataset, "--data-root", data_root)
    options += ("--degradation", degradation) if degradation else ()
    status, out = explain(capsys, value, *options)
    assert status == 0 and name in out


@pytest.mark.data
def test_every_explanation_is_named_and_the_published_one_first(
    data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = explain(capsys, "30.39", "--scale", 3, "--data-root", data_root)
    assert status == 0 and out.startswith(
        "30.39 is PSNR-Y under matlab with LR by matlab-y (30.392, +0.002), by matlab (30.385, -0.005), by matlab-"
    )
    assert "; PSNR-Y under nocrop with LR by matlab (30.389" in out


def test_of_many_explanations_five_are_named() -> None:
    names = ("matlab", "basicsr", "edsr-pytorch", "nocrop", "skimage-default", "unrounded", "grey-as-rgb")
    readings = [Reading("psnr_y", name, "matlab", 28.1) for name in names]
    told = Explanation(Claim("bicubic", "Set5", 4, "28"), readings).sentences
    assert told.count("PSNR-Y under ") == 5 and told.endswith("; and 2 conventions more, see --matrix.")


@pytest.mark.data
@pytest.mark.parametrize(
    ("value", "mistake"),
    [
        ("16.0", "PSNR-Y under full-swing by a mistake: SR in 0..1 read as -1..1, with a peak of 2 (15.993"),
        ("12.29", "PSNR-Y under matlab by a mistake: SR in -1..1 read as 0..1 (12.294"),
        ("5.49", "PSNR-Y under unrounded by a mistake: SR in -1..1 against HR in 0..1, not clipped (5.487"),
        ("22.40", "PSNR-Y under matlab by a mistake: a peak of 1, as of values in 0..1, for values in -1..1 (22.396"),
        ("76.55", "PSNR-Y under matlab by a mistake: a peak of 255 for values in 0..1 (76.547"),
    ],
)
def test_mistakes_of_range_and_peak_are_named(
    data_root: Path, capsys: pytest.CaptureFixture[str], value: str, mistake: str
) -> None:
    status, out = explain(capsys, value, "--degradation", "matlab", "--data-root", data_root)
    assert status == 0 and mistake in out


def test_what_is_not_clipped_is_scored_as_in_floats() -> None:
    """Against PSNRs by numpy of values that a convention would clip."""
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    sr, hr = image_tensor(image, "cpu"), image[::-1].copy()
    x, y = image[4:-4, 4:-4] / 255, hr[4:-4, 4:-4] / 255
    by_hand = {
        "SR in -1..1 against HR in 0..1, not clipped": (2 * x - 1 - y, 1),
        "SR in 0..1 against HR in -1..1, not clipped": (x - (2 * y - 1), 1),
        "SR in 0..1 read as -1..1, with a peak of 2": ((x + 1) / 2 - y, 2),
        "SR in -1..1 read as 0..1, with a peak of 2": (np.clip(2 * x - 1, 0, 1) - y, 2),
        "a peak of 2, as of values in -1..1, for values in 0..1": (x - y, 2),
        "a peak of 1, as of values in 0..1, for values in -1..1": (2 * x - 2 * y, 1),
        "a peak of 255 for values in 0..1": (x - y, 255),
    }
    known = {mistake.summary: mistake for mistake in MISTAKES}
    for summary, (error, peak) in by_hand.items():
        spoilt, against = with_mistake(known[summary], sr, hr, hr)
        name = "psnr_rgb@unrounded" if known[summary].error else "psnr_rgb"
        found = Scorer([name])(spoilt, against, 4)[name] + known[summary].decibels
        assert found == pytest.approx(10 * np.log10(peak**2 / np.mean(error**2)), abs=0.01), summary


@pytest.mark.data
def test_a_number_alone_is_bicubic_on_set5(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = explain(capsys, "33.66", "--scale", 2, "--data-root", data_root)
    assert status == 0 and out.startswith("33.66 is PSNR-Y under matlab with LR by matlab-y (33.661")


@pytest.mark.data
def test_a_claim_is_explained_by_the_digits_that_were_printed_or_not_at_all(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """28.39 lies 0.026 dB from a reading: as near as tables of different authors are, and not explained."""
    path = tmp_path / "claims.toml"
    for value in ("28.39", "26.73"):
        path.write_text(CLAIM.format(folder="Set5", value=value))
        assert main(["claims", str(path), "--device", "cpu", "--data-root", str(data_root)]) == 1
        out = capsys.readouterr().out
        assert f"No convention gives {value}." in out and out.endswith("1 unexplained\n")


def test_mistakes_are_scored_as_they_are_made() -> None:
    """Against scores of arrays spoilt by hand: numpy, no code of the package but the metric."""
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (20, 24 - 4 * index, 3), dtype=np.uint8) for index in range(2)]
    pairs = [(image_tensor(image, "cpu"), image[::-1].copy()) for image in images]
    (sr, hr, next_hr), (last, _, first_hr) = with_next(pairs)
    assert hr is pairs[0][1] and next_hr is pairs[1][1] and first_hr is pairs[0][1] and last is pairs[1][0]
    x = images[0]
    expected = {
        "SR in -1..1 read as 0..1": np.clip(2.0 * x - 255.0, 0, 255),
        "SR in 0..1 read as -1..1": np.floor((x + 255.0) / 2.0 + 0.5),
        "BGR taken for RGB": x[..., ::-1],
        "SR one pixel to the right": np.roll(x, 1, 1),
        "SR one pixel to the left": np.roll(x, -1, 1),
        "SR one pixel down": np.roll(x, 1, 0),
        "SR one pixel up": np.roll(x, -1, 0),
        "SR one pixel to the right and up": np.roll(x, (-1, 1), (0, 1)),
        "SR one pixel to the left and down": np.roll(x, (1, -1), (0, 1)),
        "SR one pixel to the left and up": np.roll(x, (-1, -1), (0, 1)),
        "SR one pixel to the right and down": np.roll(x, (1, 1), (0, 1)),
    }
    assert expected.keys() <= {mistake.summary for mistake in MISTAKES}
    for mistake in MISTAKES:
        if mistake.summary in expected:
            spoilt, against = with_mistake(mistake, sr, hr, next_hr)
            assert against is hr
            by_hand = image_tensor(expected[mistake.summary].astype(np.uint8), "cpu")
            allowed = int("read as -1..1" in mistake.summary)  # ties, which floats may put on either side
            assert (quantise(spoilt).int() - by_hand.int()).abs().max() <= allowed, mistake.summary
    (misplaced,) = (mistake for mistake in MISTAKES if mistake.misplaced)
    spoilt, against = with_mistake(misplaced, sr, hr, next_hr)
    assert spoilt.shape[-2:] == against.shape[:2] == (20, 20)
    (grey,) = (
        with_mistake(mistake, sr[:, :1], hr[..., 0], next_hr)[0] for mistake in MISTAKES if "75" in mistake.summary
    )
    assert grey.shape == (1, 1, 20, 24)
