"""Multiply-accumulates against closed forms, worked out by hand beside each case."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import DeformConv2d

from srbench.benchmark.speed.macs import _may_multiply, count_macs
from srbench.models.ensemble import Mean
from srbench.models.inference import Inference
from srbench.models.wrap import Scaled

H, W = 16, 16
PIXELS = H * W
CPU = torch.device("cpu")


class Net(nn.Module):
    """A function of 16 channels, made of the image by repeating it: no products but the function's."""

    scale = 1

    def __init__(self, part: nn.Module, call: Callable[[nn.Module, Tensor], object] | None = None) -> None:
        super().__init__()
        self.part, self.call = part, call or (lambda part, x: part(x))

    def forward(self, x: Tensor) -> Tensor:
        self.call(self.part, x.repeat(1, 6, 1, 1)[:, :16])
        return x


def macs(part: nn.Module, call: Callable[[nn.Module, Tensor], object] | None = None) -> int:
    found = count_macs(Inference(Scaled(Net(part, call).eval(), 1), CPU), torch.rand(1, 3, H, W))
    assert found is not None and not found.unknown
    return round(found.giga * 1e9)


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).mT


def heads(x: Tensor, count: int) -> Tensor:
    """The first of 4 heads: `(1, count, pixels, 4)`."""
    return tokens(x).reshape(1, PIXELS, 4, 4).transpose(1, 2)[:, :count]


def attend(part: nn.Module, x: Tensor) -> object:
    return part(tokens(x), tokens(x), tokens(x), need_weights=False)


def fused(layout: bool) -> Callable[[nn.Module, Tensor], object]:
    """torch's own attention of 4 heads, in two layouts of memory, of which one used to be counted."""

    def call(part: nn.Module, x: Tensor) -> object:
        q = tokens(x).reshape(1, PIXELS, 4, 4)
        q = q.transpose(1, 2).contiguous() if layout else q.transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(q, q, q)

    return call


def in_windows(part: nn.Module, x: Tensor) -> object:
    """Swin's: 8x8 windows, one head."""
    windows = x.reshape(1, 16, 2, 8, 2, 8).permute(0, 2, 4, 3, 5, 1).reshape(4, 64, 16)
    return (windows @ windows.mT).softmax(-1) @ windows


def deformed(part: nn.Module, x: Tensor) -> object:
    return part(x, torch.zeros(1, 18, H, W))


def summed(part: nn.Module, x: Tensor) -> object:
    return torch.einsum("bchw,dc->bdhw", x, torch.rand(5, 16))


ATTENTION = 2 * PIXELS * PIXELS * 16  # q·k and weights·v, over all heads together


