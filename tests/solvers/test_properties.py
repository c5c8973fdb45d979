"""What holds for every registered solver on whatever instance hypothesis draws, judged by enumeration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import optimum

from qubopress import solvers
from qubopress.problems import Capacity, Instance, Qubo, Rounding
from qubopress.solvers import Status

SLOW = ("mip", "branch-and-cut", "relaxation")
"""Take longer for a search than the others for all of theirs."""

numbers = st.one_of(
    st.integers(-4, 4).map(float),
    st.floats(-1e3, 1e3, allow_nan=False).map(lambda x: round(x, 6)),
    st.sampled_from([1e-9, -1e9, 0.1]),
)


@st.composite
def matrices(draw: st.DrawFn, n: int) -> Any:
    """(n, n) matrices, upper triangular, many of them with few entries or with sizes far apart."""
    entries = draw(st.lists(numbers, min_size=n * n, max_size=n * n))
    kept = draw(st.lists(st.booleans(), min_size=n * n, max_size=n * n))
    return np.triu(np.where(kept, entries, 0.0).reshape(n, n))


@st.composite
def qubos(draw: st.DrawFn) -> Qubo:
    Q = draw(matrices(draw(st.integers(0, 7))))
    return Qubo(sp.csr_array(Q) if draw(st.booleans()) else Q, draw(numbers))


@st.composite
def capacities(draw: st.DrawFn) -> Capacity:
    n = draw(st.integers(1, 7))
    Q = draw(matrices(n))
    if draw(st.booleans()):
        return Capacity(Q, np.ones(n), draw(st.integers(0, n)))
    costs = np.array(draw(st.lists(st.integers(1, 9), min_size=n, max_size=n))) / 10
    return Capacity(Q, costs, float(costs.sum()) * draw(st.sampled_from([0.0, 0.3, 0.7, 1.0])))


@st.composite
def roundings(draw: st.DrawFn) -> Rounding:
    n, f = draw(st.integers(0, 2)), draw(st.integers(1, 4))
    X = np.array(draw(st.lists(st.integers(-3, 3), min_size=2 * f, max_size=2 * f))).reshape(2, f)
    shift = draw(st.lists(st.floats(-1.5, 2.5), min_size=n * f, max_size=n * f))
    fixed = draw(st.lists(st.integers(-1, 1), min_size=n * f, max_size=n * f))
    levels = draw(st.lists(st.sampled_from([2, 4]), min_size=f, max_size=f))
    return Rounding(
        X.T @ X / 2.0, np.array(shift).reshape(n, f), 0.5, levels, np.array(fixed, dtype=int).reshape(n, f)
    )


SHAPES: dict[type, Any] = {Qubo: qubos(), Capacity: capacities(), Rounding: roundings()}

PAIRS = [
    pytest.param(name, shape, id=f"{name}-{shape.__name__}")
    for name in solvers.names()
    for shape in SHAPES
    if shape in solvers.get(name).accepts and all(solvers.get(name).versions().values())
]


@pytest.mark.parametrize(("name", "shape"), PAIRS)
def test_a_search_ends_in_honest_feasible_bits_and_valid_bounds(name: str, shape: type) -> None:
    @settings(max_examples=4 if name in SLOW else 12, deadline=None, derandomize=True)
    @given(instance=SHAPES[shape])
    def holds(instance: Instance) -> None:
        found = solvers.solve(instance, name, restarts=1)
        best, noise = optimum(instance), 10 * instance.resolution
        assert found.status in (Status.FINISHED, Status.OPTIMAL), found.message
        assert found.x is not None
        assert found.loss is not None
        assert found.loss == instance.loss(found.x)
        assert instance.violation(found.x) == 0.0
        assert found.loss >= best - noise
        assert found.bound is None or found.bound <= best + noise
        if found.status is Status.OPTIMAL:
            assert found.loss == pytest.approx(best, rel=1e-8, abs=noise + 1e-9)

    holds()
