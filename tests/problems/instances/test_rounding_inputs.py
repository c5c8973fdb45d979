"""Awkward layers are rounded honestly by every solver that takes one, and hopeless ones are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import cnn, mlp, network_task, one_thread, random_gram
from torch import nn

from qubopress import problems, solvers
from qubopress.problems import InputError, Rounding, Task
from qubopress.problems.layers.inputs import gram_of_inputs
from qubopress.solvers import Status

pytestmark = pytest.mark.usefixtures(one_thread.__name__)

N, F = 3, 6
RNG = np.random.default_rng(11)
SHIFT = RNG.random((N, F))
GRAM = random_gram(RNG, F)


def gram_of(change: Callable[[np.ndarray], None]) -> np.ndarray:
    """Gram matrix of 20 samples after a change to their columns."""
    X = np.random.default_rng(12).standard_normal((20, F))
    change(X)
    return X.T @ X / len(X)


def constant(X: np.ndarray) -> None:
    X[:, 2] = 1.0


def dead(X: np.ndarray) -> None:
    X[:, [1, 4]] = 0.0


def twins(X: np.ndarray) -> None:
    X[:, 3] = X[:, 1]


def stretched(decades: float) -> np.ndarray:
    size = np.logspace(-decades, decades, F)
    return GRAM * np.outer(size, size)


AWKWARD: dict[str, Rounding] = {
    "a constant column": Rounding(gram_of(constant), SHIFT),
    "dead columns": Rounding(gram_of(dead), SHIFT),
    "equal columns": Rounding(gram_of(twins), SHIFT),
    "a gram of rank 1": Rounding(np.ones((F, F)), SHIFT),
    "a gram of rank 2": Rounding(random_gram(RNG, F, rank=2), SHIFT),
    "a gram of zeros": Rounding(np.zeros((F, F)), SHIFT),
    "one coordinate": Rounding([[2.0]], SHIFT[:, :1]),
    "one dead coordinate": Rounding([[0.0]], SHIFT[:, :1]),
    "no neuron": Rounding(GRAM, np.zeros((0, F))),
    "no coordinate": Rounding(np.zeros((0, 0)), np.zeros((N, 0))),
    "nothing at all": Rounding(np.zeros((0, 0)), np.zeros((0, 0))),
    "columns over 16 decades": Rounding(stretched(8), SHIFT),
    "columns over 80 decades": Rounding(stretched(40), SHIFT),
    "scales over 24 decades": Rounding(GRAM, SHIFT, [1e-12, 1.0, 1e12]),
    "the least gram": Rounding(GRAM / np.abs(GRAM).max() * 1e-100, SHIFT),
    "the greatest gram": Rounding(GRAM / np.abs(GRAM).max() * 1e100, SHIFT),
    "shifts far outside": Rounding(GRAM, SHIFT + np.array([[1e9], [-1e9], [0.0]])),
    "halves everywhere": Rounding(np.eye(F), np.full((N, F), 0.5)),
    "nothing to round": Rounding(GRAM, np.round(SHIFT)),
    "one free coordinate": Rounding(GRAM, SHIFT, fixed=[[1, 1, -1, 0, 1, 0]] * N),
    "half precision": Rounding(GRAM.astype(np.float16), SHIFT.astype(np.float16)),
    "columns first": Rounding(np.asfortranarray(GRAM), np.asfortranarray(SHIFT)),
    "as many levels as there may be": Rounding(GRAM, 127 * SHIFT, levels=127),
}

ROUNDERS = [name for name in solvers.names() if Rounding in solvers.get(name).accepts]

FROM_SCRATCH = {"nearest-plane", "ldlq", "random-nearest-plane", "stochastic-rounding"}
"""Never look at round to nearest, as published; they may lose to it, all others begin there."""

SHORT = {"relaxation": {"steps": 50}}
"""Fixed work that would take long on a hundred cases."""


@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("name", ROUNDERS)
def test_an_awkward_layer_is_rounded_honestly_and_no_worse_than_to_nearest(name: str, kind: str) -> None:
    layer = AWKWARD[kind]
    found = solvers.solve(layer, name, restarts=1, **SHORT.get(name, {}))
    if found.status is Status.SKIPPED:
        assert "levels must be powers of two" in found.message
        assert kind == "as many levels as there may be"
        return
    assert found.status in (Status.FINISHED, Status.OPTIMAL)
    assert layer.violation(found.x) == 0
    assert found.loss == layer.loss(found.x)
    assert np.isfinite(found.loss)
    if name not in FROM_SCRATCH:
        assert found.loss <= layer.loss(layer.baseline()) + layer.resolution
    if found.bound is not None:
        assert found.bound <= found.loss + layer.resolution


def half(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16)


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "columns first": np.asfortranarray,
    "backwards in memory": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "every second of a wider array": lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1)[::2, ::2],
    "half precision": half,
    "a half-precision tensor": lambda a: torch.tensor(half(a)),
    "a tensor": torch.tensor,
    "lists": lambda a: a.tolist(),
    "big-endian": lambda a: a.astype(">f8"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("name", ["nearest-plane", "beam", "sa"])
def test_how_the_arrays_lie_in_memory_changes_no_bit(name: str, layout: Callable[[np.ndarray], Any]) -> None:
    gram, shift = (half(array).astype(np.float64) for array in (GRAM, SHIFT))
    plain = solvers.solve(Rounding(gram, shift), name, restarts=1)
    other = solvers.solve(Rounding(layout(gram), layout(shift)), name, restarts=1)
    np.testing.assert_array_equal(other.x, plain.x)
    assert other.loss == plain.loss


@pytest.mark.parametrize("size", [1e-300, 1e-101, 1e101, 1e300])
def test_a_gram_whose_square_leaves_float64_is_refused_in_one_line(size: float) -> None:
    with pytest.raises(
        InputError, match=r"gram must have its largest entry in \[1e-100, 1e\+100\], got .*; rescale"
    ) as caught:
        Rounding(size * np.eye(F), SHIFT)
    assert "\n" not in str(caught.value)


# ---- whole networks


def drive(task: Task, **parameters: Any) -> tuple[nn.Module, list[Rounding]]:
    """The network that coordinate descent makes, and the layers it was asked for."""
    seen: list[Rounding] = []

    def decide(_: int, layer: Rounding) -> Any:
        found = solvers.solve(layer, "coordinate-descent", restarts=1)
        assert found.loss <= layer.loss(layer.baseline()) + layer.resolution
        seen.append(layer)
        return found.x

    return problems.drive(problems.get("adaround"), task, parameters, decide), seen


def dense(change: Callable[[nn.Sequential], None] | None = None) -> nn.Sequential:
    network = mlp(6, 5, 3)
    if change is not None:
        with torch.no_grad():
            change(network)
    return network


CHANGES: dict[str, Callable[[nn.Sequential], None]] = {
    "dead units": lambda net: net[0].bias.fill_(-100.0),
    "weights of 0": lambda net: net[0].weight.zero_(),
    "equal weights": lambda net: net[0].weight.fill_(0.3),
    "weights near float32's top": lambda net: net[2].weight.mul_(1e30),
    "weights near float32's bottom": lambda net: net[0].weight.mul_(1e-37),
    "one outlier": lambda net: net[0].weight[0, :1].fill_(1e12),
}

FEATURES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "a constant feature": lambda x: x.index_fill(1, torch.tensor([2]), 3.0),
    "a dead feature": lambda x: x.index_fill(1, torch.tensor([2]), 0.0),
    "nothing but zeros": torch.zeros_like,
    "one sample": lambda x: x[:1],
    "features over 24 decades": lambda x: x * torch.logspace(-12, 12, 6),
    "every second column of a wider tensor": lambda x: torch.cat([x, x], dim=1)[:, ::2],
}

SETTINGS: tuple[dict[str, Any], ...] = (
    {"bits": 4},
    {"bits": 3, "grid": "mse", "per": "channel"},
    {"bits": 2, "activations": "int8"},
    {"bits": 1, "grid": "code", "clip_aware": False},
)


def assert_rounded(task: Task, **settings: Any) -> None:
    """Every layer is, to finite weights of the same type."""
    network, layers = drive(task, **settings)
    assert len(layers) == sum(isinstance(part, nn.Linear | nn.Conv2d) for part in network.modules())
    (dtype,) = {part.dtype for part in task.network.parameters()}
    assert all(part.dtype == dtype and torch.isfinite(part).all() for part in network.parameters())
    with torch.no_grad():
        assert torch.isfinite(network(task.inputs)).all()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_awkward_weights_are_rounded(
    change: Callable[[nn.Sequential], None], settings: dict[str, Any]
) -> None:
    task = network_task(dense(change), 6)
    assert_rounded(task, **settings)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("change", FEATURES.values(), ids=FEATURES.keys())
def test_awkward_activations_are_rounded_for(
    change: Callable[[torch.Tensor], torch.Tensor], settings: dict[str, Any]
) -> None:
    task = network_task(dense(), 6)
    task = replace(task, inputs=change(task.inputs))
    assert_rounded(task, **settings)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize(("network", "shape"), [(mlp(6, 5, 3), (6,)), (cnn(), (1, 4, 4))], ids=["mlp", "cnn"])
def test_a_module_keeps_its_precision(
    network: nn.Module, shape: tuple[int, ...], dtype: torch.dtype, settings: dict[str, Any]
) -> None:
    task = network_task(network, *shape)
    task = replace(task, network=copy.deepcopy(network).to(dtype), inputs=task.inputs.to(dtype))
    assert_rounded(task, **settings)


def test_weights_of_another_layout_give_the_same_network() -> None:
    network = cnn()
    task = network_task(network, 1, 4, 4)
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    turned = replace(task, network=other, inputs=task.inputs.to(memory_format=torch.channels_last))
    one, two = drive(task, bits=3)[0], drive(turned, bits=3)[0]
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_layer_without_weights_stays_as_it_is() -> None:
    class Hollow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.none_out, self.none_in, self.head = nn.Linear(6, 0), nn.Linear(0, 6), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x + self.none_in(self.none_out(x)))

    task = network_task(Hollow(), 6)
    compressed, layers = drive(task)
    assert [layer.shape for layer in layers] == [(3, 7)]
    assert torch.equal(compressed.none_in.bias, task.network.none_in.bias)
    with pytest.raises(InputError, match=r"layer none_in must have weights, got Linear.*; leave it out"):
        gram_of_inputs(task.network, "none_in", task.inputs)


class Picky(nn.Module):
    """Fails on a batch of more than `largest`, and sends only large samples through its last layer."""

    def __init__(self, *, largest: float = np.inf, least: float = -np.inf) -> None:
        super().__init__()
        self.largest, self.least = largest, least
        self.body, self.rare = nn.Linear(6, 3), nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.largest:
            raise ValueError("too many\nat once")
        y, chosen = self.body(x), torch.where(x[:, 0] > self.least)[0]
        return y.index_add(0, chosen, self.rare(y[chosen]))


def test_samples_that_pass_a_layer_by_do_not_count_there() -> None:
    task = network_task(Picky(), 6)
    some = float(task.inputs[:, 0].median())
    picky = replace(task, network=Picky(least=some).eval())
    (gram,), _, _ = gram_of_inputs(picky.network, "rare", picky.inputs)
    (own,), _, _ = gram_of_inputs(picky.network, "rare", picky.inputs[picky.inputs[:, 0] > some])
    np.testing.assert_allclose(gram, own, rtol=1e-5)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Picky(largest=1), "the network must run on the .* got ValueError: too many at once for a batch of"),
        (dense(lambda net: net[0].weight.fill_(3e38)), "inputs of layer 2 must be finite"),
        (dense(lambda net: net[0].weight[0, :1].fill_(torch.nan)), "weights of layer 0 must be finite"),
        (dense(lambda net: net[2].bias[:1].fill_(torch.inf)), "weights of layer 2 must be finite"),
        (nn.Linear(6, 3, dtype=torch.complex64), "weights of layer  must be real, got torch.complex64"),
    ],
)
def test_a_network_that_cannot_be_rounded_is_refused_in_one_line(network: nn.Module, message: str) -> None:
    task = network_task(dense(), 6)
    dtype = next(network.parameters()).dtype
    broken = replace(task, network=network.eval(), inputs=task.inputs.to(dtype), name="broken")
    with pytest.raises(InputError, match=message) as caught:
        drive(broken)
    assert "\n" not in str(caught.value)
