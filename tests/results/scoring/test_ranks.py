"""Average ranks and critical differences are those of the textbook."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qubopress.results.scoring.ranks import critical_difference


def frame(table: dict[str, list[float]]) -> pd.DataFrame:
    """One cell a solver and instance, with these excesses."""
    rows = [
        {"instance_key": f"key-{i}", "budget": "1 s", "setting": label, "excess": value}
        for label, values in table.items()
        for i, value in enumerate(values)
        if not np.isnan(value)
    ]
    return pd.DataFrame(rows)


def test_ranks_are_averaged_over_matches_and_ties_share() -> None:
    found = critical_difference(
        frame({"a": [0.0, 0.0, 0.1, 0.0], "b": [0.1, 0.0, 0.0, 0.1], "c": [0.5, 0.5, 0.5, 0.5]})
    )
    assert found is not None
    assert found.ranks == {"a": pytest.approx(1.375), "b": pytest.approx(1.625), "c": 3.0}
    assert found.matches == 4


def test_the_difference_is_nemenyis() -> None:
    rng = np.random.default_rng(0)
    found = critical_difference(frame({name: list(rng.random(20)) for name in "abcde"}))
    assert found is not None
    assert found.difference == pytest.approx(2.728 * np.sqrt(5 * 6 / (6 * 20)), rel=1e-3)  # Demšar's table 5


def test_p_is_friedmans() -> None:
    rng = np.random.default_rng(1)
    values = {name: list(rng.random(10) + shift) for name, shift in (("a", 0.0), ("b", 0.3), ("c", 0.6))}
    found = critical_difference(frame(values))
    assert found is not None
    assert found.p == pytest.approx(stats.friedmanchisquare(*values.values()).pvalue)


def test_neighbours_closer_than_the_difference_form_cliques() -> None:
    values = {"a": [0.1] * 30, "b": [0.2] * 15 + [0.05] * 15, "c": [0.8] * 30, "d": [0.9] * 30}
    found = critical_difference(frame(values))
    assert found is not None
    assert found.cliques() == [("a", "b")]
    assert found.p < 1e-6


def test_solvers_that_missed_a_match_are_left_out_and_named() -> None:
    values = {"a": [0.1] * 5, "b": [0.2] * 5, "c": [0.3] * 5, "d": [0.0, 0.0, 0.0, 0.0, np.nan]}
    found = critical_difference(frame(values))
    assert found is not None
    assert list(found.ranks) == ["a", "b", "c"]
    assert found.left_out == ("d",)


def test_equals_are_not_told_apart() -> None:
    found = critical_difference(frame({name: [0.0] * 5 for name in "abc"}))
    assert found is not None
    assert found.p == 1.0
    assert found.cliques() == [("a", "b", "c")]


def test_too_few_solvers_or_matches_give_no_diagram() -> None:
    assert critical_difference(frame({"a": [0.1] * 9, "b": [0.2] * 9})) is None
    assert critical_difference(frame({"a": [0.1] * 2, "b": [0.2] * 2, "c": [0.3] * 2})) is None
