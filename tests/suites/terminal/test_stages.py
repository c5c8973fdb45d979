"""What a compression tells a person: the layer, the solver, the time, and how far it is."""

from __future__ import annotations

import io
import re
import sys
import threading
import time

import pytest
import torch
from torch import nn

from qubopress import solvers, suites
from qubopress.problems import Rounding
from qubopress.problems.tasks.ledger import Place
from qubopress.suites.compressing.stages import Step
from qubopress.suites.terminal import stages

Captured = pytest.CaptureFixture[str]

DATA = torch.randn(12, 3, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 2


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def looking_on() -> list[str]:
    """Threads of a bar that stay alive; rich tells its own to end and does not wait for it."""
    for one in threading.enumerate():
        if type(one).__name__ == "_RefreshThread":
            one.join(timeout=5)
    return [
        one.name
        for one in threading.enumerate()
        if one.name == stages.THREAD or type(one).__name__ == "_RefreshThread"
    ]


def slow_rounding() -> None:
    """A solver that takes half a second over a layer and says how far it is."""

    @solvers.solver("slow", accepts=Rounding)
    def slow(rounding: Rounding, run: solvers.Run) -> None:
        while run.open():
            run.offer(rounding.nearest())
            if rounding.f > 2:  # the instance that warms it is smaller
                run.share = 0.5
                time.sleep(0.5)


def test_a_quick_compression_is_silent_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(stages, "LINE_SECONDS", 600.0)  # however busy the machine
    suites.compress(nn.Linear(3, 2), DATA, progress=True)
    assert capsys.readouterr() == ("", "")


def test_without_progress_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    for progress in (None, False):
        suites.compress(nn.Linear(3, 2), DATA, progress=progress)
    assert terminal.getvalue() == ""


def test_lines_tell_how_far_a_long_stage_is_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(stages, "LINE_SECONDS", 0.1)
    slow_rounding()
    suites.compress(nn.Sequential(nn.Linear(3, 2)), DATA, solver="slow", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(r"^0 · slow \d s, 50%, \d s in all, 50% done", err, flags=re.MULTILINE), err


def test_a_bar_moves_inside_a_long_stage_and_leaves_the_terminal_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    slow_rounding()
    suites.compress(nn.Sequential(nn.Linear(3, 2)), DATA, solver="slow", progress=True)
    told = terminal.getvalue()
    assert "0 · slow 0 s, 50%" in told
    assert told.count(" s so far") > 2
    assert told.endswith("\x1b[2K")  # the line of the bar is wiped
    assert looking_on() == []


def test_the_thread_ends_with_an_error_too() -> None:
    with pytest.raises(ValueError, match="bits must"):
        suites.compress(nn.Linear(3, 2), DATA, bits=0, progress=True)
    assert looking_on() == []


def test_a_line_says_what_is_known_and_no_more() -> None:
    shown = stages.StageProgress()
    assert re.fullmatch(r"measuring the network, \d s", shown.line())
    shown(Step(2, None, "beam"))
    assert re.fullmatch(r"stage 2 · beam 0 s, \d s in all", shown.line())
    shown(Step(2, Place("fc1", span=(0.25, 0.5)), "beam", ended=True))
    assert re.match(r"measuring the network after fc1, \d s in all, 50% done", shown.line())


def test_restarts_are_counted_where_there_are_several() -> None:
    shown, step = stages.StageProgress(), Step(0, Place("fc1"), "beam")
    step.run = solvers.Run(Rounding([[1.0]], [[0.3]]), seconds=9.0)
    assert step.run.open()
    assert step.run.open()
    shown(step)
    assert shown.line().startswith("fc1 · beam 0 s, 2 restarts, ")
