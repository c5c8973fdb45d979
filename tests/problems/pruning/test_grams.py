"""One run gives each layer the Gram matrix of what its product receives, or says why there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from coupled import each_network, task_of
from tiny import mlp, network_task, one_thread
from torch import Tensor, nn

from qubopress.problems import InputError
from qubopress.problems.layers.inputs import gram_of_inputs
from qubopress.problems.layers.sums import Room
from qubopress.problems.pruning.grams import grams_of_inputs
from qubopress.problems.pruning.groups import prunable

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


@each_network
@pytest.mark.parametrize("held", [2**30, 1], ids=["at once", "one by one"])
def test_one_pass_gives_each_layer_the_gram_matrix_of_a_pass_of_its_own(
    kind: str, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(kind)
    names = list(prunable(task).inputs)
    monkeypatch.setattr(Room, "most", held)
    found = {use.name: gram for use, gram in grams_of_inputs(task.network, names, task.inputs)}
    assert set(found) == set(names)
    for name, gram in found.items():
        np.testing.assert_array_equal(gram, gram_of_inputs(task.network, name, task.inputs)[0][0])


def test_layers_come_in_the_order_in_which_they_run_whatever_was_asked() -> None:
    task = network_task(mlp(5, 6, 4, 3), 5)
    assert [use.name for use, _ in grams_of_inputs(task.network, ["4", "0", "2"], task.inputs)] == [
        "0",
        "2",
        "4",
    ]


class Halves(nn.Module):
    """A Linear that is used in two parts, and one that nothing reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.parts, self.idle = nn.Linear(4, 6, bias=False), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.parts.weight.chunk(2)
        return x @ one.T + torch.tanh(x @ two.T)


@pytest.mark.parametrize(
    ("name", "why"), [("parts", "it is used in parts"), ("idle", "nothing reached it")], ids=str
)
def test_a_layer_whose_whole_weight_multiplies_nothing_is_refused_by_name(name: str, why: str) -> None:
    task = network_task(Halves(), 4)
    with pytest.raises(InputError, match=f"layer {name} must multiply by its own weight, got none: {why}"):
        list(grams_of_inputs(task.network, [name], task.inputs))


def test_inputs_that_are_not_finite_are_refused() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    task = network_task(network, 3)
    with torch.no_grad():
        network[0].weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="inputs of layer 2 must be finite"):
        list(grams_of_inputs(network, ["2"], task.inputs))
