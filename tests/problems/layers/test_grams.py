"""One run gives the Gram matrices of all layers: as exact as one run a layer, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import Attention, cnn, drawn, keywords, mlp, one_thread
from torch import Tensor, nn

from qubopress.problems.layers import sums
from qubopress.problems.layers.grams import sums_of, windows
from qubopress.problems.layers.inputs import gram_of_inputs
from qubopress.problems.layers.uses import uses_of

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


def samples(*shape: int) -> Tensor:
    return torch.tensor(np.random.default_rng(0).standard_normal(shape), dtype=torch.float32)


@pytest.mark.parametrize(
    ("network", "x"), [(mlp(5, 4, 3), samples(300, 5)), (cnn(), samples(20, 1, 4, 4))], ids=["mlp", "cnn"]
)
def test_one_run_gives_every_bit_that_one_run_a_layer_gives(network, x) -> None:
    uses = uses_of(network, x).matrices
    found = sums_of(network, x, uses)
    for use in uses:
        gram, low, high = gram_of_inputs(network, use.name, x)
        np.testing.assert_array_equal(found[use.name].mean(), gram)
        assert (found[use.name].low, found[use.name].high) == (low, high)


def test_blocks_of_a_wide_gram_matrix_are_its_upper_triangle(monkeypatch) -> None:
    monkeypatch.setattr(sums, "BLOCK", 3)
    network, x = mlp(10, 2), samples(40, 10)
    (use,) = uses_of(network, x).matrices
    gram = sums_of(network, x, [use])["0"].mean()
    np.testing.assert_allclose(gram, gram_of_inputs(network, "0", x)[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(gram, gram.transpose(0, 2, 1))


def test_a_window_holds_as_many_gram_matrices_as_memory_allows() -> None:
    network, x = mlp(5, 4, 3, 2), samples(3, 5)
    uses = uses_of(network, x).matrices
    assert [len(one) for one in windows(uses, network, most=8 * (36 + 25))] == [2, 1]
    assert [len(one) for one in windows(uses, network, most=1)] == [1, 1, 1]
    assert [len(one) for one in windows(uses, network, most=2**20)] == [3]


class Tokens(nn.Module):
    """A Linear over tokens, and one over the mean of those that count."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor, attention_mask: Tensor) -> Tensor:
        kept = attention_mask[..., None]
        return self.head((self.body(x) * kept).sum(1) / kept.sum(1))


def test_padding_is_no_part_of_a_gram_matrix() -> None:
    network, x = drawn(Tokens), samples(6, 5, 4)
    mask = torch.ones(6, 5, dtype=torch.long)
    mask[::2, 2:] = 0
    inputs = keywords(3, x=x, attention_mask=mask)
    found = sums_of(network, inputs, uses_of(network, inputs).matrices)
    rows = x[mask.bool()].double().numpy()
    np.testing.assert_allclose(found["body"].mean()[0, :4, :4], rows.T @ rows / len(rows), rtol=1e-6)
    assert (found["body"].rows, found["head"].rows) == (21, 6)


@pytest.mark.parametrize("tokens", [5, 6], ids=["more samples than tokens", "as many"])
def test_padding_is_found_where_tokens_come_before_samples(tokens) -> None:
    """Attention turns its input, so that rows are tokens first."""
    network = drawn(lambda: Attention(batch_first=True))
    x, padded = samples(6, tokens, 16), torch.zeros(6, tokens, dtype=torch.bool)
    padded[1:4, 2:] = True
    inputs = keywords(6, x=x, key_padding_mask=padded)
    found = sums_of(network, inputs, uses_of(network, inputs).matrices)
    rows = x[~padded].double().numpy()
    gram = found["attention.in_proj_weight"].mean()[0, :16, :16]
    np.testing.assert_allclose(gram, rows.T @ rows / len(rows), rtol=1e-5, atol=1e-6)


def test_a_tensor_that_flows_into_several_matrices_is_squared_once(monkeypatch) -> None:
    class Three(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(4, 4) for _ in range(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.query(x) + self.key(x) * self.value(x.clone())

    network, x = drawn(Three), samples(7, 4)
    uses = uses_of(network, x).matrices
    squared = []
    square = sums._square
    monkeypatch.setattr(sums, "_square", lambda rows, gram: squared.append(1) or square(rows, gram))
    found = sums_of(network, x, uses)
    assert len(squared) == 2
    for use in uses:
        np.testing.assert_array_equal(found[use.name].mean(), found["query"].mean())


class Parting(nn.Module):
    """Two matrices that receive the same tensor, or only at times, as experts do."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: Tensor, way: Tensor) -> Tensor:
        y = self.one(x) if way[0] != 2 else self.two(x)
        return y + self.two(x) if way[0] == 0 else y


@pytest.mark.parametrize("ways", [(0, 0, 1, 2, 0), (1, 0, 0), (2, 1, 0), (0, 1, 1, 0), (1, 1, 2, 2)])
def test_matrices_that_part_have_sums_of_their_own(ways) -> None:
    network, x = drawn(Parting), samples(3 * len(ways), 4)
    way = torch.tensor(ways).repeat_interleave(3)
    inputs = keywords(3, x=x, way=way)
    found = sums_of(network, inputs, uses_of(network, inputs).matrices)
    for name, taken in (("one", way != 2), ("two", way != 1)):
        rows = torch.cat([x[taken], torch.ones(int(taken.sum()), 1)], dim=1).double().numpy()
        assert found[name].rows == len(rows)
        np.testing.assert_allclose(found[name].mean()[0], rows.T @ rows / len(rows), rtol=0, atol=1e-12)


def test_the_matrix_of_few_rows_has_no_eigenvalue_below_zero() -> None:
    network, x = mlp(300, 2), 3 + samples(40, 300)
    (use,) = uses_of(network, x).matrices
    values = np.linalg.eigvalsh(sums_of(network, x, [use])["0"].mean()[0])
    assert values[0] > -1e-12 * values[-1]


def test_joined_sums_of_parts_are_those_of_the_whole(monkeypatch) -> None:
    monkeypatch.setattr(sums, "BLOCK", 3)
    network, x = mlp(10, 2), samples(40, 10)
    (use,) = uses_of(network, x).matrices
    one, other = (sums_of(network, part, [use])["0"] for part in x.split(20))
    whole = other.joined(one.joined(None)).mean()
    np.testing.assert_allclose(whole, gram_of_inputs(network, "0", x)[0], rtol=1e-12, atol=1e-15)
