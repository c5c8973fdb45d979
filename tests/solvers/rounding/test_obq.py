"""obq: its definition, weight by weight."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import layer

from qubopress import solvers
from qubopress.problems import Rounding


def obq_by_definition(one: Rounding, damping: float) -> Any:
    """Invert anew for every weight that is rounded."""
    H = one.gram + damping * np.mean(np.diag(one.gram)) * np.eye(one.f)
    x = np.zeros(one.shape, dtype=np.int8)
    for row in range(one.n):
        weights, free = one.shift[row].copy(), list(range(one.f))
        while free:
            inverse = np.linalg.inv(H[np.ix_(free, free)])
            level = np.clip(np.floor(weights[free] + 0.5), 0, one.levels[free] - 1)
            cost = (level - weights[free]) ** 2 / np.diag(inverse)
            held = [k for k, i in enumerate(free) if one.fixed[row, i] >= 0]
            k = held[0] if held else int(np.argmin(cost))
            i = free[k]
            x[row, i] = one.fixed[row, i] if held else level[k]
            weights[free] += (x[row, i] - weights[i]) / inverse[k, k] * inverse[k]
            free.remove(i)
    return x


@settings(max_examples=40, deadline=None)
@given(
    f=st.integers(1, 8), seed=st.integers(0, 10_000), levels=st.sampled_from([2, 3, 16]), held=st.booleans()
)
def test_obq_equals_its_definition_or_round_to_nearest(f: int, seed: int, levels: int, held: bool) -> None:
    one = layer(1, f, seed=seed, levels=levels, held=held)
    found = solvers.solve(one, "obq", restarts=1, damping=0.02)
    defined = obq_by_definition(one, 0.02)
    # The solver offers round to nearest first, which may be better by chance.
    np.testing.assert_array_equal(found.x, min(one.nearest(), defined, key=one.loss))


def test_obq_states_the_size_that_it_takes() -> None:
    assert solvers.get("obq").max_variables == 4_096
