"""Claims: numbers that somebody published, with their source, in a TOML file.

    [[claim]]
    source = "Dong et al., ECCV 2014"      # where it was read
    model = "srcnn"                        # a model REF of ours that it speaks of
    dataset = "Set5"
    scale = 4
    metric = "psnr_y"                      # NAME or NAME@CONVENTION, if known what it was taken under
    value = 30.08                          # as printed; a string ("30.10") keeps a trailing zero

`metric` may be left out: then a value below 2 is taken for an SSIM, any other for a PSNR.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from srbench.base.errors import InputError


@dataclass(frozen=True)
class Claim:
    """One published number; `digits` is how many decimals it was printed with."""

    model: str
    dataset: str
    scale: int
    value: float
    digits: int
    metric: str = ""
    source: str = ""

    @property
    def text(self) -> str:
        return f"{self.value:.{self.digits}f}"

    def agrees(self, ours: float) -> bool:
        """Whether our number, printed with as many decimals, is the claimed one."""
        return f"{ours:.{self.digits}f}" == self.text


def parse_value(text: str | float) -> tuple[float, int]:
    """A number as printed, and its decimals; raises `InputError` for what is not a finite number."""
    whole, _, decimals = str(text).partition(".")
    try:
        if not (whole.removeprefix("-") + decimals).isdigit():
            raise ValueError
        return float(text), len(decimals)
    except ValueError:
        raise InputError(f"{text!r} is not a number as a table prints it, such as 28.42 or .8104") from None


def read_claims(path: Path) -> list[Claim]:
    """The claims of a file; raises `InputError` where it is missing, or a claim lacks a field or has an unknown one."""
    try:
        items = tomllib.loads(path.read_text(encoding="utf-8"))["claim"]
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise InputError(f"{path}: not a list of claims: expected TOML with [[claim]] tables ({error})") from None
    return [_claim(item, f"{path}: claim {number}") for number, item in enumerate(items, start=1)]


def _claim(item: dict[str, Any], where: str) -> Claim:
    known = {field.name for field in fields(Claim)} - {"digits"}
    if unknown := sorted(set(item) - known):
        raise InputError(f"{where}: unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}")
    if missing := [name for name in ("model", "dataset", "scale", "value") if name not in item]:
        raise InputError(f"{where}: has no {missing[0]}")
    value, digits = parse_value(item["value"])
    return Claim(**{**item, "value": value, "digits": digits})
