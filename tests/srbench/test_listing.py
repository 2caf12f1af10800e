"""What `srbench list` and `srbench --help` tell somebody who chooses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from srbench.base.assets import Asset
from srbench.cli import BUILT_IN, SECTIONS
from srbench.cli.kinds import KINDS
from srbench.cli.options import srbench_command
from srbench.metrics.metric import Metric
from srbench.models.measured import Measured
from srbench.models.spec import ModelSpec, Upscaler
from tests.conftest import Srbench

Register = Callable[[str, str, object], None]


def unbuilt(scale: int, device: object) -> Upscaler:
    raise AssertionError("a list builds nothing")


@pytest.fixture
def chosen(register: Register, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A model that was measured, and whose weights are neither in a package nor on this disk."""
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SRBENCH_CACHE", str(tmp_path / "cache"))
    spec = ModelSpec(
        "chosen",
        (2, 4),
        unbuilt,
        {4: Asset("https://example.org/files/chosen.pth")},
        licence="CC-BY-4.0",
        citation="Somebody, CVPR 2030",
        summary="a network",
        measured={4: Measured(1_234_567, 4.26, "120x80", 31.0, 0.25)},
    )
    register("models", "chosen", spec)


def test_models_tell_what_one_chooses_by(
    chosen: None, srbench: Srbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert srbench("list", "models") == 0
    first, *lines = srbench.out.splitlines()
    assert first.split() == ["name", "scales", "params", "GMACs", "PSNR-Y", "LPIPS", "licence", "weights"]
    row = next(line for line in lines if line.startswith("chosen "))
    assert row.split() == ["chosen", "2", "4", "1.23", "M", "4.3", "31.000", "0.2500", "CC-BY-4.0", "to", "fetch"]
    prose = re.sub(r"\s+", " ", srbench.out)
    assert "chosen a network. Somebody, CVPR 2030." in prose
    assert "Weights: chosen.pth from example.org, on first use" in prose
    (tmp_path / "chosen.pth").write_bytes(b"")
    assert srbench("list", "models") == 0
    assert re.search(r"^chosen .* here$", srbench.out, re.MULTILINE)
    assert "chosen.pth" not in srbench.out


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_fits_80_columns_and_is_json(kind: str, srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert srbench("list", kind) == 0
    lines = srbench.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert srbench("list", kind, "--format", "json") == 0
    records = json.loads(srbench.out)
    names = [record["name"] for record in records]
    assert names and names == list(KINDS[kind].names())
    assert [line.split()[0] for line in lines[1 : len(names) + 1]][:1] == names[:1]


def test_in_a_pipe_an_entry_is_one_line(srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert srbench("list", "conventions") == 0
    assert re.search(r"^basicsr +y/rgb +as matlab, Y not rounded: .*\(\+0.01 dB\)$", srbench.out, re.MULTILINE)


def test_json_of_a_model_has_numbers_and_where_its_weights_are(chosen: None, srbench: Srbench) -> None:
    assert srbench("list", "models", "--format", "json") == 0
    record = next(record for record in json.loads(srbench.out) if record["name"] == "chosen")
    assert (record["params"], record["gmacs"], record["gmacs_input"]) == (1_234_567, 4.26, "120x80")
    assert (record["set5_x4_psnr_y"], record["set5_x4_lpips"], record["scales"]) == (31.0, 0.25, [2, 4])
    away = {"scale": 4, "file": "chosen.pth", "from": "example.org", "here": False, "path": None}
    assert record["weights"] == [away]


def test_metrics_and_sets_tell_direction_convention_and_what_to_do(
    register: Register, srbench: Srbench, tmp_path: Path
) -> None:
    register("metrics", "far", Metric("far", "rgb", unbuilt, higher_is_better=False, citation="Nobody, 2031"))  # type: ignore[arg-type]
    assert srbench("list", "metrics") == 0
    assert re.search(r"^far +lower +rgb +matlab +Nobody, 2031\. From unknown package$", srbench.out, re.MULTILINE)
    assert re.search(r"^lpips +lower +rgb +nocrop .*Zhang et al", srbench.out, re.MULTILINE)
    assert re.search(r"^shift_red +– +rgb +nocrop ", srbench.out, re.MULTILINE)
    assert srbench("list", "metrics", "--format", "json") == 0
    records = json.loads(srbench.out)
    assert {record["name"]: record["better"] for record in records}["shift_red"] is None
    assert all(record["summary"] for record in records if record["name"] != "far")
    (tmp_path / "Set5" / "HR").mkdir(parents=True)
    assert srbench("list", "datasets", "--data-root", tmp_path) == 0
    assert re.search(r"^Set5 +test +5 +yes .*Bevilacqua", srbench.out, re.MULTILINE)
    assert re.search(r"^Set14 +test +14 +no .*Get it: srbench data prepare Set14$", srbench.out, re.MULTILINE)
    assert f"Looked for under {tmp_path}" in srbench.out


def test_a_model_that_does_not_import_leaves_the_others_in_the_list(
    srbench: Srbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srbench.cli import kinds as lists

    def fail(kind: str, name: str) -> object:
        from srbench.base.registry import load

        if name == "bicubic":
            return load("models", "nowhere")
        return load(kind, name)

    monkeypatch.setattr(lists, "load", fail)
    assert srbench("list", "models") == 0
    assert re.search(r"^bicubic +– .*unknown model 'nowhere'", srbench.out, re.MULTILINE)
    assert re.search(r"^lanczos +2 3 4 8 ", srbench.out, re.MULTILINE)


def test_help_groups_commands_and_says_what_each_does(register: Register, srbench: Srbench) -> None:
    @srbench_command(help="Paint it.\n\nAll of it.", section="Use")
    def paint() -> None: ...

    register("commands", "paint", paint)
    register("commands", "plain", click.Command("plain", help="Be plain."))
    register("commands", "broken", object())
    assert srbench("--help") == 0, srbench.err
    sections = dict(re.findall(r"^([A-Z][\w ]+):\n((?:  .*\n)+)", srbench.out, re.MULTILINE))
    assert "paint" in sections["Use"] and "Paint it." in sections["Use"] and "All of it" not in srbench.out
    assert "Be plain." in sections["From other packages"]
    assert "not a click.Command" in re.sub(r"\s+", " ", sections["From other packages"])
    for title, commands in SECTIONS.items():
        assert all(re.search(rf"^  {name} ", sections[title], re.MULTILINE) for name in commands)
    assert len(BUILT_IN) == sum(map(len, SECTIONS.values()))
