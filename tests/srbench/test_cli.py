"""Measure, degrade, speed and list, as a user types them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.shell_completion import ShellComplete

from srbench.base.registry import entries
from srbench.base.threads import VARIABLES
from srbench.cli import BUILT_IN, cli
from srbench.datasets import list_datasets
from srbench.images.degrade import degrade
from srbench.images.files import read_image, write_image
from srbench.results.store import load_results
from tests.conftest import Srbench
from tests.test_packaging import PACKAGES, ROOT


def test_every_command_has_help(srbench: Srbench) -> None:
    import click

    with click.Context(cli) as context:
        names = cli.list_commands(context)
    assert names[: len(BUILT_IN)] == list(BUILT_IN)
    for name in names:
        assert srbench(name, "--help") == 0
        assert srbench.out.startswith(f"Usage: srbench {name}")


def test_unknown_command(srbench: Srbench) -> None:
    assert srbench("mesure") == 2
    assert srbench.err == "srbench: unknown command 'mesure'. Did you mean measure? See: srbench --help\n"


@pytest.mark.parametrize("words", [(), ("data",)])
def test_a_group_without_a_command_shows_its_help(srbench: Srbench, words: tuple[str, ...]) -> None:
    assert srbench(*words) == 0
    assert srbench.out.startswith(f"{' '.join(('Usage: srbench', *words))} [OPTIONS] ")
    assert srbench.err == ""


def test_measure_two_images(srbench: Srbench, folder: Path) -> None:
    image = folder / "HR" / "a.png"
    assert srbench("measure", image, image, "--format", "json") == 0
    assert json.loads(srbench.out) == {"image": "a", "psnr_y": "inf", "ssim_y": 1.0}
    assert srbench("measure", image, image) == 0
    assert re.search(r"a +inf +1\.0000", srbench.out)


def test_columns_have_the_names_of_metrics_however_typed(srbench: Srbench, folder: Path) -> None:
    """A column of PSNR-Y was empty: its scores go by psnr_y."""
    hr = next((folder / "HR").iterdir())
    assert srbench("measure", hr, hr, "--metrics", "PSNR-Y,psnr_y@BasicSR,psnr_y", "--format", "csv") == 0, srbench.err
    assert srbench.out.splitlines() == ["image,psnr_y,psnr_y@basicsr", f"{hr.stem},inf,inf"]


def test_measure_two_folders(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    for path in (folder / "HR").iterdir():
        hr = read_image(path)
        write_image(tmp_path / "sr" / f"{path.stem}_x4.png", hr // 2 + 60)
    assert srbench("measure", tmp_path / "sr", folder / "HR", "--metrics", "psnr_y,psnr_rgb", "--format", "json") == 0
    document = json.loads(srbench.out)
    values = [image["psnr_y"] for image in document["images"]]
    assert document["n"] == len(values) == 3
    assert document["psnr_y"] == pytest.approx(np.mean(values))
    assert srbench("measure", tmp_path / "sr", folder / "HR", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(srbench.out)))
    assert [row["image"] for row in rows] == ["a", "b", "c"]
    assert [float(row["psnr_y"]) for row in rows] == values
    assert srbench("measure", tmp_path / "sr", folder / "HR") == 0
    assert "mean" in srbench.out


@pytest.mark.parametrize(("where", "cropped"), [("x2/net", 2), ("X2", 2), ("sr", 4), ("x2/X3", 4)])
def test_measure_crops_by_the_scale_that_a_folder_tells(
    srbench: Srbench, folder: Path, tmp_path: Path, where: str, cropped: int
) -> None:
    sr = tmp_path / where
    shutil.copytree(folder / "HR", sr)
    for path in sr.iterdir():
        pixels = read_image(path).copy()
        pixels[:3] = 255 - pixels[:3]  # within a border of 4 pixels, and not of 2
        write_image(path, pixels)
    assert srbench("measure", sr, folder / "HR", "--metrics", "psnr_y", "--format", "json") == 0
    assert (json.loads(srbench.out)["psnr_y"] == "inf") is (cropped == 4)
    assert ("no scale told" in srbench.err) is (cropped == 4)


@pytest.mark.parametrize(
    ("made", "image", "told"),
    [
        ("fox2", "fox2", False), ("fox2_SwinIR", "fox2", False), ("fox4_x2", "fox4", True), ("babyx2", "baby", True),
        ("img_SRF_2_HR", "img_SRF_2_HR", True), ("img_SRF_2_SR", "img_SRF_2_HR", True),
    ],
)  # fmt: skip
def test_measure_takes_no_scale_from_the_name_that_the_image_has_itself(
    srbench: Srbench, folder: Path, tmp_path: Path, made: str, image: str, told: bool
) -> None:
    pixels = read_image(folder / "HR" / "a.png")
    write_image(tmp_path / "hr" / f"{image}.png", pixels)
    changed = pixels.copy()
    changed[:3] = 255 - changed[:3]  # within a border of 4 pixels, and not of 2
    write_image(tmp_path / "sr" / f"{made}.png", changed)
    assert srbench("measure", tmp_path / "sr", tmp_path / "hr", "--metrics", "psnr_y", "--format", "json") == 0
    assert (json.loads(srbench.out)["psnr_y"] != "inf") is told
    assert ("no scale told" in srbench.err) is not told


def test_measure_scores_what_it_can(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    hr, sr = folder / "HR", tmp_path / "sr"
    write_image(sr / "a_x4.png", read_image(hr / "a.png"))
    write_image(sr / "b_x4.png", read_image(hr / "b.png")[:20])
    write_image(sr / "stranger.png", read_image(hr / "a.png"))
    assert srbench("measure", sr, hr, "--format", "csv") == 1
    assert [row["image"] for row in csv.DictReader(io.StringIO(srbench.out))] == ["a"]
    assert "not scored: HR without SR: c (1)" in srbench.err
    assert "not scored: SR without HR: stranger.png (1)" in srbench.err
    assert f"not scored: {sr / 'b_x4.png'} and {hr / 'b.png'}: SR is 45x20" in srbench.err
    (sr / "a_x4.png").write_bytes(b"")
    assert srbench("measure", sr, hr) == 2
    assert "a_x4.png: not an image that srbench reads" in srbench.err and "(2 such pairs)" in srbench.err


def test_measure_takes_none_of_two(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    hr, sr = folder / "HR", tmp_path / "sr"
    for path in hr.iterdir():
        for suffix, shift in (("", 90), ("_x4_net", 0)):
            write_image(sr / f"{path.stem}{suffix}.png", np.roll(read_image(path), shift, axis=0))
    assert srbench("measure", sr, hr) == 2
    assert "2 files belong to a: a.png, a_x4_net.png. Say which: --suffix '' or --suffix _x4_net" in srbench.err
    assert srbench("measure", sr, hr, "--suffix", "_x4_net", "--metrics", "psnr_y", "--format", "json") == 0
    assert json.loads(srbench.out)["psnr_y"] == "inf"
    assert srbench("measure", sr, hr, "--suffix", "", "--metrics", "psnr_y", "--format", "json") == 0
    assert json.loads(srbench.out)["psnr_y"] < 20
    assert srbench("measure", sr, hr, "--suffix", "_no") == 2
    assert "With --suffix '_no' only a_no would" in srbench.err


def test_measure_refuses_what_does_not_pair(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    hr = folder / "HR"
    write_image(tmp_path / "sr" / "a.png", read_image(hr / "a.png"))
    (tmp_path / "sr" / "a.png").rename(tmp_path / "sr" / "other.png")
    assert srbench("measure", tmp_path / "sr", hr) == 2
    assert "other.png is there, a.png wanted. A file belongs to the image whose name it has" in srbench.err
    assert srbench("measure", hr / "a.png", hr) == 2
    assert "one is a folder, the other is not" in srbench.err
    assert srbench("measure", hr / "a.png", hr / "b.png") == 2
    assert "SR is 50x41 but HR is 45x48; they must be of one size" in srbench.err
    assert srbench("measure", hr / "a.png", hr / "nowhere.png") == 2
    assert "does not exist" in srbench.err


def test_degrade_an_image_and_a_folder(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    hr = read_image(folder / "HR" / "a.png")
    assert srbench("degrade", folder / "HR" / "a.png", tmp_path / "a.png", "--scale", "2") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), degrade(hr, 2))
    assert srbench("degrade", folder / "HR", tmp_path / "lr", "--degradation", "matlab-legacy") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "lr" / "a.png"), degrade(hr, 4, "matlab-legacy"))
    assert sorted(path.name for path in (tmp_path / "lr").iterdir()) == ["a.png", "b.png", "c.png"]
    assert srbench("degrade", folder / "HR" / "a.png", tmp_path / "a.jpg") == 2
    assert "LR must be stored without loss; write a.png" in srbench.err
    assert srbench("degrade", tmp_path / "lr", tmp_path / "x", "--degradation", "area") == 2
    assert "unknown degradation 'area'" in srbench.err


def test_speed_over_sizes(srbench: Srbench, tmp_path: Path) -> None:
    sizes = ["--sizes", "20x10,30x30", "--budget", "0", "--out", tmp_path]
    assert srbench("speed", "--models", "nearest,bicubic", *sizes) == 0
    assert re.search(r"nearest +eager +20x10 .* 5\n", srbench.out)
    assert re.search(r"bicubic +eager +30x30 .* 5\n", srbench.out)
    assert srbench("speed", "--sizes", "20*10") == 2
    assert "write a size as WIDTHxHEIGHT, not '20*10'" in srbench.err


def test_lists(srbench: Srbench) -> None:
    for what, line in {
        "models": "bicubic",
        "metrics": "psnr_y",
        "conventions": "matlab",
        "degradations": "matlab-legacy",
        "datasets": "samples",
    }.items():
        assert srbench("list", what) == 0
        assert any(row.startswith(line) for row in srbench.out.splitlines())


def test_debug_shows_the_traceback(srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert srbench("run", "--models", "no", "--metrics", "psnr_y") == 2
    assert "Traceback" not in srbench.err
    monkeypatch.setenv("SRBENCH_DEBUG", "")  # so that it is restored after this test
    assert srbench("run", "--models", "no", "--metrics", "psnr_y", "--debug") == 2
    assert "Traceback" in srbench.err


FACTORY = """
import torch

