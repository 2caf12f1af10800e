"""Training patches: windows of images that lie end to end in one tensor, `(pixels, channels)` uint8.

A batch is one gather: which image, where and in which pose is drawn on the CPU, as numbers, and the pixels are looked
up where they lie. Its layout is channels_last by birth. The draw does not depend on the device, and neither on whether
the pixels lie in memory, on a GPU or in a file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from srbench.images.files import Image

READERS = 2
"""Threads that read ahead where the pixels do not lie on the device."""
BATCHES_AHEAD = 4


@dataclass(frozen=True)
class Plane:
    """Images end to end: `pixels` uint8 `(total, channels)`; start, width and height of each, int64 on the CPU."""

    pixels: Tensor
    start: Tensor
    width: Tensor
    height: Tensor

    @classmethod
    def of(cls, images: Sequence[Image], device: torch.device) -> Plane:
        """Images uint8 `(h, w, 3)` or `(h, w)`, copied end to end onto a device."""
        flat = np.concatenate(
            [np.atleast_3d(image).reshape(-1, image.shape[2] if image.ndim == 3 else 1) for image in images]
        )
        return cls.over(torch.from_numpy(flat).to(device), [(image.shape[1], image.shape[0]) for image in images])

    @classmethod
    def over(cls, pixels: Tensor, sizes: Sequence[tuple[int, int]]) -> Plane:
        """Pixels that lie there already; `sizes` are (width, height)."""
        table = np.array(sizes, dtype=np.int64).reshape(-1, 2)
        starts = np.concatenate(([0], np.cumsum(table.prod(axis=1))[:-1]))
        return cls(pixels, *(torch.from_numpy(np.ascontiguousarray(n)) for n in (starts, table[:, 0], table[:, 1])))

    def gather(self, image: Tensor, top: Tensor, left: Tensor, size: int, pose: Tensor) -> Tensor:
        """Windows of n images with their corners at `top` and `left`, `(n, size, size, c)` uint8, where they lie."""
        numbers = torch.stack([self.start[image], self.width[image], top, left, *pose.long()])
        start, width, top, left, *pose_there = numbers.to(self.pixels.device, non_blocking=True)  # one small transfer
        rows, columns = _window(top, left, size, torch.stack(pose_there).bool())
        return self.pixels[start.view(-1, 1, 1) + rows * width.view(-1, 1, 1) + columns]


@dataclass(frozen=True)
class Pool:
    """Pairs of what a network sees and what it should answer; `ratio` is the size of the second over the first.

    `flips` allows mirror images and `turns` quarter turns; both together are the eight poses of a square.
    """

    given: Plane
    wanted: Plane
    ratio: int
    images: Mapping[str, int]
    """How many images came from each source."""
    fingerprint: str
    """sha256 (hex) over the pixels of all files, and how LR is made."""
    flips: bool = True
    turns: bool = True
    degradation: str = ""
    """What made LR."""

    def draw(
        self, batch: int, patch: int, generator: torch.Generator, part: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """A random batch: `(n, c, patch, patch)` and `(n, c, patch * ratio, patch * ratio)`, float32 in [0, 1].

        `generator` is one of the CPU. Images are chosen by area, so that every pixel is as likely as any other. Every
        rank of a distributed training draws the same batch and keeps its `part`, so that the union does not depend on
        their number.
        """
        given, wanted = self.bytes_at(self.places(batch, patch, generator, part), patch)
        return scaled(given), scaled(wanted)

    def places(self, batch: int, patch: int, generator: torch.Generator, part: slice = slice(None)) -> Places:
        """What a batch will consist of."""
        random = torch.rand((6, batch), generator=generator, dtype=torch.float64)[:, part].contiguous()
        image = torch.searchsorted(self._area_up_to, random[0], right=True).clamp_(max=len(self.given.start) - 1)
        top = (random[1] * (self.given.height[image] - patch + 1)).long()
        left = (random[2] * (self.given.width[image] - patch + 1)).long()
        return image, top, left, self._poses(random[3:] < 0.5)

    def bytes_at(self, places: Places, patch: int) -> tuple[Tensor, Tensor]:
        """The patches there, `(n, p, p, c)` uint8, on the device of the pixels."""
        image, top, left, pose = places
        large = self.wanted.gather(image, top * self.ratio, left * self.ratio, patch * self.ratio, pose)
        return self.given.gather(image, top, left, patch, pose), large

    def _poses(self, pose: Tensor) -> Tensor:
        """Flipped down, flipped across, transposed, `(3, n)`; without flips an even number of the three: a turn."""
        down, across, turned = pose
        if not self.turns:
            turned = torch.zeros_like(turned)
        if not self.flips:
            across = down ^ turned if self.turns else torch.zeros_like(across)
            down = down if self.turns else torch.zeros_like(down)
        return torch.stack([down, across, turned])

    @property
    def pixels(self) -> int:
        """How many the network may be given."""
        return int((self.given.width * self.given.height).sum())

    @cached_property
    def _area_up_to(self) -> Tensor:
        area = torch.cumsum(self.given.width * self.given.height, 0).double()
        return area / area[-1]


Places = tuple[Tensor, Tensor, Tensor, Tensor]


def scaled(pixels: Tensor) -> Tensor:
    """uint8 `(n, p, p, c)` to float32 `(n, c, p, p)` in [0, 1], channels_last."""
    return pixels.permute(0, 3, 1, 2).float().div_(255.0)


class Feed:
    """The batches of a training, one after the other; `state_dict` goes on behind the last that was taken.

    Where the pixels lie on another device than the training, threads read ahead, into pinned memory for a GPU.
    """

    def __init__(
        self, pool: Pool, batch: int, patch: int, seed: int, device: torch.device, part: slice, *, ahead: bool = False
    ) -> None:
        self.pool, self.batch, self.patch, self.part, self.device = pool, batch, patch, part, device
        self.generator = torch.Generator().manual_seed(seed)
        self.ahead = ahead or pool.given.pixels.device != device
        self._waiting: deque[tuple[Tensor, Future[tuple[Tensor, Tensor]]]] = deque()
        self._taken = self.generator.get_state()

    def __call__(self) -> tuple[Tensor, Tensor]:
        """The next batch, on the device; see `Pool.draw`."""
        if not self.ahead:
            return self.pool.draw(self.batch, self.patch, self.generator, self.part)
        while len(self._waiting) < BATCHES_AHEAD:
            places = self.pool.places(self.batch, self.patch, self.generator, self.part)
            self._waiting.append((self.generator.get_state(), self._readers.submit(self._read, places)))
        self._taken, future = self._waiting.popleft()
        given, wanted = (pixels.to(self.device, non_blocking=True) for pixels in future.result())
        return scaled(given), scaled(wanted)

    def example(self) -> tuple[Tensor, Tensor]:
        """A batch that is not counted: the next ones are what they would have been."""
        given, wanted = self.pool.draw(self.batch, self.patch, torch.Generator(), self.part)
        return given.to(self.device), wanted.to(self.device)

    @cached_property
    def _readers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(READERS, "srbench-patches")

    def _read(self, places: Places) -> tuple[Tensor, Tensor]:
        given, wanted = self.pool.bytes_at(places, self.patch)
        return (given.pin_memory(), wanted.pin_memory()) if self.device.type == "cuda" else (given, wanted)

    def state_dict(self) -> dict[str, Any]:
        """The random numbers behind the last batch that was taken, not behind those read ahead."""
        return {"generator": self._taken if self.ahead else self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on behind that batch; what was read ahead is dropped."""
        self._waiting.clear()
        self._taken = state["generator"]
        self.generator.set_state(self._taken)


def _window(top: Tensor, left: Tensor, size: int, pose: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column numbers `(n, size, size)` of windows, flipped along either axis and transposed as `pose` says."""
    along = torch.arange(size, device=top.device).expand(len(top), size)
    down = torch.where(pose[0, :, None], size - 1 - along, along) + top[:, None]
    across = torch.where(pose[1, :, None], size - 1 - along, along) + left[:, None]
    rows, columns = down[:, :, None].expand(-1, size, size), across[:, None, :].expand(-1, size, size)
    turned = pose[2, :, None, None]
    return torch.where(turned, rows.mT, rows), torch.where(turned, columns.mT, columns)
