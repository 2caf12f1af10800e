"""What is seen of a training: a progress bar or log lines, and TensorBoard where it is asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reference_models.checkpoint import Clock
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
        self._told = (time.perf_counter(), 0)

    def step(self, clock: Clock, losses: Mapping[str, Tensor], rate: float) -> None:
        then, before = self._told
        now = time.perf_counter()
        if now - then >= self.seconds:
            speed = (clock.step - before) / (now - then)
            values = "  ".join(f"{name} {float(value):.4g}" for name, value in losses.items())
            click.echo(f"step {clock.step}  {clock.seconds:.0f} s  {speed:.2f} it/s  {values}  rate {rate:.2e}", err=True)
            self._told = (now, clock.step)

    def validated(self, clock: Clock, network: nn.Module, samples: Sequence[Sample]) -> None:
        step, seconds, loss, psnr = clock.curve[-1]
        click.echo(f"step {step:.0f}  {seconds:.0f} s  mean loss {loss:.5g}  validation {psnr:.3f} dB", err=True)