def make(scale):
    return torch.nn.Upsample(scale_factor=scale)

class Other(torch.nn.Module):
    pass
"""


def few(*words: object) -> tuple[object, ...]:
    return (*words, "--datasets", "samples", "--limit", "1", "--metrics", "psnr_y", "--no-speed")


def test_names_as_people_type_them(srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "typednet.py").write_text(FACTORY)
    for number, words in enumerate(
        [
            ("run", "bicubic"),
            ("run", "BiCubic", "--scale", "x4"),
            ("run", "bicubic,nearest", "lanczos", "--scale", "×2"),
            ("run", "--model", "bicubic", "--metric", "PSNR-Y"),
            ("run", "--model=bicubic", "--scales", "2x"),
            ("run", "code/typednet.py:make"),
            ("run", "code/typednet.py", "--scale", "2"),
            ("run", "--models", "bicubic", "nearest"),
        ]
    ):
        assert srbench(*few(*words), "--out", tmp_path / str(number)) == 0, (words, srbench.err)
        assert "PSNR-Y" in srbench.out
    assert (tmp_path / "5" / "samples" / "x4" / "typednet.make.json").is_file()
    assert {path.stem for path in (tmp_path / "7" / "samples" / "x4").glob("*.json")} == {"bicubic", "nearest"}


def test_results_know_names_as_people_type_them(
    srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model by the reference that a run was given, and every name in any case, in each command that reads results."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "shown_net.py").write_text(FACTORY)
    (tmp_path / "Mini" / "HR").mkdir(parents=True)
    write_image(tmp_path / "Mini" / "HR" / "baby.png", np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8))
    words = (
        "code/shown_net.py",
        "bicubic",
        "best=lanczos",
        "nearest+bicubic",
        "--save-images",
        "--no-speed",
        "--out",
        "r",
    )
    metrics = ("--metrics", "psnr_y", "--metrics", "PSNR-Y@BasicSR")
    assert srbench("run", *words, "--datasets", "Mini", *metrics) == 0, srbench.err
    results = load_results("r")
    assert results.metrics == ("psnr_y", "psnr_y@basicsr")
    assert srbench("figure", "r", "--image", "BABY.PNG", "--models", "bicubic", "-o", "by-file.png") == 0, srbench.err
    (tmp_path / "code" / "shown_net.v2.py").write_text(FACTORY)
    assert srbench("run", "code/shown_net.v2.py", *words[4:], "--datasets", "Mini", *metrics) == 0, srbench.err
    assert srbench("compare", "r", "--models", "code/shown_net.py,code/shown_net.v2.py") == 0, srbench.err
    assert srbench("run", "code/shown_net.v2.py", "bicubic", "--datasets", "Mini", "--no-speed", "--out", "v2") == 0
    assert srbench("compare", "v2", "--models", "code/shown_net.py,bicubic") == 2  # another file's model is not meant
    assert srbench("compare", "v2", "--models", "code/shown_net.v2.py,bicubic") == 0, srbench.err
    for models in ("code/shown_net.py,BiCubic", "best=lanczos Shown-Net.make,Nearest+BICUBIC,code/shown_net.py:make"):
        assert srbench("compare", "r", "--models", models, "--metric", "PSNR-Y@BASICSR") == 0, srbench.err
        asked = ("figure", "r", "--models", models, "--metrics", "PSNR-Y", "--dataset", "mini", "--force")
        assert srbench(*asked, "--image", "BABY", "--crop", "0,0,32,32", "-o", "f.png") == 0, srbench.err
        assert srbench("study", "make", "r", models.replace("/", " "), "--crop", 32, "--models", models) == 0, (
            srbench.err
        )
    told = srbench("explain", "1.0", "r", "--model", "code/shown_net.py", "--dataset", "MINI", "--metric", "PSNR-Y")
    assert (told, srbench.out.startswith("No convention gives 1.0.")) == (1, True), srbench.err + srbench.out
    assert srbench("compare", "r", "--models", "bicubic,shown") == 2
    assert srbench.err.startswith("srbench: unknown model 'shown'. ")


def test_an_option_given_again_adds_up_or_is_refused(
    srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of `--models bicubic --models lanczos` nothing is dropped in silence, and every list takes spaces too."""
    monkeypatch.chdir(tmp_path)
    assert srbench(*few("run", "--models", "bicubic", "--model=lanczos", "--scale", "2", "--scales", "3")) == 0
    assert srbench(*few("run", "nearest bilinear", "--scale", "2 3", "--metric", "psnr_y ssim_y")) == 0, srbench.err
    made = {str(path.relative_to("results/samples")) for path in Path("results").rglob("*.json")}
    assert made == {
        f"x{scale}/{name}.json" for scale in (2, 3) for name in ("bicubic", "lanczos", "nearest", "bilinear")
    }
    for words in (("--format", "md", "--format", "json"), ("--format", "md json")):
        assert srbench("report", "results", *words, "--out", "_".join(words)) == 0
        assert {"report.md", "results.json"} <= {path.name for path in Path("_".join(words)).iterdir()}
    for words in (("--seed", "1", "--seed", "2"), ("--out", "a", "--out", "b")):
        assert srbench("run", "bicubic", *words) == 2
        told = f"{words[0]} takes one value, and is given {words[1]} and {words[3]}"
        assert srbench.err == f"srbench: {told}. See: srbench run --help\n"
    assert srbench(*few("run", "bicubic", "--seed", "0", "--seed", "0", "--save-images", "--no-save-images")) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("train", "srcnn-quick", "--show", "--set", "lr=1e-4", "--set", "lr=2e-4"), "--set lr"),
        (("check", "none", "--tolerance", "psnr_y=1e-4,PSNR-Y=2e-4"), "--tolerance PSNR-Y"),
        (("check", "none", "--tolerance", "psnr=1e-4", "--tolerance", "psnr=2e-4"), "--tolerance psnr"),
    ],
)
def test_a_key_has_one_value(words: tuple[str, ...], told: str, srbench: Srbench) -> None:
    assert srbench(*words) == 2
    assert f"{told} takes one value, and is given " in srbench.err
    srbench(*(word.partition(",")[0].replace("2e-4", "1e-4") for word in words))
    assert "takes one value" not in srbench.err


