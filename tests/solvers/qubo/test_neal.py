"""neal: the library's own schedule, in pieces that can be cut off."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from dwave.samplers.sa.sampler import default_beta_range
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import matrix

from qubopress import solvers
from qubopress.problems import Qubo
from qubopress.solvers import Status
from qubopress.solvers.qubo import neal
from qubopress.solvers.qubo.foreign.model import model_of
from qubopress.solvers.qubo.neal import default_betas


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 9), seed=st.integers(0, 10_000), sparse=st.booleans())
def test_the_schedule_is_the_librarys_default(n: int, seed: int, sparse: bool) -> None:
    Q = np.random.default_rng(seed).integers(-3, 4, (n, n)).astype(float)
    Q[0, 0] = 5.0
    qubo = Qubo(sp.csr_array(Q) if sparse else Q)
    np.testing.assert_allclose(default_betas(qubo), default_beta_range(qubo.to_bqm()))


def test_a_read_in_pieces_goes_on_where_the_last_piece_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    qubo = Qubo(matrix(30))
    whole = solvers.solve(qubo, "neal", restarts=3, num_sweeps=200)
    monkeypatch.setattr(neal, "PIECE", 0)
    monkeypatch.setattr(neal, "SWEEPS", 10)
    pieces = solvers.solve(qubo, "neal", restarts=3, num_sweeps=200)
    best = solvers.solve(qubo, "tabu", restarts=3).loss
    assert whole.loss == pytest.approx(best)
    assert pieces.loss == pytest.approx(best)


def test_a_read_longer_than_the_budget_is_cut_off() -> None:
    found = solvers.solve(Qubo(matrix(200)), "neal", seconds=0.2, num_sweeps=1_000_000)
    assert found.status is Status.BUDGET
    assert found.seconds < 0.2 + 3.0


def test_more_reads_are_never_worse_together_than_their_best() -> None:
    qubo = Qubo(matrix(40))
    few, many = (solvers.solve(qubo, "neal", restarts=1, num_reads=k, num_sweeps=20).loss for k in (1, 50))
    assert few is not None
    assert many is not None
    assert many <= few


@pytest.mark.parametrize("sparse", [False, True])
def test_the_model_over_spins_is_dimods_own(sparse: bool) -> None:
    Q = np.where(np.random.default_rng(3).random((12, 12)) < 0.4, matrix(12), 0.0)
    qubo = Qubo(sp.csr_array(Q + Q.T) if sparse else Q + Q.T)
    fields, i, j, weights = model_of(qubo)
    bqm = qubo.to_bqm().change_vartype("SPIN", inplace=False)
    assert dict(enumerate(fields)) == pytest.approx(bqm.linear)
    assert {(a, b): w for a, b, w in zip(i.tolist(), j.tolist(), weights, strict=True)} == pytest.approx(
        {(min(pair), max(pair)): w for pair, w in bqm.quadratic.items()}
    )


def test_a_piece_of_a_large_read_is_short() -> None:
    qubo = Qubo(np.diag(np.ones(2_000)))
    couplings = 2_000 * 1_999 // 2
    assert [len(piece) for piece in neal._pieces(qubo, 4 * couplings, 1000)][:2] == [25, 25]
    assert len(neal._pieces(qubo, couplings, 1000)[0]) == 62
