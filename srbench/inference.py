"""From a model to the function that the runner times: device, precision, backend, tiles, self-ensemble, checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from srbench.backends import accelerated
from srbench.errors import JobError, UsageError
from srbench.images import to_rgb

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.types import Image, ModelSpec, Upscaler

TILE_OVERLAP = 32
"""LR pixels of context around each tile: more than the reach at which a pixel still matters to the models here."""

SMALLEST_AUTO_TILE = 64


def select_device(name: str) -> torch.device:
    """`auto` is the first CUDA device, else the CPU. Raises `UsageError` for a device that is not here."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device, dtype=torch.float64)  # metrics are computed in float64, on the model's device
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {name!r} cannot be used ({reason}). Use --device cpu, or cuda:N") from error
    return device


def settle_arithmetic() -> None:
    """Make fp32 mean fp32 and runs repeatable: no TF32, no algorithm search, no unordered reductions in cuDNN."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


@dataclass
class Inference:
    """A model ready to run: `upscale` takes a uint8 LR image to SR, and says how long it took."""

    upscaler: Upscaler
    device: torch.device
    precision: str = "fp32"
    backend: str = "eager"
    tile: str = "auto"
    self_ensemble: bool = False

    def upscale(self, lr: Image) -> tuple[Tensor, float, int | None]:
        """SR `(1, 3, h * scale, w * scale)` float, seconds on the device, and the tile size where tiles were used.

        Raises `JobError` where the model raises, or returns another shape, whole numbers or values that are not finite.
        """
        x = to_tensor(lr, self.device)
        start = time.perf_counter()
        try:
            sr, tile = self._tiled(x)
            synchronise(self.device)
        except Exception as error:
            raise JobError(f"{type(error).__name__}: {_first_line(error)}") from error
        seconds = time.perf_counter() - start
        check_sr(sr, x, self.upscaler.scale)
        return sr, seconds, tile

    def _tiled(self, x: Tensor) -> tuple[Tensor, int | None]:
        if self.tile == "none":
            return self(x), None
        if self.tile != "auto":
            return in_tiles(self, x, int(self.tile), self.upscaler.scale), int(self.tile)
        return self._smaller_until_it_fits(x)

    def _smaller_until_it_fits(self, x: Tensor) -> tuple[Tensor, int | None]:
        tile: int | None = None
        while True:
            try:
                return (self(x), None) if tile is None else (in_tiles(self, x, tile, self.upscaler.scale), tile)
            except Exception as error:
                tile = (tile or max(x.shape[-2:])) // 2
                if not is_out_of_memory(error) or tile < SMALLEST_AUTO_TILE:
                    raise
            _release_memory()

    def __call__(self, x: Tensor) -> Tensor:
        """`(n, 3, h, w)` in [0, 1] to SR, in the chosen precision, averaged over the eight poses if so asked."""
        import torch

        with torch.inference_mode(), autocast(self.device, self.precision):
            if not self.self_ensemble:
                return self.upscaler(x)
            return torch.stack([undo(self.upscaler(do(x))) for do, undo in eight_poses()]).mean(dim=0)


def prepare(
    spec: ModelSpec,
    scale: int,
    device: torch.device,
    *,
    precision: str = "fp32",
    backend: str = "eager",
    tile: str = "auto",
    self_ensemble: bool = False,
) -> Inference:
    """Build a model for inference. Raises `JobError` where its `build` fails, or yields another scale."""
    settle_arithmetic()
    try:
        upscaler = spec.build(scale, device)
    except (UsageError, JobError):
        raise
    except Exception as error:
        raise JobError(f"{type(error).__name__}: {_first_line(error)}") from error
    if upscaler.scale != scale:
        raise JobError(f"built for scale {upscaler.scale}, asked for {scale}")
    upscaler = accelerated(upscaler, backend, device, precision)
    return Inference(upscaler, device, precision, backend, tile, self_ensemble)


def to_tensor(image: Image, device: torch.device | str = "cpu") -> Tensor:
    """uint8 `(h, w, 3)` or `(h, w)` to float32 `(1, 3, h, w)` in [0, 1]; grey becomes three equal channels."""
    import torch

    pixels = np.ascontiguousarray(to_rgb(image).transpose(2, 0, 1))[None]
    return torch.from_numpy(pixels).to(device).float() / 255.0


def check_sr(sr: Tensor, lr: Tensor, scale: int) -> None:
    """Raise `JobError` unless SR is a finite float image, `scale` times the size of LR."""
    expected = (*lr.shape[:2], lr.shape[2] * scale, lr.shape[3] * scale)
    if tuple(sr.shape) != expected:
        raise JobError(f"returned shape {tuple(sr.shape)}, expected {expected}")
    if not sr.is_floating_point():
        raise JobError(f"returned {sr.dtype}, expected floats in [0, 1]")
    if not bool(sr.isfinite().all()):
        raise JobError("returned values that are not finite (NaN or infinity)")


def in_tiles(upscale: Callable[[Tensor], Tensor], x: Tensor, tile: int, scale: int) -> Tensor:
    """Upscale `(n, c, h, w)` tile by tile, each with `TILE_OVERLAP` pixels of context that are cut off again."""
    height, width = x.shape[-2:]
    sr: Tensor | None = None
    for top, bottom, above, below in spans(height, tile):
        for left, right, before, after in spans(width, tile):
            part = upscale(x[..., above:below, before:after])
            rows = slice((top - above) * scale, (bottom - above) * scale)
            columns = slice((left - before) * scale, (right - before) * scale)
            if sr is None:
                sr = part.new_empty((*x.shape[:2], height * scale, width * scale))
            sr[..., top * scale : bottom * scale, left * scale : right * scale] = part[..., rows, columns]
    assert sr is not None
    return sr


def spans(size: int, tile: int) -> Iterator[tuple[int, int, int, int]]:
    """Start and end of each tile of an axis, without and with its context."""
    for start in range(0, size, tile):
        end = min(start + tile, size)
        yield start, end, max(start - TILE_OVERLAP, 0), min(end + TILE_OVERLAP, size)


def eight_poses() -> Iterator[tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]]:
    """The flips and quarter turns of a square, each with its inverse (Timofte et al., "Seven ways", CVPR 2016)."""
    for turns in range(4):
        for flip in (False, True):
            yield partial(_pose, turns=turns, flip=flip), partial(_unpose, turns=turns, flip=flip)


def _pose(x: Tensor, turns: int, flip: bool) -> Tensor:
    return (x.flip(-1) if flip else x).rot90(turns, (-2, -1))


def _unpose(x: Tensor, turns: int, flip: bool) -> Tensor:
    x = x.rot90(-turns, (-2, -1))
    return x.flip(-1) if flip else x


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    import torch

    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what was asked of it; a CPU already has."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def is_out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def _release_memory() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
