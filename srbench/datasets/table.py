"""The standard sets by name: what each is for, how many images it has, whom to cite. One row a set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StandardSet:
    """One standard set. `role` says what it may be used for: only `test` sets are scored by default."""

    name: str
    count: int
    role: Literal["test", "validation", "train"]
    citation: str


STANDARD_SETS = {
    row.name: row
    for row in (
        StandardSet("Set5", 5, "test", "Bevilacqua et al., BMVC 2012"),
        StandardSet("Set14", 14, "test", "Zeyde et al., Curves and Surfaces 2010"),
        StandardSet("B100", 100, "test", "Martin et al., ICCV 2001"),
        StandardSet("Urban100", 100, "test", "Huang et al., CVPR 2015"),
        StandardSet("DIV2K-valid", 100, "test", "Agustsson and Timofte, CVPR Workshops 2017"),
        StandardSet("Kodak24", 24, "validation", "Kodak Lossless True Color Image Suite, 1993"),
    )
}
