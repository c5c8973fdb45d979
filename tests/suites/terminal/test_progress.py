"""What a run tells a person: cells, and the evaluations of black boxes that they took."""

from __future__ import annotations

import pytest
from records import make_record

from qubopress.suites.terminal import progress


def test_evaluations_of_black_boxes_are_counted_while_a_suite_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", -1.0)
    with progress.TerminalProgress() as shown:
        shown.begin(3, 0)
        shown.finished(make_record())
        shown.finished(make_record(counts={"evaluations": 900}))
        shown.finished(make_record(counts={"evaluations": 200}))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "1 of 3 cells",
        "2 of 3 cells, 900 evaluations",
        "3 of 3 cells, 1,100 evaluations",
    ]
