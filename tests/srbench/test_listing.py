"""What `srbench list` and `srbench --help` tell somebody who chooses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from srbench.base.assets import Asset
from srbench.cli import BUILT_IN, SECTIONS, cli
from srbench.cli.examples import EXAMPLES
from srbench.cli.kinds import KINDS
from srbench.cli.listing import grid, tell
from srbench.cli.options import srbench_command
from srbench.metrics.metric import Metric
from srbench.models.measured import Measured
from srbench.models.spec import ModelSpec, Upscaler
from srbench.results.results import Results
from tests.conftest import Srbench
from tests.made_results import made_run, made_speed, saved

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


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_fits_half_a_terminal(kind: str, srbench: Srbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert srbench("list", kind) == 0
    assert [line for line in srbench.out.splitlines() if len(line) > 40 and " " in line.strip()] == []


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


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))


def test_a_table_wider_than_the_terminal_is_parted_and_each_part_says_of_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headings = ["model", *(f"number {n}" for n in range(12))]
    rows = [[f"model {row}", *(f"{row}.{n}" for n in range(12))] for row in range(3)]
    whole = grid(headings, rows)
    monkeypatch.setenv("COLUMNS", "60")
    parted = grid(headings, rows, right=headings[1:])
    assert widest(whole) > 60 >= widest(parted)
    parts = parted.split("\n\n")
    assert len(parts) > 1 and all(part.startswith("model  ") and part.count("model 2") == 1 for part in parts)
    assert re.findall(r"\d\.\d+", parted) != [] and sorted(re.findall(r"\d\.\d+", parted)) == sorted(
        cell for row in rows for cell in row[1:]
    )


def test_prose_is_wrapped_on_a_terminal_and_left_alone_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "Worse:\n  " + "a word " * 30
    tell(text)
    assert capsys.readouterr().out.rstrip() == text.rstrip()
    monkeypatch.setenv("COLUMNS", "80")
    tell(text)
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "Worse:" and len(rest) > 1 and all(line.startswith(("  a", "  w")) for line in rest)
    assert " ".join(" ".join(rest).split()) == text.split("\n")[1].strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compare", "RESULTS"),
        ("choose", "RESULTS", "--max-ms", "10"),
        ("check", "RESULTS", "--baseline", "BASELINE"),
        ("data", "list"),
        ("doctor",),
        ("train", "srgan-quick", "--show"),
    ],
    ids=" ".join,
)
def test_what_commands_print_fits_a_terminal(
    arguments: tuple[str, ...], srbench: Srbench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ("a-model-of-some-length", "another-model-of-some-length", "third")
    runs = [made_run(name, {"psnr_y": [30.0 + n - i for n in range(9)]}) for i, name in enumerate(names)]
    speeds = tuple(made_speed(name, p50=9.0 + 3 * i, peak_memory_mib=300.0) for i, name in enumerate(names))
    folder, baseline = saved(tmp_path / "results", Results(tuple(runs), speeds)), tmp_path / "baseline.json"
    better = saved(tmp_path / "better", Results((made_run(names[0], {"psnr_y": [32.0 + n for n in range(9)]}),)))
    assert srbench("check", better, "--baseline", baseline, "--update") == 0
    places = {"RESULTS": str(folder), "BASELINE": str(baseline)}
    monkeypatch.setenv("COLUMNS", "80")
    assert srbench(*(places.get(word, word) for word in arguments)) in (0, 1)
    paths = re.compile(r"\S{40,}")  # a word that cannot be parted
    assert [line for line in srbench.out.splitlines() if len(line) > 80 and not paths.search(line)] == []


def test_examples_fit_a_terminal() -> None:
    assert [
        line for line in [*EXAMPLES, *cli.get_command(click.Context(cli), "train").examples] if len(line) > 78
    ] == []  # type: ignore[union-attr]
