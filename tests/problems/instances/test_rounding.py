"""A Rounding is n closest-vector problems on one Gram matrix, whole, row by row and as a BQM."""

from __future__ import annotations

import itertools

import dimod
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import all_bits, random_gram

from qubopress.problems import InputError, Rounding


def instance(n: int = 2, f: int = 3, *, seed: int = 0, levels=2, fixed=None, **given) -> Rounding:
    rng = np.random.default_rng(seed)
    gram = random_gram(rng, f)
    shift = rng.uniform(-0.5, 1.5, (n, f))
    return Rounding(gram, shift, rng.uniform(0.5, 2.0, n), levels, fixed, **given)


def assignments(rounding: Rounding) -> np.ndarray:
    ranges = [range(level) for level in rounding.levels] * rounding.n
    points = np.array(list(itertools.product(*ranges)), dtype=np.int8)
    return points.reshape(-1, *rounding.shape)


def formula(rounding: Rounding, x: np.ndarray) -> float:
    errors = [x[i] - rounding.shift[i] for i in range(rounding.n)]
    return sum(rounding.scale[i] ** 2 * float(e @ rounding.gram @ e) for i, e in enumerate(errors))


CASES = {
    "two levels": instance(),
    "one neuron": instance(n=1, f=4),
    "one coordinate": instance(n=3, f=1),
    "four and two levels": instance(n=2, f=2, levels=[4, 2]),
    "eight levels": instance(n=1, f=2, levels=8),
    "fixed bits": instance(fixed=[[0, -1, 1], [-1, -1, -1]]),
    "fixed levels": instance(levels=[4, 2, 2], fixed=[[3, -1, 1], [-1, 0, -1]]),
    "all fixed": instance(n=1, fixed=[[1, 0, 1]]),
    "rank deficient": Rounding(random_gram(np.random.default_rng(1), 4, rank=2), [[0.2, 0.4, 0.6, 0.8]]),
}
each_case = pytest.mark.parametrize("rounding", CASES.values(), ids=CASES.keys())


@each_case
def test_loss_is_the_formula_on_every_assignment(rounding) -> None:
    for x in assignments(rounding):
        assert rounding.loss(x) == pytest.approx(formula(rounding, x), abs=rounding.resolution)
        assert rounding.row_losses(x).sum() == rounding.loss(x)
    np.testing.assert_allclose(
        rounding.losses(assignments(rounding)), [rounding.loss(x) for x in assignments(rounding)]
    )


@each_case
def test_losses_of_chosen_rows_are_those_of_the_layer(rounding) -> None:
    x, rows = rounding.nearest(), np.array([rounding.n - 1, 0, 0])
    np.testing.assert_allclose(rounding.row_losses(x[rows], rows), rounding.row_losses(x)[rows], rtol=1e-13)


@each_case
def test_row_energies_are_row_losses_on_every_feasible_assignment(rounding) -> None:
    for x in assignments(rounding):
        if rounding.violation(x):
            continue
        for i, loss in enumerate(rounding.row_losses(x)):
            row = rounding.row(i)
            bits = row.encode(x[i])
            assert row.qubo.loss(bits) == pytest.approx(loss, abs=rounding.resolution)
            energy = rounding.to_bqm(row=i).energy(dict(zip(row.labels, bits, strict=True)))
            assert energy == pytest.approx(loss, abs=rounding.resolution)


@each_case
def test_the_energy_of_the_whole_bqm_is_the_loss_on_every_feasible_assignment(rounding) -> None:
    bqm = rounding.to_bqm()
    for x in assignments(rounding):
        if rounding.violation(x):
            continue
        rows = [(i, rounding.row(i)) for i in range(rounding.n)]
        sample = {
            (i, label): bit
            for i, row in rows
            for label, bit in zip(row.labels, row.encode(x[i]), strict=True)
        }
        assert set(bqm.variables) == set(sample)
        assert bqm.energy(sample) == pytest.approx(rounding.loss(x), abs=rounding.resolution)