@pytest.mark.parametrize(
    ("part", "call", "expected"),
    [
        pytest.param(nn.Conv2d(16, 32, 3, padding=1), None, PIXELS * 32 * 16 * 9, id="plain"),
        pytest.param(nn.Conv2d(16, 32, 3, stride=2, padding=1), None, PIXELS // 4 * 32 * 16 * 9, id="strided"),
        pytest.param(nn.Conv2d(16, 32, 3, padding=1, groups=4), None, PIXELS * 32 * 4 * 9, id="grouped"),
        pytest.param(nn.Conv2d(16, 16, 5, padding=2, groups=16), None, PIXELS * 16 * 25, id="depthwise"),
        pytest.param(nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), None, PIXELS * 16 * 8 * 16, id="transposed"),
        pytest.param(nn.ConvTranspose2d(16, 8, 2, 2, groups=4), None, PIXELS * 16 * 2 * 4, id="transposed grouped"),
        pytest.param(DeformConv2d(16, 32, 3, padding=1), deformed, PIXELS * 32 * 16 * 9, id="deformable"),
        pytest.param(nn.Linear(16, 48), lambda part, x: part(tokens(x)), PIXELS * 16 * 48, id="linear"),
        pytest.param(nn.Identity(), summed, PIXELS * 16 * 5, id="einsum"),
        pytest.param(nn.Identity(), fused(True), ATTENTION, id="attention"),
        pytest.param(nn.Identity(), fused(False), ATTENTION, id="attention, another layout"),
        pytest.param(nn.Identity(), in_windows, 4 * 2 * 64 * 64 * 16, id="attention in windows"),
        pytest.param(
            nn.MultiheadAttention(16, 4, batch_first=True), attend, PIXELS * 16 * 64 + ATTENTION, id="whole attention"
        ),
        pytest.param(
            nn.TransformerEncoderLayer(16, 4, 32, batch_first=True),
            lambda part, x: part(tokens(x)),
            PIXELS * 16 * 64 + ATTENTION + 2 * PIXELS * 16 * 32,
            id="encoder layer",
        ),
        pytest.param(nn.Conv2d(16, 8, 3, padding="same"), None, PIXELS * 8 * 16 * 9, id="padded by name"),
        pytest.param(
            torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(16, 8, 3, padding=1)),
            None,
            PIXELS * 8 * 16 * 9,
            id="weight norm",
        ),
        pytest.param(
            nn.Identity(),
            lambda part, x: nn.functional.scaled_dot_product_attention(*[tokens(x)] * 3, is_causal=True),
            ATTENTION,
            id="causal attention",
        ),
        pytest.param(
            nn.Identity(),
            lambda part, x: nn.functional.scaled_dot_product_attention(
                heads(x, 4), heads(x, 2), heads(x, 2), enable_gqa=True
            ),
            ATTENTION,
            id="attention of shared keys",
        ),
        pytest.param(
            nn.Identity(),
            lambda part, x: (x.flatten(2) @ tokens(x)).softmax(-1) @ x.flatten(2),
            2 * PIXELS * 16 * 16,
            id="attention over channels",
        ),
        pytest.param(
            nn.Identity(),
            lambda part, x: torch.conv_tbc(x[0].flatten(1).T[:, None], torch.rand(3, 16, 5), torch.rand(5), 1),
            PIXELS * 5 * 3 * 16,
            id="convolution of time first",
        ),
        pytest.param(nn.Identity(), lambda part, x: torch.vdot(x.flatten(), x.flatten()), PIXELS * 16, id="vdot"),
        pytest.param(
            nn.Identity(),
            lambda part, x: torch.zeros(16, 16).addmm_(tokens(x)[0].mT, tokens(x)[0]),
            PIXELS * 16 * 16,
            id="addmm in place",
        ),
        pytest.param(
            nn.Identity(),
            lambda part, x: torch.zeros(1, 16, 16).baddbmm_(tokens(x).mT, tokens(x)),
            PIXELS * 16 * 16,
            id="baddbmm in place",
        ),
        pytest.param(
            nn.Identity(),
            lambda part, x: torch.addr(torch.zeros(4, 6), torch.rand(4), torch.rand(6)),
            4 * 6,
            id="outer product added",
        ),
    ],
)
def test_closed_forms(part: nn.Module, call: Callable[[nn.Module, Tensor], object] | None, expected: int) -> None:
    assert macs(part, call) == expected


def test_an_operator_that_is_not_known_is_named() -> None:
    net = Net(nn.Conv2d(16, 16, 1), lambda part, x: torch.fft.rfft2(part(x)))
    found = count_macs(Inference(net.eval(), CPU), torch.rand(1, 3, H, W))
    assert found is not None and found.giga * 1e9 == PIXELS * 16 * 16 and found.unknown == ("aten::_fft_r2c",)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (torch.linalg.matrix_exp, "aten::linalg_matrix_exp"),
        (torch.linalg.inv, "aten::linalg_inv_ex"),
        (lambda x: torch.linalg.solve(x, x), "aten::_linalg_solve_ex"),
        (torch.linalg.svd, "aten::_linalg_svd"),
        (torch.linalg.qr, "aten::linalg_qr"),
        (torch.linalg.eigvals, "aten::linalg_eig"),
        (lambda x: torch.cholesky_inverse(x), "aten::cholesky_inverse"),
        (lambda x: torch.pdist(x[0, 0]), "aten::_pdist_forward"),
        (lambda x: nn.functional.embedding_bag(torch.tensor([[1, 2]]), x[0, 0]), "aten::_embedding_bag_forward_only"),
    ],
)
def test_solvers_and_bags_are_named(call: Callable[[Tensor], object], named: str) -> None:
    net = Net(nn.Identity(), lambda part, x: call(x + 8 * torch.eye(H)))
    found = count_macs(Inference(net.eval(), CPU), torch.rand(1, 3, H, W))
    assert found is not None and named in found.unknown


