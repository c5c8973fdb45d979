"""What goes together is what Torch-Pruning says, and no walk through its graph goes on for ever."""

from __future__ import annotations

import pytest
import torch
from grouped import SHARING, sharing_task
from tiny import one_thread
from torch import Tensor, nn
from torch.nn import functional

from qubopress.problems import InputError, own_task
from qubopress.problems.layers.samples import Batch, Samples
from qubopress.problems.pruning.coupling import depthwise, outputs_of
from qubopress.problems.pruning.groups import prunable
from qubopress.problems.pruning.tracing import coupled, silence, trace

pytestmark = pytest.mark.usefixtures(one_thread.__name__)


@pytest.mark.parametrize("name", SHARING)
def test_a_layer_is_coupled_with_what_torch_pruning_would_cut(name: str) -> None:
    task = sharing_task(SHARING[name])
    network = task.copy()
    graph = trace(network, task.inputs[:1])
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d) and not depthwise(m)]
    for layer in layers:
        width, cut = outputs_of(layer), graph.get_pruner_of_module(layer).prune_out_channels
        with silence():
            theirs = graph.get_pruning_group(layer, cut, list(range(width)))
        expected = {(one.dep.target.module, one.dep.handler): (one.idxs, one.root_idxs) for one in theirs}
        ours = {(one.module, one.cut): one.roots for one in coupled(graph, layer, width)}
        assert ours == {key: dict(zip(*found, strict=True)) for key, found in expected.items()}


class Circling(nn.Module):
    """Pads around a ring by itself, which looks like channels that move."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv1d(3, 6, 3), nn.Conv1d(6, 4, 3), nn.Conv1d(4, 5, 1)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(functional.pad(torch.relu(self.one(x)), (2, 2), mode="circular"))
        return self.head(torch.relu(self.three(torch.relu(x))).mean(dim=2))


def images(*shape: int) -> tuple[Tensor, Tensor]:
    drawn = torch.Generator().manual_seed(0)
    return torch.randn(16, *shape, generator=drawn), torch.arange(16) % 2


def test_channels_that_move_in_a_circle_are_left_and_named() -> None:
    groups = prunable(own_task(Circling().eval(), images(3, 9)))
    assert groups.names == ("two", "three")
    assert "channels that move in a circle" in groups.left["one"]


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
def test_what_a_layer_that_pads_in_another_way_reads_can_go(mode: str, kind: type[nn.Conv1d]) -> None:
    parts = (kind(3, 6, 3), nn.ReLU(), kind(6, 4, 3, padding=4, dilation=2, padding_mode=mode), nn.ReLU())
    model = nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(2)).eval()
    x, y = images(3, *[9] * (1 if kind is nn.Conv1d else 2))
    model(x)
    task = own_task(model, (x, y))
    assert prunable(task).names == ("0", "2")
    assert task.network[2].padding_mode == mode  # the traced one is a copy


def test_a_forward_that_fails_is_told_of_in_one_line() -> None:
    def fails(x: Tensor) -> Tensor:
        raise KeyError("mask")

    network = nn.Linear(3, 2)
    network.forward = fails  # type: ignore[method-assign]
    with pytest.raises(InputError, match="must be able to trace the network, got KeyError: 'mask'"):
        trace(network, torch.zeros(1, 3))


def test_inputs_by_name_and_in_structures_have_entries_of_their_own() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"out": self.c(torch.relu(self.a(parts["x"])) + torch.relu(self.b(parts["z"])))}

    batch = Batch((), {"parts": {"x": torch.randn(1, 4), "z": torch.randn(1, 3)}}, 1)
    network = Both()
    graph = trace(network, Samples([batch]))
    members = {one.module for one in coupled(graph, network.a, 6)}
    assert {network.a, network.b, network.c} <= members
