"""Pairs of image files, and their scores: what `srbench measure` does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from srbench.base.errors import InputError
from srbench.datasets.pairing import RULE, pair
from srbench.images.files import list_images, read_image
from srbench.images.tensors import image_tensor
from srbench.metrics import refuse_unknown_metrics
from srbench.metrics.scorer import Scorer, matched
from srbench.models.inference import select_device

TOLD = re.compile(r"(?:_SRF_|(?:^|[_-]|(?<=[a-z0-9]))[xX])([2348])(?![0-9])")
"""The scale in a name: the 2 of `baby_SRF_2`, `babyx2`, `X2`."""


@dataclass(frozen=True)
class FileScores:
    """Scores by image, their means, the metrics that could not be loaded, and what was not scored, with the reasons.

    `variants` are what metrics were taken under that their names do not tell: other weights, a package's version.
    """

    rows: dict[str, dict[str, float]]
    means: dict[str, float]
    unavailable: dict[str, str]
    failed: tuple[str, ...] = ()
    variants: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FilePairs:
    """SR and HR files by image id; `alone` says of each file without a partner that it has none."""

    pairs: Mapping[str, tuple[Path, Path]]
    alone: tuple[str, ...] = ()


def pair_up(sr: Path, hr: Path, suffix: str | None = None) -> FilePairs:
    """Two files are one pair; files of two folders pair by name, see `srbench.datasets.pairing`.

    Raises `InputError` for a file beside a folder, for folders in which nothing pairs, and where several SR belong to
    one HR; `suffix` is what the right one has behind the name of HR.
    """
    if sr.is_dir() != hr.is_dir():
        raise InputError(f"{sr} and {hr}: one is a folder, the other is not. Give two images or two folders")
    if not sr.is_dir():
        return FilePairs({hr.stem: (sr, hr)})
    references, made = list_images(hr), list_images(sr)
    for folder, images in ((hr, references), (sr, made)):
        if not images:
            raise InputError(f"{folder}: no images in it")
    found = pair(made, references, suffix, "--suffix")
    if not found.found:
        wanted, there = next(iter(references.values())).name, next(iter(made.values())).name
        rule = RULE if suffix is None else f"With --suffix {suffix!r} only {Path(wanted).stem}{suffix} would"
        raise InputError(f"{sr}: nothing in it belongs to an image of {hr}: {there} is there, {wanted} wanted. {rule}")
    others = [path.name for path in found.files_alone] if suffix is None else []
    alone = (*_told(found.images_alone, "HR without SR"), *_told(others, "SR without HR"))
    return FilePairs({id: (path, references[id]) for id, path in found.found.items()}, alone)


def _told(names: Sequence[str], what: str) -> Iterable[str]:
    """One line for all that have no partner."""
    if names:
        yield f"{what}: {', '.join(names[:3])}{', …' * (len(names) > 3)} ({len(names)}). {RULE}"


def scale_told(sr: Path, pairs: Mapping[str, tuple[Path, Path]]) -> int | None:
    """The scale that SR's names tell (`babyx2.png`, `baby_SRF_2.png`, a folder `X2`, `x2/bicubic` of saved results).

    What HR is called itself (`fox2.png`) tells nothing. None where none or several do.
    """
    folder = sr.resolve()
    names = [_beyond(made.stem, hr.stem) for made, hr in pairs.values()]
    names += [] if sr.is_file() else [folder.name, folder.parent.name]
    found = {int(scale) for name in names for scale in TOLD.findall(name)}
    return found.pop() if len(found) == 1 else None


def _beyond(name: str, image: str) -> str:
    """What a name has beyond the image's; `_SRF_` is a mark wherever it stands, and in no word."""
    return name if "_SRF_" in name else name.removeprefix(image)


def measure_pairs(
    pairs: Mapping[str, tuple[Path, Path]], metrics: Sequence[str], scale: int, device: str
) -> FileScores:
    """Score each pair; an image that cannot be read, or sizes that do not match, are noted and the others are scored.

    Raises `InputError` where no pair can be scored.
    """
    refuse_unknown_metrics(metrics)
    scorer = Scorer(metrics, select_device(device))
    rows, failed = {}, []
    for id, (sr_path, hr_path) in pairs.items():
        try:
            sr, hr = read_image(sr_path), read_image(hr_path)
        except InputError as error:
            failed.append(str(error))
            continue
        try:
            rows[id] = scorer(image_tensor(sr, "cpu"), matched(sr, hr, scale), scale)
        except InputError as error:
            failed.append(f"{sr_path} and {hr_path}: {error}")
    if not rows:
        raise InputError(failed[0] + (f" ({len(failed)} such pairs)" if len(failed) > 1 else ""))
    means = {name: math.fsum(row[name] for row in rows.values()) / len(rows) for name in scorer.metrics}
    variants = {name: taken for name, taken in scorer.conventions.items() if "+" in taken}
    return FileScores(rows, means, scorer.unavailable, tuple(failed), variants)
