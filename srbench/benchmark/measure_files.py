"""Pairs of image files, and their scores: what `srbench measure` does."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from srbench.base.errors import InputError
from srbench.images.files import list_images, read_image
from srbench.images.tensors import image_tensor
from srbench.metrics.scorer import Scorer, matched
from srbench.models.inference import select_device

APPENDED = re.compile(r"(_SRF_\d+.*|[_-]?x\d+.*|_(SR|HR|sr|hr|out))$")
"""What upscalers and data sets append to a name: `baby_SRF_4_HR`, `babyx4`, `baby_x4_srresnet`, `baby_out`."""

TOLD = re.compile(r"(?:_SRF_|(?:^|[_-]|(?<=[a-z0-9]))[xX])([2348])(?![0-9])")
"""The scale in a name: the 2 of `baby_SRF_2`, `babyx2`, `X2`."""


@dataclass(frozen=True)
class Measured:
    """Scores by image, their means, and the metrics that could not be loaded, with the reason."""

    rows: dict[str, dict[str, float]]
    means: dict[str, float]
    unavailable: dict[str, str]


def pair_up(sr: Path, hr: Path) -> dict[str, tuple[Path, Path]]:
    """SR and HR files by image id: two files are one pair; in two folders, files pair by name.

    Raises `InputError` for a file beside a folder, for an SR without HR or the reverse, naming the first.
    """
    if sr.is_dir() != hr.is_dir():
        raise InputError(f"{sr} and {hr}: one is a folder, the other is not. Give two images or two folders")
    if not sr.is_dir():
        return {hr.stem: (sr, hr)}
    references = list_images(hr)
    if not references:
        raise InputError(f"{hr}: no images in it")
    named = {_known(id, references): path for id, path in list_images(sr).items()}
    for here, there, side in ((references, named, sr), (named, references, hr)):
        if lonely := sorted(set(here) - set(there)):
            raise InputError(f"{side}: nothing for {lonely[0]} ({len(lonely)} of {len(here)} images have no partner)")
    return {id: (named[id], path) for id, path in references.items()}


def _known(id: str, references: Mapping[str, Path]) -> str:
    """The HR that an SR belongs to: of its own name, else of its name without what was appended."""
    return id if id in references else APPENDED.sub("", id)


def scale_told(sr: Path, pairs: Mapping[str, tuple[Path, Path]]) -> int | None:
    """The scale that SR's names tell (`babyx2.png`, `baby_SRF_2.png`, a folder `X2`); None where none or several do."""
    names = [path.stem for path, _ in pairs.values()] if sr.is_file() else [sr.resolve().name]
    names += [path.stem for path, _ in pairs.values()]
    found = {int(scale) for name in names for scale in TOLD.findall(name)}
    return found.pop() if len(found) == 1 else None


def measure_pairs(pairs: Mapping[str, tuple[Path, Path]], metrics: Sequence[str], scale: int, device: str) -> Measured:
    """Score each pair. Raises `InputError` naming the file for an unreadable image or sizes that do not match."""
    scorer = Scorer(metrics, select_device(device))
    rows = {}
    for id, (sr_path, hr_path) in pairs.items():
        sr, hr = read_image(sr_path), read_image(hr_path)
        try:
            rows[id] = scorer(image_tensor(sr, "cpu"), matched(sr, hr, scale), scale)
        except InputError as error:
            raise InputError(f"{sr_path} and {hr_path}: {error}") from None
    means = {name: math.fsum(row[name] for row in rows.values()) / len(rows) for name in scorer.metrics}
    return Measured(rows, means, scorer.unavailable)
