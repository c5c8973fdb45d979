"""Samples are indexed like a tensor of samples, whatever form their batches have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qubopress.problems import InputError
from qubopress.problems.layers.samples import Batch, Samples, described, forward, pieces, tensor_of


class Embedder(nn.Module):
    """Takes keywords, as models of tokens do, and puts out a mapping."""

    def forward(self, ids: Tensor, mask: Tensor, *, scale: float = 1.0) -> dict[str, Any]:
        return {"hidden": ids, "logits": scale * (ids * mask).sum(dim=1, keepdim=True).double()}


def batch(size: int, length: int, start: int = 0) -> Batch:
    ids = torch.arange(size * length).reshape(size, length) + start
    kwargs = {"ids": ids, "mask": torch.ones_like(ids), "scale": 2.0}
    return Batch((), kwargs, size, kwargs)


def samples() -> Samples:
    return Samples([batch(3, 4), batch(2, 7, 100), batch(4, 4, 200)])


@given(
    rows=st.one_of(
        st.builds(slice, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 3)),
        st.lists(st.booleans(), min_size=9, max_size=9).map(torch.tensor),
    )
)
@settings(deadline=None)
def test_indexing_chooses_the_samples_that_a_tensor_would_give(rows: Any) -> None:
    whole = forward(Embedder(), samples())
    some = samples()[rows]
    assert len(some) == len(whole[rows])
    if len(some):
        torch.testing.assert_close(forward(Embedder(), some), whole[rows])


def test_pieces_are_calls_that_never_join_batches_of_other_shapes() -> None:
    found = list(pieces(samples(), 2))
    assert [len(one) for one in found] == [2, 1, 2, 2, 2]
    torch.testing.assert_close(
        torch.cat([forward(Embedder(), one) for one in found]), forward(Embedder(), samples())
    )
    assert [len(one) for one in pieces(torch.zeros(5, 2), 2)] == [2, 2, 1]


def test_a_call_of_ones_own_gets_the_batch_as_it_was_passed_cut_to_its_samples() -> None:
    seen: list[Any] = []

    def call(network: nn.Module, given: Any) -> Any:
        seen.append(given)
        return network(given["ids"], given["mask"])

    found = forward(Embedder(), Samples([batch(3, 4)], call)[1:])
    assert seen[0]["ids"].shape == (2, 4)
    assert seen[0]["scale"] == 2.0
    assert found.shape == (2, 1)


@pytest.mark.parametrize(
    "outputs",
    [
        torch.ones(2),
        (torch.ones(2), torch.zeros(3)),
        {"loss": torch.zeros(()), "logits": torch.ones(2)},
        [{"hidden": torch.ones(2)}],
    ],
)
def test_the_output_is_the_first_tensor_and_logits_before_others(outputs: Any) -> None:
    class Gives(nn.Module):
        def forward(self, _: Tensor) -> Any:
            return outputs

    torch.testing.assert_close(forward(Gives(), torch.zeros(2)), torch.ones(2))


def test_what_puts_out_no_tensor_is_told_the_cure() -> None:
    class Gives(nn.Module):
        def forward(self, _: Tensor) -> Any:
            return SimpleNamespace(text="no")

    with pytest.raises(InputError, match="must put out a tensor, got SimpleNamespace; pass forward="):
        forward(Gives(), torch.zeros(2))


def test_samples_are_described_and_refused_where_a_tensor_is_needed() -> None:
    assert described(samples()) == "3 samples (ids (3, 4) torch.int64, mask (3, 4) torch.int64)"
    with pytest.raises(InputError, match="pruning takes one tensor of samples, got 3 samples"):
        tensor_of(samples(), "pruning")
    assert tensor_of(torch.ones(1), "pruning").shape == (1,)
