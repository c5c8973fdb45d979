"""Foreign exact solvers, and all exact ones on coefficients of every size, against enumeration."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from qubopress import solvers
from qubopress.problems import Capacity, Qubo, Rounding
from qubopress.solvers import Solution, Status
from qubopress.solvers.exact.foreign import Scaled, point_of
from qubopress.solvers.registry import Entry

FOREIGN = ("scip", "gurobi")

EXACT = ("exhaustive", "branch-and-bound", "cp-sat", "mip", "branch-and-cut", *FOREIGN)

SCALES = (1e-8, 1e-6, 1e-3, 1.0, 1e4, 1e8)

KINDS = ("gaussian", "ties", "signs", "sparse", "zero rows", "squares")


def present(name: str) -> str:
    """The solver's name; skips with its own reason where its package is not here."""
    reason = solvers.get(name).refuses(Qubo(np.eye(2)))
    if reason:
        pytest.skip(reason)
    return name


def drawn(seed: int, most: int) -> Qubo:
    """A random instance: a kind and a size of its coefficients by its seed."""
    rng = np.random.default_rng(seed)
    kind, scale = KINDS[seed % 6], SCALES[seed // 6 % 6]
    n = int(rng.integers(2, most + 1))
    Q: Any = rng.standard_normal((n, n))
    if kind == "ties":
        Q = rng.integers(-2, 3, (n, n)).astype(float)
    elif kind == "signs":
        Q = np.sign(Q)
    elif kind == "sparse":
        Q[rng.random((n, n)) < 0.8] = 0.0
    elif kind == "zero rows":
        Q[0], Q[:, 0] = 0.0, 0.0
    elif kind == "squares":
        Q = Q.T @ Q / n
        Q[np.diag_indices(n)] -= 2 * (Q @ rng.random(n))
    return Qubo(np.triu(Q) * scale, offset=float(rng.choice([0.0, -3.0])) * scale)


@functools.cache
def points(n: int) -> Any:
    return (np.arange(1 << n)[:, None] >> np.arange(n) & 1).astype(np.float64)


def refuted(found: Solution, qubo: Qubo) -> str:
    """What enumeration says against a solution, "" for nothing."""
    best = float(qubo.losses(points(qubo.n)).min())
    room = 2 * qubo.resolution
    if found.x is None or found.loss is None:
        return f"no bits: {found.status} {found.message}"
    if found.bound is not None and found.bound > best + room:
        return f"bound {found.bound!r} above the optimum {best!r}"
    far = found.loss > best + room + 1e-9 * abs(best - qubo.offset)
    return f"OPTIMAL at {found.loss!r}, not {best!r}" if found.status is Status.OPTIMAL and far else ""


def false_claims(name: str, count: int, most: int) -> tuple[list[str], int]:
    """What is false of so many instances, and how many were proven."""
    false, proven = [], 0
    for seed in range(count):
        qubo = drawn(seed, most)
        found = solvers.solve(qubo, name, restarts=1)
        reason = refuted(found, qubo)
        false += [f"seed {seed}: {reason}"] if reason else []
        proven += found.status is Status.OPTIMAL
    return false, proven


@pytest.mark.parametrize("name", EXACT)
def test_no_exact_solver_claims_what_enumeration_refutes(name: str) -> None:
    count = 18 if name in ("mip", "branch-and-cut") else 36
    false, proven = false_claims(present(name), count, 9)
    assert false == []
    assert proven >= 0.9 * count


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_no_exact_solver_claims_what_enumeration_refutes_of_two_thousand(name: str) -> None:
    false, proven = false_claims(present(name), 2016, 18 if name == "exhaustive" else 13)
    assert false == []
    assert proven >= 0.9 * 2016


@pytest.mark.parametrize("scale", SCALES)
def test_the_sphere_is_right_at_every_size(scale: float) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        f = int(rng.integers(2, 12))
        rows = rng.standard_normal((f + 2, f))
        layer = Rounding(rows.T @ rows, rng.uniform(-0.4, 1.4, (1, f)), scale=np.sqrt(scale))
        found = solvers.solve(layer, "sphere", restarts=1)
        assert found.status is Status.OPTIMAL
        best = min(layer.loss(x[None].astype(int)) for x in points(f))
        assert found.loss == pytest.approx(best, rel=1e-9)
        assert found.bound is not None
        assert found.bound <= best + 2 * layer.resolution


@pytest.mark.parametrize("name", EXACT)
def test_another_unit_gives_the_same_proof_or_none(name: str) -> None:
    present(name)
    for seed in (1, 8, 15):
        plain = drawn(seed, 10)
        wanted = solvers.solve(plain, name, restarts=1)
        assert wanted.status is Status.OPTIMAL
        for unit in (1e-6, 1e6):
            found = solvers.solve(Qubo(plain.Q * unit, plain.offset * unit), name, restarts=1)
            if found.status is Status.OPTIMAL:
                np.testing.assert_array_equal(found.x, wanted.x)
                assert found.loss == pytest.approx(wanted.loss * unit, rel=1e-9)  # type: ignore[operator]


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("costs", ["unit", "whole", "tenths"])
def test_a_foreign_solver_keeps_to_the_capacity(name: str, costs: str) -> None:
    present(name)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(3, 10))
        own = {
            "unit": np.ones(n),
            "whole": rng.integers(2, 9, n) * 1.0,
            "tenths": rng.integers(11, 90, n) / 10,
        }
        K = float(n // 2) if costs == "unit" else float(own[costs] @ rng.integers(0, 2, n)) + 1.0
        capacity = Capacity(rng.standard_normal((n, n)) - np.eye(n), own[costs], K)
        found = solvers.solve(capacity, name, restarts=1)
        every = points(n).astype(np.int8)
        best = min(capacity.loss(x) for x in every if capacity.violation(x) == 0)
        assert (found.status, found.violation) == (Status.OPTIMAL, 0.0)
        assert found.loss == pytest.approx(best, rel=1e-9, abs=1e-12)


def test_a_value_that_no_point_has_and_a_bound_above_its_own_point_are_refused() -> None:
    scaled = Scaled(Qubo([[1e-6, -3e-6], [0.0, 1e-6]]))
    x = point_of([1.0, 0.9999999])
    true = scaled.objective(x)
    assert x.tolist() == [1, 1]
    assert abs(scaled.value).max() * 2 > 1e5 >= abs(scaled.value).max()
    assert scaled.trusts(x, true, true)
    assert scaled.trusts(x, true + 1e-6, true - 5.0)
    assert not scaled.trusts(x, true - 1.0, true - 1.0)
    assert not scaled.trusts(x, true, true + 1.0)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_solver_is_anytime_and_ends_at_its_budget(name: str) -> None:
    qubo = Qubo(np.triu(np.random.default_rng(0).standard_normal((70, 70))))
    found = solvers.solve(qubo, present(name), seconds=0.5)
    assert found.status is Status.BUDGET
    assert found.bound is not None
    assert found.loss is not None
    assert found.bound < found.loss


def test_beyond_its_free_licence_gurobi_declines_with_the_reason() -> None:
    found = solvers.solve(Qubo(np.triu(np.ones((201, 201)))), present("gurobi"), seconds=1)
    assert found.status in (Status.SKIPPED, Status.BUDGET, Status.OPTIMAL)  # those with a licence go on
    if found.status is Status.SKIPPED:
        assert found.message == "gurobi's free licence stops at 200 variables with products, got 201"


def test_a_solver_whose_package_is_absent_declines_and_names_it() -> None:
    absent = Entry("scip", lambda *_: None, (Qubo,), requires={"no-such-package": "none"})
    assert absent.versions() == {"no-such-package": ""}
    assert absent.refuses(Qubo([[1.0]])) == "scip needs no-such-package; pip install no-such-package"
