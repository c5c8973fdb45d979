"""sa on a device: a swarm goes where a chain does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from accelerators import DEVICES
from instances import levels, optimum, qubo, rounding, sparse_qubo

from qubopress import solvers
from qubopress.problems import Qubo, Rounding
from qubopress.solvers import Status
from qubopress.solvers.qubo.metropolis import Chain, Luck, landscape_of
from qubopress.solvers.qubo.metropolis_on_torch import Swarm


def integral(kind: str) -> Qubo | Rounding:
    """Coefficients whose sums are exact in single precision, and many moves that change nothing."""
    rng = np.random.default_rng(1)
    if kind == "qubo":
        return Qubo(rng.integers(-3, 4, (150, 150)).astype(float))
    X = rng.integers(-1, 2, (20, 150)).astype(float)
    fixed = np.where(rng.random((2, 150)) < 0.1, 1, -1)
    return Rounding(
        X.T @ X, rng.integers(0, 3, (2, 150)) / 2, levels=2 if kind == "rounding" else 5, fixed=fixed
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["qubo", "rounding", "levels"])
def test_the_same_random_numbers_lead_a_swarm_where_they_lead_a_chain(kind: str, device: str) -> None:
    landscape, rng = landscape_of(integral(kind)), np.random.default_rng(0)
    rows = np.arange(len(landscape.linear)).repeat(2)
    starts = np.array([landscape.random(row, rng) for row in rows])
    swarm, chains = (
        Swarm(landscape, rows, starts, device),
        [Chain(landscape, *one) for one in zip(rows, starts, strict=True)],
    )
    luck, n = Luck(landscape, rng), landscape.n
    for temperature in np.repeat([1.0, 0.3, 0.1, 0.03, 0.0], 4) * float(np.abs(landscape.linear).max()) / 4:
        drawn = [luck.draw(1, 2) for _ in rows]
        pick = [np.array([pool[at[0, k] :][:n] for pool, at in drawn]) for k in (0, 1)]
        swarm.sweep(temperature, *(torch.tensor(one, device=swarm.device) for one in pick))
        for chain, one in zip(chains, drawn, strict=True):
            chain.anneal(np.array([temperature]), _Drawn(one))
    np.testing.assert_array_equal(swarm.x.cpu().numpy(), [chain.values() for chain in chains])
    states, lows = swarm.found()
    np.testing.assert_array_equal(states, [chain.best[:n] for chain in chains])
    np.testing.assert_array_equal(lows, [chain.lowest for chain in chains])


class _Drawn:
    """Luck that was drawn before."""

    def __init__(self, drawn: Any) -> None:
        self.drawn = drawn

    def draw(self, sweeps: int, each: int) -> Any:
        return self.drawn


@pytest.mark.parametrize("make", [qubo, sparse_qubo, rounding, levels])
def test_a_cold_swarm_ends_where_a_cold_chain_does(make: Any) -> None:
    landscape, rng = landscape_of(make()), np.random.default_rng(0)
    rows = np.arange(len(landscape.linear)).repeat(3)
    starts = np.array([landscape.random(row, rng) for row in rows])
    swarm = Swarm(landscape, rows, starts, "cpu")
    swarm.quench(30)
    for row, start, x in zip(rows, starts, swarm.found()[0], strict=True):
        chain = Chain(landscape, row, start)
        if swarm.many:
            # Which way a chain looks is chance: both must hold the state that no step improves.
            chain.put(x)
        chain.anneal(np.zeros(30), Luck(landscape, rng))
        np.testing.assert_array_equal(chain.best[: landscape.n], x)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("make", [qubo, sparse_qubo, rounding, levels])
def test_sa_on_a_device_finds_optima_and_repeats_itself(make: Any, device: str) -> None:
    instance = make()
    first, second = (
        solvers.solve(instance, "sa", restarts=1, num_reads=8, num_sweeps=100, device=device)
        for _ in range(2)
    )
    assert first.loss == pytest.approx(optimum(instance))
    assert first.status is Status.FINISHED
    np.testing.assert_array_equal(first.x, second.x)


def test_slopes_are_summed_anew_before_their_errors_grow() -> None:
    landscape, run = landscape_of(qubo()), solvers.Run(qubo())
    swarm = Swarm(landscape, [0], np.zeros((1, landscape.n), dtype=np.int8), "cpu")
    swarm.patience = 3
    luck = torch.Generator().manual_seed(0)
    swarm.anneal(np.full(8, 1.0), luck, run)
    assert swarm.age == 2
    lowest = landscape.slopes(0, swarm.best[0].numpy())
    energy = 0.5 * swarm.best[0].numpy() @ (landscape.linear[0] + lowest)
    assert float(swarm.lowest[0]) == pytest.approx(energy, abs=1e-5)
