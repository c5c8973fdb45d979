"""What tensor-train, tensor-cross, one-flip and random find on 100 bits for equally many losses asked."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from instances import gram, matrix

from qubopress import solvers
from qubopress.problems import BlackBox, Qubo

EVALUATIONS, SEEDS = 5_000, range(5)
NAMES = ("tensor-train", "tensor-cross", "one-flip", "random")


def gaussian(seed: int) -> Qubo:
    return Qubo(matrix(100, seed=seed))


def neuron(seed: int) -> Qubo:
    """Rounding of one neuron of 100 weights."""
    G, shift = gram(100, seed=seed), np.random.default_rng(seed).random(100)
    return Qubo(G - 2.0 * np.diag(G @ shift), float(shift @ G @ shift))


def loss_at(qubo: Qubo, name: str, evaluations: int, seed: int) -> float:
    """Loss after that many evaluations; a look at n neighbours is n of them. one-flip may end its descent."""
    if name == "one-flip":
        # Each start is asked for whole, so it is given more than the others, never less.
        found, restarts = solvers.solve(qubo, name, restarts=1, seed=seed), 1
        while found.counts["evaluations"] < evaluations:
            restarts += 1
            found = solvers.solve(qubo, name, restarts=restarts, seed=seed)
    else:
        box = BlackBox(qubo.losses, qubo.n, start=np.zeros(qubo.n))
        found = solvers.solve(box, name, evaluations=evaluations, seed=seed)
        assert box.evaluations <= evaluations
    assert found.loss is not None
    return found.loss


@functools.cache
def mean_losses(kind: Any) -> dict[str, float]:
    """Mean loss of each solver over five instances and seeds."""
    return {
        name: float(np.mean([loss_at(kind(seed), name, EVALUATIONS, seed) for seed in SEEDS]))
        for name in NAMES
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tensor-train", "tensor-cross"])
@pytest.mark.parametrize("kind", [gaussian, neuron])
def test_both_tensor_searches_beat_random_draws(kind: Any, name: str) -> None:
    assert mean_losses(kind)[name] < mean_losses(kind)["random"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tensor-train", "tensor-cross"])
def test_both_beat_one_flip_on_a_neuron_but_not_on_gaussian_couplings(name: str) -> None:
    assert mean_losses(neuron)[name] < mean_losses(neuron)["one-flip"]
    assert mean_losses(gaussian)["one-flip"] < mean_losses(gaussian)[name]


def test_a_look_at_the_neighbours_counts_as_so_many_evaluations() -> None:
    qubo = Qubo(np.diag([-3.0, -2.0, -1.0, 5.0]))
    found = solvers.solve(qubo, "one-flip", restarts=1, seed=0)
    begun = np.random.default_rng(0).integers(0, 2, 4, dtype=np.int8)
    flips = int(np.abs(begun - [1, 1, 1, 0]).sum())
    assert found.counts["evaluations"] == 1 + 4 * (flips + 1)


@pytest.mark.parametrize("name", ["tensor-train", "tensor-cross", "random"])
def test_losses_of_a_qubo_are_counted_as_those_of_a_black_box_are(name: str) -> None:
    asked = []

    class Spy(Qubo):
        def losses(self, x: Any) -> Any:
            asked.append(len(x))
            return super().losses(x)

    qubo = Spy(matrix(30))
    found = solvers.solve(qubo, name, restarts=1)
    # Beside what the search asks for, offers and the final check ask for single points.
    assert found.counts["evaluations"] == sum(k for k in asked if k > 1)
