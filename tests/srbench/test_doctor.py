"""What `srbench doctor` tells, and that it tells it where other commands fail."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from srbench.apps import doctor
from srbench.apps.doctor import Fact, examine
from srbench.results import environment
from tests.conftest import Srbench


def by_name(section: str, root: Path | None = None) -> dict[str, Fact]:
    return {finding.name: finding for finding in examine(root)[section]}


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    """Let some packages have another version, or none."""

    def found(name: str) -> str:
        if name not in versions:
            return version(name)
        if (told := versions[name]) is None:
            raise PackageNotFoundError(name)
        return told

    monkeypatch.setattr(doctor, "version", found)


def test_text_and_json_tell_the_same(srbench: Srbench) -> None:
    assert srbench("doctor") == 0
    text = srbench.out
    assert srbench("doctor", "--format", "json") == 0
    document: dict[str, Any] = json.loads(srbench.out)
    assert list(document) == [
        "srbench", "packages", "extras", "backends", "plugins", "data", "weights and cache", "settings",
    ]  # fmt: skip
    for title, findings in document.items():
        assert f"{title}\n" in text
        for finding in findings:
            assert finding["name"] in text
            assert finding["state"] in text
    assert {"name": "numpy", "state": version("numpy"), "remedy": ""} in document["packages"]


def test_a_package_older_than_promised_is_named_with_the_line_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, numpy="1.21.0", pandas=None)
    found = by_name("packages")
    assert found["numpy"].state.startswith("1.21.0, needs >=")
    assert found["numpy"].remedy.startswith("pip install 'numpy>=")
    assert (found["pandas"].state, bool(found["pandas"].remedy)) == ("missing", True)
    assert not found["click"].remedy


def test_an_extra_that_is_missing_and_the_backend_that_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, onnxruntime=None)
    for section in ("extras", "backends"):
        found = by_name(section)
        assert found["onnx"] == Fact("onnx", "onnxruntime missing", "pip install 'srbench-sr[onnx]'")
    assert "test" not in by_name("extras") and "fast" not in by_name("extras")  # it brings nothing


@pytest.mark.parametrize("nvidia", [False, True])
def test_what_needs_a_gpu_is_lacking_only_where_there_is_one(nvidia: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, **{"nvidia-ml-py": None})
    monkeypatch.setattr(doctor, "_has_nvidia", lambda: nvidia)
    found = by_name("extras")["nvml"]
    assert found.state.startswith("nvidia-ml-py missing") and bool(found.remedy) == nvidia


def test_one_thread_is_not_called_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "describe", lambda device: environment.describe(device) | {"threads": 1})
    assert by_name("srbench")["torch uses"].state.endswith(" 1 thread")


def test_it_tells_what_stops_every_other_command(
    monkeypatch: pytest.MonkeyPatch, srbench: Srbench, register: Callable[[str, str, object], None]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    register("models", "bicubic", object())
    assert srbench("doctor") == 0
    assert "torch does not import: ModuleNotFoundError" in srbench.out
    assert "two packages register 'bicubic'" in srbench.out
    assert srbench.out.splitlines()[-1].startswith("Missing or wrong: torch uses, ")


def test_what_other_packages_add(register: Callable[[str, str, object], None]) -> None:
    assert examine()["plugins"] == []
    register("metrics", "taste", object())
    assert examine()["plugins"] == [Fact("taste", "among metrics, from unknown package")]


def test_data_sets_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "Set5" / "HR"
    home.mkdir(parents=True)
    (home / "baby.png").touch()
    found = by_name("data", tmp_path)
    assert found["root"] == Fact("root", str(tmp_path))
    assert found["Set5"] == Fact("Set5", "1 of 5 images", "srbench data prepare Set5")
    assert found["Set14"].state == "not here"
    monkeypatch.setenv("SRBENCH_DATA", str(tmp_path / "nowhere"))
    assert "no such folder" in by_name("data")["root"].remedy


def test_weights_are_looked_for_and_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SRBENCH_WEIGHTS", raising=False)
    name = "alexnet-owt-7be5be79.pth"
    assert by_name("weights and cache")["lpips"].remedy == f"put {name} into $SRBENCH_WEIGHTS"  # tests are offline
    (tmp_path / name).touch()
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path))
    assert by_name("weights and cache")["lpips"] == Fact("lpips", str(tmp_path / name))
    monkeypatch.setenv("SRBENCH_WEIGHTS", str(tmp_path / "nowhere"))
    assert by_name("weights and cache")["weights"].remedy == "no such folder"


def test_settings_are_those_that_change_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("SECRET_TOKEN", "a")
    found = by_name("settings")
    assert found["ONEDNN_MAX_CPU_ISA"].state == "AVX2"
    assert "SECRET_TOKEN" not in found


@pytest.mark.parametrize(
    ("flags", "told"),
    [("sse avx2", "AVX2"), ("avx2 avx512f amx_tile", "AVX2, AVX-512, AMX"), ("sse", "none"), ("", "unknown")],
)
def test_instruction_sets(monkeypatch: pytest.MonkeyPatch, flags: str, told: str) -> None:
    monkeypatch.setattr(environment, "_cpuinfo", lambda field: flags if field == "flags" else "")
    assert environment.instruction_sets() == told
