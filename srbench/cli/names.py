"""Names as people type them, held against those that a results folder has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srbench.base.registry import entries, meant, plain, refuse_unknown

if TYPE_CHECKING:
    from srbench.results.results import Results


def models_meant(results: Results, refs: Sequence[str] | None) -> tuple[str, ...]:
    """Models of the results, each once: all for `all` or nothing. Raises `UsageError` for one that they lack."""
    if not refs or "all" in refs:
        return results.models
    names = dict.fromkeys(model_meant(results, ref) for ref in refs)
    refuse_unknown("model", names, results.models)
    return tuple(names)


def model_meant(results: Results, ref: str) -> str:
    """The model that a name, or the reference that a run was given, stands for; else the reference itself."""
    name = meant(ref, results.models)
    if name in results.models:
        return name
    pattern = r"\+".join(map(_pattern, ref.split("+"))) if "=" not in ref else re.escape(plain(ref.partition("=")[0]))
    alike = [model for model in results.models if re.fullmatch(pattern, plain(model))]
    return alike[0] if len(alike) == 1 else ref


def reference_of(results: Results, model: str) -> str:
    """By what reference a model of the results is found: a registered name, else as the command of its run has it;
    `name=REF` where that does not tell, as of one that was scored from Python.
    """
    if model in entries("models"):
        return model
    commands = (made.get("command", "") for run in results for made in run.environments if run.identity.model == model)
    words = [
        word for command in commands for whole in _split(command) for word in re.sub("^--[a-z]+=", "", whole).split(",")
    ]
    known = [word for word in words if word.startswith(f"{model}=") or re.fullmatch(_pattern(word), plain(model))]
    return known[0] if known else f"{model}=REF"


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # of an earlier srbench, or by hand
        return []


def _pattern(ref: str) -> str:
    """What a run calls a reference: `net-v2` of `runs/net v2.pth`, `net.make` of `code/net.py` or `net:make`."""
    from srbench.models import SUFFIXES
    from srbench.models.wrap import file_name, safe_name

    ref = ref.strip()
    if ref.endswith(".py"):  # of its one factory, or its `make`
        return re.escape(plain(safe_name(Path(ref).stem))) + r"\.[\w-]+"
    if ref.lower().endswith(SUFFIXES):
        return re.escape(plain(file_name(Path(ref))))
    home, colon, factory = ref.rpartition(":")
    home = Path(home).stem if home.endswith(".py") else home
    return re.escape(plain(safe_name(f"{home}.{factory}" if colon else ref)))
