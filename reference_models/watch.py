"""What is seen of a training: how far it is, a picture of crops, and TensorBoard where it is asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reference_models.validation import upscaled
from srbench.base.errors import UnavailableError
from srbench.base.packages import install_hint
from srbench.base.progress import Bar
from srbench.images.files import to_rgb, write_image

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reference_models.checkpoint import Clock
    from reference_models.recipes import Recipe
    from srbench.datasets.sample import Sample
    from srbench.images.degrade import LowResolution
    from srbench.images.files import Image


class Watch:
    """Whoever looks on. This one sees nothing: for tests, and for every rank but the first."""

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        """A step is done. The losses are left on the device: reading one makes the device wait."""

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        """The network, in its averaged form, has been validated on the samples."""

    def close(self) -> None:
        """The training is over, by itself, by an error or by a signal."""


class Told(Watch):
    """How far it is, with steps a second and the losses: a bar on a terminal, a line a minute in a log. Each validation
    has a line."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.bar = Bar(recipe.name, 1.0)
        self._first: tuple[float, int] | None = None

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        if self._first is None:  # a resumed training does not begin at step 0
            self._first = time.perf_counter(), clock.step
            self.bar.begin_at(clock.progress(self.recipe))
        if self.bar.due:
            seconds, steps = time.perf_counter() - self._first[0], clock.step - self._first[1]
            speed = f"{steps / seconds:.2f} it/s  " if steps else ""
            now = f"step {clock.step}  {clock.seconds:.0f} s  {speed}{_text(losses)}  rate {rate:.2e}"
            self.bar.to(clock.progress(self.recipe), now=now)

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        self.bar.say(_validated(clock))

    def close(self) -> None:
        self.bar.close()


class TensorBoard(Watch):
    """Scalars and images in the folder `out`."""

    every = 50

    def __init__(self, out: Path, images: int = 4) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(out))
        self.images = images
        self._shown: set[str] = set()

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        if clock.step % self.every == 0:
            for name, value in losses.items():
                self.writer.add_scalar(f"train/{name}", float(value), clock.step)
            self.writer.add_scalar("train/rate", rate, clock.step)

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        for name, value in clock.scores_here.items():
            self.writer.add_scalar(f"validation/{name}", value, clock.step)
        for sample in samples[: self.images]:
            pictures = {"sr": upscaled(network, sample)}
            if sample.id not in self._shown:  # these stay as they are
                pictures |= {"lr": to_rgb(_in_bytes(sample.lr)), "hr": to_rgb(sample.reference)}
                self._shown.add(sample.id)
            for kind, image in pictures.items():
                self.writer.add_image(f"{sample.id}/{kind}", image, clock.step, dataformats="HWC")
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class Crops(Watch):
    """A PNG that is written anew at each validation: the middle of some samples as LR, SR and HR, side by side."""

    side = 96
    label = 14

    def __init__(self, path: Path, images: int = 4) -> None:
        self.path, self.images = path, images

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        if not samples:
            return
        rows = [
            [self._middle(image) for image in (_large(sample), upscaled(network, sample), sample.reference)]
            for sample in samples[: self.images]
        ]
        width = max(row[0].shape[1] for row in rows)
        columns = [np.vstack([np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0))) for image in column])
                   for column in zip(*rows, strict=True)]  # fmt: skip
        labels = [self._label(name, width) for name in ("LR", "SR", "HR")]
        write_image(self.path, np.vstack([np.hstack(labels), np.hstack(columns)]))

    def _label(self, name: str, width: int) -> Image:
        from PIL import Image as pil
        from PIL import ImageDraw

        strip = pil.new("RGB", (width, self.label))
        ImageDraw.Draw(strip).text((4, 1), name, fill="white")
        return np.asarray(strip)

    def _middle(self, image: Image) -> Image:
        top, left = (max(0, size - self.side) // 2 for size in image.shape[:2])
        return to_rgb(image)[top : top + self.side, left : left + self.side]


def _large(sample: Sample) -> Image:
    """LR at the size of HR, each pixel a square."""
    scale = sample.reference.shape[0] // sample.lr.shape[0]
    return _in_bytes(sample.lr).repeat(scale, axis=0).repeat(scale, axis=1)


def _in_bytes(lr: LowResolution) -> Image:
    """LR as a picture can show it, where its degradation does not round it."""
    return lr.round().clip(0, 255).astype(np.uint8)


class Several(Watch):
    """Passes on to others."""

    def __init__(self, *watches: Watch) -> None:
        self.watches = watches

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        for watch in self.watches:
            watch.step(clock, losses, rate)

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        for watch in self.watches:
            watch.validated(clock, network, samples)

    def close(self) -> None:
        for watch in self.watches:
            watch.close()


def refuse_missing_extra(tensorboard: bool) -> None:
    """Raise `UnavailableError` where tensorboard is wanted and not installed."""
    try:
        if tensorboard:
            import_module("torch.utils.tensorboard")
    except ImportError:
        raise UnavailableError(f"--tensorboard needs a package: {install_hint('tensorboard')}") from None


def watch_for(recipe: Recipe, out: Path, *, tensorboard: bool) -> Watch:
    """A bar on a terminal, else lines, and a PNG of crops; with TensorBoard where it is asked for."""
    watches: list[Watch] = [TensorBoard(out / "tensorboard")] if tensorboard else []
    watches += [Told(recipe), Crops(out / "validation.png")]
    return Several(*watches)


def _validated(clock: Clock) -> str:
    """A line about a validation."""
    step, seconds, loss = clock.curve[-1][:3]
    known = {"psnr_y": "{:.3f} dB", "ssim_y": "SSIM {:.4f}", "lpips": "LPIPS {:.4f}"}
    seen = ", ".join(known[name].format(value) for name, value in clock.scores_here.items())
    return f"step {step:.0f}  {seconds:.0f} s  mean loss {loss:.5g}" + (f"  validation {seen}" if seen else "")


def _text(losses: Mapping[str, Tensor]) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in losses.items())
