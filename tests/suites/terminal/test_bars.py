"""Bars fit every terminal; without one there are lines at even steps."""

from __future__ import annotations

import io
import re
import sys
import threading
import time

import pytest

from qubopress.suites.terminal import bars

Captured = pytest.CaptureFixture[str]

NAME = "nearest-plane on adaround/digits-mlp/bits=2,group=16,symmetric=True (seed 0)"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [40, 60, 80, 120, 160])
def test_a_bar_is_one_line_on_a_terminal_of_any_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    with bars.Bar("cells", 40) as bar:
        bar.work_on(NAME)
        bar.note = "134,208 evaluations"
        bar.advance()
        bar.bar.refresh()
    drawn = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", terminal.getvalue())]
    assert any("1 of 40 cells" in line and "s so far" in line for line in drawn)
    assert any("evaluations" in line for line in drawn) == (width >= bars.WIDE)
    assert max(map(len, drawn)) <= width
    # At the end the cursor goes up once, to wipe the one line there is.
    assert terminal.getvalue().count("\x1b[1A") == 1


@pytest.mark.parametrize("width", [60, 80, 120])
def test_on_a_narrow_terminal_times_are_whole_and_what_is_said_is_folded_at_words(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    said = "FAILED beam on adaround/digits-mlp: the solver offered no solution; it must call run.offer(x)"
    with bars.Bar("instances built", 5) as bar:
        for _ in range(3):
            bar.work_on(NAME)
            bar.advance()
            time.sleep(0.02)
        bar.bar.refresh()
        bar.say(said)
    drawn = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", terminal.getvalue())]
    assert max(map(len, drawn)) <= width
    assert any(re.search(r"so far, (about )?\d+ s left", line) for line in drawn)
    assert set(said.split()) <= set(" ".join(drawn).split())


def test_lines_come_at_even_steps_though_nothing_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(bars, "LINE_SECONDS", 0.05)
    monkeypatch.setattr(bars, "TICK_SECONDS", 0.01)
    lines: list[str] = []
    with bars.Bar("cells", 3) as bar:
        bar.work_on(NAME)
        while len(lines) < 2:
            time.sleep(0.01)
            lines += capsys.readouterr().err.splitlines()
    assert all(re.fullmatch(rf"0 of 3 cells, \d s so far; {re.escape(NAME)}", line) for line in lines)
    assert not any(one.name == bars.THREAD for one in threading.enumerate())


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (59.6, "1 min"), (80, "1 min 20 s"), (3600, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_times_are_told_as_people_tell_them(seconds: float, told: str) -> None:
    assert bars.duration(seconds) == told


def test_what_is_counted_comes_through_and_errors_do_too(capsys: Captured) -> None:
    assert list(bars.counted("abc", "letters", 3)) == ["a", "b", "c"]
    with pytest.raises(ZeroDivisionError, match="division"):
        list(bars.counted((1 // n for n in (1, 0)), "numbers", 2))
    assert not any(one.name == bars.THREAD for one in threading.enumerate())
