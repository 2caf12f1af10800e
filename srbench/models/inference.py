"""From a model to the function that the runner times: device, precision, backend, tiles, self-ensemble, checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from srbench.base.arithmetic import exact_arithmetic
from srbench.base.errors import JobError, SrbenchError, UsageError, first_line
from srbench.images.tensors import to_tensor
from srbench.models.backends import accelerated
from srbench.models.tiles import in_tiles, is_out_of_memory, overlap_of, until_it_fits
from srbench.models.wrap import one_tensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from srbench.images.degrade import LowResolution
    from srbench.models.spec import ModelSpec, Upscaler


def select_device(name: str) -> torch.device:
    """`auto` is the first CUDA device, else the CPU. Raises `UsageError` for a device that is not here."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device, dtype=torch.float64)  # metrics are computed in float64, on the model's device
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = first_line(error)
        raise UsageError(f"device {name!r} cannot be used ({reason}). Use --device cpu, or cuda:N") from error
    return device


def seed_device(device: torch.device, seed: int) -> None:
    """`torch.manual_seed` for the CPU and one device: that one takes down a traceback for each kind that is not here,
    which costs as much as scoring a small image."""
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device.type != "cpu":
        torch.manual_seed(seed)


class Upscaled(NamedTuple):
    """SR `(1, 3, h * scale, w * scale)` float, and how it came about.

    `seconds` is the device's time; `tile` the size of tiles in LR pixels, where there were any, and `seam` the error
    between them in 8-bit levels (see `srbench.models.tiles`).
    """

    sr: Tensor
    seconds: float
    tile: int | None = None
    seam: float = 0.0


@dataclass
class Inference:
    """A model ready to run: `upscale` takes an LR image to SR, and says how long that took."""

    upscaler: Upscaler
    device: torch.device
    precision: str = "fp32"
    backend: str = "eager"
    tile: str = "auto"
    self_ensemble: bool = False
    plain: Upscaler | None = None
    """The model before its backend, where there is one."""

    def plainly(self, x: Tensor) -> Tensor:
        """As calling it, without its backend."""
        return self(x) if self.plain is None else replace(self, upscaler=self.plain, backend="eager", plain=None)(x)

    def upscale(self, lr: LowResolution) -> Upscaled:
        """SR of one image in 0..255.

        Raises `JobError` where the model raises, or returns another shape, whole numbers or values that are not finite.
        """
        return self._timed(to_tensor(lr, self.device))

    def upscale_together(self, images: Sequence[LowResolution]) -> list[Upscaled]:
        """SR of images of one size, in one batch; the seconds are shared out evenly. Raises `JobError` as `upscale`.

        SR is that of the single images within rounding: a processor may order a network's sums by the batch.

        Never in tiles of its own accord: a batch may run out of memory where its images, alone, do not.
        """
        import torch

        alone = self if self.tile != "auto" else replace(self, tile="none")
        sr, seconds, tile, seam = alone._timed(torch.cat([to_tensor(image, self.device) for image in images]))
        return [Upscaled(one, seconds / len(images), tile, seam) for one in sr[:, None]]

    def _timed(self, x: Tensor) -> Upscaled:
        if self.tile not in ("auto", "none"):
            self.overlap  # noqa: B018 - measured before the clock starts
        synchronise(self.device)
        start = time.perf_counter()
        with as_job_error():
            sr, tile, seam = self._tiled(x)
            synchronise(self.device)
        seconds = time.perf_counter() - start
        check_sr(sr, x, self.upscaler.scale, self.precision)
        return Upscaled(sr, seconds, tile, seam)

    def _tiled(self, x: Tensor) -> tuple[Tensor, int | None, float]:
        """SR, the side of the tiles where there were any, and the error at their seams."""

        def attempt(side: int | None) -> tuple[Tensor, int | None, float]:
            if side is None:
                return self(x), None, 0.0
            sr, seam = in_tiles(self, x, side, self.upscaler.scale, self.overlap)
            return sr, side, seam

        if self.tile == "auto":
            return until_it_fits(attempt, None, max(x.shape[-2:]))
        return attempt(None if self.tile == "none" else int(self.tile))

    @cached_property
    def overlap(self) -> int:
        """LR pixels of context around a tile: as far as the model reaches, where that is not too far."""
        return overlap_of(self, self.upscaler.scale, self.device)

    def __call__(self, x: Tensor) -> Tensor:
        """`(n, 3, h, w)` in [0, 1] to SR, in the chosen precision, averaged over the eight poses if so asked."""
        import torch

        with torch.inference_mode(), exact_arithmetic(), autocast(self.device, self.precision):
            if not self.self_ensemble:
                return one_tensor(self.upscaler(x))
            return torch.stack([undo(one_tensor(self.upscaler(do(x)))) for do, undo in eight_poses()]).mean(dim=0)


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
    with as_job_error():
        upscaler = spec.build(scale, device)
    if upscaler.scale != scale:
        raise JobError(f"built for scale {upscaler.scale}, asked for {scale}")
    plain = None if backend == "eager" else upscaler
    upscaler = accelerated(upscaler, backend, device, precision)
    return Inference(upscaler, device, precision, backend, tile, self_ensemble, plain)


def check_sr(sr: Tensor, lr: Tensor, scale: int, precision: str = "fp32") -> None:
    """Raise `JobError` unless SR is a finite float image, `scale` times the size of LR."""
    expected = (*lr.shape[:2], lr.shape[2] * scale, lr.shape[3] * scale)
    if tuple(sr.shape) != expected:
        raise JobError(f"returned shape {tuple(sr.shape)}, expected {expected}")
    if not sr.is_floating_point():
        raise JobError(f"returned {sr.dtype}, expected floats in [0, 1]")
    if not bool(sr.isfinite().all()):
        remedy = ". fp16 ends at 65,504: try --precision bf16 or fp32" if precision == "fp16" else ""
        raise JobError(f"returned values that are not finite (NaN or infinity){remedy}")


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
    """torch's mixed precision for `bf16` and `fp16`; nothing for `fp32`."""
    import torch

    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what was asked of it; a CPU already has."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def as_job_error(before: str = "") -> Iterator[None]:
    """Whatever a model raises, as a `JobError` in one line, with something `before` it; `UsageError` stays one."""
    try:
        yield
    except (UsageError, JobError):
        raise
    except (Exception, SystemExit) as error:
        raise JobError(before + error_line(error)) from error


def error_line(error: BaseException) -> str:
    """An error of a model in one line; of memory, with what helps."""
    if is_out_of_memory(error):
        return f"out of memory ({type(error).__name__}). Give --tile 128, or a smaller number, or --batch 1"
    if isinstance(error, SrbenchError):
        return str(error)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines[:2])}" if lines else type(error).__name__
