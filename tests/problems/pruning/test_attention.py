"""Heads are found where a module says how many it has, and what packs projections comes apart unchanged."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import drawn, one_thread
from torch import Tensor, nn
from torch.nn import functional

from qubopress import problems
from qubopress.problems import InputError
from qubopress.problems.pruning.attention import Attention, Fused, heads, unpacked
from qubopress.problems.pruning.coupling import Count, Group
from qubopress.problems.pruning.groups import prunable
from qubopress.problems.pruning.passes import runs

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


class Heads(nn.Module):
    """Attention of its own, whose keys and values several heads may share; `says` are its attributes."""

    def __init__(self, *, queries: int = 4, keys: int = 4, size: int = 3, **says: int) -> None:
        super().__init__()
        self.size, width = size, queries * size
        self.q_proj = nn.Linear(8, width)
        self.k_proj, self.v_proj = nn.Linear(8, keys * size), nn.Linear(8, keys * size)
        self.o_proj, self.last = nn.Linear(width, 8), nn.Linear(8, 2)
        vars(self).update(says)

    def forward(self, x: Tensor) -> Tensor:
        parts = (self.q_proj, self.k_proj, self.v_proj)
        q, k, v = (part(x).unflatten(-1, (-1, self.size)).transpose(1, 2) for part in parts)
        made = functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
        return self.last(self.o_proj(made.transpose(1, 2).flatten(2)).mean(dim=1))


class Packed(nn.Module):
    """Queries, keys and values of one Linear."""

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.num_heads, self.qkv = 4, nn.Linear(8, 24, bias=bias)
        self.proj, self.last = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, -1, 2)).permute(2, 0, 3, 1, 4)
        made = functional.scaled_dot_product_attention(q, k, v)
        return self.last(self.proj(made.transpose(1, 2).flatten(2)).mean(dim=1))


def tokens() -> Tensor:
    return torch.randn(16, 5, 8, generator=torch.Generator().manual_seed(0))


def task_of(make: Any) -> problems.Task:
    return problems.own_task(drawn(make), (tokens(), torch.arange(16) % 2))


def found(network: nn.Module) -> list[Group]:
    return heads(network, runs(network, tokens()))


def test_a_head_is_rows_of_three_projections_and_columns_of_the_output() -> None:
    (group,) = found(drawn(lambda: Heads(num_heads=4, head_dim=3)))
    assert (group.name, group.width) == ("v_proj", 4)
    assert [part.name for part in group.holders] == ["q_proj", "k_proj", "v_proj"]
    assert [part.name for part in group.takers] == ["o_proj"]
    for part in (*group.holders, *group.takers):
        assert part.places.tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert group.counts == (Count("", "num_heads", 1),)


def test_heads_that_share_a_key_and_a_value_go_together() -> None:
    (group,) = found(drawn(lambda: Heads(keys=2, num_heads=4, num_key_value_heads=2, head_dim=3)))
    queries, keys, values = group.holders
    assert group.width == 2
    assert queries.places.tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert keys.places.tolist() == values.places.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert group.counts == (Count("", "num_heads", 2), Count("", "num_key_value_heads", 1))


@pytest.mark.parametrize(
    "says", [{}, {"num_heads": 5}, {"head_dim": 5}, {"num_heads": 1}], ids=["nothing", "odd", "size", "one"]
)
def test_there_are_no_heads_where_sizes_do_not_add_up(says: dict[str, int]) -> None:
    assert found(drawn(lambda: Heads(**says))) == []


def test_a_projection_that_runs_twice_has_no_heads() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = Heads(num_heads=4)

        def forward(self, x: Tensor) -> Tensor:
            return self.attend(x) + self.attend(x)

    assert found(drawn(Twice)) == []


@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_projection_becomes_three_that_put_out_the_same(bias: bool) -> None:
    task = task_of(lambda: Packed(bias=bias))
    apart = unpacked(task)
    assert isinstance(apart.network.qkv, Fused)
    assert isinstance(task.network.qkv, nn.Linear)
    with torch.no_grad():
        torch.testing.assert_close(apart.network(tokens()), task.network(tokens()))
    asked = [parameter.requires_grad for parameter in apart.network.parameters()]
    assert asked == [True] * len(asked)


def test_frozen_projections_stay_frozen_when_they_are_taken_apart() -> None:
    task = task_of(lambda: Packed().requires_grad_(False))
    assert not any(parameter.requires_grad for parameter in unpacked(task).network.parameters())


def test_a_network_without_packed_projections_is_the_very_task() -> None:
    task = task_of(lambda: Heads(num_heads=4))
    assert unpacked(task) is task


@pytest.mark.parametrize("kind", ["a hook", "a bias of keys", "its own class"])
def test_what_does_more_than_project_and_attend_stays_packed(kind: str) -> None:
    class Own(nn.MultiheadAttention):
        pass

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            make = Own if kind == "its own class" else nn.MultiheadAttention
            self.attend = make(8, 2, batch_first=True, add_bias_kv=kind == "a bias of keys")
            self.last = nn.Linear(8, 2)
            if kind == "a hook":
                self.attend.register_forward_hook(lambda _, __, made: (made[0] * 2, made[1]))

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.attend(x, x, x)[0].mean(dim=1))

    task = task_of(Net)
    assert unpacked(task) is task


def test_a_mask_of_its_own_for_each_head_is_refused() -> None:
    attend = Attention(nn.MultiheadAttention(8, 2, batch_first=True))
    mask = torch.zeros(32, 5, 5)
    with pytest.raises(InputError, match="attn_mask must be the same for all heads once they are pruned"):
        attend(tokens(), tokens(), tokens(), attn_mask=mask)


def test_heads_of_a_packed_projection_are_pruned_and_counted() -> None:
    task = unpacked(task_of(Packed))
    groups = prunable(task)
    assert ("qkv.v", 4) in {(group.name, group.width) for group in groups.groups}
    (counts,) = [group.counts for group in groups.groups if group.name == "qkv.v"]
    assert counts == (Count("", "num_heads", 1),)
