"""SOAP: Adam in the basis where the gradients of a layer have no correlations.

Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam", 2024, algorithm 3. Written here and not taken from a
library, since what counts is how a convolution becomes a matrix: outputs by inputs and taps together, whose second
factor is the correlation of all that a filter sees. Libraries split the taps off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

TINY = 1e-30
"""Averages below this are nothing. A filter that fell silent has averages that decay into denormal numbers after a
thousand steps, and a processor multiplies those many times more slowly."""


class Soap(torch.optim.Optimizer):
    """Learns the eigenvectors of the gradients' correlations, and keeps Adam's squares along them.

    Parameters are float tensors of any shape; of two dimensions and more, the first counts as outputs and all others as
    inputs. Two choices of our own: the very first step counts, where the paper only gathers, and squares and
    correlations share one decay.

    lr       what an element moves at most in the learnt basis, as Adam's
    betas    decay of the mean, and of the squares and correlations
    every    steps from one turn of the basis (a QR decomposition) to the next
    widest   a side of a matrix longer than this stays as it is, as do vectors; with 0 this is Adam
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        every: int = 10,
        widest: int = 2048,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "every": every, "widest": widest})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(_update(parameter.grad, self.state[parameter], group).reshape(parameter.shape))
        return loss


def _update(grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """What is to be taken off the parameter, as a matrix; `state` is brought up to date."""
    gradient = grad.reshape(grad.shape[0], -1) if grad.ndim > 1 else grad.reshape(1, -1)
    sides = [side for side in (0, 1) if grad.ndim > 1 and 1 < gradient.shape[side] <= group["widest"]]
    if not state:
        state.update(step=0, mean=torch.zeros_like(gradient), square=torch.zeros_like(gradient))
        for side in sides:
            state[f"correlation{side}"] = _correlation(gradient, side)
            state[f"basis{side}"] = _eigenvectors(state[f"correlation{side}"])

    beta1, beta2 = group["betas"]
    state["step"] += 1
    _forget_the_tiny(state["mean"].lerp_(gradient, 1.0 - beta1))
    state["square"].lerp_(_turned(gradient, state, sides).square(), 1.0 - beta2)
    mean = _turned(state["mean"], state, sides) / (1.0 - beta1 ** state["step"])
    scale = (state["square"] / (1.0 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
    update = _turned(mean.div_(scale), state, sides, back=True).mul_(group["lr"])

    for side in sides:
        state[f"correlation{side}"].lerp_(_correlation(gradient, side), 1.0 - beta2)
        if state["step"] % group["every"] == 0:
            _follow(state, side)
    return update


def _eigenvectors(correlation: Tensor) -> Tensor:
    """Of a symmetric matrix, by rising eigenvalue.

    That of one gradient of few patches has far fewer directions than sides, and LAPACK may fail to tell the others
    apart: then in fp64, with a little on the diagonal, which moves no eigenvector.
    """
    try:
        return torch.as_tensor(torch.linalg.eigh(correlation).eigenvectors)
    except RuntimeError:  # LinAlgError is one
        scale = correlation.diagonal().mean().double()
        noise = 1e-7 * scale * torch.linspace(0.0, 1.0, len(correlation), device=correlation.device, dtype=torch.double)
        certain = torch.linalg.eigh(correlation.double() + torch.diag(noise)).eigenvectors
        return torch.as_tensor(certain.to(correlation.dtype))


def _correlation(gradient: Tensor, side: int) -> Tensor:
    return gradient @ gradient.T if side == 0 else gradient.T @ gradient


def _turned(matrix: Tensor, state: dict[str, Any], sides: list[int], *, back: bool = False) -> Tensor:
    """The matrix in the learnt basis; or, `back`, one in that basis as it was."""
    for side in sides:
        basis = state[f"basis{side}"].T if back else state[f"basis{side}"]
        matrix = basis.T @ matrix if side == 0 else matrix @ basis
    return matrix


def _follow(state: dict[str, Any], side: int) -> None:
    """Turn the basis after the correlations by one power iteration; largest first, and the squares go along."""
    correlation, basis = _forget_the_tiny(state[f"correlation{side}"]), state[f"basis{side}"]
    order = (basis * (correlation @ basis)).sum(dim=0).argsort(descending=True)
    state["square"] = state["square"].index_select(side, order)
    state[f"basis{side}"] = torch.linalg.qr(correlation @ basis[:, order]).Q


def _forget_the_tiny(average: Tensor) -> Tensor:
    return average.masked_fill_(average.abs() < TINY, 0.0)
