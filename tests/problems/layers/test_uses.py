"""Every matrix that a network multiplies by is found, with what really reaches it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny import Attention, Bare, Cells, Experts, Head, Stack, Transposed, drawn, mlp, one_thread
from torch import Tensor, nn
from torch.nn import functional

from qubopress.problems.layers.grams import sums_of
from qubopress.problems.layers.inputs import run
from qubopress.problems.layers.uses import Use, listening, parameter_of, uses_of

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

TOKENS = torch.tensor(np.random.default_rng(0).standard_normal((24, 6, 16)), dtype=torch.float32)


def images(channels: int, *size: int) -> Tensor:
    drawn = np.random.default_rng(1).standard_normal((6, channels, *size))
    return torch.tensor(drawn, dtype=torch.float32)


class Padding(nn.Conv2d):
    """Pads its input itself, by more on one side."""

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, (1, 2, 0, 1), value=0.5)
        return functional.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class Twisting(nn.Linear):
    """A subclass that is no plain x Wᵀ + b."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(functional.relu(x), self.weight, self.bias)


class Casting(nn.Linear):
    """Multiplies in float64, whatever its weights are."""

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(x.double(), self.weight.to(torch.float64)[1:], self.bias.double()[1:])
        return torch.cat([x.double() @ self.weight.clone()[:1].T.double(), y], dim=-1).float()