@pytest.mark.parametrize("call", [torch.linalg.vector_norm, lambda x: torch.linalg.cross(x[:, :3], x[:, :3], dim=1)])
def test_norms_and_products_of_elements_are_not(call: Callable[[Tensor], object]) -> None:
    assert macs(nn.Conv2d(16, 16, 1), lambda part, x: call(part(x))) == PIXELS * 16 * 16


def test_members_of_a_mean_say_of_themselves_what_they_multiply() -> None:
    class Clever(nn.Conv2d):
        def multiply_adds(self, out: Tensor) -> int:
            return 7

    members = [Scaled(Net(part), 1) for part in (Clever(16, 16, 3), nn.Conv2d(16, 16, 1))]
    found = count_macs(Inference(Mean(members), CPU), torch.rand(1, 3, H, W))
    assert found is not None and found.giga * 1e9 == 7 + PIXELS * 16 * 16


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_an_operator_of_functions_is_named() -> None:
    from torch.nn.attention.flex_attention import flex_attention

    net = Net(nn.Conv2d(16, 16, 1), lambda part, x: flex_attention(*[heads(part(x), 4)] * 3))
    found = count_macs(Inference(net.eval(), CPU), torch.rand(1, 3, H, W))
    assert found is not None and found.giga * 1e9 == PIXELS * 16 * 16 and found.unknown == ("flex_attention",)


def test_nothing_to_see_is_no_number() -> None:
    assert count_macs(Inference(Scaled(lambda x: x + 1, 1), CPU), torch.rand(1, 3, H, W)) is None


def test_what_a_module_says_of_itself_is_counted_and_nothing_inside() -> None:
    class Clever(nn.Conv2d):
        def multiply_adds(self, out: Tensor) -> int:
            return 7

    assert macs(Clever(16, 16, 3)) == 7


def test_torchs_operators_that_multiply_are_known_by_their_names() -> None:
    """Also those that are built for other processors, or that only some versions have."""
    heavy = "_cudnn_rnn hspmm sparse_sampled_addmm _dyn_quant_matmul_4bit fbgemm_linear_int8_weight _foreach_mm smm"
    heavy += " _scaled_grouped_mm_v2 matrix_exp _lstm_mps _mps_convolution _cudnn_attention_forward _conv_depthwise2d"
    light = (
        "fft_fftshift fft_fftfreq sparse_coo_tensor sparse_dim linalg_vector_norm upsample_bilinear2d cummax mul add"
    )
    assert [name for name in heavy.split() if not _may_multiply(f"aten::{name}")] == []
    assert [name for name in light.split() if _may_multiply(f"aten::{name}")] == []


@pytest.mark.filterwarnings("ignore:Sparse (CSR|BSR) tensor support")
def test_a_sparse_matrix_counts_what_it_holds() -> None:
    """Here its diagonal, of 16 values or blocks of 4 x 4, times 16 columns of 16 x 16 pixels, from either side."""
    dense, identity = torch.eye(16), nn.Identity()
    for sparse, held in ((dense.to_sparse(), 16), (dense.to_sparse_csr(), 16), (dense.to_sparse_bsr((4, 4)), 64)):
        assert macs(identity, lambda part, x, sparse=sparse: sparse @ x[0].flatten(1)) == held * PIXELS
    csr = dense.to_sparse_csr()
    assert macs(identity, lambda part, x: x[0].flatten(1).mT @ csr) == 16 * PIXELS
    assert macs(identity, lambda part, x: nn.functional.linear(x[0].flatten(1).mT, csr)) == 16 * PIXELS


def test_an_own_attribute_of_that_name_is_no_count() -> None:
    part = nn.Conv2d(16, 16, 1)
    part.multiply_adds = 5  # type: ignore[assignment]
    assert macs(part) == 16 * 16 * PIXELS
