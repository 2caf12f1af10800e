"""A standard set is scored under its name only if its pixels are the set's; what is scored anyway says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from srbench.base.errors import InputError
from srbench.datasets.folder import FileDataset
from srbench.datasets.standard.verify import Finding, Verification, verify


def vouch(dataset: FileDataset, home: Path, *, unverified: bool = False) -> FileDataset:
    """The data set, held against the standard set of its name: with the set's own fingerprint, or marked `unverified`.

    A copy cropped to multiples of 4 gives at x4 the HR of the original, so it has the original's fingerprint there.
    Raises `InputError` for a set that does not verify, unless `unverified` allows it.
    """
    try:
        verification = verify(dataset.name, home)
        if verification.fits(dataset.scale):
            known = verification.index.sets[dataset.name]
            return replace(dataset, originals={id: known[id].sha256 for id in dataset.ids})
        problem = _explained(verification, dataset.scale)
    except InputError as error:
        problem = str(error).rstrip(".")
    if not unverified:
        raise InputError(f"{problem}.\nSee: srbench data verify {dataset.name}. To score it as it is: --unverified")
    return replace(dataset, unverified=True)


def _explained(verification: Verification, scale: int) -> str:
    misfits = verification.misfits(scale)
    more = f" ({len(misfits)} such images)" if len(misfits) > 1 else ""
    return f"{verification.folder} is not {verification.set} at x{scale}: {worded(misfits[0])}{more}"


def worded(finding: Finding) -> str:
    """One finding in a few words, its image first."""
    if finding.status in ("cropped", "as-rgb"):
        return f"{finding.id} is {finding.detail}"
    return f"{finding.id} is {finding.status}" + (f", {finding.detail}" if finding.detail else "")
