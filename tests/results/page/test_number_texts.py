from __future__ import annotations

import math

import pytest

from qubopress.results.page.number_texts import between, digits, fixed, rough, several, sortable


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.002131, "0.00213"),
        (3.2749, "3.27"),
        (10.0, "10.0"),
        (1530.2, "1,530"),
        (1e-5, "1e-5"),
        (math.inf, "–"),
    ],
)
def test_three_digits_are_shown(value: float, text: str) -> None:
    assert digits(value) == text


def test_an_unknown_number_is_a_dash_and_sorts_as_nothing() -> None:
    assert fixed(math.nan) == rough(math.nan) == several([]) == "–"
    assert sortable(math.nan) == ""
    assert sortable(-0.5) == "-0.5"


def test_an_interval_of_unknown_ends_is_nothing_and_an_open_one_is_infinite() -> None:
    assert between(math.nan, math.nan) == ""
    assert between(0.12, math.inf, rough) == "0.12–∞"
    assert between(-1.0, 2.0) == "\N{MINUS SIGN}1.000–2.000"
