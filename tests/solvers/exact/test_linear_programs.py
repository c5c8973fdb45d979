"""Programs whose rows come and go: vertices and duals are those of the rows that are there."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import linprog

from qubopress.solvers.exact.linear_programs import Program


def test_each_program_is_solved_as_if_begun_anew() -> None:
    rng = np.random.default_rng(0)
    costs, least, most = rng.normal(size=12), np.zeros(12), np.ones(12)
    program, rows, high = Program(costs), sp.csr_array((0, 12)), np.zeros(0)
    for _ in range(12):
        new = sp.csr_array(rng.choice([-1.0, 0.0, 1.0], (3, 12)))
        top = rng.uniform(0.2, 1.0, 3)
        program.add(new, top)
        rows, high = sp.vstack([rows, new], format="csr"), np.append(high, top)
        gone = np.flatnonzero(rng.random(len(high)) < 0.2)
        program.drop(gone)
        kept = np.setdiff1d(np.arange(len(high)), gone)
        rows, high = rows[kept], high[kept]
        where = rng.integers(0, 12, 1)
        most[where] = 1.5 - most[where]
        program.bound(where, least[where], most[where])
        found = program.solve(np.inf)
        anew = linprog(costs, A_ub=rows, b_ub=high, bounds=list(zip(least, most, strict=True)))
        assert found is not None
        assert costs @ found.x == pytest.approx(anew.fun, abs=1e-7)
        assert (found.duals <= 1e-9).all()
        price = costs - rows.T @ found.duals
        assert np.minimum(price * least, price * most).sum() + high @ found.duals == pytest.approx(anew.fun)


def test_a_program_without_time_has_no_vertex_and_the_next_one_has() -> None:
    rng = np.random.default_rng(1)
    program = Program(rng.normal(size=200))
    program.add(sp.csr_array(rng.choice([-1.0, 0.0, 1.0], (300, 200))), np.ones(300))
    assert program.solve(0.0) is None
    assert program.solve(np.inf) is not None


def test_what_no_row_allows_has_no_vertex() -> None:
    program = Program(np.ones(2))
    program.add(sp.csr_array([[-1.0, -1.0]]), np.array([-3.0]))
    assert program.solve(np.inf) is None
