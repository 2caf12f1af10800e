"""Images and scores are made in exact fp32, whatever the process does besides, which gets its own flags back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch

from srbench.base.arithmetic import exact_arithmetic
from srbench.metrics.scorer import Scorer
from srbench.models.inference import Inference

EXACT = ("highest", False, False, True)
TRAINING = ("high", True, True, False)
CPU = torch.device("cpu")


def flags() -> tuple[str, bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic


def set_flags(products: str, tf32: bool, search: bool, deterministic: bool) -> None:
    torch.set_float32_matmul_precision(products)
    cudnn = torch.backends.cudnn
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = tf32, search, deterministic


@pytest.fixture(autouse=True)
def _as_in_a_training() -> Iterator[None]:
    before = flags()
    set_flags(*TRAINING)
    yield
    set_flags(*before)


class Witness(torch.nn.Module):
    """Nearest-neighbour upscaling, or the difference of two images, that remembers the flags it ran under."""

    scale = 2

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[str, bool, bool, bool]] = set()

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        self.seen.add(flags())
        return x.repeat_interleave(2, -1).repeat_interleave(2, -2) if y is None else (x - y).abs().float().mean()


def upscale(witness: Witness, image: np.ndarray, _: Any) -> None:
    Inference(witness, CPU).upscale(image)


def score(witness: Witness, image: np.ndarray, _: Any) -> None:
    scorer = Scorer(["psnr_y"])
    scorer._functions["psnr_y"] = witness
    scorer(torch.rand(1, 3, *image.shape[:2]), image, 2)


def torchmetrics(witness: Witness, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torchmetrics", reason="needs torchmetrics: pip install 'srbench-sr[torchmetrics]'")
    from srbench.torchmetrics import Score

    psnr = Score("psnr_y")
    monkeypatch.setattr(psnr, "_function", lambda _: witness)
    psnr.update(*torch.rand(2, 1, 3, *image.shape[:2]))


@pytest.mark.parametrize("make", [upscale, score, torchmetrics])
def test_what_is_reported_is_made_exactly(
    make: Callable[..., None], photograph: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = Witness()
    make(witness, photograph(24, 28), monkeypatch)
    assert witness.seen == {EXACT}
    assert flags() == TRAINING


def test_the_last_thread_out_restores_what_the_first_found() -> None:
    inside, first_out = Barrier(2), Barrier(2)

    def work(leaves_first: bool) -> tuple[str, bool, bool, bool]:
        with exact_arithmetic():
            inside.wait(10)
            if not leaves_first:
                first_out.wait(10)
            seen = flags()
        if leaves_first:
            first_out.wait(10)
        return seen

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, [True, False])) == [EXACT, EXACT]
    assert flags() == TRAINING


def test_flags_come_back_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), exact_arithmetic():
        1 / 0  # noqa: B018
    assert flags() == TRAINING
