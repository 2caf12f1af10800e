"""SOAP: Adam where no side is turned, indifferent to turned inputs and to rounding, quick where Adam is slow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from reference_models.soap import Soap, _eigenvectors

Maker = Callable[[list[Tensor]], torch.optim.Optimizer]


def losses(make: Maker, turn: Tensor, steps: int) -> Tensor:
    """Mean squared errors of a linear map that is learnt from ill-conditioned inputs, their space turned by `turn`."""
    draws = torch.Generator().manual_seed(0)
    spread = torch.logspace(0, -2, len(turn), dtype=torch.float64)
    truth = torch.randn(len(turn), len(turn), generator=draws, dtype=torch.float64) / spread
    weight = torch.zeros(len(turn), len(turn), dtype=torch.float64, requires_grad=True)
    optimiser = make([weight])
    seen = []
    for _ in range(steps):
        x = torch.randn(64, len(turn), generator=draws, dtype=torch.float64) * spread
        loss = (x @ turn @ weight.T - x @ truth.T).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        seen.append(loss.detach())
    return torch.stack(seen)


def a_rotation(size: int) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    return torch.linalg.qr(torch.randn(size, size, generator=draws, dtype=torch.float64)).Q


def soap(params: list[Tensor]) -> torch.optim.Optimizer:
    return Soap(params, lr=1.0)


def adam(params: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(params, lr=1.0, betas=(0.95, 0.95))


def test_with_no_side_turned_it_is_adam() -> None:
    ours, theirs = (torch.nn.Conv2d(3, 5, 3) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    optimisers = (
        Soap(ours.parameters(), lr=1e-2, betas=(0.9, 0.99), widest=0),
        torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=(0.9, 0.99)),
    )
    for seed in range(12):
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        for network, optimiser in zip((ours, theirs), optimisers, strict=True):
            optimiser.zero_grad()
            network(x).square().mean().backward()
            optimiser.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=1e-6)


def test_turning_the_inputs_changes_nothing_and_it_would_for_adam() -> None:
    straight, turned = (losses(soap, turn, 25) for turn in (torch.eye(6, dtype=torch.float64), a_rotation(6)))
    torch.testing.assert_close(straight, turned, rtol=1e-6, atol=0)
    straight, turned = (losses(adam, turn, 25) for turn in (torch.eye(6, dtype=torch.float64), a_rotation(6)))
    assert not torch.allclose(straight, turned, rtol=0.01)


def test_correlated_inputs_are_learnt_faster_than_by_adam() -> None:
    ours, theirs = (float(losses(make, a_rotation(12), 300)[-20:].mean()) for make in (soap, adam))
    assert ours < 0.1 * theirs


def six_steps(memory_format: torch.memory_format = torch.contiguous_format, rounding: float = 0.0) -> Tensor:
    """Weights of a convolution with more inputs and taps than outputs; each gradient is off by about `rounding`."""
    torch.manual_seed(0)
    network = nn.Conv2d(4, 6, 3).to(memory_format=memory_format)  # type: ignore[call-overload]
    optimiser = Soap(network.parameters(), lr=1e-2, every=2)
    draws = torch.Generator().manual_seed(1)
    for seed in range(6):
        x = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(seed))
        optimiser.zero_grad()
        network(x).square().mean().backward()
        network.weight.grad.mul_(1.0 + rounding * torch.randn(network.weight.shape, generator=draws))
        optimiser.step()
    weight: Tensor = network.weight.detach()
    return weight.contiguous()


@pytest.mark.numbers
def test_the_memory_format_of_a_convolution_does_not_matter() -> None:
    torch.testing.assert_close(six_steps(torch.channels_last), six_steps(), rtol=0, atol=1e-5)


@pytest.mark.numbers
def test_rounding_of_the_gradients_does_not_matter() -> None:
    """Another processor rounds otherwise: no step may hang on it, not even in directions of which nothing is known."""
    torch.testing.assert_close(six_steps(rounding=1e-7), six_steps(), rtol=0, atol=1e-5)


def test_what_fell_silent_is_forgotten_before_its_averages_are_denormal() -> None:
    weight = torch.zeros(4, 3, requires_grad=True)
    optimiser = Soap([weight], lr=1e-3)
    weight.grad = torch.rand(4, 3, generator=torch.Generator().manual_seed(0)) * 1e-6
    optimiser.step()
    weight.grad[0] = 0.0
    for _ in range(1700):  # 1e-12 * 0.95**1700 is 1e-50
        optimiser.step()
    mean, correlation = (optimiser.state[weight][name] for name in ("mean", "correlation0"))
    assert not mean[0].any() and not correlation[0].any()
    for average in (mean, correlation):
        assert float(average[average != 0].abs().min()) >= torch.finfo(torch.float32).tiny


def test_a_gradient_of_few_directions_has_eigenvectors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAPACK gives up on some such matrices in fp32; what comes instead is a basis that diagonalises them."""
    rows = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    correlation = rows.T @ rows
    real = torch.linalg.eigh

    def fails_in_fp32(matrix: torch.Tensor) -> object:
        if matrix.dtype == torch.float32:
            raise torch.linalg.LinAlgError("failed to converge")
        return real(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", fails_in_fp32)
    basis = _eigenvectors(correlation)
    assert torch.allclose(basis.T @ basis, torch.eye(40), atol=1e-5)
    turned = basis.T @ correlation @ basis
    assert float((turned - turned.diagonal().diag()).abs().max()) < 1e-3 * float(correlation.abs().max())
