"""What this installation is, has and lacks: the text that a bug report needs, and what to type for what is missing.

Nothing here may fail: it is read where something is already broken.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from srbench.base.assets import PACKAGE, Asset, cache_folder, is_offline, on_disk, weights_folder
from srbench.base.errors import SrbenchError
from srbench.base.packages import DISTRIBUTION, install_hint
from srbench.base.registry import KINDS, entries, load_as, package_of
from srbench.base.text import counted
from srbench.datasets import data_root
from srbench.datasets.standard.table import STANDARD_SETS
from srbench.models.spec import Backend, ModelSpec
from srbench.results.environment import describe, instruction_sets

DEVELOPERS = ("test",)
"""Extras that a user of srbench does not miss."""

SETTINGS = re.compile(r"SRBENCH_|OMP_NUM_THREADS$|MKL_|ONEDNN_|DNNL_|ATEN_CPU_|CUDA_VISIBLE_DEVICES$")
"""Variables that change what runs, or how."""


@dataclass(frozen=True)
class Fact:
    """One line: a name, what was found, and what to type where that is not enough (`remedy`, empty where it is)."""

    name: str
    state: str
    remedy: str = ""


def examine(root: Path | None = None) -> dict[str, list[Fact]]:
    """Everything found, by section; `root` is where the standard sets are looked for, see `data_root`."""
    sections = {
        "srbench": _machine(),
        "packages": _packages(),
        "extras": _extras(),
        "backends": _backends(),
        "plugins": _plugins(),
        "data": _data(data_root(root)),
        "weights and cache": _files(),
        "settings": (Fact(name, os.environ[name]) for name in sorted(os.environ) if SETTINGS.match(name)),
    }
    return {title: _told(findings) for title, findings in sections.items()}


def _told(findings: Iterator[Fact]) -> list[Fact]:
    """What a section finds, and what stopped it, if anything did."""
    told = []
    try:
        for finding in findings:
            told.append(finding)
    except Exception as error:  # two plugins of one name, a damaged installation
        told.append(Fact("error", f"{type(error).__name__}: {error}", "mend this, and call it again"))
    return told


def _machine() -> Iterator[Fact]:
    device, capability, remedy = "cpu", "unknown", ""
    try:
        import torch

        capability = torch.backends.cpu.get_cpu_capability()
        device = "cuda" if torch.cuda.is_available() else "cpu"
    except Exception as error:  # a library that it links is missing, a file is damaged
        capability = f"nothing: torch does not import: {type(error).__name__}: {error}"
        remedy = "pip install --force-reinstall torch"
    told = describe(device)
    yield Fact("version", " ".join(filter(None, (told["versions"]["srbench"], told["git"]))))
    yield Fact("python", f"{told['python']}, {told['platform']}")
    yield Fact("processor", f"{told['cpu']}, {os.cpu_count()} cores, {instruction_sets()}")
    yield Fact("torch uses", f"{capability}, {counted(told['threads'], 'thread')}", remedy)
    yield Fact("device", f"{device}: {told['device_name']}" if device == "cuda" else "cpu; torch sees no GPU")
    yield Fact("metrics by", told["metrics"])


def _packages() -> Iterator[Fact]:
    for requirement in _requirements(""):
        yield Fact(requirement.name, _held(requirement), _remedy(requirement))


def _extras() -> Iterator[Fact]:
    """An extra is here when each of its packages is, in a version that it promises to work with."""
    for extra in _extra_names():
        wanted = _requirements(extra)
        lacking = [requirement for requirement in wanted if _remedy(requirement)]
        state = ", ".join(f"{requirement.name} {_held(requirement)}" for requirement in lacking or wanted)
        if lacking and extra == "nvml" and not _has_nvidia():
            yield Fact(extra, f"{state}, and no NVIDIA GPU that needs it")
        elif wanted:
            yield Fact(extra, state, install_hint(extra) if lacking else "")


def _has_nvidia() -> bool:
    """Whether NVIDIA's driver is here, be torch built for it or not."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").is_dir()


