from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srbench.analysis.claims import parse_value, read_claims
from srbench.analysis.explain import Subject, matrix
from srbench.base.errors import InputError
from srbench.cli import main
from srbench.images.files import write_image

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
    names = [(reading.metric, name) for reading in readings for name in (reading.convention, *reading.aliases)]
    assert len(set(names)) == len(names)
    psnr_y = {reading.convention: reading.value for reading in readings if reading.metric == "psnr_y"}
    assert {"matlab", "basicsr", "nocrop", "full-swing", "grey-as-rgb"} <= set(psnr_y)
    assert psnr_y["full-swing"] < psnr_y["matlab"] < psnr_y["grey-as-rgb"]


def test_saved_images_give_the_same_as_the_model(folder: Path, tmp_path: Path) -> None:
    arguments = ["--models", "bicubic", "--datasets", str(folder), "--metrics", "psnr_y", "--no-speed"]
    assert main(["run", *arguments, "--save-images", "--out", str(tmp_path / "results")]) == 0
    computed = matrix(Subject("bicubic", str(folder)), ["matlab"])
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
    assert f"PSNR-Y under basicsr ({reading.value:.3f}" in capsys.readouterr().out
    path.write_text(CLAIM.format(folder=folder, value=f"{reading.value:.2f}") + 'metric = "psnr_rgb"\n')
    assert main(["claims", str(path), "--device", "cpu"]) == 0
    assert ". PSNR-RGB under rgb is " in capsys.readouterr().out
    path.write_text(CLAIM.format(folder=folder, value="99.99") + CLAIM.format(folder="nowhere", value="28.42"))
    assert main(["claims", str(path), "--device", "cpu"]) == 1
    out = capsys.readouterr().out
    assert "No convention gives 99.99. Nearest: PSNR-" in out and "cannot be checked: unknown data set" in out


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
    for text in ("", "inf", "1e3", "nan", "28,42"):
        with pytest.raises(InputError):
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
        ("26.70", "Set5", "matlab", "Close to 26.70: PSNR-RGB under rgb"),
        ("26.09", "Set14", "matlab-legacy", "26.09 is PSNR-Y under grey-as-rgb"),
    ],
)
def test_published_bicubic_figures_are_named(
    data_root: Path, capsys: pytest.CaptureFixture[str], value: str, dataset: str, degradation: str, name: str
) -> None:
    options = ("--model", "bicubic", "--dataset", dataset, "--degradation", degradation, "--data-root", data_root)
    status, out = explain(capsys, value, *options)
    assert status == 0 and name in out
