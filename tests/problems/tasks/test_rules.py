"""Wishes for single layers are heard, or refused in one line."""

from __future__ import annotations

import pytest

from qubopress.problems import InputError
from qubopress.problems.tasks.ledger import Fate, Ledger, spans
from qubopress.problems.tasks.rules import Rules

NAMES = ["encoder.0.query", "encoder.1.query", "head"]


def test_skip_and_only_leave_layers_and_say_why() -> None:
    rules = Rules(skip=("head",), only=("encoder.0.*", "head"))
    assert [rules.leaves(name) for name in NAMES] == ["", "only does not name it", "skip names it"]
    assert Rules().leaves("head") == ""


def test_the_last_glob_that_matches_sets_a_layers_parameters() -> None:
    rules = Rules(layers={"encoder.*": {"bits": 3}, "*.1.query": {"bits": 8}})
    assert [rules.settings(name, {"bits": 4, "grid": "mse"})["bits"] for name in NAMES] == [3, 8, 4]


def test_a_wish_that_no_layer_hears_is_refused() -> None:
    Rules(skip=("head",)).check(NAMES)
    with pytest.raises(InputError, match="no layer named 'heads'; did you mean 'head'"):
        Rules(skip=("heads",)).check(NAMES)
    with pytest.raises(InputError, match="layers may set bits of a layer, got 'width' for 'head'"):
        Rules(layers={"head": {"width": 3}}).settings("head", {"bits": 4})


def test_the_last_fate_of_a_parameter_stands() -> None:
    ledger = Ledger()
    for outcome in ("float", "rounded"):
        ledger.note(Fate("fc.weight", outcome, 6))
    assert [fate.outcome for fate in ledger.fates.values()] == ["rounded"]


def test_a_wish_that_nobody_has_asked_for_is_known() -> None:
    rules = Rules(skip=("head",), layers={"head": {"bits": 3}})
    assert rules.unheard() == ["skip", "layers"]
    rules.leaves("head")
    assert rules.unheard() == ["layers"]
    rules.settings("head", {"bits": 4})
    assert rules.unheard() == Rules().unheard() == []


def test_the_place_of_a_stage_is_told_once() -> None:
    ledger = Ledger()
    ledger.enter("head", span=(0.25, 1.0))
    place = ledger.leave()
    assert place is not None
    assert (place.label, place.parameters, place.span) == ("head", (), (0.25, 1.0))
    assert ledger.leave() is None


def test_work_is_laid_end_to_end() -> None:
    assert spans([1, 3]) == [(0.0, 0.25), (0.25, 1.0)]
    assert spans([0]) == [(0.0, 0.0)]
    assert spans([]) == []
