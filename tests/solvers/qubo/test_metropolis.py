"""Landscapes, chains and sweeps that sa and tempering share."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import gram, levels, matrix, qubo, rounding, sparse_matrix, sparse_qubo
from scipy import stats

from qubopress.problems import Qubo, Rounding
from qubopress.solvers import Run
from qubopress.solvers.qubo.metropolis import Chain, Luck, landscape_of, temperature_range

INSTANCES = {"dense": qubo, "sparse": sparse_qubo, "rounding": rounding, "levels": levels}


def chain_of(instance: Qubo | Rounding, *, row: int = 0, seed: int = 0) -> tuple[Chain, Luck]:
    landscape, rng = landscape_of(instance), np.random.default_rng(seed)
    return Chain(landscape, row, landscape.random(row, rng)), Luck(landscape, rng)


def reference(chain: Chain, temperature: float, pool: Any, start: int) -> Any:
    """One sweep over the values x (n,) of a chain of two levels, by the definition."""
    landscape = chain.landscape
    x = chain.x[: landscape.n].astype(float)
    for i in range(landscape.n):
        step = 1 - 2 * x[i]
        change = step * landscape.slopes(chain.row, x)[i] + landscape.curve[i]
        if landscape.top[chain.row, i] and change <= temperature * pool[start + i]:
            x[i] += step
    return x


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["dense", "sparse", "rounding"]),
    seed=st.integers(0, 1000),
    heat=st.sampled_from([0.0, 0.1, 1.0, 10.0]),
)
def test_a_sweep_equals_the_definition(kind: str, seed: int, heat: float) -> None:
    chain, luck = chain_of(INSTANCES[kind](), seed=seed)
    pool, starts = luck.draw(1, 2)
    luck.draw = lambda *_: (pool, starts)  # type: ignore[method-assign]
    expected = reference(chain, heat, pool, starts[0, 0])
    chain.anneal(np.array([heat]), luck)
    np.testing.assert_array_equal(chain.x[: chain.landscape.n], expected)


@pytest.mark.parametrize("kind", INSTANCES)
def test_slopes_stay_those_of_the_state(kind: str) -> None:
    chain, luck = chain_of(INSTANCES[kind]())
    n = chain.landscape.n
    chain.anneal(np.full(1000, 0.5), luck)
    np.testing.assert_allclose(chain.slope[:n], chain.landscape.slopes(0, chain.x[:n]), atol=1e-4)
    assert not chain.x[n:].any()


@pytest.mark.parametrize("kind", INSTANCES)
def test_states_come_as_often_as_boltzmann_says(kind: str) -> None:
    small = {
        "dense": Qubo(matrix(5)),
        "sparse": Qubo(sparse_matrix(5)),
        "rounding": Rounding(gram(5), np.random.default_rng(1).random((1, 5))),
        "levels": Rounding(gram(3), [[0.4, 1.7, 0.9]], levels=[2, 4, 3]),
    }[kind]
    chain, luck = chain_of(small)
    landscape, temperature = chain.landscape, 0.6
    states = list(itertools.product(*(range(int(top) + 1) for top in landscape.top[0])))
    energies = [0.5 * np.dot(x, landscape.linear[0] + landscape.slopes(0, x)) for x in states]
    counts = dict.fromkeys(states, 0)
    for _ in range(6000):
        chain.anneal(np.full(12, temperature), luck)
        counts[tuple(chain.x[: landscape.n].tolist())] += 1
    chances = np.exp(-np.array(energies) / temperature)
    expected = 6000 * chances / chances.sum()
    assert stats.chisquare(list(counts.values()), expected).pvalue > 0.001


def test_fixed_coordinates_keep_their_values_in_every_state() -> None:
    fixed = np.array([[1, -1, 3, -1]])
    layer = Rounding(gram(4), [[-5.0, 1.5, -5.0, 2.5]], levels=4, fixed=fixed)
    chain, luck = chain_of(layer)
    for _ in range(20):
        chain.anneal(np.full(3, 10.0), luck)
        assert chain.x[[0, 2]].tolist() == [1, 3]


def test_the_schedule_runs_from_many_uphill_steps_to_hardly_any() -> None:
    one = Qubo(matrix(200))
    landscape = landscape_of(one)
    hot, cold = temperature_range(landscape, Run(one))
    chain, luck = chain_of(one)
    chain.anneal(np.full(50, hot), luck)
    assert 0.05 < chain.anneal(np.full(50, hot), luck).mean() / 200 < 0.3
    chain.anneal(np.geomspace(hot, cold, 500), luck)
    assert chain.anneal(np.full(50, cold), luck).mean() / 200 < 0.01
