"""What every numba kernel needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from instances import capacity, qubo, sparse_capacity, sparse_qubo
from numba.core import event

from qubopress import solvers
from qubopress.problems import Rounding
from qubopress.solvers import compiled
from qubopress.solvers.qubo.flips import descend, flip
from qubopress.solvers.qubo.one_flip import _flips


def test_kernels_are_compiled_once_for_dense_and_once_for_sparse() -> None:
    for name in ("one-flip", "tabu", "exhaustive"):
        for instance in (qubo(), sparse_qubo(), capacity(), sparse_capacity()):
            solvers.solve(instance, name, restarts=1)
    for name in ("swap", "layer-dp", "field-search"):
        for instance in (capacity(), sparse_capacity()):
            solvers.solve(instance, name, restarts=1)
    assert len(_flips.signatures) == 2
    # A kernel that the cache holds has its inner ones in it, so these may be known to nobody, or once.
    assert max(len(flip.signatures), len(descend.signatures)) <= 2


def test_blocks_shrink_with_the_cost_of_a_step() -> None:
    assert compiled.per_look(0) > compiled.per_look(1000) > compiled.per_look(10**12) == 1


FORMS: dict[str, dict[str, Any]] = {
    "two levels": {},
    "levels": {"levels": 5},
    "groups": {"levels": 5, "group": [0, 0, 0, 1, 1, 1], "scale": np.ones((3, 2))},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [name for name in solvers.names() if Rounding in solvers.get(name).accepts])
def test_no_kernel_is_compiled_once_the_clock_runs(name: str, form: str) -> None:
    given, rng = FORMS[form], np.random.default_rng(0)
    drawn = rng.normal(size=(20, 6))
    instance = Rounding(drawn.T @ drawn, rng.random((3, 6)) * (given.get("levels", 2) - 1), **given)
    late: list[int] = []

    def begins(run: solvers.Run) -> None:
        late.append(len(recorder.buffer))

    with event.install_recorder("numba:compile") as recorder:
        solvers.solve(instance, name, restarts=1, seconds=5, watch=begins)
        assert not late or len(recorder.buffer) == late[0]
