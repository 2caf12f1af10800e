"""A step of our loop beside the plain one: interleaved pairs, one thread, processor time; neighbours do not count.

The plain loop is what most repositories have: crops cut from decoded images one by one, stacked, contiguous NCHW,
eager. Run it with: pytest tests/benchmarks/test_training_speed.py -m slow -s
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference_models.architectures import build
from reference_models.architectures.discriminators import Kind, discriminator
from reference_models.parts import centre
from reference_models.patches import Plane, Pool
from tests.benchmarks.pairs import ratio, tell

PAIRS = 5
WANTED = {"srresnet": (16, 24, 1.35), "srcnn": (16, 48, 1.05)}
"""Batch, patch and the ratio wanted. SRCNN's time goes into one 5x5 convolution that is as fast in either layout."""


def pool_of(ratio: int, channels: int) -> tuple[Pool, list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 256, (120, 160, channels), dtype=np.uint8) for _ in range(8)]
    wanted = [image.repeat(ratio, axis=0).repeat(ratio, axis=1) for image in given]
    cpu = torch.device("cpu")
    return Pool(Plane.of(given, cpu), Plane.of(wanted, cpu), ratio, {}, ""), given, wanted


def plain_batch(
    given: list[np.ndarray], wanted: list[np.ndarray], batch: int, patch: int, ratio: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    pairs = []
    for _ in range(batch):
        index, flip, turns = rng.integers(len(given)), rng.integers(2), rng.integers(4)
        top, left = rng.integers(120 - patch), rng.integers(160 - patch)
        both = []
        for image, step in ((given[index], 1), (wanted[index], ratio)):
            rows, columns = slice(top * step, (top + patch) * step), slice(left * step, (left + patch) * step)
            crop = np.rot90(image[rows, columns][:, :: 1 - 2 * flip], turns)
            both.append(torch.from_numpy(np.ascontiguousarray(crop.transpose(2, 0, 1), dtype=np.float32) / 255.0))
        pairs.append(both)
    return torch.stack([lr for lr, _ in pairs]), torch.stack([hr for _, hr in pairs])


def plain_network(name: str) -> nn.Module:
    """SRResNet as everybody writes it, with the last convolution behind the last shuffle."""
    network = build(name, 4)
    if name == "srresnet":
        network.tail = nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(64, 3, 9, padding=4))
    return network


def stepper(network: nn.Module, batch_of: Callable[[], tuple[Tensor, Tensor]]) -> Callable[[], float]:
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    network.train()

    def step() -> float:
        start = time.process_time()
        lr, hr = batch_of()
        sr = network(lr)
        (sr - centre(hr, sr)).abs().mean().backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return time.process_time() - start

    return step


@pytest.mark.slow
@pytest.mark.parametrize("name", WANTED)
def test_our_step_is_faster_than_the_plain_one(name: str) -> None:
    torch.set_num_threads(1)
    batch, patch, wanted_ratio = WANTED[name]
    ratio, channels = (1, 1) if name == "srcnn" else (4, 3)
    pool, given, wanted = pool_of(ratio, channels)
    generator, rng = torch.Generator().manual_seed(0), np.random.default_rng(0)
    ours = stepper(build(name, 4).to(memory_format=torch.channels_last), lambda: pool.draw(batch, patch, generator))  # type: ignore[call-overload]
    plain = stepper(plain_network(name), lambda: plain_batch(given, wanted, batch, patch, ratio, rng))
    ours(), plain()
    ratios = [(plain() / ours()) for _ in range(PAIRS)]
    print(f"\n{name}: plain / ours {statistics.median(ratios):.2f}, pairs {[round(r, 2) for r in ratios]}")  # noqa: T201
    assert statistics.median(ratios) >= wanted_ratio


def critic_step(kind: Kind) -> Callable[[], None]:
    """What a discriminator costs in a step: both passes of its own, and one for the generator."""
    critic = discriminator(kind, 96, 32).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    hr, sr = (torch.rand(8, 3, 96, 96).contiguous(memory_format=torch.channels_last) for _ in range(2))

    def step() -> None:
        (critic(hr).mean() - critic(sr).mean()).backward()
        critic.requires_grad_(False)
        critic(sr.requires_grad_()).mean().backward()
        critic.requires_grad_(True)
        sr.requires_grad_(False)

    return step


@pytest.mark.slow
def test_judging_patches_costs_a_fraction_of_judging_images() -> None:
    found = ratio(critic_step("patch"), critic_step("spectral"))
    tell("the discriminator's share of a step, SRGAN's / patch", found)
    assert found >= 2.5
