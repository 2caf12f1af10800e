"""What is seen of a training: a progress bar or log lines, and TensorBoard where it is asked for."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from reference_models.validation import upscaled
from srbench.errors import UnavailableError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reference_models.checkpoint import Clock
    from reference_models.recipes import Recipe
    from srbench.types import Sample


class Watch(Protocol):
    """Whoever looks on. `losses` are left on the device: reading one makes the device wait."""

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None: ...

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None: ...


class Silent:
    """Sees nothing: for tests, and for every rank but the first."""

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        return

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        return


class Lines:
    """A line for each validation, and one every `seconds` between; for logs."""

    def __init__(self, seconds: float = 30.0) -> None:
        self.seconds = seconds
        self._told: tuple[float, int] | None = None

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        now = time.perf_counter()
        then, before = self._told = self._told or (now, clock.step)  # a resumed training does not begin at step 0
        if now - then >= self.seconds:
            speed = (clock.step - before) / (now - then)
            click.echo(
                f"step {clock.step}  {clock.seconds:.0f} s  {speed:.2f} it/s  {_text(losses)}  rate {rate:.2e}",
                err=True,
            )
            self._told = (now, clock.step)

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        click.echo(_validated(clock), err=True)


class Bar:
    """A progress bar with steps a second, the losses and the last validation; for terminals."""

    every = 20
    """Steps between two looks at the losses."""

    def __init__(self, recipe: Recipe) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.recipe = recipe
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
        )
        self.bar = Progress(*columns, console=Console(stderr=True))
        self.task = self.bar.add_task(recipe.name, total=1.0, now="")
        self.bar.start()

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        if clock.step % self.every == 0:
            speed = clock.step / max(clock.seconds, 1e-9)
            now = f"step {clock.step}  {speed:.2f} it/s  {_text(losses)}"
            self.bar.update(self.task, completed=clock.progress(self.recipe), now=now)
        if not clock.goes_on(self.recipe):
            self.bar.stop()

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        self.bar.console.print(_validated(clock), highlight=False)


class TensorBoard:
    """Scalars and images in the folder `out`. Raises `UnavailableError` where tensorboard is not installed."""

    every = 50

    def __init__(self, out: Path, images: int = 4) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise UnavailableError("--tensorboard needs a package: pip install srbench[tensorboard]") from None
        self.writer = SummaryWriter(str(out))
        self.images = images

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        if clock.step % self.every == 0:
            for name, value in losses.items():
                self.writer.add_scalar(f"train/{name}", float(value), clock.step)
            self.writer.add_scalar("train/rate", rate, clock.step)

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        for name, value in clock.scores_here.items():
            self.writer.add_scalar(f"validation/{name}", value, clock.step)
        for sample in samples[: self.images]:
            image = upscaled(network, sample)
            self.writer.add_image(f"validation/{sample.id}", image, clock.step, dataformats="HWC")
        self.writer.flush()


class Several:
    """Passes on to others."""

    def __init__(self, *watches: Watch) -> None:
        self.watches = watches

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        for watch in self.watches:
            watch.step(clock, losses, rate)

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        for watch in self.watches:
            watch.validated(clock, network, samples)


def watch_for(recipe: Recipe, out: Path, *, tensorboard: bool) -> Watch:
    """A bar on a terminal, else lines; with TensorBoard where it is asked for."""
    seen: Watch = Bar(recipe) if sys.stderr.isatty() else Lines()
    return Several(seen, TensorBoard(out / "tensorboard")) if tensorboard else seen


def _validated(clock: Clock) -> str:
    """A line about a validation."""
    step, seconds, loss = clock.curve[-1][:3]
    known = {"psnr_y": "{:.3f} dB", "ssim_y": "SSIM {:.4f}", "lpips": "LPIPS {:.4f}"}
    seen = ", ".join(known[name].format(value) for name, value in clock.scores_here.items())
    return f"step {step:.0f}  {seconds:.0f} s  mean loss {loss:.5g}" + (f"  validation {seen}" if seen else "")


def _text(losses: Mapping[str, Tensor]) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in losses.items())
