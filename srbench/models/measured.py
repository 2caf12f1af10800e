"""What was measured of the models of a package: a table that the package brings along, made from a real run."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

FILE = "measured.csv"


@dataclass(frozen=True)
class Measured:
    """One model at one scale: parameters, GMACs of an LR image of `size` (`120x80`), and its means over Set5.

    `gmacs` is None where nothing multiplies and adds. PSNR-Y in dB and LPIPS, under the default conventions, LR by
    matlab, fp32.
    """

    params: int
    gmacs: float | None
    size: str
    psnr_y: float
    lpips: float


def measured(package: str) -> dict[str, dict[int, Measured]]:
    """`measured.csv` of a package, by model and scale."""
    found: dict[str, dict[int, Measured]] = {}
    with (resources.files(package) / FILE).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            gmacs = float(row["gmacs"]) if row["gmacs"] else None
            scores = float(row["psnr_y"]), float(row["lpips"])
            found.setdefault(row["model"], {})[int(row["scale"])] = Measured(
                int(row["params"]), gmacs, row["size"], *scores
            )
    return found
