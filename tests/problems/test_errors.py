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


def test_who_asks_may_want_every_kind_named_or_none() -> None:
    assert one_line(InputError("bits must be 0"), named=True) == "InputError: bits must be 0"
    assert one_line(OSError("a\n b"), named=False) == "a b"
    assert one_line(SystemExit(3)) == "SystemExit: 3"


def test_an_error_without_a_message_is_told_by_its_kind() -> None:
    assert one_line(TimeoutError()) == one_line(TimeoutError(), named=False) == "TimeoutError"


def test_a_line_may_be_as_long_as_it_takes() -> None:
    assert one_line(OSError("x" * 10_000), named=False, most=None) == "x" * 10_000


def test_a_name_that_is_no_text_is_unknown_like_any_other() -> None:
    assert str(unknown_name("solver", 3, ["sa"])) == "no solver named 3; choose from sa"  # type: ignore[arg-type]
