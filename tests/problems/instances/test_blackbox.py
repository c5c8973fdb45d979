"""A BlackBox asks its function once a point and counts the asking."""

from __future__ import annotations

import numpy as np
import pytest
from tiny import all_bits

from qubopress.problems import BlackBox, InputError

WEIGHTS = np.array([1.0, 2.0, 4.0])


class Weighed:
    """A linear function that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.asked.append(np.array(x))
        return x @ WEIGHTS


def test_loss_is_the_function_on_every_assignment() -> None:
    box, X = BlackBox(Weighed(), 3, start=[0, 0, 0]), all_bits(3)
    np.testing.assert_array_equal(box.losses(X), X @ WEIGHTS)
    assert [box.loss(x) for x in X] == (X @ WEIGHTS).tolist()


def test_only_new_points_are_evaluated_and_counted() -> None:
    function = Weighed()
    box = BlackBox(function, 3, start=[0, 0, 0])
    assert box.evaluations == 0
    np.testing.assert_array_equal(box.losses([[1, 0, 0], [0, 1, 0], [1, 0, 0]]), [1, 2, 1])
    assert box.evaluations == 2
    np.testing.assert_array_equal(box.losses([[0, 1, 0], [1, 1, 1]]), [2, 7])
    assert box.loss(np.array([1.0, 1.0, 1.0])) == 7
    assert box.evaluations == 3
    np.testing.assert_array_equal(np.concatenate(function.asked), [[1, 0, 0], [0, 1, 0], [1, 1, 1]])


def test_a_function_that_scribbles_on_its_points_spoils_nothing() -> None:
    def scribble(x: np.ndarray) -> np.ndarray:
        losses = x @ WEIGHTS
        x[:] = 0
        return losses

    points = np.array([[1, 0, 1]], dtype=np.int8)
    box = BlackBox(scribble, 3, start=[0, 0, 0])
    assert box.losses(points) == [5]
    assert points.tolist() == [[1, 0, 1]]
    assert box.loss([0, 0, 0]) == 0


def test_no_points_cost_nothing() -> None:
    box = BlackBox(Weighed(), 3, start=[0, 0, 0])
    assert box.losses(np.zeros((0, 3))).shape == (0,)
    assert box.evaluations == 0


def test_violation_is_the_distance_from_k() -> None:
    box = BlackBox(Weighed(), 3, start=[1, 1, 0], K=2)
    assert [box.violation(x) for x in ([0, 0, 0], [1, 0, 1], [1, 1, 1])] == [2, 0, 1]
    assert BlackBox(Weighed(), 3, start=[1, 1, 0]).violation([1, 1, 1]) == 0


def test_the_start_is_the_baseline_and_is_not_the_callers_array() -> None:
    start = np.array([1, 0, 1])
    box = BlackBox(Weighed(), 3, start=start)
    start[:] = 0
    np.testing.assert_array_equal(box.baseline(), [1, 0, 1])
    with pytest.raises(ValueError, match="read-only"):
        box.start[0] = 0


@pytest.mark.parametrize("n", [0, 1])
def test_the_smallest_instances_work(n) -> None:
    box = BlackBox(lambda x: x.sum(axis=1), n, start=[0] * n, K=0)
    assert box.shape == (n,)
    assert box.loss(np.zeros(n)) == 0
    assert box.violation(box.baseline()) == 0


def test_infinite_losses_are_allowed() -> None:
    box = BlackBox(lambda x: np.where(x[:, 0] == 1, np.inf, 0.0), 1, start=[0])
    assert box.loss([1]) == np.inf


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": -1}, "n must be an integer of at least 0, got -1"),
        ({"n": 2.0}, "n must be an integer of at least 0, got 2.0"),
        ({"n": True}, "n must be an integer of at least 0, got True"),
        ({"start": [0, 1]}, r"bits must have shape \(3,\), got \(2,\)"),
        ({"start": [0, 1, 2]}, r"bits must be integers in \[0, 1\], got 2"),
        ({"K": 4}, r"K must be an integer in \[0, 3\], got 4"),
        ({"K": True}, r"K must be an integer in \[0, 3\], got True"),
        ({"evaluate": 3}, r"evaluate must be a function of points \(k, n\), got a int"),
        ({"K": 2}, "start must have K = 2 ones, got 1"),
    ],
)
def test_what_is_no_black_box_is_refused(given, message) -> None:
    with pytest.raises(InputError, match=message):
        BlackBox(**{"evaluate": Weighed(), "n": 3, "start": [0, 0, 1]} | given)


def test_a_function_that_returns_no_losses_is_refused_and_not_counted() -> None:
    flat = BlackBox(lambda x: 1.0, 3, start=[0, 0, 1])
    with pytest.raises(InputError, match=r"evaluate must return shape \(1,\), a loss a point, got \(\)"):
        flat.loss([0, 0, 0])
    undefined = BlackBox(lambda x: np.full(len(x), np.nan), 3, start=[0, 0, 1])
    with pytest.raises(InputError, match="evaluate must return numbers, got NaN"):
        undefined.loss([0, 0, 0])
    for values, kind in ((1j, "complex128"), ("1", "<U1")):
        strange = BlackBox(lambda x, one=values: [one] * len(x), 3, start=[0, 0, 1])
        with pytest.raises(InputError, match=f"evaluate must return real numbers, got dtype {kind}"):
            strange.loss([0, 0, 0])
    assert flat.evaluations == undefined.evaluations == 0


def test_points_of_a_wrong_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"bits must have shape \(2, 3\), got \(2, 2\)"):
        BlackBox(Weighed(), 3, start=[0, 0, 1]).losses([[0, 0], [0, 1]])