def test_names_that_hold_spaces_stay_whole(srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my net.py").write_text(FACTORY)
    for folder in ("my set", "root/his set"):
        (tmp_path / folder / "HR").mkdir(parents=True)
        write_image(tmp_path / folder / "HR" / "a.png", np.zeros((24, 24, 3), np.uint8))
    words = ("--datasets", "my set", "--dataset", "his set", "--data-root", "root", "--metrics", "psnr_y", "--no-speed")
    assert srbench("run", "bicubic + nearest", "mine=my net.py", *words) == 0, srbench.err
    made = {str(path.relative_to("results")) for path in Path("results").rglob("*.json")}
    assert made == {
        f"{name}/x4/{model}.json" for name in ("my set", "his set") for model in ("bicubic+nearest", "mine")
    }


def test_a_file_with_several_factories_asks_which(
    srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "severalnets.py").write_text("def one(): ...\ndef two(): ...\n")
    assert srbench(*few("run", "severalnets.py")) == 2
    wanted = "srbench: severalnets.py defines one, two. Say which one makes the model: severalnets.py:one\n"
    assert srbench.err == wanted
    assert srbench(*few("run", "nowhere.py")) == 2
    assert srbench.err == "srbench: nowhere.py: no such file\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "./mynet"), "./mynet: no such model. Did you mean ./mynet.py?"),
        (("run", "mynet"), "mynet: no such model. Did you mean mynet.py?"),
        (("run", "mynett.py"), "mynett.py: no such file. Did you mean mynet.py?"),
        (("run", "./weight.pth"), "weight.pth: no such weights file. Did you mean weights.pth?"),
        (("run", "mynet.py:mke"), "mynet.py has no 'mke'. Did you mean make?"),
        (("run", "mynet.py:other"), "mynet.py has no 'other'. It defines make."),
        (("run", "bicubic", "set5"), "set5 is a data set and no model. srbench run takes it as --datasets set5"),
        (
            ("run", "bicubic", "--metrics", "PSNR-Y", "SSIM-Y"),
            "SSIM-Y is a metric and no model. srbench run takes it "
            "as --metrics SSIM-Y; between several put commas: --metrics A,B",
        ),
        (("run", "--metrics", "lpips", "lpips@vgg"), "lpips@vgg is a metric and no model"),
        (("run", "bicubic", "."), "or, for images, --datasets ."),
        (("run", "--data", "Set5"), "(Did you mean one of: '--data-root', '--datasets'?)"),
        (("list", "modles"), "unknown list 'modles'. Did you mean models? See: srbench list"),
        (("models",), "unknown command 'models'. Did you mean srbench list models?"),
        (("speed", "srresnet", "--scale", 2), "none of srresnet has scale 2"),
    ],
)
def test_near_misses_are_told_what_was_meant(
    words: tuple[object, ...], told: str, srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mynet.py").write_text("def make(): ...\n")
    (tmp_path / "weights.pth").write_bytes(b"")
    assert srbench(*words) == 2
    assert told in srbench.err and len(srbench.err.splitlines()) == 1


def test_a_model_left_out_says_the_scale_that_it_has(
    srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twofold.py").write_text("import torch\ndef make():\n    return torch.nn.Upsample(scale_factor=2)\n")
    (tmp_path / "fourfold.py").write_text("import torch\ndef make():\n    return torch.nn.Upsample(scale_factor=4)\n")
    assert srbench(*few("run", "twofold.py", "bicubic")) == 1
    assert "twofold.make x4: left out: it is made for --scale 2\n" in srbench.err
    assert srbench(*few("run", "twofold.py", "fourfold.py", "--scale", "2,4"), "--out", "both") == 0, srbench.err


def test_one_of_a_kind_lists_the_kind(srbench: Srbench) -> None:
    for word in ("report", "Reports"):
        assert srbench("list", word) == 0 and "html" in srbench.out
    assert srbench("list", "reporter") == 2


def test_list_alone_lists_what_can_be_listed(srbench: Srbench) -> None:
    assert srbench("list") == 0
    for line in srbench.out.splitlines():
        assert re.fullmatch(r"srbench list \w+", line)
    assert "srbench list models" in srbench.out


def test_without_arguments_comes_the_help(srbench: Srbench) -> None:
    for words in ((), ("data",), ("study",)):
        assert srbench(*words) == 0
        assert srbench.out.startswith("Usage: srbench")
        assert srbench.err == ""


@pytest.mark.parametrize(
    ("words", "incomplete", "wanted"),
    [
        (["run", "--models"], "bic", "bicubic"),
        (["run", "--models"], "nearest,bic", "nearest,bicubic"),
        (["run"], "lan", "lanczos"),
        (["run", "--metrics"], "psnr_y,ss", "psnr_y,ssim_y"),
        (["run", "--metrics"], "lpips,psnr_y@ba", "lpips,psnr_y@basicsr"),
        (["compare", "r", "--metric"], "PSNR-RGB@ed", "psnr_rgb@edsr-div2k"),
        (["run", "--models"], "bicubic,SRR", "bicubic,srresnet"),
        (["run", "--datasets"], "set1", "Set14"),
        (["run", "--datasets"], "Set1", "Set14"),
        (["run", "--degradation"], "matlab-l", "matlab-legacy"),
        (["run", "--backend"], "ch", "channels-last"),
        (["upscale", "a.png", "b.png", "--model"], "bic", "bicubic"),
        (["list"], "rec", "recipes"),
        ([], "upsc", "upscale"),
    ],
)
def test_values_complete_in_the_shell(words: list[str], incomplete: str, wanted: str) -> None:
    found = ShellComplete(cli, {}, "srbench", "_SRBENCH_COMPLETE").get_completions(words, incomplete)
    assert wanted in [item.value for item in found]


def every_command(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inside = click.Context(command, info_name=name, parent=context)
        if isinstance(command, click.Group):
            yield from every_command(command, inside)
        else:
            yield inside.command_path, command, inside


def test_each_help_has_two_examples_that_parse() -> None:
    with click.Context(cli, info_name="srbench") as context:
        found = list(every_command(cli, context))
    assert len(found) > 20
    for path, command, inside in found:
        _, _, examples = command.get_help(inside).partition("Examples:\n")
        lines = [line.strip() for line in examples.splitlines() if line.strip()]
        assert len(lines) >= 2, f"{path}: give it two in srbench/cli/examples.py"
        for line in lines:
            assert f"{line} ".startswith(path + " "), line
            try:
                command.make_context(path, shlex.split(line.removeprefix(path)), parent=context)
            except click.ClickException as error:
                assert "does not exist" in error.format_message(), (line, error.format_message())


def test_every_name_in_an_example_is_known() -> None:
    """Sets, models, metrics, backends and recipes; what has a slash or an end is a file or folder of the user's."""
    sets = list_datasets()
    options = {
        **dict.fromkeys(("--data", "--val", "--dataset", "--datasets", "--against"), sets),
        **dict.fromkeys(("--model", "--models"), entries("models")),
        **dict.fromkeys(("--metric", "--metrics"), entries("metrics")),
        "--backend": entries("backends"),
    }
    arguments = {"run": entries("models"), "speed": entries("models"), "export": entries("models"),
                 "train": entries("recipes"), "prepare": sets, "verify": sets}  # fmt: skip
    with click.Context(cli, info_name="srbench") as context:
        found = list(every_command(cli, context))
    seen = 0
    for path, command, inside in found:
        for line in command.get_help(inside).partition("Examples:\n")[2].splitlines():
            words = shlex.split(line.strip().removeprefix(path))
            known = arguments.get(path.split()[-1], ()) if path != "srbench verify" else ()
            for before, word in zip(["", *words], words, strict=False):
                among = options.get(before, () if before.startswith("--") or word.startswith("-") else known)
                names = [name for name in word.split(",") if among and not re.search(r"[/.]", name)]
                assert not {name.partition("@")[0] for name in names} - set(among), line
                seen += len(names)
    assert seen > 30


def test_the_page_has_every_variable_and_status() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))
    code = [path.read_text(encoding="utf-8") for name in PACKAGES for path in (ROOT / name).rglob("*.py")]
    used = {
        name
        for text in code
        for name in re.findall(r"\b(?:SRBENCH_[A-Z_]*[A-Z]|NUMBA_CACHE_DIR|OMP_NUM_THREADS)\b", text)
    }
    assert listed == used
    assert re.findall(r"^\| (\d+) \|", page, re.MULTILINE) == ["0", "1", "2", "130"]


def test_after_a_run_comes_the_next_step(srbench: Srbench, tmp_path: Path) -> None:
    assert srbench(*few("run", "bicubic"), "--save-images", "--out", tmp_path / "r") == 0
    last = srbench.err.splitlines()[-1]
    assert last == (
        f"Results: {tmp_path / 'r'}. Next: srbench report {tmp_path / 'r'} --format html,tex, "
        f"or srbench figure {tmp_path / 'r'} --image NAME"
    )
    assert "1 image in " in srbench.err


def test_every_bad_file_is_named_at_once(srbench: Srbench, folder: Path, tmp_path: Path) -> None:
    (folder / "HR" / "b.png").write_bytes(b"not an image")
    (folder / "HR" / "d.png").write_bytes(b"")
    assert srbench("run", "bicubic", "--datasets", folder, "--out", tmp_path / "r") == 2
    lines = srbench.err.splitlines()
    assert lines[0] == "srbench: 2 of 4 images cannot be used:"
    assert [Path(line.partition(":")[0].strip()).name for line in lines[1:]] == ["b.png", "d.png"]


def test_threads_are_kept_with_scores_and_timings(
    srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "1")  # so that what the option sets is undone
    before = torch.get_num_threads()
    words = ["run", "nearest", "--datasets", "samples", "--limit", "1", "--metrics", "psnr_y", "--out", tmp_path / "r"]
    try:
        for threads, timed in ((1, [1]), (1, [1]), (2, [1, 2])):  # other threads: timed too
            assert srbench(*words, "--threads", threads) == 0
            results = load_results(tmp_path / "r")
            assert [row.threads for row in results.speeds] == timed
    finally:
        torch.set_num_threads(before)
    assert results.runs[0].environments[0]["threads"] == 1
    assert "threads" in srbench.out


def test_fp32_is_fp32_whatever_the_libraries_were_told(srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN's own variable lets bf16 stand for fp32 on processors that have it; it is read once, by its first call."""
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    assert srbench("list", "models") == 0
    assert os.environ["ONEDNN_DEFAULT_FPMATH_MODE"] == "STRICT"
