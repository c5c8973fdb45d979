"""What a run tells a person: how much there is to do, how far it is, and each new failure once."""

from __future__ import annotations

from pathlib import Path

import pytest
from records import make_record

from qubopress.results import Record
from qubopress.suites.terminal import bars, progress

Captured = pytest.CaptureFixture[str]


def test_evaluations_of_black_boxes_are_counted_while_a_suite_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(bars, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(bars, "TICK_SECONDS", 100.0)
    with progress.TerminalProgress() as shown:
        shown.begin(3, 0)
        for counts in ({}, {"evaluations": 900}, {"evaluations": 200}):
            shown.finished(make_record(counts=counts))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(" s so far")[0] for line in lines] == [
        "3 cells",
        "1 of 3 cells, 0",
        "2 of 3 cells, 900 evaluations, 0",
        "3 of 3 cells, 1,100 evaluations, 0",
    ]


@pytest.mark.parametrize(
    ("jobs", "done", "plan"),
    [
        (1, 0, "40 cells; up to 2 s of search each, about 1 min 20 s of search in all; into r.db\n"),
        (
            4,
            10,
            "40 cells, 10 of them in the store already; "
            "up to 2 s of search each, about 16 s of search in all; into r.db\n",
        ),
        (1, 40, "40 cells, 40 of them in the store already; into r.db\n"),
    ],
)
def test_a_run_says_how_many_cells_for_how_long_and_where_to(
    capsys: Captured, jobs: int, done: int, plan: str
) -> None:
    with progress.TerminalProgress(Path("r.db"), seconds=2.0, jobs=jobs) as shown:
        shown.begin(40, done)
        assert capsys.readouterr().err == plan


def failing(**changes: object) -> Record:
    fields = {"status": "FAILED", "message": "ValueError: no (mine.py:3)", "loss": None, "solver": "mine"}
    return make_record(**{**fields, **changes})


def test_each_new_failure_is_told_once_and_the_rest_are_counted(capsys: Captured) -> None:
    with progress.TerminalProgress() as shown:
        shown.begin(5, 0)
        for record in (failing(), failing(instance="cnn"), failing(seed=1), failing(status="LIED")):
            shown.finished(record)
        told = capsys.readouterr().err.splitlines()
        shown.finished(make_record(status="SKIPPED", loss=None))
    assert told[1:] == [
        "FAILED mine on mlp int4 (seed 0): ValueError: no (mine.py:3)",
        "LIED mine on mlp int4 (seed 0): ValueError: no (mine.py:3)",
    ]
    assert capsys.readouterr().err == "2 more: FAILED mine: ValueError: no (mine.py:3)\n"


def test_what_is_being_done_is_named_not_what_is_over() -> None:
    shown = progress.TerminalProgress()
    shown.surveying(2)
    assert shown.bar.line().startswith("0 of 2 instances built, ")
    shown.surveyed("adaround/mlp")
    assert shown.bar.line().startswith("1 of 2 instances built, ")
    assert (shown.done, shown.total) == (0, 0)
    shown.begin(2, 0)
    shown.started("beam on adaround/mlp (seed 0)")
    assert shown.bar.line().endswith("; beam on adaround/mlp (seed 0)")
