"""Elimination: what is left has the same least value, and its points lift to points of that value."""

from __future__ import annotations

import numpy as np
import proofs
import pytest
import scipy.sparse as sp

from qubopress.problems import Qubo
from qubopress.problems.arrays import Bits
from qubopress.solvers.exact.elimination import Terms, components, contracted, eliminated, terms_of


def signs(n: int, degree: float, seed: int, *, fields: bool = True) -> Qubo:
    """±1 couplings of some neighbours a variable, over bits with ±1 slopes or over spins without fields."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.random((n, n)) < degree / n, 1) * rng.choice([-1.0, 1.0], (n, n))
    couplings = upper + upper.T
    slopes = rng.choice([-1.0, 1.0], n) if fields else -couplings.sum(axis=1)
    return Qubo(couplings * (0.5 if fields else 1.0) + np.diag(slopes))


def best_of(terms: Terms) -> tuple[float, Bits]:
    """The least value and a point of it, by enumeration."""
    points = (np.arange(1 << terms.n)[:, None] >> np.arange(terms.n) & 1).astype(np.int8)
    values = [terms.of(x) for x in points]
    return min(values), points[int(np.argmin(values))]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_least_value_stays_and_lifts_to_a_point_that_has_it(scale: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        terms = terms_of(Qubo(proofs.objective(rng, scale)[:10, :10]))
        small = eliminated(terms)
        value, y = best_of(small.core)
        least = best_of(terms)[0]
        assert value == pytest.approx(least, rel=1e-12, abs=1e-14 * scale)
        assert terms.of(small.lifted(y)) == pytest.approx(least, rel=1e-12, abs=1e-14 * scale)
        assert abs(value - least) <= small.doubt


def test_no_value_is_below_what_the_variables_save_one_by_one() -> None:
    rng = np.random.default_rng(2)
    for _ in range(40):
        terms = terms_of(Qubo(proofs.objective(rng, 1.0)[:10, :10], 0.5))
        assert terms.least() <= best_of(terms)[0]
    assert Terms(np.array([-2.0, 3.0]), *np.zeros((2, 0), dtype=np.int64), np.zeros(0), 1.0).least() == (
        pytest.approx(-1.0)
    )


def test_steps_that_need_more_room_than_there_was_are_all_kept() -> None:
    # A star whose hub follows a leaf: one step has more neighbours than three a variable.
    rng = np.random.default_rng(0)
    Q = np.triu(rng.normal(size=(40, 40)) * 1e-3, 1)
    Q[:, -1] = 0.0
    Q[np.arange(39), np.arange(1, 40)] = -1.0
    terms = terms_of(Qubo(Q + np.diag(rng.normal(size=40) * 1e-2)))
    small = eliminated(terms)
    assert len(small.steps.other) > 3 * 40
    y = np.zeros(small.core.n, dtype=np.int8)
    assert terms.of(small.lifted(y)) == pytest.approx(small.core.of(y))


def test_a_forest_goes_whole() -> None:
    rng = np.random.default_rng(0)
    Q = np.zeros((40, 40))
    for i in range(1, 40):
        Q[i, rng.integers(i)] = rng.normal()
    small = eliminated(terms_of(Qubo(sp.csr_array(Q + np.diag(rng.normal(size=40))))))
    assert small.core.n == 0
    assert small.core.offset < 0


def test_three_neighbours_go_without_fields_and_stay_where_a_cubic_term_forbids() -> None:
    # The complete bipartite graph of three and four: each of the four has three neighbours.
    left, right = np.repeat(np.arange(3), 4), np.tile(np.arange(3, 7), 3)
    value = np.ones(12) * 4.0
    spins = Terms(-2.0 * np.array([4.0] * 3 + [3.0] * 4), left, right, value, 0.0)
    assert eliminated(spins).core.n == 0
    slopes = Terms(np.array([-5.0] * 3 + [-4.5] * 4), left, right, value, 0.0)
    assert eliminated(slopes).core.n == 7


def test_spin_glasses_of_degree_3_shrink_to_a_fraction() -> None:
    terms = terms_of(signs(400, 3, 0, fields=False))
    assert eliminated(terms).core.n < 0.4 * 400


def test_components_add_up() -> None:
    terms = terms_of(signs(30, 1.2, 3))
    x = np.random.default_rng(0).integers(0, 2, 30, dtype=np.int8)
    parts = components(terms)
    assert len(parts) > 3
    assert sum(part.of(x[members]) for members, part in parts) == pytest.approx(terms.of(x))
    assert [len(members) for members, _ in parts] == sorted(len(members) for members, _ in parts)


def test_groups_have_the_values_of_their_members() -> None:
    rng = np.random.default_rng(4)
    terms = terms_of(Qubo(rng.normal(size=(9, 9)), 0.75))
    for _ in range(20):
        group, flip = rng.integers(-1, 4, 9), rng.integers(0, 2, 9).astype(np.int8)
        made, doubt = contracted(terms, group, flip, 4)
        z = rng.integers(0, 2, 4, dtype=np.int8)
        x = np.append(z, np.int8(0))[group] ^ flip
        assert abs(made.of(z) - terms.of(x)) <= doubt