def _requirements(extra: str) -> list[Requirement]:
    """What srbench needs (`extra` empty), or what an extra adds to it, by the metadata of the installed package."""
    try:
        listed = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:  # a source tree that is not installed; `version` says so
        return []
    if not extra:
        return [each for each in listed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [each for each in listed if each.marker and each.marker.evaluate({"extra": extra})]


def _extra_names() -> list[str]:
    try:
        names = metadata(DISTRIBUTION).get_all("Provides-Extra") or ()
    except PackageNotFoundError:
        return []
    return sorted(name for name in names if name not in DEVELOPERS)


def _held(requirement: Requirement) -> str:
    """`2.4.6`, `1.21.0, needs >=1.26` or `missing`."""
    try:
        here = version(requirement.name)
    except PackageNotFoundError:
        return "missing"
    fits = requirement.specifier.contains(here, prereleases=True)
    return here if fits else f"{here}, needs {requirement.specifier}"


def _remedy(requirement: Requirement) -> str:
    state = _held(requirement)
    line = f"pip install '{requirement.name}{requirement.specifier}'"
    return line if state == "missing" or "needs" in state else ""


def _backends() -> Iterator[Fact]:
    lacking = {finding.name: finding for finding in _extras() if finding.remedy}
    for name in entries("backends"):
        try:
            backend = load_as("backends", name, Backend)
        except SrbenchError as error:
            yield Fact(name, str(error), "srbench list backends")
            continue
        if name in lacking:  # a backend that needs packages is called like the extra that brings them
            yield Fact(name, lacking[name].state, lacking[name].remedy)
        elif name == "compile" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))):
            yield Fact(name, "no C++ compiler", "apt install g++")
        elif backend.devices and "cpu" not in backend.devices:
            yield Fact(name, f"here, needs --device {' or '.join(backend.devices)}")
        else:
            yield Fact(name, "here")


def _plugins() -> Iterator[Fact]:
    """What packages other than ours have registered."""
    for kind in KINDS:
        for name, entry in entries(kind).items():
            if entry.dist is None or entry.dist.name != DISTRIBUTION:
                yield Fact(name, f"among {kind}, from {package_of(entry)}")


def _data(root: Path) -> Iterator[Fact]:
    """The standard sets by their number of files; whether these are the right pixels, `srbench data verify` says."""
    yield Fact("root", str(root), "" if root.is_dir() else "no such folder: set SRBENCH_DATA, or give --data-root")
    for row in STANDARD_SETS.values():
        home = root / row.name / "HR"
        count = sum(path.is_file() and not path.name.startswith(".") for path in home.glob("*")) if home.is_dir() else 0
        prepare = f"srbench data prepare {row.name}"
        if not count:
            yield Fact(row.name, "not here", prepare)
        else:
            yield Fact(row.name, f"{count} of {row.count} images", prepare if count < row.count else "")


def _files() -> Iterator[Fact]:
    folder, cache = weights_folder(), cache_folder()
    gone = folder is not None and not folder.is_dir()
    yield Fact("weights", str(folder or "SRBENCH_WEIGHTS is not set"), "no such folder" if gone else "")
    yield Fact("cache", str(cache) if cache.is_dir() else f"{cache}, not made yet", _unwritable(cache))
    for title, asset in _assets():
        path, fetched = on_disk(asset), "fetched on first use"
        missing = f"put {asset.filename} into $SRBENCH_WEIGHTS" if is_offline() else ""
        yield Fact(title, str(path or f"{asset.filename} is not here, {fetched}"), "" if path else missing)


def _unwritable(folder: Path) -> str:
    """A remedy where nothing can be kept under a folder, which need not exist yet."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return "" if os.access(nearest, os.W_OK) else f"{nearest} cannot be written: set SRBENCH_CACHE"


def _assets() -> Iterator[tuple[str, Asset]]:
    """Weights that do not come with a package: LPIPS's trunks, and those of the registered models."""
    from srbench.metrics.lpips import ALEXNET, SQUEEZENET, VGG16

    for name, trunk in (("lpips", ALEXNET), ("lpips_squeeze", SQUEEZENET), ("lpips_vgg", VGG16)):
        yield name, trunk.asset
    for name in entries("models"):
        try:
            spec = load_as("models", name, ModelSpec)
        except SrbenchError:
            continue  # a run of that model says why
        fetched = {scale: asset for scale, asset in spec.weights.items() if not asset.url.startswith(PACKAGE)}
        yield from ((f"{name} ×{scale}", asset) for scale, asset in fetched.items())