@each_case
def test_the_optimum_of_the_whole_bqm_is_the_sum_of_the_optima_of_the_neurons(rounding) -> None:
    def ground(bqm: dimod.BinaryQuadraticModel) -> float:
        # ExactSolver returns nothing for a model without variables, whose only energy is its offset.
        return dimod.ExactSolver().sample(bqm).first.energy if len(bqm) else float(bqm.offset)

    rows = [ground(rounding.to_bqm(row=i)) for i in range(rounding.n)]
    feasible = [rounding.loss(x) for x in assignments(rounding) if not rounding.violation(x)]
    assert ground(rounding.to_bqm()) == pytest.approx(sum(rows), abs=rounding.resolution)
    assert sum(rows) == pytest.approx(min(feasible), abs=rounding.resolution)


def test_labels_are_coordinates_and_places_and_leave_fixed_coordinates_out() -> None:
    rounding = instance(levels=[4, 2, 2], fixed=[[-1, 1, -1], [0, -1, -1]])
    assert rounding.row(0).labels == [(0, 0), (0, 1), 2]
    assert rounding.row(1).labels == [1, 2]
    assert list(rounding.to_bqm(row=0).variables) == [(0, 0), (0, 1), 2]
    assert set(rounding.to_bqm().variables) == {(0, (0, 0)), (0, (0, 1)), (0, 2), (1, 1), (1, 2)}


@given(st.data())
def test_decode_undoes_encode_and_encode_undoes_decode(data) -> None:
    f = data.draw(st.integers(0, 5))
    levels = data.draw(st.lists(st.sampled_from([2, 4, 8, 64]), min_size=f, max_size=f))
    fixed = [data.draw(st.integers(-1, level - 1)) for level in levels]
    rounding = Rounding(
        np.eye(f), np.zeros((1, f)), 1.0, np.array(levels, dtype=int), np.array([fixed], dtype=int)
    )
    row = rounding.row(0)
    bits = data.draw(st.lists(st.integers(0, 1), min_size=row.qubo.n, max_size=row.qubo.n))
    integers = row.decode(bits)
    assert rounding.violation(integers[None]) == 0
    np.testing.assert_array_equal(row.encode(integers), bits)
    drawn = [v if v >= 0 else data.draw(st.integers(0, m - 1)) for v, m in zip(fixed, levels, strict=True)]
    np.testing.assert_array_equal(row.decode(row.encode(drawn)), drawn)


def test_violation_counts_the_fixed_coordinates_that_moved() -> None:
    rounding = instance(fixed=[[0, -1, 1], [-1, -1, 0]])
    assert rounding.violation([[0, 1, 1], [1, 1, 0]]) == 0
    assert rounding.violation([[1, 1, 0], [1, 1, 1]]) == 3


def test_nearest_rounds_each_coordinate_alone_inside_its_levels() -> None:
    shift = [[0.49, 0.5, 1.7, -0.6, 2.6], [0.2, 0.8, 0.0, 1.0, 9.0]]
    fixed = [[-1, 0, -1, -1, -1], [-1, -1, -1, -1, 1]]
    rounding = Rounding(np.eye(5), shift, 1.0, [2, 2, 2, 2, 4], fixed)
    np.testing.assert_array_equal(rounding.nearest(), [[0, 0, 1, 0, 3], [0, 1, 0, 1, 1]])
    np.testing.assert_array_equal(rounding.baseline(), rounding.nearest())
    assert rounding.violation(rounding.baseline()) == 0


def test_under_a_diagonal_gram_the_nearest_is_the_best() -> None:
    rounding = Rounding(np.diag([1.0, 2.0, 3.0]), np.random.default_rng(0).uniform(-1, 2, (2, 3)))
    assert rounding.loss(rounding.baseline()) == pytest.approx(
        min(rounding.loss(x) for x in assignments(rounding))
    )


def test_settle_clips_into_the_levels_and_restores_what_is_fixed() -> None:
    rounding = instance(n=1, fixed=[[1, -1, -1]])
    np.testing.assert_array_equal(rounding.settle([[0, 5, -3]]), [[1, 1, 0]])


def test_a_scalar_scale_is_one_of_every_neuron() -> None:
    gram, shift, x = np.eye(2), np.full((3, 2), 0.25), np.ones((3, 2))
    assert Rounding(gram, shift, 2.0).loss(x) == Rounding(gram, shift, [2.0, 2.0, 2.0]).loss(x)
    assert Rounding(gram, shift, np.float32(2)).scale.tolist() == [2, 2, 2]


