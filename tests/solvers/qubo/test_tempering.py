"""tempering: swaps keep the distribution of every temperature, and replicas wander over the ladder."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from instances import matrix, optimum, qubo, sparse_qubo
from scipy import stats

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers.qubo.metropolis import landscape_of
from qubopress.solvers.qubo.tempering import Replicas


def replicas_of(one: Qubo, temperatures: list[float], *, seed: int = 0) -> Replicas:
    return Replicas(landscape_of(one), np.array(temperatures), np.random.default_rng(seed))


def test_every_temperature_keeps_its_boltzmann_distribution() -> None:
    one = Qubo(matrix(5))
    replicas = replicas_of(one, [2.0, 0.6, 0.3])
    landscape = replicas.landscape
    states = list(itertools.product((0, 1), repeat=5))
    energies = np.array([0.5 * np.dot(x, landscape.linear[0] + landscape.slopes(0, x)) for x in states])
    counts = [dict.fromkeys(states, 0) for _ in replicas.temperatures]
    for _ in range(4000):
        replicas.advance(12)
        for k, r in enumerate(replicas.order):
            counts[k][tuple(replicas.x[r, :5].tolist())] += 1
    assert replicas.swaps.min() > 1000
    for k, temperature in enumerate(replicas.temperatures):
        chances = np.exp(-energies / temperature)
        # States expected less than five times are counted together, as the test asks.
        expected = 4000 * chances / chances.sum()
        found, rare = np.array(list(counts[k].values())), expected < 5
        pooled = [np.append(one[~rare], one[rare].sum()) for one in (found, expected)]
        keep = pooled[1] > 0
        assert stats.chisquare(pooled[0][keep], pooled[1][keep]).pvalue > 0.001


def test_each_replica_visits_every_temperature() -> None:
    replicas = replicas_of(Qubo(matrix(12)), [1.0, 0.7, 0.5, 0.35])
    places = []
    for _ in range(200):
        replicas.advance(5)
        places.append(replicas.order.copy())
    for k in range(4):
        assert set(np.array(places)[:, k]) == {0, 1, 2, 3}


def test_energies_and_slopes_stay_those_of_the_states() -> None:
    one = Qubo(matrix(30))
    replicas = replicas_of(one, [1.0, 0.5, 0.2])
    replicas.advance(300)
    energies, slope = replicas.energies.copy(), replicas.slope.copy()
    replicas.refresh()
    np.testing.assert_allclose(energies, replicas.energies, atol=1e-3)
    np.testing.assert_allclose(slope, replicas.slope, atol=1e-3)


def test_a_lowest_state_is_a_local_minimum() -> None:
    one = Qubo(matrix(50))
    replicas = replicas_of(one, [1.0, 0.5, 0.2])
    replicas.advance(20)
    x = replicas.polished()
    assert (one.losses(np.bitwise_xor(x, np.eye(50, dtype=np.int8))) >= one.loss(x)).all()


@pytest.mark.parametrize("make", [qubo, sparse_qubo])
def test_it_finds_the_optimum_of_small_instances(make: type[Qubo]) -> None:
    found = solvers.solve(make(14), "tempering", restarts=1)
    assert found.loss == pytest.approx(optimum(make(14)), rel=1e-9)


def test_a_longer_budget_goes_on_where_a_shorter_one_ended() -> None:
    one = Qubo(matrix(60))
    long = solvers.solve(one, "tempering", seconds=0.3)
    fixed = solvers.solve(one, "tempering", restarts=1, num_sweeps=5)
    assert long.counts["restarts"] == 1
    assert long.loss is not None
    assert fixed.loss is not None
    assert long.loss <= fixed.loss
