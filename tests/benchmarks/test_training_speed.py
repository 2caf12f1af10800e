"""A step of our loop beside the plain one: interleaved pairs, one thread, processor time; neighbours do not count.

The plain loop is what most repositories have: crops cut from decoded images one by one, stacked, contiguous NCHW,
eager. Run it with: pytest tests/benchmarks/test_training_speed.py -m slow -s
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reference_models.architectures import build
from reference_models.architectures.discriminators import Kind, discriminator
from reference_models.losses import PIXEL
from reference_models.machine import compiled, multiplies_bf16, optimiser_for
from reference_models.parts import centre, placed, step
from reference_models.patches import Plane, Pool
from reference_models.recipes import RECIPES
from reference_models.start import first_network
from reference_models.train import make_fabric
from tests.benchmarks.pairs import ratio, tell

CPU = torch.device("cpu")
PAIRS = 5
FEW = 4
"""The batch of the table: a processor without units for bf16 takes long."""
WANTED = {"srresnet": (16, 24, 1.35), "srcnn": (16, 48, 1.05)}
"""Batch, patch and the ratio wanted. SRCNN's time goes into one 5x5 convolution that is as fast in either layout."""


def pool_of(ratio: int, channels: int) -> tuple[Pool, list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 256, (120, 160, channels), dtype=np.uint8) for _ in range(8)]
    wanted = [image.repeat(ratio, axis=0).repeat(ratio, axis=1) for image in given]
    return Pool(Plane.of(given, CPU), Plane.of(wanted, CPU), ratio, {}, ""), given, wanted


def plain_batch(
    given: list[np.ndarray], wanted: list[np.ndarray], batch: int, patch: int, ratio: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    pairs = []
    for _ in range(batch):
        index, flip, turns = rng.integers(len(given)), rng.integers(2), rng.integers(4)
        top, left = rng.integers(120 - patch), rng.integers(160 - patch)
        both = []
        for image, by in ((given[index], 1), (wanted[index], ratio)):
            rows, columns = slice(top * by, (top + patch) * by), slice(left * by, (left + patch) * by)
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


def our_stepper(
    name: str, pool: Pool, precision: str = "32-true", mode: str = "", batch: int = 0
) -> Callable[[], float]:
    """A step of `fit`, without its average: the recipe's network and optimiser, as the trainer sets them up."""
    batch, patch = batch or WANTED[name][0], WANTED[name][1]
    recipe = replace(RECIPES[f"{name}-quick"], batch=batch, patch=patch, precision=precision, optimiser="adam", lr=1e-4)
    fabric = make_fabric(CPU, 1, precision)
    network = placed(first_network(recipe)[0], recipe, fabric).train()
    optimiser, generator = optimiser_for(network, recipe), torch.Generator().manual_seed(0)
    example, _ = pool.draw(batch, patch, generator)
    model, wrapped = fabric.setup(compiled(network, example, mode, fabric), optimiser)

    def once() -> float:
        start = time.process_time()
        lr, hr = pool.draw(batch, patch, generator)
        sr = model(lr)
        step(fabric, model, wrapped, PIXEL["l1"](sr, centre(hr, sr)), clip=0.0)
        return time.process_time() - start

    return once


def plain_stepper(
    name: str, given: list[np.ndarray], wanted: list[np.ndarray], ratio: int, batch: int = 0
) -> Callable[[], float]:
    batch, patch = batch or WANTED[name][0], WANTED[name][1]
    rng = np.random.default_rng(0)
    return stepper(plain_network(name), lambda: plain_batch(given, wanted, batch, patch, ratio, rng))


@pytest.mark.slow
@pytest.mark.parametrize("name", WANTED)
def test_our_step_is_faster_than_the_plain_one(name: str) -> None:
    torch.set_num_threads(1)
    ratio, channels = (1, 1) if name == "srcnn" else (4, 3)
    pool, given, wanted = pool_of(ratio, channels)
    ours, plain = our_stepper(name, pool), plain_stepper(name, given, wanted, ratio)
    ours(), plain()
    ratios = [(plain() / ours()) for _ in range(PAIRS)]
    tell(f"a step of {name} in fp32: plain / ours", statistics.median(ratios))
    assert statistics.median(ratios) >= WANTED[name][2], ratios


@pytest.mark.slow
def test_precision_and_compilation() -> None:
    """The table of docs/training.md: SRResNet's step in each way beside the plain fp32 one, in turns."""
    torch.set_num_threads(1)
    pool, given, wanted = pool_of(4, 3)
    plain = plain_stepper("srresnet", given, wanted, 4, FEW)
    ways = {
        (p, m): our_stepper("srresnet", pool, p, m, FEW) for p in ("32-true", "bf16-mixed") for m in ("", "default")
    }
    for once in (plain, *ways.values()):
        once()
    rounds = [(plain(), *(once() for once in ways.values())) for _ in range(3)]
    found = [statistics.median(row[0] / row[index] for row in rounds) for index in range(1, len(ways) + 1)]
    for (precision, mode), times in zip(ways, found, strict=True):
        tell(f"a step of srresnet, {precision}, {'compiled' if mode else 'eager'}: plain fp32 eager / ours", times)
    if multiplies_bf16(CPU):
        assert max(found[2:]) >= 4.0


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
