"""Training patches: every image is decoded once and kept as uint8 on the device, where all drawing happens.

The images of a pool lie end to end in one tensor `(pixels, channels)`. A batch is one gather: row and column numbers
are drawn for each patch, flipped and transposed as numbers, and looked up. Its layout is channels_last by birth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from srbench.base.errors import InputError
from srbench.datasets.standard.pixels import pixel_digest
from srbench.images.degrade import degrade, mod_crop
from srbench.images.files import list_images, read_image, to_rgb
from srbench.images.resize import imresize
from srbench.metrics.conventions import CONVENTIONS

if TYPE_CHECKING:
    from srbench.images.files import Image

TEST_SETS = ("Set5", "Set14", "B100", "Urban100", "DIV2K-valid", "DIV2K_valid", "DIV2K_valid_crop256")


@dataclass(frozen=True)
class Plane:
    """Images end to end: `pixels` uint8 `(total, channels)`; start, width and height of each, `(images,)`."""

    pixels: Tensor
    start: Tensor
    width: Tensor
    height: Tensor

    @classmethod
    def of(cls, images: Sequence[Image], device: torch.device) -> Plane:
        sizes = np.array([image.shape[:2] for image in images])
        ends = np.cumsum(sizes.prod(axis=1))
        flat = np.concatenate(
            [np.atleast_3d(image).reshape(-1, image.shape[2] if image.ndim == 3 else 1) for image in images]
        )
        numbers = (np.concatenate(([0], ends[:-1])), sizes[:, 1], sizes[:, 0])
        return cls(torch.from_numpy(flat).to(device), *(torch.from_numpy(n).to(device) for n in numbers))

    def gather(self, image: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Pixels at `rows` and `columns`, each `(n, p, p)`, of the n images: `(n, c, p, p)` float32 in [0, 1]."""
        index = self.start[image].view(-1, 1, 1) + rows * self.width[image].view(-1, 1, 1) + columns
        return self.pixels[index].permute(0, 3, 1, 2).float().div_(255.0)


@dataclass(frozen=True)
class Pool:
    """Pairs of what a network sees and what it should answer; `ratio` is the size of the second over the first."""

    given: Plane
    wanted: Plane
    ratio: int
    images: Mapping[str, int]
    """How many images came from each folder."""
    fingerprint: str
    """sha256 (hex) over the decoded pixels of all of them."""

    def draw(
        self, batch: int, patch: int, generator: torch.Generator, part: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """A random batch: `(n, c, patch, patch)` and `(n, c, patch * ratio, patch * ratio)`, float32 in [0, 1].

        Images are chosen by area, so that every pixel is as likely as any other; the pose is one of eight. Every rank
        of a distributed training draws the same batch and keeps its `part`, so that the union does not depend on their
        number.
        """
        device = self.given.pixels.device
        random = torch.rand((6, batch), generator=generator, device=device, dtype=torch.float64)[:, part].contiguous()
        image = torch.searchsorted(self._area_up_to(), random[0], right=True).clamp_(max=len(self.given.start) - 1)
        top = (random[1] * (self.given.height[image] - patch + 1)).long()
        left = (random[2] * (self.given.width[image] - patch + 1)).long()
        pose = random[3:] < 0.5
        inner = self.given.gather(image, *_window(top, left, patch, pose))
        return inner, self.wanted.gather(image, *_window(top * self.ratio, left * self.ratio, patch * self.ratio, pose))

    def _area_up_to(self) -> Tensor:
        area = torch.cumsum(self.given.width * self.given.height, 0).double()
        return area / area[-1]


def _window(top: Tensor, left: Tensor, size: int, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column numbers `(n, size, size)` of windows, flipped along either axis and transposed as `pose` says."""
    along = torch.arange(size, device=top.device).expand(len(top), size)
    down = torch.where(pose[0, :, None], size - 1 - along, along) + top[:, None]
    across = torch.where(pose[1, :, None], size - 1 - along, along) + left[:, None]
    rows, columns = down[:, :, None].expand(-1, size, size), across[:, None, :].expand(-1, size, size)
    turned = pose[2, :, None, None]
    return torch.where(turned, rows.mT, rows), torch.where(turned, columns.mT, columns)


def open_pool(
    folders: Iterable[Path], scale: int, patch: int, device: torch.device, *, luma: bool = False,
    degradation: str = "matlab",
) -> Pool:  # fmt: skip
    """Decode the images of some folders and make their LR.

    With `luma` (SRCNN) the network is given Y of the bicubic upscaling and answers Y, both single-channel. Images
    smaller than a patch are left out. Raises `InputError` where none is left, and for a test set: a model must
    not see what it is scored on.
    """
    smallest = patch if luma else patch * scale
    found = {folder.resolve().name: _large_enough(folder, scale, smallest) for folder in folders}
    hr = [image for images in found.values() for image in images]
    if not hr:
        raise InputError(f"no training image is as large as a patch, {smallest} pixels; use --set patch=…")
    total = hashlib.sha256("".join(pixel_digest(image) for image in hr).encode())
    lr = [degrade(image, scale, degradation) for image in hr]
    if luma:
        given, wanted = [luma_of(_enlarged(image, scale)) for image in lr], [luma_of(image) for image in hr]
    else:
        given, wanted = lr, hr
    counts = {name: len(images) for name, images in found.items()}
    return Pool(Plane.of(given, device), Plane.of(wanted, device), 1 if luma else scale, counts, total.hexdigest())


def _large_enough(folder: Path, scale: int, smallest: int) -> list[Image]:
    images = (mod_crop(to_rgb(read_image(path)), scale) for path in training_images(folder))
    return [image for image in images if min(image.shape[:2]) >= smallest]


def training_images(folder: Path) -> list[Path]:
    """The images of a folder, or of its `HR`. Raises `InputError` for a standard test set and where there are none."""
    refuse_test_set(folder)
    home = folder / "HR" if (folder / "HR").is_dir() else folder
    found = list(list_images(home).values())
    if not found:
        raise InputError(f"{folder}: no images in it. Expected images straight inside, or in {folder / 'HR'}")
    return found


def refuse_test_set(folder: Path) -> None:
    """Raise `InputError` where a folder is one of the standard test sets, by name."""
    for name in folder.resolve().parts[-2:]:
        if name in TEST_SETS:
            raise InputError(
                f"{folder}: {name} is a test set; a model must not see it before it is scored. Validate on Kodak24"
            )


def luma_of(image: Image) -> Image:
    """Y of a uint8 RGB image as the default convention has it, uint8 `(h, w)`."""
    planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None]))
    y, _ = CONVENTIONS["nocrop"].views(planes, planes, scale=1, channel="y")
    return y[0, 0].numpy().astype(np.uint8)


def _enlarged(lr: Image, scale: int) -> Image:
    planes = torch.from_numpy(lr.transpose(2, 0, 1).astype(np.float64))
    return imresize(planes, scale).numpy().astype(np.uint8).transpose(1, 2, 0)
