"""HiGHS in a process of its own."""

from __future__ import annotations

import pytest
from instances import matrix

from qubopress import solvers
from qubopress.problems import Qubo


def test_it_lives_beside_or_tools_in_one_process() -> None:
    qubo = Qubo(matrix(8))
    losses = [solvers.solve(qubo, name, restarts=1).loss for name in ("mip", "cp-sat", "mip")]
    assert losses[0] == losses[1] == losses[2]


def test_a_process_that_dies_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qubopress.solvers.exact.mip._Model.program", lambda *_: {"options": {}})
    with pytest.raises(RuntimeError, match=r"HiGHS ended without an answer.*KeyError"):
        solvers.solve(Qubo(matrix(8)), "mip", restarts=1)
