"""What holds for every registered solver on every shape that it takes itself or through an adapter."""

from __future__ import annotations

import functools
import itertools
import time
from typing import Any

import numpy as np
import pytest
from instances import INSTANCES, LARGER, optimum

from qubopress import solvers
from qubopress.problems import BlackBox, Capacity, InputError, Instance, Qubo, Rounding
from qubopress.solvers import Solution, Status

EVALUATIONS = 200


def _pairs(instances: dict[str, Any]) -> list[Any]:
    """(solver, kind of instance) wherever the solver reaches the shape."""
    shapes = {kind: type(make(4) if instances is LARGER else make()) for kind, make in instances.items()}
    return [
        pytest.param(name, kind, id=f"{name}-{kind}".replace(" ", "-"))
        for name in solvers.names()
        for kind, shape in shapes.items()
        if solvers.reaches(solvers.get(name), shape)
    ]


EVERY = pytest.mark.parametrize(("name", "kind"), _pairs(INSTANCES))
EVERY_LARGER = pytest.mark.parametrize(("name", "kind"), _pairs(LARGER))
EVERY_EXACT = pytest.mark.parametrize(
    ("name", "kind"), [pair for pair in _pairs(INSTANCES) if solvers.get(str(pair.values[0])).exact]
)


def fixed_work(instance: Instance, name: str, *, seed: int = 0) -> Solution:
    evaluations = EVALUATIONS if isinstance(instance, BlackBox) else None
    return solvers.solve(instance, name, restarts=1, evaluations=evaluations, seed=seed)


@functools.cache
def outcome(name: str, kind: str) -> Solution:
    """What one run of fixed work finds; several claims are about the same outcome."""
    return fixed_work(INSTANCES[kind](), name)


@functools.cache
def best_of(kind: str) -> float:
    return optimum(INSTANCES[kind]())


@EVERY
def test_the_reported_loss_is_the_loss_of_feasible_bits(name: str, kind: str) -> None:
    instance, found = INSTANCES[kind](), outcome(name, kind)
    assert found.x is not None
    assert found.x.shape == instance.shape
    assert found.x.dtype == np.int8
    assert found.loss == instance.loss(found.x)
    assert found.violation == instance.violation(found.x) == 0.0


@EVERY
def test_the_trace_falls_strictly_to_the_reported_loss(name: str, kind: str) -> None:
    found = outcome(name, kind)
    times, losses = [t for t, _ in found.trace], [loss for _, loss in found.trace]
    assert losses[-1] == found.loss
    assert all(before > after for before, after in itertools.pairwise(losses))
    assert times == sorted(times)
    assert 0.0 <= times[0] <= times[-1] <= found.seconds + 0.05


@EVERY
def test_the_same_seed_and_the_same_fixed_work_give_the_same_bits(name: str, kind: str) -> None:
    first, second = outcome(name, kind), fixed_work(INSTANCES[kind](), name)
    assert first.status is second.status
    assert first.loss == second.loss
    np.testing.assert_array_equal(first.x, second.x)


@EVERY
def test_fixed_work_ends_finished_or_proven(name: str, kind: str) -> None:
    instance = INSTANCES[kind]()
    found = solvers.solve(instance, name, restarts=2)
    assert found.status in (Status.FINISHED, Status.OPTIMAL)


@EVERY
def test_no_bound_exceeds_the_optimum_and_optimal_means_optimal(name: str, kind: str) -> None:
    instance = INSTANCES[kind]()
    found, best = outcome(name, kind), best_of(kind)
    assert found.loss is not None
    assert found.loss >= best - instance.resolution
    assert found.bound is None or found.bound <= best + instance.resolution
    if found.status is Status.OPTIMAL:
        assert found.loss == pytest.approx(best, rel=1e-8, abs=1e-9)


@EVERY_EXACT
def test_an_exact_solver_equals_enumeration(name: str, kind: str) -> None:
    found = outcome(name, kind)
    assert found.loss == pytest.approx(best_of(kind), rel=1e-9, abs=1e-9)
    # A field reaches only supported capacities, so through the field search even an exact solver may miss.
    assert found.status is Status.OPTIMAL or found.adapter == "field-search"


@EVERY
def test_a_target_that_is_reached_ends_the_search(name: str, kind: str) -> None:
    instance = INSTANCES[kind]()
    reachable = outcome(name, kind).loss
    assert reachable is not None
    found = solvers.solve(instance, name, seconds=20.0, restarts=3, target=reachable + 1e-9)
    assert found.status in (Status.TARGET, Status.OPTIMAL)
    assert found.loss is not None
    assert found.loss <= reachable + 1e-9


@EVERY
def test_inputs_stay_untouched(name: str, kind: str) -> None:
    instance = INSTANCES[kind]()
    arrays = _arrays(instance)
    before = {key: array.copy() for key, array in arrays.items()}
    fixed_work(instance, name)
    for key, array in _arrays(instance).items():
        np.testing.assert_array_equal(array, before[key], err_msg=key)


def _arrays(instance: Instance) -> dict[str, Any]:
    if isinstance(instance, BlackBox):
        return {"start": instance.start}
    if isinstance(instance, Rounding):
        return {key: getattr(instance, key) for key in ("gram", "shift", "scale", "levels", "fixed")}
    costs = {"costs": instance.costs} if isinstance(instance, Capacity) else {}
    names = ("data", "indices", "indptr") if instance.sparse else ()
    return costs | {name: getattr(instance.Q, name) for name in names} | ({} if names else {"Q": instance.Q})


@EVERY_LARGER
def test_the_budget_is_kept(name: str, kind: str) -> None:
    entry = solvers.get(name)
    instance = LARGER[kind](min(100, entry.max_variables or 100))
    solvers.warm(name, type(instance), sparse=bool(getattr(instance, "sparse", False)))
    begun = time.monotonic()
    found = solvers.solve(instance, name, seconds=0.3)
    assert time.monotonic() - begun < 0.3 + 0.5
    assert found.x is not None
    assert found.violation == 0.0
    assert found.status in (Status.BUDGET, Status.OPTIMAL, Status.FINISHED)


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
}


@pytest.mark.parametrize("kind", SMALLEST)
@pytest.mark.parametrize("name", solvers.names())
def test_the_smallest_instances_are_solved(name: str, kind: str) -> None:
    instance = SMALLEST[kind]
    if not solvers.reaches(solvers.get(name), type(instance)):
        with pytest.raises(InputError, match=f"{name} solves"):
            solvers.solve(instance, name, restarts=1)
        return
    found = solvers.solve(instance, name, restarts=1)
    assert found.violation == 0.0
    assert found.loss == pytest.approx(optimum(instance), abs=1e-12)


@pytest.mark.parametrize("size", [1e-12, 1e12])
@pytest.mark.parametrize("name", [name for name in solvers.names() if Qubo in solvers.get(name).accepts])
def test_the_size_of_the_coefficients_makes_no_difference(name: str, size: float) -> None:
    A = np.random.default_rng(0).integers(-9, 9, (8, 8)).astype(float)
    plain, scaled = (solvers.solve(Qubo(Q), name, restarts=3) for Q in (A, size * A))
    assert plain.loss is not None
    assert scaled.status is plain.status
    assert scaled.loss == pytest.approx(size * plain.loss, rel=1e-9)


def test_another_seed_gives_another_search() -> None:
    qubo = Qubo(np.diag(range(1, 65)))
    losses = {solvers.solve(qubo, "random", restarts=1, seed=seed).loss for seed in range(4)}
    assert len(losses) > 1
