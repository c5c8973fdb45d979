"""Instances survive every file format, other people's readers agree, and damage is told in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dimod
import numpy as np
import pytest
import scipy.sparse as sp
from dimod.serialization import coo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import all_bits, random_gram

from qubopress import problems
from qubopress.problems import Capacity, InputError, MissingDataError, Qubo, Rounding
from qubopress.problems.formats import FORMATS

ALL = ["bqm", "coo", "cqm", "lp", "mqlib", "npz", "qplib"]
WITH_CAPACITY = ["cqm", "lp", "npz", "qplib"]
TEXT = ["coo", "lp", "mqlib", "qplib"]

each_format = pytest.mark.parametrize("name", ALL)

numbers = st.one_of(
    st.integers(-5, 5).map(float),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from([0.0, 1e-300, -1e-7, 1e15, 1 / 3]),
)
once_a_test = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def qubos(draw: Any) -> Qubo:
    n = draw(st.integers(1, 6))
    Q = np.array(draw(st.lists(numbers, min_size=n * n, max_size=n * n))).reshape(n, n)
    Q[draw(st.lists(st.booleans(), min_size=n, max_size=n))] = 0
    return Qubo(sp.csr_array(Q) if draw(st.booleans()) else Q, draw(numbers))


@st.composite
def capacities(draw: Any) -> Capacity:
    qubo = draw(qubos())
    if draw(st.booleans()):
        return Capacity(qubo.Q, np.ones(qubo.n), draw(st.integers(0, qubo.n)), qubo.offset)
    cost = st.one_of(st.integers(1, 9).map(float), st.floats(1e-3, 1e6))
    costs = draw(st.lists(cost, min_size=qubo.n, max_size=qubo.n))
    return Capacity(qubo.Q, [2.5, *costs[1:]], draw(st.floats(0, 1e6)), qubo.offset)


def again(instance: Any, path: Path) -> Any:
    problems.save_instance(instance, path)
    return problems.load_instance(path)


def dense(instance: Any) -> np.ndarray:
    return instance.Q.toarray() if instance.sparse else instance.Q


def assert_same(left: Any, right: Any) -> None:
    """The same numbers, bit by bit, and with them losses and violations at every point."""
    assert type(left) is type(right)
    np.testing.assert_array_equal(dense(left), dense(right))
    assert left.offset == right.offset
    points = all_bits(left.n)
    np.testing.assert_allclose(left.losses(points), right.losses(points), rtol=0, atol=left.resolution)
    assert [left.violation(x) for x in points] == [right.violation(x) for x in points]


@each_format
@given(qubo=qubos())
@once_a_test
def test_a_qubo_comes_back_with_the_same_losses(name, qubo, tmp_path) -> None:
    assert_same(again(qubo, tmp_path / f"q.{name}"), qubo)


@pytest.mark.parametrize("name", WITH_CAPACITY)
@given(capacity=capacities())
@once_a_test
def test_a_capacity_comes_back_with_the_same_losses_and_violations(name, capacity, tmp_path) -> None:
    assert_same(again(capacity, tmp_path / f"c.{name}"), capacity)


@each_format
def test_a_large_sparse_matrix_stays_sparse_and_a_dense_one_dense(name, tmp_path) -> None:
    rng = np.random.default_rng(0)
    Q = sp.random_array((600, 600), density=0.01, rng=rng)
    points = rng.integers(0, 2, (20, 600))
    for instance in (Qubo(Q, 0.5), Qubo(rng.standard_normal((600, 600)))):
        back = again(instance, tmp_path / f"q.{name}")
        assert back.sparse == instance.sparse
        np.testing.assert_array_equal(dense(back), dense(instance))
        np.testing.assert_allclose(back.losses(points), instance.losses(points), rtol=0, atol=1e-9)


@each_format
def test_saving_again_replaces_the_file_and_leaves_no_other(name, tmp_path) -> None:
    path = tmp_path / f"q.{name}"
    problems.save_instance(Qubo(np.eye(2)), path)
    problems.save_instance(Qubo(np.eye(3)), path)
    assert problems.load_instance(path).n == 3
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("name", ["bqm", "coo", "cqm", "npz", "qplib"])
def test_an_instance_without_variables_comes_back(name, tmp_path) -> None:
    back = again(Qubo(np.zeros((0, 0)), 2.5), tmp_path / f"q.{name}")
    assert back.loss([]) == 2.5


@pytest.mark.parametrize("name", ["lp", "mqlib"])
def test_an_instance_without_variables_is_refused_where_the_format_has_none(name, tmp_path) -> None:
    with pytest.raises(InputError, match=rf"an? .{name} file must have at least one variable"):
        problems.save_instance(Qubo(np.zeros((0, 0))), tmp_path / f"q.{name}")
    assert not os.listdir(tmp_path)


# Which file, which format


def test_the_format_is_named_or_told_by_the_extension(tmp_path) -> None:
    qubo = Qubo([[1, -3], [0, 2]], 0.5)
    problems.save_instance(qubo, tmp_path / "q.txt", format="mqlib")
    assert_same(problems.load_instance(tmp_path / "q.txt", format="mqlib"), qubo)
    problems.save_instance(qubo, tmp_path / "q.COO")
    assert_same(problems.load_instance(str(tmp_path / "q.COO")), qubo)
    qubo.save(tmp_path / "own")
    assert_same(problems.load_instance(tmp_path / "own"), qubo)


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path) -> None:
    known = r"\.npz, \.bqm, \.coo, \.cqm, \.lp, \.mqlib, \.qplib"
    (tmp_path / "q.txt").write_text("0 0 1\n")
    with pytest.raises(InputError, match=rf"q.txt must end in one of {known}, or pass format="):
        problems.load_instance(tmp_path / "q.txt")
    with pytest.raises(InputError, match=rf"q.dat must end in one of {known}"):
        problems.save_instance(Qubo(np.eye(2)), tmp_path / "q.dat")
    with pytest.raises(InputError, match=r"format must be one of npz, bqm, coo.*, got 'mps'"):
        problems.load_instance(tmp_path / "q.txt", format="mps")


@each_format
def test_a_missing_file_is_missing_data(name, tmp_path) -> None:
    with pytest.raises(MissingDataError, match=r"no instance file at .*none"):
        problems.load_instance(tmp_path / f"none.{name}")


@each_format
def test_a_place_that_cannot_be_written_is_refused(name, tmp_path) -> None:
    with pytest.raises(InputError, match="must be a place to write a file, got: "):
        problems.save_instance(Qubo(np.eye(2)), tmp_path / "missing" / f"q.{name}")


@each_format
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_written(name, tmp_path) -> None:
    path = tmp_path / f"x.{name}"
    rounding = Rounding(random_gram(np.random.default_rng(0), 3), [[0.1, 0.2, 0.3]])
    if name != "npz":
        with pytest.raises(InputError, match=r"cannot hold a Rounding; write its neurons, rounding.row\(i\)"):
            problems.save_instance(rounding, path)
    if name not in WITH_CAPACITY:
        cure = r"save it as .npz, .cqm, .lp, .qplib, or save capacity.qubo without"
        with pytest.raises(InputError, match=rf"a .{name} file cannot hold a Capacity; {cure}"):
            problems.save_instance(Capacity(np.eye(2), [1, 1], 1), path)
    with pytest.raises(InputError, match=r"hold a list; pass a Qubo|a file holds a Qubo.*got list"):
        problems.save_instance([[1.0]], path)
    assert not os.listdir(tmp_path)
    if name == "npz":
        assert isinstance(again(rounding, path), Rounding)


# What others read


@given(qubo=qubos())
@once_a_test
def test_dimod_reads_our_bqm_and_coo_files(qubo, tmp_path) -> None:
    points = all_bits(qubo.n)
    problems.save_instance(qubo, tmp_path / "q.bqm")
    problems.save_instance(qubo, tmp_path / "q.coo")
    with (tmp_path / "q.bqm").open("rb") as file:
        model = dimod.BinaryQuadraticModel.from_file(file)
    assert list(model.variables) == list(range(qubo.n))
    np.testing.assert_array_equal(model.energies(points), qubo.to_bqm().energies(points))
    with (tmp_path / "q.coo").open() as file:
        model = coo.load(file)
    assert list(model.variables) == list(range(qubo.n))
    energies = model.energies((points, list(range(qubo.n)))) + qubo.offset
    np.testing.assert_allclose(energies, qubo.losses(points), rtol=0, atol=10 * qubo.resolution + 1e-300)


@given(instance=st.one_of(qubos(), capacities()))
@once_a_test
def test_dimod_reads_our_cqm_and_lp_files(instance, tmp_path) -> None:
    points = all_bits(instance.n)
    for name in ("cqm", "lp"):
        problems.save_instance(instance, tmp_path / f"i.{name}")
        with (tmp_path / f"i.{name}").open("rb") as file:
            model = (dimod.ConstrainedQuadraticModel.from_file if name == "cqm" else dimod.lp.load)(file)
        assert len(model.constraints) == isinstance(instance, Capacity)
        known = np.hstack([points, np.ones((len(points), len(model.variables) - instance.n))])
        sample = (known, list(model.variables))  # the variable that a constant stands with is 1
        np.testing.assert_allclose(
            model.objective.energies(sample),
            instance.losses(points),
            rtol=0,
            atol=10 * instance.resolution + 1e-300,
        )
        for x, point in zip(points, known, strict=True) if model.constraints else ():
            kept = model.check_feasible((point, list(model.variables)), rtol=0, atol=1e-9)
            assert kept == (instance.violation(x) <= 1e-9)


# In a process of its own: the library of highspy and the one in OR-Tools exclude each other.
READ = """
import highspy, json, math, sys
highs = highspy.Highs()
highs.setOptionValue("output_flag", False)
assert highs.readModel(sys.argv[1]) == highspy.HighsStatus.kOk
model = highs.getModel()
linear, hessian = model.lp_, model.hessian_
print(json.dumps({
    "hessian": [list(hessian.value_), list(hessian.index_), list(hessian.start_)],
    "costs": list(linear.col_cost_), "offset": linear.offset_, "names": list(linear.col_names_),
    "upper": list(linear.col_upper_), "weights": list(linear.a_matrix_.value_),
    "integer": [kind == highspy.HighsVarType.kInteger for kind in linear.integrality_],
    "rows": [[low if math.isfinite(low) else None, high]
             for low, high in zip(linear.row_lower_, linear.row_upper_)],
}))
"""


def highs_model(path: Path) -> dict[str, Any]:
    """What HiGHS reads in an LP file."""
    return json.loads(subprocess.check_output([sys.executable, "-c", READ, str(path)]))


@pytest.mark.parametrize("exact", [True, False])
def test_highs_reads_our_lp_files(exact, tmp_path) -> None:
    Q = np.array([[1.5, -2, 0], [0, 0, 4], [0, 1, -3]])
    capacity = Capacity(Q, [1, 1, 1] if exact else [1, 2.5, 3], 2, 0.25)
    problems.save_instance(capacity, tmp_path / "c.lp")
    model = highs_model(tmp_path / "c.lp")
    values, indices, starts = model["hessian"]
    lower = sp.csc_array((values, indices, [*starts, len(values)][:4]), shape=(3, 3)).toarray()
    symmetric = lower + np.tril(lower, -1).T
    points = all_bits(3)
    assert model["costs"][3:] == [0.25]  # of the variable that is 1
    energies = points @ np.array(model["costs"][:3]) + 0.25
    energies += np.einsum("ki,ij,kj->k", points, symmetric, points) / 2
    np.testing.assert_allclose(energies + model["offset"], capacity.losses(points))
    assert model["names"] == ["x0", "x1", "x2", "Constant"]
    assert model["upper"] == [1, 1, 1, 1]
    assert model["integer"] == [True, True, True, False]
    assert model["weights"] == list(capacity.costs)
    assert model["rows"] == [[2 if exact else None, 2]]


def test_highs_reads_an_lp_file_without_a_constraint(tmp_path) -> None:
    problems.save_instance(Qubo(np.diag([1.0, -2.0])), tmp_path / "q.lp")
    assert highs_model(tmp_path / "q.lp")["costs"] == [1, -2]


@given(qubo=qubos())
@once_a_test
def test_what_mqlib_would_find_best_is_our_best(qubo, tmp_path) -> None:
    problems.save_instance(qubo, tmp_path / "q.mqlib")
    objective = _mqlib_objective((tmp_path / "q.mqlib").read_text(), all_bits(qubo.n))
    losses = qubo.losses(all_bits(qubo.n))
    np.testing.assert_allclose(qubo.offset - objective, losses, rtol=0, atol=10 * qubo.resolution + 1e-300)
    assert losses[np.argmax(objective)] <= losses.min() + 10 * qubo.resolution


def _mqlib_objective(text: str, points: np.ndarray) -> np.ndarray:
    """xᵀQx as MQLib computes it: the diagonal once, every line off it twice."""
    lines = [line.split() for line in text.splitlines() if line and line[0] != "#"]
    n, m = map(int, lines[0])
    assert (points.shape[1], len(lines)) == (n, m + 1)
    value = np.zeros(len(points))
    for i, j, q in lines[1:]:
        value += (1 if i == j else 2) * float(q) * points[:, int(i) - 1] * points[:, int(j) - 1]
    return value


@pytest.mark.parametrize("name", [*FORMATS, "npz"])
def test_a_file_does_not_tell_when_it_was_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, zone = [], time.localtime
    for hour in (0, 5):
        monkeypatch.setattr(time, "localtime", lambda *_, later=3600 * hour: zone(1.7e9 + later))
        path = tmp_path / f"at-{hour}.{name}"
        problems.save_instance(Qubo([[1.0, -2.0], [0.0, 0.5]], offset=1.5), path, format=name)
        found.append(path.read_bytes())
    assert found[0] == found[1]
