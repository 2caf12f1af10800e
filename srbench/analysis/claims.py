"""Claims: numbers that somebody published, with their source, in a TOML file.

    [[claim]]
    source = "Dong et al., ECCV 2014"      # where it was read
    model = "srcnn"                        # a model REF of ours that it speaks of
    dataset = "Set5"
    scale = 4
    metric = "psnr_y"                      # NAME or NAME@CONVENTION, if known what it was taken under
    value = 30.08                          # as printed; a string ("30.10") keeps a trailing zero
    degradation = "matlab"                 # what made its LR, if known

`metric` may be left out: then a value below 2 is taken for an SSIM, any other for a PSNR.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srbench.base.documents import Scale, read_toml
from srbench.base.errors import InputError
from srbench.base.text import is_whole


@dataclass(frozen=True)
class Claim:
    """One published number, as it stands in a file; a value that is written as text keeps its trailing zero.

    `note` says why a model of ours by that name is another one, so that no gap is between the two.
    """

    model: str
    dataset: str
    scale: Scale
    value: float | int | str
    metric: str = ""
    source: str = ""
    degradation: str = ""
    note: str = ""

    @property
    def number(self) -> float:
        """The value; raises `InputError` where it is no number."""
        return parse_value(self.value)[0]

    @property
    def digits(self) -> int:
        """How many decimals it was printed with."""
        return parse_value(self.value)[1]

    @property
    def text(self) -> str:
        """The number as it was printed."""
        return f"{self.number:.{self.digits}f}"

    def agrees(self, ours: float) -> bool:
        """Whether our number, printed with as many decimals, is the claimed one."""
        return f"{ours:.{self.digits}f}" == self.text


def parse_value(text: str | float) -> tuple[float, int]:
    """A number as printed, and its decimals; raises `InputError` for what is not a finite number."""
    whole, _, decimals = str(text).partition(".")
    try:
        if not is_whole(whole.removeprefix("-") + decimals):
            raise ValueError
        return float(text), len(decimals)
    except ValueError:
        share, sign, _ = str(text).partition("%")
        if sign and is_whole(share.replace(".", "", 1)):
            raise InputError(
                f"{text!r} is in per cent; write {float(share) / 100:.{len(share.partition('.')[2]) + 2}f}"
            ) from None
        raise InputError(f"{text!r} is not a number as a table prints it, such as 28.42 or .8104") from None


@dataclass(frozen=True)
class ClaimsFile:
    """The whole file: an array of tables."""

    claim: tuple[Claim, ...]


def read_claims(path: Path) -> list[Claim]:
    """The claims of a file; raises `InputError` where it is missing, or a claim lacks a field or has an unknown one."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    claims = read_toml(path, ClaimsFile, "a list of claims, TOML with [[claim]] tables").claim
    try:
        for claim in claims:
            parse_value(claim.value)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return list(claims)
