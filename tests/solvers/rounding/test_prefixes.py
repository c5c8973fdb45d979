"""The cheapest prefixes: which are picked, and when they are decided."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qubopress.solvers.rounding.prefixes import _pick


@settings(max_examples=100, deadline=None)
@given(
    costs=st.lists(st.sampled_from([1.0, 2.0, 3.0, 3.5, np.inf]), min_size=4, max_size=24),
    span=st.sampled_from([1, 2, 4]),
)
def test_the_cheapest_children_are_picked_and_of_equal_ones_the_first(costs: list[float], span: int) -> None:
    kept = len(costs) // span
    children = np.array(costs[: kept * span])
    parents, values = np.zeros(kept + 1, dtype=np.int64), np.zeros(kept + 1, dtype=np.int8)
    scratch = np.zeros(max(4, span) * kept)
    count = _pick(children, span, 1, parents, values, scratch)
    first = np.sort(np.argsort(children, kind="stable")[:kept])
    expected = first[np.isfinite(children[first])]
    assert count == len(expected)
    np.testing.assert_array_equal((values[:count] - 1) * kept + parents[:count], expected)
    np.testing.assert_array_equal(scratch[:count], children[expected])
