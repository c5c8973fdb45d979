"""What every numba kernel needs."""

from __future__ import annotations

from instances import capacity, qubo, sparse_capacity, sparse_qubo

from qubopress import solvers
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