@pytest.mark.parametrize(("n", "f"), [(0, 3), (2, 0), (0, 0), (1, 1)])
def test_the_smallest_instances_work(n, f) -> None:
    rounding = Rounding(np.eye(f), np.full((n, f), 0.25))
    x = rounding.baseline()
    assert x.shape == rounding.shape == (n, f)
    assert rounding.loss(x) == pytest.approx(n * f * 0.0625)
    assert rounding.violation(x) == 0
    assert len(rounding.to_bqm()) == n * f


def test_losses_never_fall_below_zero_by_rounding_noise() -> None:
    below = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        row, error = rng.standard_normal((2, 30))
        error -= row * (row @ error) / (row @ row)  # what the only calibration sample cannot see
        rounding = Rounding(np.outer(row, row), error[None])
        below += float(error @ rounding.gram @ error) < 0
        assert rounding.loss(np.zeros((1, 30))) >= 0.0
    assert below, "no case shows the noise"


def test_a_slightly_indefinite_gram_keeps_loss_and_energy_equal() -> None:
    gram = np.ones((2, 2)) - 1e-10 * np.eye(2)
    rounding = Rounding(gram, [[0.0, 1.0]])
    for bits in all_bits(2):
        assert rounding.loss(bits[None]) == pytest.approx(
            rounding.row(0).qubo.loss(bits), abs=rounding.resolution
        )


def test_a_gram_that_is_symmetric_up_to_noise_is_made_so() -> None:
    gram = np.array([[1.0, 0.5 + 1e-10], [0.5, 1.0]])
    rounding = Rounding(gram, [[0.3, 0.6]])
    np.testing.assert_array_equal(rounding.gram, rounding.gram.T)
    assert rounding.loss([[1, 1]]) == pytest.approx(
        rounding.row(0).qubo.loss([1, 1]), abs=rounding.resolution
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_low_precision_arrays_are_computed_in_float64(dtype) -> None:
    gram = np.diag(np.array([1.0, 0.1], dtype=dtype))
    rounding = Rounding(gram, np.full((1, 2), 0.3, dtype=dtype))
    error = 1 - float(dtype(0.3))
    assert rounding.loss([[1, 1]]) == pytest.approx(error**2 * (1 + float(dtype(0.1))), rel=1e-15)


def test_scales_eighty_orders_of_magnitude_apart_keep_their_row_losses() -> None:
    rounding = Rounding(np.eye(1), [[0.5], [0.5]], [1e-40, 1e40])
    np.testing.assert_allclose(rounding.row_losses([[0], [0]]), [0.25e-80, 0.25e80])


def test_a_users_arrays_changed_later_do_not_change_the_instance() -> None:
    gram, shift, scale = np.eye(2), np.full((1, 2), 0.25), np.ones(1)
    levels, fixed = np.array([2, 2]), np.full((1, 2), -1)
    rounding = Rounding(gram, shift, scale, levels, fixed)
    before = rounding.loss([[1, 1]])
    for array in (gram, shift, scale, levels, fixed):
        array[:] = 1
    assert rounding.loss([[1, 1]]) == before
    assert rounding.violation([[0, 0]]) == 0
    assert rounding.binary


@pytest.mark.parametrize("name", ["gram", "shift", "scale", "levels", "fixed"])
def test_nobody_can_write_to_the_arrays_of_an_instance(name) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(instance(), name)[0] = 0


EYE, SHIFT = np.eye(2), np.zeros((3, 2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gram": np.ones((2, 3))}, r"gram must be square, got shape \(2, 3\)"),
        ({"gram": [[1.0, 0.5], [0.0, 1.0]]}, r"gram must be symmetric; pass \(gram \+ gram.T\) / 2"),
        ({"gram": [[1.0, 2.0], [2.0, 1.0]]}, "gram must be positive semidefinite; build it as X.T @ X"),
        ({"gram": -EYE}, "gram must be positive semidefinite"),
        ({"gram": [[np.nan, 0], [0, 1]]}, r"gram must be finite, got nan at index \(0, 0\)"),
        ({"gram": [[1, 0], [0]]}, "gram must be an array with rows of one length"),
        ({"gram": EYE * 1j}, "gram must hold real numbers, got dtype complex128"),
        ({"gram": np.ones(2)}, r"gram must have 2 dimension\(s\), got shape \(2,\)"),
        ({"gram": EYE * 1e308, "scale": 1e10}, "gram, shift and scale must keep losses within float64"),
        ({"shift": np.zeros((3, 4))}, r"shift must have 2 columns like gram, got shape \(3, 4\)"),
        ({"shift": np.zeros(2)}, r"shift must have 2 dimension\(s\), got shape \(2,\)"),
        ({"shift": [[0.1, np.inf]]}, r"shift must be finite, got inf at index \(0, 1\)"),
        ({"shift": [[1e200, 0]]}, "gram, shift and scale must keep losses within float64"),
        ({"scale": 0.0}, "scale must be positive, and its square in float64 too, got 0"),
        ({"scale": [1.0, -1.0, 1.0]}, "scale must be positive, and its square in float64 too, got -1"),
        ({"scale": 1e-200}, "scale must be positive, and its square in float64 too, got 1e-200"),
        ({"scale": [1.0, 1.0]}, r"scale must be a number or have shape \(3,\), got \(2,\)"),
        ({"scale": np.nan}, "scale must be a finite number, got nan"),
        ({"scale": "1"}, "scale must be a finite number, got '1'"),
        ({"scale": [[1.0], [2.0, 3.0]]}, "scale must be an array with rows of one length"),
        ({"levels": 1}, r"levels must lie in \[2, 127\], got 1"),
        ({"levels": [2, 128]}, r"levels must lie in \[2, 127\], got 128"),
        ({"levels": 2.5}, "levels must hold integers, got 2.5"),
        ({"levels": [2, 2, 2]}, r"levels must have shape \(2,\), got \(3,\)"),
        ({"levels": [[2], [2, 2]]}, "levels must be an array with rows of one length"),
        ({"fixed": np.full((3, 2), 2)}, r"fixed must hold -1 \(free\) or a value in \[0, levels\), got 2"),
        ({"fixed": np.full((3, 2), -2)}, r"fixed must hold -1 \(free\) or a value in \[0, levels\), got -2"),
        ({"fixed": np.zeros((3, 2), dtype=bool)}, "fixed must hold integers, got dtype bool"),
        ({"fixed": np.full((3, 2), np.nan)}, "fixed must hold integers, got nan"),
        ({"fixed": np.full((3, 2), 1e300)}, r"fixed must hold integers, got 1e\+300"),
        ({"fixed": np.zeros((2, 3))}, r"fixed must have shape \(3, 2\), got \(2, 3\)"),
    ],
)
def test_what_is_no_rounding_problem_is_refused_in_one_line(given, message) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Rounding(**{"gram": EYE, "shift": SHIFT} | given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[0, 1]], r"bits must have shape \(1, 3\), got \(1, 2\)"),
        ([[0, 2, 0]], r"bits must be integers in \[0, 1\], got 2$"),
        ([[4, 0, 0]], r"bits must be integers in \[0, 3\], got 4$"),
        ([[0, 0.5, 0]], r"bits must be integers in \[0, 1\], got 0.5$"),
    ],
)
def test_integers_outside_their_own_levels_are_refused(x, message) -> None:
    rounding = instance(n=1, levels=[4, 2, 2])
    with pytest.raises(InputError, match=message):
        rounding.loss(x)
    with pytest.raises(InputError, match=message):
        rounding.violation(x)


