"""Small instances of every shape for the tests of solvers, and enumeration as their judge."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

from qubopress.problems import BlackBox, Capacity, Instance, Qubo, Rounding


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


def qubo(n: int = 10) -> Qubo:
    return Qubo(matrix(n), 1.5)


def sparse_qubo(n: int = 10) -> Qubo:
    return Qubo(sparse_matrix(n), -2.0)


def capacity(n: int = 10) -> Capacity:
    return Capacity(matrix(n, seed=1), np.ones(n), n * 2 // 5, 1.0)


def sparse_capacity(n: int = 10) -> Capacity:
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


def black_box(n: int = 10) -> BlackBox:
    """A Qubo's loss asked point by point, exactly n/2 ones."""
    start = np.arange(n) % 2
    return BlackBox(Qubo(matrix(n, seed=5)).losses, n, start=start, K=int(start.sum()))


def free_black_box(n: int = 10) -> BlackBox:
    return BlackBox(Qubo(matrix(n, seed=6)).losses, n, start=np.zeros(n))


INSTANCES: dict[str, Callable[[], Instance]] = {
    "qubo": qubo,
    "sparse qubo": sparse_qubo,
    "capacity": capacity,
    "sparse capacity": sparse_capacity,
    "costly capacity": costly,
    "rounding": rounding,
    "levels": levels,
    "black box": black_box,
    "free black box": free_black_box,
}

LARGER: dict[str, Callable[[int], Instance]] = {
    "qubo": qubo,
    "sparse qubo": sparse_qubo,
    "capacity": capacity,
    "costly capacity": costly,
    "rounding": lambda n: rounding(20, n),
    "black box": black_box,
}


def solutions(instance: Instance) -> Any:
    """Every feasible solution; only for small instances."""
    if isinstance(instance, Rounding):
        ranges = [range(int(k)) for _ in range(instance.n) for k in instance.levels]
    else:
        ranges = [range(2)] * instance.n
    choices = list(itertools.product(*ranges))
    every = np.array(choices, dtype=np.int8).reshape((len(choices), *instance.shape))
    return np.array([x for x in every if instance.violation(x) == 0])


def optimum(instance: Instance) -> float:
    """Lowest loss of a feasible solution, by enumeration; of a Rounding, neuron by neuron."""
    if isinstance(instance, Rounding):
        return sum(optimum_of_row(instance, i) for i in range(instance.n))
    return float(instance.losses(solutions(instance)).min())


def optimum_of_row(layer: Rounding, i: int) -> float:
    shift, scale, fixed = layer.shift[[i]], layer.scale[[i]], layer.fixed[[i]]
    one = Rounding(layer.gram, shift, scale, layer.levels, fixed)
    return float(one.losses(solutions(one)).min())
