"""What every shape of instance answers, checked on small ones and on whatever hypothesis draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from instances import INSTANCES, SMALLEST, solutions

from qubopress.problems import SHAPES, BlackBox, Capacity, Instance, Qubo, Rounding
from qubopress.problems.instances.instance import Shape

MEMBERS = sorted(name for name in vars(Shape) if not name.startswith("_"))

each_kind = pytest.mark.parametrize("kind", INSTANCES)


def test_there_are_four_shapes_by_their_own_names() -> None:
    assert {"Qubo": Qubo, "Capacity": Capacity, "Rounding": Rounding, "BlackBox": BlackBox} == SHAPES


@each_kind
@pytest.mark.parametrize("member", MEMBERS)
def test_a_shape_answers_all_that_the_protocol_asks(kind: str, member: str) -> None:
    getattr(INSTANCES[kind](), member)


@each_kind
def test_random_points_are_feasible(kind: str) -> None:
    instance = INSTANCES[kind]()
    drawn = instance.random(np.random.default_rng(0), 20)
    assert drawn.shape == (20, *instance.shape)
    assert drawn.dtype == np.int8
    assert {instance.violation(x) for x in drawn} == {0.0}


@each_kind
def test_the_same_seed_draws_the_same_points(kind: str) -> None:
    first, second = (INSTANCES[kind]().random(np.random.default_rng(1), 5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", [kind for kind in INSTANCES if kind != "costly capacity"])
def test_the_number_of_solutions_is_that_of_an_enumeration(kind: str) -> None:
    instance = INSTANCES[kind]()
    if instance.free <= 10:
        assert instance.solutions == len(solutions(instance))
    else:
        levels = np.broadcast_to(instance.levels, instance.shape)
        free = instance.fixed < 0 if isinstance(instance, Rounding) else np.ones(instance.shape, dtype=bool)
        assert instance.solutions == np.prod(levels[free])


def test_solutions_that_must_fit_are_no_more_than_all_points() -> None:
    instance = INSTANCES["costly capacity"]()
    assert len(solutions(instance)) < instance.solutions == 2**instance.n


@pytest.mark.parametrize("kind", [kind for kind, one in SMALLEST.items() if np.prod(one.shape)])
def test_a_settled_instance_has_its_baseline_and_no_other_solution(kind: str) -> None:
    instance = SMALLEST[kind]
    if instance.settled:
        np.testing.assert_array_equal(solutions(instance), instance.baseline()[None])


def test_only_a_black_box_counts_its_evaluations() -> None:
    for make in INSTANCES.values():
        instance = make()
        instance.loss(instance.baseline())
        assert instance.counted == isinstance(instance, BlackBox) == bool(instance.evaluations)


@each_kind
def test_content_holds_no_more_than_arrays_and_numbers(kind: str) -> None:
    for part in INSTANCES[kind]().content().values():
        assert part is None or np.asarray(part).dtype.kind in "if"


# ---- repair


@st.composite
def capacities(draw: st.DrawFn) -> Instance:
    """Unit, whole and broken costs, with capacities that sums of them just reach."""
    n = draw(st.integers(1, 8))
    kind = draw(st.sampled_from(["unit", "tenths", "any", "black box"]))
    if kind == "black box":
        K = draw(st.integers(0, n))
        return BlackBox(lambda x: x.sum(axis=1), n, start=np.arange(n) < K, K=K)
    if kind == "unit":
        return Capacity(np.zeros((n, n)), np.ones(n), draw(st.integers(0, n)))
    cost = st.integers(1, 9).map(lambda k: k / 10) if kind == "tenths" else st.floats(1e-3, 1e3)
    costs = np.array(draw(st.lists(cost, min_size=n, max_size=n).filter(lambda c: set(c) != {1.0})))
    chosen = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return Capacity(np.zeros((n, n)), costs, float(costs[chosen].sum()))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Instance, Any, Any]:
    """An instance, points of it and an order of its variables."""
    instance = draw(
        st.one_of(capacities(), st.sampled_from(list(INSTANCES.values())).map(lambda make: make()))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    points = rng.integers(0, instance.levels, (5, *instance.shape), dtype=np.int8)
    return instance, points, rng.permutation(instance.n)


@given(cases())
def test_repaired_points_are_feasible(case: tuple[Instance, Any, Any]) -> None:
    instance, points, order = case
    assert {instance.violation(x) for x in instance.repair(points, order)} == {0.0}
    assert {instance.violation(x) for x in instance.repair(points)} == {0.0}


@given(cases())
def test_feasible_points_are_left_as_they_are(case: tuple[Instance, Any, Any]) -> None:
    instance, points, order = case
    feasible = instance.repair(points, order)
    np.testing.assert_array_equal(instance.repair(feasible), feasible)
    np.testing.assert_array_equal(instance.repair(feasible, order[::-1]), feasible)


@given(cases())
def test_repair_leaves_its_input_alone(case: tuple[Instance, Any, Any]) -> None:
    instance, points, order = case
    before = points.copy()
    instance.repair(points, order)
    np.testing.assert_array_equal(points, before)


def test_ones_stay_in_order_while_they_fit() -> None:
    loose = Capacity(np.zeros((4, 4)), [3.0, 2.0, 2.0, 1.0], 4.0)
    assert loose.repair([[1, 1, 1, 1]], [1, 2, 0, 3]).tolist() == [[0, 1, 1, 0]]
    exact = Capacity(np.zeros((4, 4)), np.ones(4), 2)
    assert exact.repair([[1, 0, 1, 1], [0, 0, 0, 0]], [3, 1, 2, 0]).tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
