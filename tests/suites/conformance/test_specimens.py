"""Mixtures of solutions are solutions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from qubopress.suites.conformance import problem_claims, specimens


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    problem_claims._refusals.cache_clear()


@pytest.mark.parametrize("kind", specimens.INSTANCES)
def test_a_mixture_is_feasible_and_keeps_what_it_is_made_of(kind: str) -> None:
    instance, rng = specimens.INSTANCES[kind](), np.random.default_rng(0)
    x = specimens.random_solution(instance, rng)
    np.testing.assert_array_equal(specimens.mixture(instance, x, 0.0, rng), x)
    drawn = [specimens.mixture(instance, x, share, rng) for share in (0.3, 1.0) for _ in range(20)]
    assert all(instance.violation(one) == 0 for one in (x, *drawn))
    moved = [np.count_nonzero(one != x) for one in drawn]
    assert sum(moved[:20]) < sum(moved[20:])
