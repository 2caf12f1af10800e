"""LR files that came with a set: which image and scale they belong to, and which degradation made them."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from srbench.base.errors import InputError
from srbench.datasets.standard.match import Picker, bare_name, header_of
from srbench.images.degrade import SCALES, degrade, repeatable
from srbench.images.files import decode_image, read_image, to_rgb, write_image

if TYPE_CHECKING:
    from srbench.datasets.folder import FileDataset
    from srbench.datasets.standard.unpack import PictureFile
    from srbench.images.files import Image


@dataclass
class LrPicker:
    """Writes LR files to `home/LR_bicubic/X4/<id>x4.png`: those that have the name of an HR and 1/scale of its size."""

    home: Path
    picker: Picker
    taken: Counter[int] = field(default_factory=Counter)
    labels: dict[Path, str] = field(default_factory=dict)

    def offer(self, picture: PictureFile) -> None:
        """Take a picture if it is an LR; raises `InputError` for two of an image and scale that differ."""
        label, content = picture
        id, size = self.picker.names.get(bare_name(label)), header_of(content)[0]
        if id is None or size is None:
            return
        known, crop = self.picker.found[id].known, self.picker.found[id].crop
        width, height = known.size(crop)
        for scale in SCALES:
            path = self.home / "LR_bicubic" / f"X{scale}" / f"{id}x{scale}.png"
            if (width // scale, height // scale) == size:
                self._take(path, label, _plane(decode_image(io.BytesIO(content), Path(label)), known.grey))

    def _take(self, path: Path, label: str, lr: Image) -> None:
        if path not in self.labels:
            self.labels[path] = label
            self.taken[int(path.parent.name[1:])] += 1
            write_image(path, lr)
        elif not np.array_equal(read_image(path), lr):
            remedy = "Give --from a folder with the kind that you mean, beside HR. Nothing was changed"
            raise InputError(f"{self.labels[path]} and {label} are both LR of {path.stem}, and differ. {remedy}")

    def summary(self) -> str:
        """How many LR files were taken, scale by scale."""
        counts = ", ".join(f"{count} at x{scale}" for scale, count in sorted(self.taken.items()))
        return f"LR files taken: {counts or 'none found'}"


def _plane(lr: Image, grey: bool) -> Image:
    """LR of a grey HR, that was stored as RGB, as one plane."""
    return np.ascontiguousarray(lr[..., 0]) if lr.ndim == 3 and grey and (lr == lr[..., :1]).all() else lr


@dataclass(frozen=True)
class Origin:
    """How near a degradation comes to given LR files: how many are equal bit for bit, and the worst PSNR in dB."""

    degradation: str
    equal: int
    images: int
    worst_db: float

    @property
    def exact(self) -> bool:
        """Whether all files are equal to what the degradation makes."""
        return self.equal == self.images


def origins(dataset: FileDataset) -> list[Origin]:
    """Each degradation held against the LR files of a data set opened with `files`, the nearest first.

    Raises `InputError` where a file cannot be read or does not fit its HR.
    """
    if dataset.lr is None:
        raise InputError(f"{dataset.name} was opened without LR files")
    errors: dict[str, list[float]] = defaultdict(list)
    for index in range(len(dataset)):
        sample = dataset[index]
        given = to_rgb(sample.lr).astype(np.float64)
        for name in repeatable(dataset.scale, rounded=True):
            made = to_rgb(degrade(sample.reference, dataset.scale, name))
            errors[name].append(float(((made - given) ** 2).mean()))
    found = [Origin(name, values.count(0.0), len(values), _psnr(max(values))) for name, values in errors.items()]
    return sorted(found, key=lambda origin: (-origin.equal, -origin.worst_db))


def _psnr(squared_error: float) -> float:
    return float(10 * np.log10(255**2 / squared_error)) if squared_error else float("inf")


def worded(found: Iterable[Origin], scale: int) -> str:
    """In one line, which degradation made the files."""
    best, *rest = found
    also = [origin.degradation for origin in rest if origin.exact]
    if best.exact:
        names = " and ".join([best.degradation, *also])
        return f"the LR files at x{scale} are `{names}`, bit for bit, in all {best.images} images"
    return (
        f"the LR files at x{scale} are none of ours: nearest is `{best.degradation}`, equal in {best.equal} of "
        f"{best.images} images, {best.worst_db:.1f} dB away in the worst"
    )
