"""Two models timed against each other: turn by turn, so that whatever disturbs the machine disturbs both alike."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from srbench.benchmark.speed import machine
from srbench.benchmark.speed.steadiness import disturbed
from srbench.benchmark.speed.timing import Size, noise, seconds
from srbench.models.inference import Inference, as_job_error
from srbench.results.statistics import mean_interval

WARM_UPS = 2
FEWEST_ROUNDS = 3
MIN_ROUNDS = 10
MAX_ROUNDS = 200
PATIENCE = 10


@dataclass(frozen=True)
class Ratio:
    """How many times as long `a` takes as `b`: the geometric mean of `n` paired ratios and its 95 % interval."""

    a: str
    b: str
    value: float
    low: float
    high: float
    n: int

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves out 1. It covers the noise of this run, not another day or another machine."""
        return self.low > 1.0 or self.high < 1.0

    @property
    def verdict(self) -> str:
        """One sentence; it never calls two models different whose interval holds 1."""
        if not self.distinguishable:
            return f"not distinguishable ({self.n} rounds)"
        fast, slow = (self.b, self.a) if self.value > 1 else (self.a, self.b)
        return f"{fast} is faster than {slow}"


def take_turns(
    inferences: Sequence[Inference],
    size: Size,
    *,
    batch: int = 1,
    budget_s: float = 2.0,
    patience: int = PATIENCE,
    warm: Callable[[], None] = lambda: None,
) -> list[list[float]]:
    """Seconds of each inference in each round, rounds first: all of them once a round, in an order drawn anew.

    At least 10 rounds and at most 200, until the budget for all together is spent; what is so slow that 10 would take
    `patience` times the budget gets fewer, at least 3. `warm` is called between the warm-ups, which may compile, and
    the rounds. Raises `JobError` where one fails.
    """
    rounds: list[list[float]] = []
    order, draw, spent = list(range(len(inferences))), random.Random(0), 0.0
    with as_job_error("while being timed: "):
        inputs = [noise(batch, size, inference.device) for inference in inferences]
        for inference, x in list(zip(inferences, inputs, strict=True)) * WARM_UPS:
            seconds(inference, x)
        warm()
        while not _enough(len(rounds), spent, budget_s, patience):
            draw.shuffle(order)
            taken = {place: seconds(inferences[place], inputs[place]) for place in order}
            rounds.append([taken[place] for place in range(len(inferences))])
            spent += sum(rounds[-1])
    return rounds


class Turns(NamedTuple):
    """Seconds as `take_turns` has them, what the machine told of itself meanwhile, and what disturbed it."""

    rounds: list[list[float]]
    notes: list[str]
    not_steady: tuple[str, ...]


def watched_turns(inferences: Sequence[Inference], size: Size, **options: Any) -> Turns:
    """`take_turns`, the machine watched from the first round to the last; `options` are its own."""
    device = inferences[0].device
    states: list[machine.State] = []
    rounds = take_turns(inferences, size, warm=lambda: states.append(machine.look(device)), **options)
    states.append(machine.look(device))
    return Turns(rounds, machine.notes(device, *states), tuple(disturbed(device, *states)))


def _enough(rounds: int, spent: float, budget_s: float, patience: int) -> bool:
    if rounds < MIN_ROUNDS:
        return rounds >= FEWEST_ROUNDS and spent >= patience * budget_s
    return rounds >= MAX_ROUNDS or spent >= budget_s


def ratio(a: str, b: str, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """`ours / theirs`, paired by position; the interval is that of the mean logarithm."""
    logs = mean_interval([math.log(one / other) for one, other in zip(ours, theirs, strict=True)])
    return Ratio(a, b, math.exp(logs.mean), math.exp(logs.low), math.exp(logs.high), logs.n)
