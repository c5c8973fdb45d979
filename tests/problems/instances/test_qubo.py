"""A Qubo is the function it was given: to NumPy, to dimod, and whatever becomes of the caller's array."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny import all_bits

from qubopress.problems import InputError, Qubo


def energies(bqm, X):
    return bqm.energies((X, range(X.shape[1]))) if X.shape[1] else np.full(len(X), float(bqm.offset))


def random_q(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, n))


def formula(Q, offset: float, X: np.ndarray) -> np.ndarray:
    return np.array([float(x @ np.asarray(Q, dtype=float) @ x) + offset for x in X.astype(float)])


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("form", [np.array, sp.csr_array, sp.csc_matrix, sp.coo_array])
def test_loss_is_the_formula_and_the_energy_of_the_bqm_on_every_assignment(n, form) -> None:
    Q, X = random_q(n), all_bits(n)
    qubo = Qubo(form(Q), offset=-1.25)
    expected = formula(Q, -1.25, X)
    np.testing.assert_allclose(qubo.losses(X), expected, atol=1e-12)
    np.testing.assert_allclose([qubo.loss(x) for x in X], expected, atol=1e-12)
    np.testing.assert_allclose(energies(qubo.to_bqm(), X), expected, atol=1e-12)
    assert set(qubo.to_bqm().variables) == set(range(n))


@given(
    hnp.arrays(np.float64, (4, 4), elements=st.floats(-1e6, 1e6)),
    st.floats(-1e6, 1e6),
)
def test_dense_sparse_and_bqm_agree_within_the_resolution(Q, offset) -> None:
    dense, sparse, X = Qubo(Q, offset), Qubo(sp.csr_array(Q), offset), all_bits(4)
    expected = formula(Q, offset, X)
    for found in (dense.losses(X), sparse.losses(X), energies(sparse.to_bqm(), X)):
        assert np.abs(found - expected).max() <= dense.resolution
    np.testing.assert_array_equal(dense.linear, sparse.linear)
    np.testing.assert_array_equal(dense.couplings, sparse.couplings.toarray())


def test_losses_across_three_hundred_orders_of_magnitude_stay_exact_enough() -> None:
    Q = np.diag([1e-150, 1.0, 1e150])
    np.testing.assert_array_equal(Qubo(Q).losses(np.eye(3)), [1e-150, 1.0, 1e150])


def test_labels_name_the_variables_of_the_bqm() -> None:
    bqm = Qubo([[1, 2], [2, 3]]).to_bqm(labels=["a", (1, 2)])
    assert dict(bqm.linear) == {"a": 1, (1, 2): 3}
    assert bqm.get_quadratic("a", (1, 2)) == 4


def test_q_is_made_symmetric_and_couplings_leave_the_diagonal_out() -> None:
    qubo = Qubo([[1.0, 4.0], [0.0, 3.0]])
    np.testing.assert_array_equal(qubo.Q, [[1, 2], [2, 3]])
    np.testing.assert_array_equal(qubo.linear, [1, 3])
    np.testing.assert_array_equal(qubo.couplings, [[0, 2], [2, 0]])


def test_duplicates_and_stored_zeros_of_a_sparse_q_are_summed_and_dropped() -> None:
    entries = ([1.0, 2.0, 0.0, 5.0, -5.0], ([0, 0, 1, 0, 0], [0, 0, 1, 1, 1]))
    qubo = Qubo(sp.coo_array(entries, shape=(2, 2)))
    assert qubo.Q.nnz == 1
    assert qubo.loss([1, 1]) == 3.0


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, bool, np.longdouble])
def test_every_real_dtype_is_welcome(dtype) -> None:
    qubo = Qubo(np.eye(2, dtype=dtype))
    assert qubo.Q.dtype == np.float64
    assert qubo.loss([1, 1]) == 2.0


@pytest.mark.parametrize(
    "make",
    [
        lambda Q: np.asfortranarray(Q),
        lambda Q: np.repeat(np.repeat(Q, 2, axis=0), 2, axis=1)[::2, ::2],
        lambda Q: Q[::-1, ::-1][::-1, ::-1],
        lambda Q: Q.tolist(),
    ],
)
def test_memory_layout_does_not_matter(make) -> None:
    Q, X = random_q(3), all_bits(3)
    np.testing.assert_array_equal(Qubo(make(Q)).losses(X), Qubo(Q).losses(X))


@pytest.mark.parametrize("protect", [False, True])
def test_the_callers_array_is_copied_even_if_it_was_read_only(protect) -> None:
    Q = np.eye(3)
    Q.setflags(write=not protect)
    qubo = Qubo(Q)
    Q.setflags(write=True)
    Q[:] = 7.0
    assert qubo.loss([1, 1, 1]) == 3.0


def test_the_callers_sparse_matrix_is_copied() -> None:
    Q = sp.csr_array(np.eye(3))
    qubo = Qubo(Q)
    Q.data[:], Q.indices[:] = 7.0, 0
    assert qubo.loss([1, 1, 1]) == 3.0


def test_nobody_can_write_to_the_arrays_of_an_instance() -> None:
    dense, sparse = Qubo(random_q(3)), Qubo(sp.csr_array(random_q(3)))
    arrays = [dense.Q, dense.linear, dense.couplings]
    for matrix in (sparse.Q, sparse.couplings):
        arrays += [matrix.data, matrix.indices, matrix.indptr]
    for array in arrays:
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            array.setflags(write=True)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_an_instance_of_an_instances_array_shares_its_memory() -> None:
    qubo = Qubo(np.eye(3))
    assert np.shares_memory(Qubo(qubo.Q).Q, qubo.Q)


@pytest.mark.parametrize(
    ("Q", "message"),
    [
        (np.ones((2, 3)), r"Q must be square, got shape \(2, 3\)"),
        (sp.csr_array(np.ones((2, 3))), r"Q must be square, got shape \(2, 3\)"),
        (np.ones(3), r"Q must have 2 dimension\(s\), got shape \(3,\)"),
        ([[1, 2], [3]], "Q must be an array with rows of one length, got a list that is none"),
        ([[1, np.nan], [0, 1]], r"Q must be finite, got nan at index \(0, 1\); remove NaN"),
        (sp.csr_array([[1, np.inf], [0, 1]]), "Q must be finite, got inf"),
        (np.eye(2) * 1j, "Q must hold real numbers, got dtype complex128"),
        (sp.csr_array(np.eye(2) * 1j), "Q must hold real numbers, got dtype complex128"),
        ([["a", "b"], ["c", "d"]], "Q must hold real numbers, got dtype <U1"),
        (None, r"Q must have 2 dimension\(s\), got shape \(\)"),
        (np.full((2, 2), np.longdouble("1e400")), "Q must be finite, got inf"),
        (np.full((2, 2), 1e308), r"Q must keep losses within float64, got entries up to 1e\+308"),
        (sp.csr_array(np.full((2, 2), 1e308)), "Q must keep losses within float64"),
    ],
)
def test_a_matrix_that_is_none_is_refused(Q, message) -> None:
    with pytest.raises(InputError, match=message):
        Qubo(Q)


@pytest.mark.parametrize("offset", [np.nan, np.inf, "3", None, [1.0, 2.0], 1j])
def test_an_offset_must_be_a_finite_number(offset) -> None:
    with pytest.raises(InputError, match="offset must be a finite number, got ") as caught:
        Qubo(np.eye(2), offset)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([0, 1], r"bits must have shape \(3,\), got \(2,\)"),
        ([[0, 1, 1]], r"bits must have shape \(3,\), got \(1, 3\)"),
        ([0, 2, 1], r"bits must be integers in \[0, 1\], got 2$"),
        ([0, -1, 1], r"bits must be integers in \[0, 1\], got -1$"),
        ([0, 0.5, 1], r"bits must be integers in \[0, 1\], got 0.5$"),
        ([0, np.nan, 1], r"bits must be integers in \[0, 1\], got nan$"),
        (["0", "1", "1"], "bits must be numbers, got dtype <U1"),
        (sp.csr_array([[0, 1, 1]]), "bits must be a dense array, got a sparse one; pass its toarray"),
        ([[0], [1, 1]], "bits must be an array with rows of one length"),
    ],
)
def test_bits_that_are_no_solution_are_refused(x, message) -> None:
    qubo = Qubo(np.eye(3))
    with pytest.raises(InputError, match=message):
        qubo.loss(x)
    with pytest.raises(InputError, match=message):
        qubo.violation(x)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float16, np.float64])
def test_bits_may_have_any_numeric_dtype(dtype) -> None:
    qubo = Qubo(random_q(3))
    x = np.array([1, 0, 1])
    assert qubo.loss(x.astype(dtype)) == qubo.loss(x)
    assert qubo.bits(x.astype(dtype)).dtype == np.int8


def test_nothing_violates_a_qubo_and_zeros_are_its_baseline() -> None:
    qubo = Qubo(random_q(3), offset=2.0)
    assert all(qubo.violation(x) == 0 for x in all_bits(3))
    assert qubo.loss(qubo.baseline()) == 2.0