class Paired(nn.Module):
    """A bilinear layer between two others."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.pair, self.two = nn.Linear(16, 3), nn.Bilinear(3, 5, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.pair(self.one(x), x[..., 3:8]))


class Reordered(nn.Module):
    """Multiplies by copies of its parameters in another order: axes joined, turned, cut, summed over."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.rows = nn.Parameter(torch.randn(4, 16, 3)), nn.Parameter(torch.randn(16, 5))
        self.mixed = nn.Parameter(torch.randn(3, 2, 5))
        self.back = nn.Parameter(torch.randn(6, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        apart = torch.einsum("ntd,hdk->nthk", x, self.heads)
        summed = torch.einsum("nthk,ckh->ntc", apart, self.back)  # joins two axes in a copy
        turned = self.rows.T.contiguous()
        y = torch.cat([functional.linear(x, one) for one in (turned[:1], turned[1:])], dim=-1)
        return summed + functional.linear(y, self.mixed.transpose(0, 1).reshape(6, 5))


class Inferring(nn.Module):
    """Runs in torch's inference mode, where functions arrive whole."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.filters = nn.Linear(16, 6), nn.Conv1d(6, 6, 3)
        self.attention = nn.MultiheadAttention(6, 2)

    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        y = self.filters(self.body(x).relu_())
        return self.attention(*[y.transpose(1, 2)] * 3)[0]


MODES = ("zeros", "reflect", "replicate", "circular")
CASES = {
    "linear": (lambda: nn.Linear(16, 4), TOKENS),
    "linear of other strides": (lambda: nn.Linear(6, 4), TOKENS.transpose(1, 2)),
    "a subclass": (lambda: Twisting(16, 4), TOKENS),
    "casting": (lambda: Casting(16, 4), TOKENS),
    "attention, batch first": (lambda: Attention(batch_first=True), TOKENS),
    "attention, tokens first": (Attention, TOKENS),
    "attention to others": (lambda: Attention(cross=True), TOKENS),
    "attention of three widths": (lambda: Attention(kdim=8, vdim=4, cross=True), TOKENS),
    "attention without biases": (lambda: Attention(bias=False), TOKENS),
    "encoder": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), TOKENS),
    "bare parameters": (Bare, TOKENS),
    "copies in another order": (Reordered, TOKENS),
    "inference mode": (Inferring, TOKENS),
    "products of two inputs": (Paired, TOKENS),
    "stack": (Stack, TOKENS),
    "cells": (Cells, TOKENS),
    "LSTM": (lambda: nn.LSTM(16, 8, 2, bidirectional=True), TOKENS),
    "GRU": (lambda: nn.GRU(16, 8, batch_first=True), TOKENS),
    "tied": (Head, torch.arange(40).reshape(8, 5) % 20),
    "padding itself": (lambda: Padding(2, 4, 3, groups=2), images(2, 5, 5)),
    "same, even": (lambda: nn.Conv2d(2, 4, (2, 4), padding="same", dilation=(1, 2)), images(2, 6, 6)),
    "transposed 1d": (
        lambda: nn.ConvTranspose1d(6, 8, 3, stride=2, padding=1, output_padding=1, dilation=2),
        TOKENS,
    ),
    "transposed 2d": (
        lambda: nn.ConvTranspose2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2),
        images(4, 4, 5),
    ),
    "transposed, cut": (lambda: nn.ConvTranspose2d(4, 6, 2, padding=1), images(4, 4, 5)),
    "transposed 3d": (lambda: nn.ConvTranspose3d(2, 2, 2, stride=3, bias=False), images(2, 2, 3, 2)),
    **{
        f"1d {mode}": (lambda m=mode: nn.Conv1d(6, 8, 3, padding=2, padding_mode=m), TOKENS) for mode in MODES
    },
    **{
        f"2d {mode}": (
            lambda m=mode: nn.Conv2d(4, 4, 3, stride=2, padding=(1, 2), padding_mode=m, groups=2),
            images(4, 5, 6),
        )
        for mode in MODES
    },
    **{
        f"3d {mode}": (lambda m=mode: nn.Conv3d(2, 3, 2, padding=1, padding_mode=m), images(2, 3, 4, 3))
        for mode in MODES
    },
}
each_case = pytest.mark.parametrize(("make", "x"), CASES.values(), ids=CASES.keys())


def outputs_of(network: nn.Module, use: Use, x: Tensor) -> float:
    """Mean square of what a matrix's products put out, summed over its neurons, as the kernels compute it."""
    total, rows = 0.0, 0

    def ear(heard) -> None:
        nonlocal total, rows
        if heard.key != use.key:
            return
        weight, given = use.weight.of(network), heard.x
        if use.kind == "linear":
            made = given @ weight.flatten(weight.dim() - use.axes).mT.to(given)
            count = made.shape[-2]
        else:
            window, spaces = heard.window, weight.dim() - 2
            name = f"conv{'_transpose' * (use.kind == 'transposed')}{spaces}d"
            settings = {"stride": window.stride, "padding": window.padding, "dilation": window.dilation}
            if use.kind == "transposed":
                settings["output_padding"] = window.output_padding
            made = getattr(functional, name)(given, weight, groups=use.groups, **settings)
            count = made.numel() // made.shape[1]
        total, rows = total + float((made.double() ** 2).sum()), rows + count

    with listening(network, ear):
        run(network, x)
    return total / rows


@each_case
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_the_gram_of_every_matrix_gives_the_mean_square_of_its_outputs(make, x) -> None:
    network = drawn(make)
    matrices = [use for use in uses_of(network, x).matrices if use.kind != "embedding"]
    assert matrices
    sums = sums_of(network, x, matrices)
    for use in matrices:
        weights = use.matrix(network)
        size = len(weights) // use.groups
        by_gram = sum(
            float(np.einsum("nf,fg,ng->", rows, gram[:-1, :-1], rows))
            for rows, gram in zip(weights.reshape(use.groups, size, -1), sums[use.name].mean(), strict=True)
        )
        assert by_gram == pytest.approx(outputs_of(network, use, x), rel=1e-4)


@each_case
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_no_parameter_of_two_dimensions_is_missed_and_none_is_in_two_matrices(make, x) -> None:
    network = drawn(make)
    found = uses_of(network, x)
    assert found.reasons == {}
    wide = {name: one.numel() for name, one in network.named_parameters() if one.dim() > 1}
    held = dict.fromkeys(wide, 0)
    for use in found.matrices:
        held[use.parameter] += use.weight.numel
    assert held == wide


@each_case
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_a_matrix_that_is_written_is_the_matrix_that_is_read(make, x) -> None:
    network = drawn(make)
    before = {name: one.detach().clone() for name, one in network.named_parameters()}
    for use in uses_of(network, x).matrices:
        weights = use.matrix(network)
        use.put(network, weights + 1.0)
        np.testing.assert_allclose(use.matrix(network), weights + 1.0, atol=1e-6)
    for name, one in network.named_parameters():
        if one.dim() > 1:
            torch.testing.assert_close(one.detach(), before[name] + 1.0)
        else:
            assert torch.equal(one, before[name])


def test_the_rows_of_two_tied_places_add_up() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    network = drawn(Twice)
    (use,) = uses_of(network, TOKENS).matrices
    rows = torch.cat([TOKENS, network.layer(TOKENS).detach()]).reshape(-1, 16).double().numpy()
    gram = sums_of(network, TOKENS, [use])["layer"].mean()[0, :16, :16]
    np.testing.assert_allclose(gram, rows.T @ rows / len(rows), rtol=1e-5, atol=1e-6)


def test_a_table_that_is_the_head_as_well_is_the_heads_matrix() -> None:
    found = uses_of(drawn(Head), torch.arange(20).reshape(4, 5))
    assert [(use.name, use.kind) for use in found.matrices] == [("table", "linear")]


def test_a_matrix_used_in_two_ways_counts_once_and_says_so() -> None:
    found = uses_of(drawn(Transposed), TOKENS)
    assert [use.weight.size for use in found.matrices] == [(4, 16)]
    assert found.reasons == {"weight": "used in two ways that disagree; the first counts"}


def test_experts_that_other_samples_reach_are_found_and_those_that_none_does_are_named() -> None:
    found = uses_of(drawn(Experts), TOKENS)
    names = {use.name for use in found.matrices}
    assert names == {"experts.0", "experts.1", "experts.2", "stack[0]", "stack[1]", "stack[2]"}
    assert found.reasons == {"experts.3.weight": "nothing reached it"}


def test_slices_of_a_packed_projection_have_names_and_biases_of_their_own() -> None:
    found = uses_of(drawn(lambda: Attention(cross=True)), TOKENS)
    told = [(use.name, use.bias.offset if use.bias else None) for use in found.matrices]
    assert told == [
        ("attention.in_proj_weight[0:16]", 0),
        ("attention.in_proj_weight[16:32]", 16),
        ("attention.in_proj_weight[32:48]", 32),
        ("attention.out_proj", 0),
    ]


def test_a_bias_that_two_matrices_share_is_neithers() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(16, 4), nn.Linear(16, 4)
            self.two.bias = self.one.bias

        def forward(self, x: Tensor) -> Tensor:
            return self.one(x) + self.two(x)

    assert [use.bias for use in uses_of(drawn(Shared), TOKENS).matrices] == [None, None]


def test_what_no_product_takes_is_named_with_what_takes_it() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole, self.scale = nn.Linear(16, 4), nn.Parameter(torch.ones(4, 4))
            self.spare = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.whole(x)[:, :4] * self.scale

    reasons = uses_of(drawn(Odd), TOKENS).reasons
    assert reasons == {
        "scale": "only mul takes it, no product",
        "spare.weight": "nothing reached it",
    }


def test_experts_in_one_parameter_are_read_from_a_grouped_product() -> None:
    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stack = nn.Parameter(torch.randn(3, 8, 16))

        def forward(self, x: Tensor) -> Tensor:
            ends = torch.tensor([4, 4, len(x)], dtype=torch.int32)
            return torch._grouped_mm(x, self.stack.transpose(1, 2), offs=ends)

    network, x = drawn(Grouped), TOKENS[:, 0]
    found = uses_of(network, x)
    sums = sums_of(network, x, found.matrices)
    assert {name: one.rows for name, one in sums.items()} == {"stack[0]": 4, "stack[2]": 20}
    assert found.reasons == {"stack": "128 of its numbers: nothing reached it"}
    rows = x[4:].double().numpy()
    np.testing.assert_allclose(sums["stack[2]"].mean()[0, :16, :16], rows.T @ rows / 20, atol=1e-6)


def test_listening_leaves_torchs_own_switches_as_they_were() -> None:
    network = drawn(lambda: nn.LSTM(16, 8))
    before = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    with listening(network, lambda heard: None):
        assert not torch.backends.mha.get_fastpath_enabled()
    assert (torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()) == before


def test_a_scripted_network_is_read_like_another() -> None:
    network = mlp(16, 8, 4)
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        scripted = torch.jit.trace(network, TOKENS)
    assert [use.name for use in uses_of(scripted, TOKENS).matrices] == ["0", "2"]
    assert torch.equal(parameter_of(scripted, "0.weight"), network[0].weight)


def test_copies_have_their_matrices_at_the_same_places() -> None:
    network = drawn(lambda: nn.Conv2d(3, 4, 3)).to(memory_format=torch.channels_last)
    (use,) = uses_of(network, images(3, 5, 5)).matrices
    np.testing.assert_array_equal(use.matrix(copy.deepcopy(network)), use.matrix(network))


def test_a_copy_that_is_cut_across_its_axes_is_no_matrix_and_is_named() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole, self.parts = nn.Linear(16, 4), nn.Parameter(torch.randn(3, 4, 5))

        def forward(self, x: Tensor) -> Tensor:
            joined = self.parts.transpose(0, 1).reshape(4, 15)  # its columns are two axes of the parameter
            return self.whole(x) + functional.linear(x[..., :14], joined[:, 1:])

    found = uses_of(drawn(Cut), TOKENS)
    assert [use.name for use in found.matrices] == ["whole"]
    assert found.reasons == {"parts": "only mm takes it, no product"}
