"""Errors in one line, with a cure."""

from __future__ import annotations

from qubopress.problems.errors import InputError, one_line, unknown_name


def test_an_unknown_name_gets_the_closest_or_all() -> None:
    assert (
        str(unknown_name("solver", "tabo", ["sa", "tabu"])) == "no solver named 'tabo'; did you mean 'tabu'?"
    )
    assert (
        str(unknown_name("solver", "qqqq", ["tabu", "sa"])) == "no solver named 'qqqq'; choose from sa, tabu"
    )


def test_an_error_is_told_in_one_bounded_line_and_by_its_kind_unless_it_is_ours() -> None:
    assert one_line(InputError("bits must\n  be 0")) == "bits must be 0"
    assert one_line(KeyError("a")) == "KeyError: 'a'"
    assert len(one_line(ValueError("x" * 10_000))) == 500
