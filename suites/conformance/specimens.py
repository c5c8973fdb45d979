"""Specimens: instances of every shape and tasks small enough to enumerate, on which claims are checked."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from ...problems import BlackBox, Capacity, Instance, Qubo, Rounding, Task, own_task
from ...problems.arrays import Bits
from ...problems.networks.interaction import Design, InteractionSystem

__all__ = [
    "INSTANCES",
    "LARGER",
    "SMALLEST",
    "TASKS",
    "all_bits",
    "mixture",
    "optimum",
    "random_solution",
    "solutions",
]


def matrix(n: int, *, seed: int = 0) -> Any:
    """Symmetric normal couplings (n, n)."""
    A = np.random.default_rng(seed).normal(size=(n, n))
    return A + A.T


def sparse_matrix(n: int, *, seed: int = 0) -> Any:
    """Normal couplings on about three neighbours a variable, CSR."""
    rng = np.random.default_rng(seed)
    density = min(1.0, 4 / max(n, 1))
    return sp.csr_array(sp.random_array((n, n), density=density, rng=rng, data_sampler=rng.normal))


def gram(f: int, *, seed: int = 0) -> Any:
    """Gram matrix (f, f) of correlated inputs, of rank f − 1."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(max(f - 1, 1), f)) @ (np.eye(f) + 0.5)
    return X.T @ X / f


# ---- instances


def qubo(n: int = 10) -> Qubo:
    """Dense couplings and an offset."""
    return Qubo(matrix(n), 1.5)


def sparse_qubo(n: int = 10) -> Qubo:
    """Sparse couplings and a negative offset."""
    return Qubo(sparse_matrix(n), -2.0)


