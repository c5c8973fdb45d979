"""The ledger says of each parameter whether it lost something, and why not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import drawn, one_thread
from torch import Tensor, nn

from qubopress.problems import own_task
from qubopress.problems.pruning import surgery
from qubopress.problems.pruning.attention import unpacked
from qubopress.problems.pruning.fates import note
from qubopress.problems.pruning.groups import prunable

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


class Net(nn.Module):
    """A norm behind a layer whose units go, a layer behind a sigmoid, attention and a bare parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 4)
        self.attend, self.last = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 2)
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.sigmoid(self.two(torch.relu(self.norm(self.one(x * self.scale)))))
        return self.last(self.attend(*[y[:, None]] * 3)[0][:, 0])


def fates(*, removed: bool, reestimated: bool = True) -> dict[str, tuple[str, str]]:
    """What the ledger says once the first unit of `one` is gone, or nothing is."""
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    original = own_task(drawn(Net), (x, torch.arange(16) % 2))
    task = unpacked(original)
    groups = prunable(task)
    mask = np.ones(groups.total, dtype=np.int8)
    mask[0] = not removed
    network = surgery.shrink(task.network, groups, mask)
    note(original, groups, network, reestimated=reestimated)
    assert {name for name, _ in original.network.named_parameters()} == set(original.ledger.fates)
    return {name: (fate.outcome, fate.why) for name, fate in original.ledger.fates.items()}


def test_what_makes_passes_on_and_reads_a_channel_is_pruned() -> None:
    told = fates(removed=True)
    pruned = {name for name, (outcome, _) in told.items() if outcome == "pruned"}
    assert pruned == {"one.weight", "one.bias", "norm.weight", "norm.bias", "two.weight"}
    assert all(told[name][1] == "" for name in pruned)


def test_each_parameter_that_is_left_says_why() -> None:
    told = fates(removed=True)
    assert told["two.bias"][0] == "float"
    assert "no sigmoid" in told["two.bias"][1]
    assert told["attend.in_proj_weight"] == ("float", "all its channels were kept")
    assert told["scale"] == ("float", "it neither makes nor reads channels that can be pruned")
    assert all(why for outcome, why in told.values() if outcome == "float")


def test_nothing_removed_leaves_every_parameter_with_a_reason() -> None:
    told = fates(removed=False)
    assert {outcome for outcome, _ in told.values()} == {"float"}
    assert told["one.weight"][1] == "all its channels were kept"


def test_norms_say_that_their_statistics_are_those_of_training() -> None:
    assert "statistics are those of training" in fates(removed=False, reestimated=False)["norm.weight"][1]
    assert "statistics" not in fates(removed=False)["norm.weight"][1]
