"""What comes in: finite arrays that nobody can change, whole numbers, and bits of the right shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from qubopress.problems import InputError
from qubopress.problems.arrays import bits, chosen, count, flag, frozen, integer, number, real


def test_a_frozen_array_cannot_be_made_writable_and_is_copied_once() -> None:
    given = np.arange(6.0).reshape(2, 3).T
    held = frozen(given)
    np.testing.assert_array_equal(held, given)
    assert held.flags.c_contiguous
    with pytest.raises(ValueError, match=r"WRITEABLE"):
        held.flags.writeable = True
    assert frozen(held) is held


def test_a_read_only_view_of_memory_that_its_owner_can_write_is_copied() -> None:
    owner = np.zeros(3)
    view = owner.view()
    view.flags.writeable = False
    held = frozen(view)
    owner[0] = 1.0
    assert held.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1.0]], r"Q must have 1 dimension\(s\), got shape \(1, 1\)"),
        ([1j], "Q must hold real numbers, got dtype complex128; convert it to float64"),
        ([0.0, np.nan], r"Q must be finite, got nan at index \(1,\); remove NaN and infinity first"),
        ([[1.0], [1.0, 2.0]], "Q must be an array with rows of one length, got a list that is none"),
        (np.ma.masked_equal([1.0, 2.0], 1.0), r"Q must hold every value, got an array that masks some.*"),
        (
            torch.empty(2, device="meta"),
            "Q must be an array with rows of one length, got a Tensor that is none",
        ),
        (sp.csr_array(np.eye(2)), r"Q must be a dense array, got a sparse one; pass its toarray\(\)"),
    ],
)
def test_what_is_no_finite_array_is_refused(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        real(value, name="Q", ndim=1)


@pytest.mark.parametrize("value", [[1.0], "one", np.inf, None])
def test_what_is_no_finite_number_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^K must be a finite number, got "):
        number(value, name="K")


@pytest.mark.parametrize("value", [True, 2.5, 0, 9])
def test_a_count_is_an_integer_within_its_span(value: Any) -> None:
    with pytest.raises(InputError, match=rf"^bits must be an integer in \[1, 8\], got {value}$"):
        count(value, name="bits", low=1, high=8)
    assert count(np.int64(8), name="bits", low=1, high=8) == 8


def test_integers_are_broadcast_and_fractions_and_masks_refused() -> None:
    assert integer(2, name="levels", shape=(3,)).tolist() == [2, 2, 2]
    for value, message in (
        (2.5, "integers, got 2.5"),
        ([True], "integers, got dtype bool"),
        ([1, 2], r"shape \(3,\), got \(2,\)"),
    ):
        with pytest.raises(InputError, match=f"^levels must .*{message}$"):
            integer(value, name="levels", shape=(3,))


@pytest.mark.parametrize("x", [[0, 2], [0.5, 0], [np.nan, 0], [-1, 0]])
def test_bits_outside_their_levels_are_refused(x: Any) -> None:
    with pytest.raises(InputError, match=r"^bits must be integers in \[0, 1\], got "):
        bits(x, shape=(2,))


def test_each_bit_has_its_own_levels() -> None:
    levels = np.array([2, 5])
    assert bits([1, 4], shape=(2,), levels=levels).dtype == np.int8
    with pytest.raises(InputError, match=r"^bits must be integers in \[0, 4\], got 5$"):
        bits([1, 5], shape=(2,), levels=levels)


def test_words_and_flags_are_named_in_the_refusal() -> None:
    with pytest.raises(InputError, match=r"^grid must be one of code, scale, got 'cod'$"):
        chosen("cod", ("code", "scale"), name="grid")
    with pytest.raises(InputError, match=r"^sparse must be True or False, got 1$"):
        flag(1, name="sparse")  # type: ignore[arg-type]