def test_levels_that_bits_cannot_write_are_refused_only_as_a_qubo() -> None:
    rounding = instance(n=1, levels=[3, 2, 2])
    assert rounding.loss([[2, 1, 0]]) == pytest.approx(formula(rounding, np.array([[2, 1, 0]])))
    with pytest.raises(InputError, match="levels must be powers of two to be written in bits"):
        rounding.row(0)
    assert instance(n=1, levels=[3, 2, 2], fixed=[[1, -1, -1]]).row(0).qubo.n == 2


def test_the_bits_of_a_row_are_labelled_by_coordinate_and_by_place_where_there_are_several() -> None:
    row = instance(n=1, f=4, levels=[4, 2, 8, 2], fixed=[[-1, -1, -1, 1]]).row(0)
    assert row.labels == [(0, 0), (0, 1), 1, (2, 0), (2, 1), (2, 2)]
    assert row.columns.tolist() == [0, 0, 1, 2, 2, 2]
    assert row.weights.tolist() == [1, 2, 1, 1, 2, 4]


@pytest.mark.parametrize("row", [-1, 2, 0.5, True])
def test_a_row_that_there_is_not_is_refused(row) -> None:
    with pytest.raises(InputError, match=r"row must be an integer in \[0, 1\], got "):
        instance(n=2).to_bqm(row=row)