def capacity(n: int = 10) -> Capacity:
    """Two variables in five, exactly."""
    return Capacity(matrix(n, seed=1), np.ones(n), n * 2 // 5, 1.0)


def sparse_capacity(n: int = 10) -> Capacity:
    """The same on sparse couplings."""
    return Capacity(sparse_matrix(n, seed=1), np.ones(n), n * 2 // 5)


def costly(n: int = 10) -> Capacity:
    """Costs in tenths, which float64 cannot hold exactly; the capacity binds."""
    costs = np.random.default_rng(2).integers(1, 9, n) / 10
    return Capacity(matrix(n, seed=2), costs, float(costs.sum() / 3))


def rounding(n: int = 3, f: int = 6) -> Rounding:
    """Two levels, one coordinate in six fixed, another scale for each neuron."""
    rng = np.random.default_rng(3)
    fixed = np.where(rng.random((n, f)) < 1 / 6, 1, -1)
    return Rounding(gram(f), rng.random((n, f)), rng.random(n) + 0.5, fixed=fixed)


def levels(n: int = 2, f: int = 4) -> Rounding:
    """Two and four levels, shifts beyond them."""
    rng = np.random.default_rng(4)
    return Rounding(gram(f), rng.uniform(-1, 4, (n, f)), levels=np.where(np.arange(f) % 2, 4, 2))


def grouped(n: int = 3, f: int = 5) -> Rounding:
    """Four levels, a step for every two inputs of a neuron, a coordinate fixed, a start."""
    rng = np.random.default_rng(7)
    fixed = np.full((n, f), -1)
    fixed[0, 1] = 2
    group = np.arange(f) // 2
    scale = rng.random((n, int(group.max(initial=0)) + 1)) + 0.5
    plain = Rounding(gram(f), rng.uniform(-1, 4, (n, f)), scale, 4, fixed, group)
    return replace(plain, start=plain.nearest())


def black_box(n: int = 10) -> BlackBox:
    """A Qubo's loss asked point by point, exactly n/2 ones."""
    start = np.arange(n) % 2
    return BlackBox(Qubo(matrix(n, seed=5)).losses, n, start=start, K=int(start.sum()))


def free_black_box(n: int = 10) -> BlackBox:
    """The same with any number of ones."""
    return BlackBox(Qubo(matrix(n, seed=6)).losses, n, start=np.zeros(n))


INSTANCES: dict[str, Callable[[], Instance]] = {
    "qubo": qubo,
    "sparse qubo": sparse_qubo,
    "capacity": capacity,
    "sparse capacity": sparse_capacity,
    "costly capacity": costly,
    "rounding": rounding,
    "levels": levels,
    "groups": grouped,
    "black box": black_box,
    "free black box": free_black_box,
}
"""Every shape at a size that enumeration can judge."""

LARGER: dict[str, Callable[[int], Instance]] = {
    "qubo": qubo,
    "sparse qubo": sparse_qubo,
    "capacity": capacity,
    "costly capacity": costly,
    "rounding": lambda n: rounding(20, n),
    "black box": black_box,
}
"""The shapes at a size that is asked for, to keep a search busy."""

SMALLEST: dict[str, Instance] = {
    "no variable": Qubo(np.zeros((0, 0)), 3.0),
    "one variable": Qubo([[-2.0]], 3.0),
    "one variable best left out": Qubo([[2.0]], 3.0),
    "all zero": Qubo(np.zeros((4, 4))),
    "all zero and an offset": Qubo(np.zeros((4, 4)), -7.0),
    "empty capacity": Capacity(np.zeros((0, 0)), np.zeros(0), 0, 1.0),
    "capacity of one": Capacity([[1.0]], [1.0], 1),
    "nothing kept": Capacity(np.eye(3), np.ones(3), 0),
    "everything kept": Capacity(np.eye(3), np.ones(3), 3),
    "nothing fits": Capacity(-np.eye(3), [2.0, 3.0, 4.0], 1.0),
    "everything fits": Capacity(-np.eye(3), [2.0, 3.0, 4.0], 100.0),
    "all zero capacity": Capacity(np.zeros((4, 4)), np.ones(4), 2),
    "no neuron": Rounding(np.eye(2), np.zeros((0, 2))),
    "no coordinate": Rounding(np.zeros((0, 0)), np.zeros((2, 0))),
    "one coordinate": Rounding([[2.0]], [[0.7]]),
    "zero gram": Rounding(np.zeros((2, 2)), [[0.2, 0.9]]),
    "all fixed": Rounding(np.eye(2), [[0.2, 0.9]], fixed=[[1, 0]]),
    "no neuron of many levels": Rounding(np.eye(2), np.zeros((0, 2)), levels=4),
    "no coordinate of many levels": Rounding(np.zeros((0, 0)), np.zeros((2, 0)), levels=4),
    "one coordinate of many levels": Rounding([[2.0]], [[2.7]], levels=4),
    "zero gram of many levels": Rounding(np.zeros((2, 2)), [[0.2, 2.9]], levels=4),
    "all fixed of many levels": Rounding(np.eye(2), [[0.2, 0.9]], levels=4, fixed=[[3, 0]]),
    "one group each": Rounding(np.eye(2), [[0.2, 0.9]], [[0.5, 2.0]], group=[0, 1]),
}
"""Where loops run empty and scales are 0."""


# ---- solutions


def all_bits(n: int) -> Bits:
    """Every binary vector: (2^n, n) int8."""
    return np.array(list(itertools.product((0, 1), repeat=n)), dtype=np.int8).reshape(2**n, n)


def solutions(instance: Instance) -> Any:
    """Every feasible solution; only for small instances."""
    levels = np.broadcast_to(instance.levels, instance.shape).ravel()
    choices = list(itertools.product(*map(range, levels.tolist())))
    every = np.array(choices, dtype=np.int8).reshape((len(choices), *instance.shape))
    return np.array([x for x in every if instance.violation(x) == 0])


def optimum(instance: Instance) -> float:
    """Lowest loss of a feasible solution, by enumeration; of a Rounding, neuron by neuron."""
    if isinstance(instance, Rounding):
        return sum(_optimum_of_row(instance, i) for i in range(instance.n))
    return float(instance.losses(solutions(instance)).min())


def _optimum_of_row(layer: Rounding, i: int) -> float:
    one = layer.neuron(i)
    return float(one.losses(solutions(one)).min())


def random_solution(instance: Instance, rng: np.random.Generator) -> Bits:
    """A feasible solution without any thought."""
    return _fitted(instance, rng.integers(0, instance.levels, instance.shape, dtype=np.int8), rng)


def mixture(instance: Instance, x: Bits, share: float, rng: np.random.Generator) -> Bits:
    """A feasible solution with about a `share` of random values in place of those of `x`."""
    chosen = rng.random(instance.shape) < share
    mixed = np.where(chosen, random_solution(instance, rng), x).astype(np.int8)
    return _fitted(instance, mixed, rng)


def _fitted(instance: Instance, x: Bits, rng: np.random.Generator) -> Bits:
    """`x` with random variables dropped until it fits, and added where exactly K must stay."""
    if instance.K is None:
        return np.asarray(instance.repair(x[None])[0])
    order = np.concatenate([rng.permutation(np.flatnonzero(x))[::-1], np.flatnonzero(x == 0)])
    x = x & instance.repair(x[None], order)[0]
    order = np.concatenate([np.flatnonzero(x), rng.permutation(np.flatnonzero(x == 0))])
    return np.asarray(instance.repair(x[None], order)[0])


# ---- tasks


def dense_task() -> Task:
    """Five inputs, 6 and 4 hidden units, 3 classes; layers named as in the networks of ours."""
    layers = OrderedDict[str, nn.Module](
        flatten=nn.Flatten(),
        fc1=nn.Linear(5, 6),
        relu1=nn.ReLU(),
        fc2=nn.Linear(6, 4),
        relu2=nn.ReLU(),
        fc3=nn.Linear(4, 3),
    )
    return _task(layers, 5)


def conv_task() -> Task:
    """Images (1, 4, 4) to 3 classes: two convolutions, one with a BatchNorm that does not leave 0 at 0."""
    norm = nn.BatchNorm2d(3)
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(1, 3, 2, stride=2),
        norm1=norm,
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(3, 2, (1, 2)),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        fc=nn.Linear(4, 3),
    )
    _draw((norm.weight, 0.5, 1.5), (norm.bias, 0.1, 0.5))
    _draw((norm.running_mean, -0.5, 0.5), (norm.running_var, 0.5, 2.0))
    return _task(layers, 1, 4, 4)


def generator_task() -> Task:
    """An interaction system of two couplings and one pixel, with its own images of random starts."""
    with torch.random.fork_rng(devices=[]):
        system = InteractionSystem(Design(side=1, radius=0, segments=2, steps=2))
    _draw((system.couplings, -1.0, 1.0), (system.bias, -0.5, 0.5))
    starts = system.starts(16, random=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return own_task(system.eval().requires_grad_(False), (starts, system(starts)))


def _task(layers: OrderedDict[str, nn.Module], *shape: int) -> Task:
    """Random weights and samples of `shape`, as good as trained ones for what must hold of any network."""
    network = nn.Sequential(layers)
    linear = [part for part in layers.values() if isinstance(part, (nn.Linear, nn.Conv2d))]
    _draw(*((tensor, -0.5, 0.5) for part in linear for tensor in part.parameters()))
    rng = np.random.default_rng(0)
    return own_task(network.eval(), (rng.standard_normal((16, *shape)), rng.integers(0, 3, 16)))


def _draw(*ranges: tuple[Any, float, float]) -> None:
    """Fill tensors uniformly, leaving torch's own generator as it was."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor, low, high in ranges:
            tensor.uniform_(low, high, generator=generator)


TASKS: dict[str, Callable[[], Task]] = {
    "dense network": dense_task,
    "convolutions": conv_task,
    "generator": generator_task,
}
"""Networks whose layers have at most 12 choices a neuron and 12 filters."""
