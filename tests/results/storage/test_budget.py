"""A budget is one thing from a suite's file to every comparison: unlike ones are never taken for one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from records import make_record, make_store
from warm import records, share_server, write_suite

from qubopress import results, suites
from qubopress.results import Budget
from qubopress.results.commits.compare import Outcome
from qubopress.results.storage.budget import LIMITS
from qubopress.results.storage.budget_columns import budgets, differing_limits

REFINED = """
name = "refined"
seconds = 5
restarts = 1
evaluations = {evaluations}

[[problem]]
name = "hybrid"
network = "digits-cnn"
refine = 6
prepare = "greedy"

[[solver]]
name = "random-swap"
"""


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget(), "no limit"),
        (Budget(0.5), "0.5 s"),
        (Budget(2.0, restarts=1), "2 s, 1 restart"),
        (Budget(2.0, restarts=3, evaluations=60), "2 s, 3 restarts, 60 losses"),
        (Budget(None, evaluations=1, threads=2), "1 loss, 2 threads"),
    ],
)
def test_a_budget_tells_every_limit_and_one_thread_goes_without_saying(budget: Budget, text: str) -> None:
    assert str(budget) == text
    assert budget.bounded is (text != "no limit")


def test_unlike_limits_have_unlike_texts_and_absent_ones_are_equal() -> None:
    kinds = [
        (0.5, None, None, 1),
        (0.5, 1, None, 1),
        (0.5, None, 9, 1),
        (0.5, None, None, 2),
        (None, 1, None, 1),
    ]
    frame = pd.DataFrame(kinds * 2, columns=list(LIMITS), index=range(5, 15))
    texts = budgets(frame)
    assert texts.index.equals(frame.index)
    assert list(texts[:5]) == list(texts[5:]) == [str(Budget(*kind)) for kind in kinds]
    assert texts.nunique() == 5


def test_of_a_table_only_the_limits_that_differ_are_told() -> None:
    frame = pd.DataFrame([(1.0, None, 10, 1), (1.0, None, None, 1)], columns=list(LIMITS))
    assert list(differing_limits(frame)) == ["10 losses", "any evaluations"]
    assert list(differing_limits(frame, LIMITS[:2])) == ["", ""]


def test_a_record_knows_its_budget_and_keeps_it_in_a_store(tmp_path: Path) -> None:
    limits = {"evaluations": 60, "restarts": 2, "threads": 3, "budget_seconds": 4.0}
    store = make_store(tmp_path / "s.db", [limits])
    (kept,) = records(store)
    assert kept.budget == Budget(4.0, 2, 60, 3)
    assert make_record(evaluations=None).budget == Budget(1.0, None, None, 1)
    assert results.load(store)["evaluations"].tolist() == [60]


def test_two_budgets_of_evaluations_are_two_rows_and_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share_server(monkeypatch)
    store = tmp_path / "both.db"
    for evaluations in (12, 3):
        text = REFINED.format(evaluations=evaluations)
        suite = suites.load(write_suite(tmp_path, text, name=f"of-{evaluations}"))
        assert suite.budget == Budget(5.0, 1, evaluations)
        suites.run(suite, store=store)
        suites.run(suite, store=tmp_path / f"{evaluations}.db")
    assert [one.counts["evaluations"] for one in records(store)] == [12, 3]
    board = results.leaderboard(store)
    assert sorted(board["solver"]) == ["random-swap(12 losses)", "random-swap(3 losses)"]
    assert list(board["cells"]) == [1, 1]
    found = results.compare(tmp_path / "12.db", tmp_path / "3.db")
    assert (found.matched, found.outcome) == (0, Outcome.NOTHING_MATCHED)
    assert results.compare(tmp_path / "12.db", store).matched == 1
